package namespace_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/skein-project/skein/deploy/local/namespace"
	"github.com/skein-project/skein/deploy/local/proc"
)

// helper names the part that this program plays when a test starts it anew.
const helper = "NAMESPACE_TEST_HELPER"

func TestMain(m *testing.M) {
	var err error
	switch os.Getenv(helper) {
	case "":
		os.Exit(m.Run())
	case "network":
		err = network()
	case "crash":
		err = crash()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func open(t *testing.T, o namespace.Options) *namespace.Space {
	t.Helper()
	s, err := namespace.Open(o)
	if errors.Is(err, namespace.ErrUnavailable) {
		fmt.Fprintln(os.Stderr, namespace.SkipLine)
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// run runs a shell script inside and returns what it printed.
func run(t *testing.T, s *namespace.Space, script string) string {
	t.Helper()
	var out strings.Builder
	cmd := exec.Command("sh", "-c", script)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := s.Run(t.Context(), cmd, time.Second); err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out.String())
	}
	return strings.TrimSpace(out.String())
}

// network runs inside a network of its own and prints what it sees.
func network() error {
	if !namespace.Inside() {
		return errors.New("it does not know that it is inside")
	}
	if err := namespace.AddAddress("lo:1", netip.MustParseAddr("10.88.1.1")); err != nil {
		return err
	}
	interfaces, err := net.Interfaces()
	if err != nil || len(interfaces) != 1 {
		return fmt.Errorf("interfaces: %v, %w", interfaces, err)
	}
	for _, address := range []string{"127.0.0.1:0", "10.88.1.1:0"} {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			return err
		}
		conn, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			return err
		}
		conn.Close()
		listener.Close()
	}
	_, err = fmt.Println(namespace.Entrance())
	return err
}

func TestANetworkOfItsOwn(t *testing.T) {
	s := open(t, namespace.Options{Network: true})
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), helper+"=network")
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := s.Run(t.Context(), cmd, time.Second); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	// Others enter by the path that it printed, and see nothing but lo there.
	entrance := strings.TrimSpace(out.String())
	raw, err := exec.Command("nsenter", "--net="+entrance, "cat", "/proc/net/dev").CombinedOutput()
	if lines := strings.Split(strings.TrimSpace(string(raw)), "\n"); err != nil || len(lines) != 3 || !strings.Contains(lines[2], "lo:") {
		t.Errorf("by %s: %v\n%s", entrance, err, raw)
	}
}

func TestTheMachinesNetworkIsLeftAlone(t *testing.T) {
	if namespace.Inside() {
		t.Fatal("a test does not run inside")
	}
	if err := namespace.AddAddress("lo:1", netip.MustParseAddr("10.88.1.1")); err == nil {
		t.Fatal("an address was added to the machine's lo")
	}
	t.Setenv(namespace.Variable, "net:[1] /proc/1/ns/net")
	if namespace.Inside() {
		t.Error("a variable alone makes no namespace")
	}
}

func TestMountsArePrivate(t *testing.T) {
	s := open(t, namespace.Options{Mounts: true})
	dir := t.TempDir()
	err := s.Do(func() error {
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, "inside"), []byte("x"), 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	if out := run(t, s, "ls "+dir); out != "inside" {
		t.Errorf("inside: %q", out)
	}
	full := s.Do(func() error { return os.WriteFile(filepath.Join(dir, "large"), make([]byte, 1<<20), 0o600) })
	if !errors.Is(full, unix.ENOSPC) {
		t.Errorf("a small disk takes a large file: %v", full)
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) != 0 {
		t.Errorf("outside: %v, %v", names, err)
	}
}

func TestProcessesEndWithTheSpace(t *testing.T) {
	state := t.TempDir()
	s := open(t, namespace.Options{Processes: true})
	cmd := exec.Command("sh", "-c", "setsid sleep 300 & echo $$ $(ls /proc | grep -c '^[0-9]')")
	cmd.Env = append(os.Environ(), proc.StateVariable+"="+state)
	out, err := output(s, cmd)
	if err != nil {
		t.Fatal(err)
	}
	var pid, seen int
	if _, err := fmt.Sscan(out, &pid, &seen); err != nil || pid > 10 || seen > 10 {
		t.Errorf("process %d of %d: the table is not its own (%q)", pid, seen, out)
	}
	wantLeftovers(t, state, 1)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	wantLeftovers(t, state, 0)
	if err := s.Start(exec.Command("true")); err == nil {
		t.Error("a closed space starts things")
	}
}

// output runs a command whose children keep its standard output open.
func output(s *namespace.Space, cmd *exec.Cmd) (string, error) {
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := s.Start(cmd); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	return line, errors.Join(err, cmd.Wait())
}

func TestOrphansAreReaped(t *testing.T) {
	s := open(t, namespace.Options{Processes: true})
	run(t, s, "for i in 1 2 3 4 5; do (true & ) ; done; sleep 0.1")
	if out := run(t, s, "cat /proc/[0-9]*/stat | grep -c ' Z ' || true"); out != "0" {
		t.Errorf("%s zombies", out)
	}
}

// crash opens a space with a daemon and a mount in it and waits for its own death.
func crash() error {
	s, err := namespace.Open(namespace.Options{Network: true, Processes: true})
	if err != nil {
		return err
	}
	if _, err := output(s, exec.Command("sh", "-c", "setsid sleep 300 & setsid sh -c 'trap \"\" TERM; sleep 300' & echo up")); err != nil {
		return err
	}
	fmt.Println("up")
	select {}
}

func TestNothingOutlivesAKilledParent(t *testing.T) {
	open(t, namespace.Options{Mounts: true}) // skips where there are none
	state := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), helper+"=crash", proc.StateVariable+"="+state)
	cmd.SysProcAttr = proc.Attributes(nil)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := proc.Start(cmd); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "up\n" {
		t.Fatal(line, err)
	}
	wantLeftovers(t, state, 5) // itself, the first process, two daemons, the second one's child
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	wantLeftovers(t, state, 0)
}

func TestAnInterruptedCommandEnds(t *testing.T) {
	s := open(t, namespace.Options{Mounts: true})
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	began := time.Now()
	if err := s.Run(ctx, exec.Command("sh", "-c", "trap '' INT; while :; do sleep 0.05; done"), 200*time.Millisecond); err == nil {
		t.Error("it ended well")
	}
	if d := time.Since(began); d < 200*time.Millisecond || d > 10*time.Second {
		t.Errorf("it took %s", d)
	}
}

// wantLeftovers waits until so many processes carry the state folder.
func wantLeftovers(t *testing.T, state string, want int) {
	t.Helper()
	var left []string
	var err error
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if left, err = proc.Leftovers(state); err == nil && len(left) == want {
			return
		}
	}
	t.Fatalf("%d processes, want %d: %q, %v", len(left), want, left, err)
}
