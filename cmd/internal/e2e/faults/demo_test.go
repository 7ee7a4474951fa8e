package faults

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/skein-project/skein/cmd/internal/local/federationtest"
	"github.com/skein-project/skein/deploy/local/ports"
	"github.com/skein-project/skein/deploy/local/proc"
)

const (
	interrupts = 5                // of each of two copies
	latest     = 20 * time.Second // after the start
	stopWithin = 25 * time.Second // from Ctrl-C to the end, on a busy machine
	dieWithin  = 20 * time.Second // what a killed demo leaves may live so long
	warmStart  = 45 * time.Second
)

// copyOf is one copy of the demo: a state folder and ports of its own.
type copyOf struct {
	state, bin string
	ports      []string
}

func newCopy(t *testing.T) copyOf {
	t.Helper()
	free, err := ports.Free(3)
	must(t, err)
	c := copyOf{state: federationtest.State(t), bin: filepath.Join(federationtest.Binaries(t), "skein")}
	for i, flag := range []string{"--grpc-port", "--http-port", "--api-port"} {
		c.ports = append(c.ports, flag, strconv.Itoa(free[i]))
	}
	return c
}

// running is one run of the demo.
type running struct {
	cmd  *exec.Cmd
	out  *output
	done chan error
}

// output is what a run has printed so far.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write takes what the run prints.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// start runs the demo in a process group of its own, as a shell does.
func (c copyOf) start(t *testing.T, args ...string) *running {
	t.Helper()
	r := &running{out: &output{}, done: make(chan error, 1)}
	r.cmd = exec.Command(c.bin, append(append([]string{"demo", "--state", c.state}, c.ports...), args...)...)
	r.cmd.Stdout, r.cmd.Stderr = r.out, r.out
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	r.cmd.WaitDelay = time.Second // what it leaves must not keep us through its output
	must(t, r.cmd.Start())
	go func() { r.done <- r.cmd.Wait() }()
	t.Cleanup(func() { _ = r.cmd.Process.Kill() })
	return r
}

// ended waits for the end.
func (r *running) ended(within time.Duration) error {
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case err := <-r.done:
		return err
	case <-timer.C:
		return fmt.Errorf("not ended within %s; it printed:\n%s", within, r.out)
	}
}

// nothingLeft waits until no process carries the copy's state folder.
func (c copyOf) nothingLeft(ctx context.Context, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for {
		left, err := proc.Leftovers(c.state)
		if err != nil || len(left) == 0 {
			return err
		}
		if pause(ctx, every) != nil {
			return fmt.Errorf("%d processes are left over: %s", len(left), strings.Join(left, "; "))
		}
	}
}

// interrupted starts the demo and interrupts it after so long.
func (c copyOf) interrupted(t *testing.T, after time.Duration) {
	t.Helper()
	r := c.start(t)
	must(t, pause(t.Context(), after))
	if err := r.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Errorf("to be interrupted after %s: %v; it printed:\n%s", after, err, r.out)
	}
	at := time.Now()
	err := r.ended(stopWithin)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Errorf("interrupted after %s: %v", after, err)
	}
	took := time.Since(at)
	if err := c.nothingLeft(t.Context(), time.Second); err != nil {
		t.Errorf("interrupted after %s: %v; it printed:\n%s", after, err, r.out)
	}
	if text := r.out.String(); err != nil && strings.Contains(text, "error:") && !strings.Contains(text, "interrupted") {
		t.Errorf("interrupted after %s: it says something else:\n%s", after, text)
	}
	lines := strings.Split(strings.TrimSpace(r.out.String()), "\n")
	t.Logf("interrupted after %s, ended %s later; it said last: %s", after, took.Round(10*time.Millisecond), lines[len(lines)-1])
}

// killed starts the demo, kills it when everything is up, and waits for what
// it started to notice.
func (c copyOf) killed(t *testing.T) {
	t.Helper()
	r := c.start(t)
	eventually(t, 2*time.Minute, func(context.Context) error {
		if !strings.Contains(r.out.String(), "everything is up") {
			return fmt.Errorf("it printed so far:\n%s", r.out)
		}
		return nil
	})
	must(t, r.cmd.Process.Kill())
	at := time.Now()
	if err := c.nothingLeft(t.Context(), dieWithin); err != nil {
		t.Errorf("after kill -9: %v", err)
	}
	<-r.done
	t.Logf("nothing was left %s after kill -9", time.Since(at).Round(10*time.Millisecond))
}

// once runs the demo to its end; it gives how long it took and until all was up.
func (c copyOf) once(t *testing.T) time.Duration {
	t.Helper()
	begin := time.Now()
	r := c.start(t, "--once")
	if err := r.ended(3 * time.Minute); err != nil || strings.Count(r.out.String(), "DEMO OK ") != 8 {
		t.Errorf("the demo ended with %v; it printed:\n%s", err, r.out)
	}
	took := time.Since(begin)
	if err := c.nothingLeft(t.Context(), time.Second); err != nil {
		t.Error(err)
	}
	return took
}

// TestDemoEndsWhole: two copies beside each other are interrupted at ten
// random moments, some of them while they start for the first time, and killed;
// nothing is left over, and the same state serves the next start. (I44.)
func TestDemoEndsWhole(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))
	copies := []copyOf{newCopy(t), newCopy(t)}
	t.Run("beside each other", func(t *testing.T) {
		for i, c := range copies {
			var moments []time.Duration
			for range interrupts {
				moments = append(moments, time.Duration(chance.Int64N(int64(latest))).Round(time.Millisecond))
			}
			t.Run(fmt.Sprintf("copy %d", i), func(t *testing.T) {
				t.Parallel()
				for _, after := range moments {
					c.interrupted(t, after)
				}
				c.killed(t)
				t.Logf("a whole demo took %s beside another", c.once(t).Round(10*time.Millisecond))
			})
		}
	})
	took := copies[0].once(t)
	t.Logf("a second start alone, workflow and all, took %s", took.Round(10*time.Millisecond))
	if took > warmStart {
		t.Errorf("a second start took %s, want at most %s", took, warmStart)
	}
}

// TestDemoNamesThePortInUse: each port that is taken is told by its flag, before
// anything is started.
func TestDemoNamesThePortInUse(t *testing.T) {
	for i, flag := range []string{"--grpc-port", "--http-port", "--api-port"} {
		c := newCopy(t)
		taken, err := net.Listen("tcp", "127.0.0.1:"+c.ports[2*i+1])
		must(t, err)
		r := c.start(t, "--once")
		if err := r.ended(10 * time.Second); err == nil || !strings.Contains(r.out.String(), flag) || !strings.Contains(r.out.String(), "in use") {
			t.Errorf("with its %s taken, the demo ended with %v and printed:\n%s", flag, err, r.out)
		}
		if err := errors.Join(taken.Close(), c.nothingLeft(t.Context(), time.Second)); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(filepath.Join(c.state, "logs", "database.log")); err == nil {
			t.Errorf("with its %s taken, the demo started a database first", flag)
		}
	}
}
