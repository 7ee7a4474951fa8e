package proc_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/skein-project/skein/deploy/local/proc"
)

// helperVariable makes this test binary play the parent in TestNoChildOutlivesItsParent.
const helperVariable = "SKEIN_PROC_HELPER"

func TestMain(m *testing.M) {
	if state := os.Getenv(helperVariable); state != "" {
		playParent(state)
		return
	}
	os.Exit(m.Run())
}

// playParent starts children, prints "started" and sleeps until it is killed.
func playParent(state string) {
	group := proc.NewGroup(state, slog.New(slog.DiscardHandler))
	for i := range 3 {
		spec := shell(state, fmt.Sprintf("child-%d", i), "exec sleep 300")
		if _, err := group.Start(context.Background(), spec); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	fmt.Println("started")
	select {}
}

func shell(state, name, script string) proc.Spec {
	return proc.Spec{
		Name: name, Path: "/bin/sh", Args: []string{"-c", script}, Env: []string{"PATH=/usr/bin:/bin"},
		Log: filepath.Join(state, name+".log"), Grace: 200 * time.Millisecond, ReadyTimeout: 5 * time.Second,
	}
}

func newGroup(t *testing.T) *proc.Group {
	t.Helper()
	group := proc.NewGroup(t.TempDir(), slog.New(slog.DiscardHandler))
	t.Cleanup(func() {
		if err := group.Stop(context.Background()); err != nil {
			t.Errorf("stop the group: %v", err)
		}
		wantLeftovers(t, group.State(), 0)
	})
	return group
}

// wantLeftovers waits until as many processes as said carry the state folder.
func wantLeftovers(t *testing.T, state string, want int) {
	t.Helper()
	eventually(t, func() error {
		found, err := proc.Leftovers(state)
		if err != nil {
			return err
		}
		if len(found) != want {
			return fmt.Errorf("%d processes carry the state folder, want %d: %q", len(found), want, found)
		}
		return nil
	})
}

func eventually(t *testing.T, condition func() error) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		err := condition()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func fileHolds(path, text string) func(context.Context) error {
	return func(context.Context) error {
		data, err := os.ReadFile(path)
		if err == nil && !strings.Contains(string(data), text) {
			err = errors.New("not yet")
		}
		return err
	}
}

func TestNoChildOutlivesItsParent(t *testing.T) {
	state := t.TempDir()
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), helperVariable+"="+state)
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	if line != "started\n" {
		t.Fatalf("the parent said %q", line)
	}
	wantLeftovers(t, state, 4)
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	wantLeftovers(t, state, 0)
}

func TestReadyIsAwaited(t *testing.T) {
	group := newGroup(t)
	spec := shell(group.State(), "slow", "sleep 0.2; echo up; exec sleep 300")
	spec.Ready = fileHolds(spec.Log, "up")
	p, err := group.Start(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	if err := spec.Ready(t.Context()); err != nil || !p.Alive() {
		t.Fatalf("Start returned before it was ready: %v", err)
	}
}

func TestFailedStartsSayWhy(t *testing.T) {
	never := func(context.Context) error { return errors.New("no answer yet") }
	for _, test := range []struct {
		name, script string
		want         []string
	}{
		{"an early end gives the end of this start's log", "echo address in use; exit 3", []string{"exit status 3", "address in use"}},
		{"an early end with success is one too", "echo bye", []string{"exit status 0", "bye"}},
		{"a passed deadline gives the last answer", "echo thinking; exec sleep 300", []string{"not ready", "no answer yet", "thinking"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			group := newGroup(t)
			spec := shell(group.State(), "bad", test.script)
			spec.Ready, spec.ReadyTimeout = never, 300*time.Millisecond
			if err := os.WriteFile(spec.Log, []byte("an older start\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := group.Start(t.Context(), spec)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "an older start") {
				t.Errorf("%q quotes the log of an older start", err)
			}
		})
	}
}

func TestStopEndsTheWholeGroupEvenIfItRefuses(t *testing.T) {
	group := newGroup(t)
	spec := shell(group.State(), "stubborn", "trap '' TERM; sleep 300 & echo up; wait; sleep 300")
	spec.Ready = fileHolds(spec.Log, "up")
	p, err := group.Start(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	wantLeftovers(t, group.State(), 2)
	if err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantLeftovers(t, group.State(), 0)
}

func TestCrashIsToldAndRestarted(t *testing.T) {
	group := newGroup(t)
	told := make(chan error, 1)
	group.OnExit(func(p *proc.Process, err error) { told <- errors.Join(err, p.Restart(context.Background())) })
	p, err := group.Start(t.Context(), shell(group.State(), "worker", "sleep 300 & wait"))
	if err != nil {
		t.Fatal(err)
	}
	first := p.PID()
	if err := p.Kill9(); err != nil {
		t.Fatal(err)
	}
	if err := <-told; err == nil || err.Error() != "signal: killed" {
		t.Fatalf("told %v", err)
	}
	if p.PID() == first || !p.Alive() {
		t.Fatal("it was not started again")
	}
	wantLeftovers(t, group.State(), 2)
}

func TestGroupStopsTheYoungestFirst(t *testing.T) {
	group := newGroup(t)
	order := filepath.Join(group.State(), "order")
	for _, name := range []string{"database", "server", "agent"} {
		spec := shell(group.State(), name, fmt.Sprintf("trap 'echo %s >> %s; exit' TERM; echo up; while :; do sleep 0.01; done", name, order))
		spec.Ready, spec.Grace = fileHolds(spec.Log, "up"), 5*time.Second
		if _, err := group.Start(t.Context(), spec); err != nil {
			t.Fatal(err)
		}
	}
	if err := group.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, _ := os.ReadFile(order)
	if string(got) != "agent\nserver\ndatabase\n" {
		t.Fatalf("stopped in the order %q", got)
	}
	if _, err := group.Start(t.Context(), shell(group.State(), "late", "sleep 300")); err == nil {
		t.Fatal("a stopped group took a child")
	}
}

func TestStalledProcessIsStillEnded(t *testing.T) {
	group := newGroup(t)
	p, err := group.Start(t.Context(), shell(group.State(), "stalled", "exec sleep 300"))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p.Alive() {
		t.Fatal("it runs")
	}
}

func TestNamesAreUniqueAndUnknownProgramsAreErrors(t *testing.T) {
	group := newGroup(t)
	if _, err := group.Start(t.Context(), shell(group.State(), "one", "sleep 300")); err != nil {
		t.Fatal(err)
	}
	if _, err := group.Start(t.Context(), shell(group.State(), "one", "sleep 300")); err == nil {
		t.Error("two of one name")
	}
	unknown := proc.Spec{Name: "unknown", Path: "/no/such/program", Log: filepath.Join(group.State(), "unknown.log")}
	if _, err := group.Start(t.Context(), unknown); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("unknown program: %v", err)
	}
	if group.Process("unknown") != nil || group.Process("one") == nil {
		t.Error("the group's list is wrong")
	}
}

func TestLeftoversTakesPathsAsAWhole(t *testing.T) {
	group := newGroup(t)
	if _, err := group.Start(t.Context(), shell(group.State(), "one", "exec sleep 300")); err != nil {
		t.Fatal(err)
	}
	wantLeftovers(t, group.State(), 1)
	state := group.State()
	wantLeftovers(t, state[:len(state)-1], 0)
	wantLeftovers(t, state+"x", 0)
}
