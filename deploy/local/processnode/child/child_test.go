package child

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// start runs a shell script and returns the process and a function that waits
// for its end and gives its output.
func start(t *testing.T, script string) (*Process, func() string) {
	t.Helper()
	folder := t.TempDir()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p, err := Start(Spec{
		Argv: []string{"/bin/sh", "-c", script}, Env: []string{"HOME=" + folder, "PATH=/usr/bin:/bin"},
		Dir: folder, Output: w, Folders: []string{folder},
	})
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Kill(); <-p.Done(); r.Close() })
	return p, func() string {
		select {
		case <-p.Done():
		case <-time.After(20 * time.Second):
			t.Error("the child did not end")
			p.Kill()
		}
		out, _ := io.ReadAll(r)
		return string(out)
	}
}

// TestMain lets the test program stand for an agent that is killed.
func TestMain(m *testing.M) {
	file := os.Getenv("SKEIN_TEST_CHILD_FILE")
	if file == "" {
		os.Exit(m.Run())
	}
	_, err := Start(Spec{Argv: []string{"/bin/sh", "-c", "echo $$ >" + file + "; exec sleep 1000"}, Dir: "/", Output: os.Stderr})
	if err != nil {
		os.Exit(1)
	}
	select {}
}

func TestChildDiesWithAKilledAgent(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pid")
	agent := exec.Command(os.Args[0])
	agent.Env = append(os.Environ(), "SKEIN_TEST_CHILD_FILE="+file)
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	pid, _ := strconv.Atoi(waitFile(t, file))
	time.Sleep(50 * time.Millisecond) // idle threads of the agent may end meanwhile
	if gone(pid) {
		t.Error("the child died although the agent lives")
	}
	_ = agent.Process.Kill()
	_ = agent.Wait()
	for end := time.Now().Add(5 * time.Second); !gone(pid); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			_ = unix.Kill(pid, unix.SIGKILL)
			t.Fatal("the child outlived its agent")
		}
	}
}

func waitFile(t *testing.T, path string) string {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if b, err := os.ReadFile(path); err == nil && strings.HasSuffix(string(b), "\n") {
			return strings.TrimSpace(string(b))
		}
	}
	t.Fatalf("%s was not written", path)
	return ""
}

func gone(pid int) bool {
	p, ok := stat(pid)
	return !ok || p.zombie
}

func TestExitCodesAndOutput(t *testing.T) {
	for _, c := range []struct {
		name, script string
		exit         int
	}{
		{"zero", "echo out; echo err >&2", 0},
		{"own code", "exit 7", 7},
		{"a signal is 128+n", "kill -9 $$", 137},
		{"another signal", "kill -15 $$", 143},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, wait := start(t, c.script)
			out := wait()
			if p.Exit() != c.exit {
				t.Errorf("exit %d, want %d", p.Exit(), c.exit)
			}
			if c.exit == 0 && out != "out\nerr\n" {
				t.Errorf("output %q", out)
			}
		})
	}
}

func TestKillReachesDescendantsThatLeftTheGroup(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pid")
	p, wait := start(t, `trap '' TERM
setsid sh -c 'echo $$ >`+file+`; exec sleep 100' &
wait`)
	pid, _ := strconv.Atoi(waitFile(t, file))
	p.Term()
	select {
	case <-p.Done():
		t.Fatal("TERM was to be ignored by the child")
	case <-time.After(50 * time.Millisecond):
	}
	p.Kill()
	wait()
	if p.Exit() != 137 || !gone(pid) {
		t.Errorf("exit %d, descendant gone %v", p.Exit(), gone(pid))
	}
}

func TestOrphansDieWithTheMainProcess(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pid")
	_, wait := start(t, `setsid sh -c 'setsid sh -c "echo \$\$ >`+file+`; exec sleep 100" & exit 0' & 
while [ ! -s `+file+` ]; do sleep 0.01; done`)
	wait()
	pid, _ := strconv.Atoi(waitFile(t, file))
	if !gone(pid) {
		_ = unix.Kill(pid, unix.SIGKILL)
		t.Error("an orphan in a session of its own survived the main process")
	}
}

func TestStartErrorNamesTheProgram(t *testing.T) {
	_, err := Start(Spec{Argv: []string{"/no/such/program"}, Dir: "/", Output: os.Stderr})
	if err == nil || !strings.Contains(err.Error(), "/no/such/program") {
		t.Errorf("got %v", err)
	}
}

func TestLeftoversAreKilledByRecordAndByFolder(t *testing.T) {
	p, wait := start(t, "sleep 100")
	if !p.Record.Alive() {
		t.Fatal("the record of a live process is not alive")
	}
	stranger := Record{Pid: p.Record.Pid, Start: p.Record.Start + 1}
	if KillLeftovers([]Record{stranger}) != 0 || !p.Record.Alive() {
		t.Fatal("a process that only has the same number was killed")
	}
	if KillLeftovers(nil, p.folders...) == 0 {
		t.Error("not found by its folder")
	}
	wait()
	if p.Record.Alive() {
		t.Error("alive after its end")
	}
}
