package proc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

const (
	defaultGrace        = 10 * time.Second
	defaultReadyTimeout = 30 * time.Second
	readyInterval       = 25 * time.Millisecond
)

// User is the account that a child runs as, if not ours. Only root may set one.
type User struct{ UID, GID uint32 }

// Spec describes one child.
type Spec struct {
	// Name is what messages call it; it is unique within its group.
	Name string
	// Path is the program, looked up on PATH if it holds no slash. Args leaves the program's name out.
	Path string
	Args []string
	// Env is the child's whole environment; nil means ours. SKEIN_STATE is added to either.
	Env []string
	// Dir is the working folder; empty means ours.
	Dir string
	// Log is the file that standard output and error are appended to.
	Log string
	// User is the account to run as; nil means ours.
	User *User
	// Start starts the command, if not [Start]: deploy/local/namespace does it elsewhere. It must tie it to our life.
	Start func(*exec.Cmd) error
	// Stop is the signal that asks for an orderly end (SIGTERM if nil); after Grace (10 s if zero) comes SIGKILL.
	Stop  os.Signal
	Grace time.Duration
	// Before is called before each start, if set; its error keeps the child from being started.
	Before func(context.Context) error
	// Ready is polled until it returns nil; nil means ready when started. ReadyTimeout is 30 s if zero.
	Ready        func(context.Context) error
	ReadyTimeout time.Duration
}

// Process is one child. It keeps its identity over [Process.Restart]. Safe for concurrent use.
type Process struct {
	spec  Spec
	group *Group

	lifecycle sync.Mutex // held over a whole start, stop or restart

	mu      sync.Mutex
	current *run
}

// run is one incarnation of a Process.
type run struct {
	cmd     *exec.Cmd
	logFrom int64         // where this incarnation's part of the log begins
	done    chan struct{} // closed when it has ended and its group is killed

	mu      sync.Mutex // guards reaped, so that a signal never reaches a stranger with the same number
	reaped  bool
	stopped bool // we asked for its end
	err     error
}

// neverStarted stands for the incarnation of a child that has none yet: it has ended.
var neverStarted = func() *run {
	r := &run{done: make(chan struct{}), reaped: true}
	close(r.done)
	return r
}()

// Name returns the Spec's name.
func (p *Process) Name() string { return p.spec.Name }

// LogPath returns the file that the child's output goes to.
func (p *Process) LogPath() string { return p.spec.Log }

// PID returns the process number of the present incarnation, also after its end; 0 before the first.
func (p *Process) PID() int { return p.run().pid() }

// Done is closed at the end of the present incarnation.
func (p *Process) Done() <-chan struct{} { return p.run().done }

// Alive reports whether the present incarnation runs.
func (p *Process) Alive() bool {
	select {
	case <-p.Done():
		return false
	default:
		return true
	}
}

// Kill9 kills the child as a crash would, and returns when it is gone. Its group dies with it, and OnExit is told. Nil
// also if it had ended already.
func (p *Process) Kill9() error {
	r := p.run()
	if err := r.signal(syscall.SIGKILL, false); err != nil {
		return err
	}
	<-r.done
	return nil
}

// Signal sends a signal to the child's leader: SIGSTOP and SIGCONT make a stalled process, for example.
func (p *Process) Signal(sig os.Signal) error { return p.run().signal(sig, false) }

// Stop ends the child in order: the stop signal to its whole group, SIGKILL after the grace or when ctx ends. It
// returns when the child is gone; a child that had ended already is no error.
func (p *Process) Stop(ctx context.Context) error {
	p.lifecycle.Lock()
	defer p.lifecycle.Unlock()
	return p.stop(ctx)
}

// Use sets the program that the next start runs: another release of it, say.
func (p *Process) Use(path string) {
	p.lifecycle.Lock()
	defer p.lifecycle.Unlock()
	p.spec.Path = path
}

// Restart stops the child if it runs, starts it again by the same Spec, and waits until it is ready. It is an error
// once the group is stopped.
func (p *Process) Restart(ctx context.Context) error {
	p.lifecycle.Lock()
	defer p.lifecycle.Unlock()
	if err := p.group.open(); err != nil {
		return fmt.Errorf("restart %s: %w", p.spec.Name, err)
	}
	if err := p.stop(ctx); err != nil {
		return err
	}
	return p.start(ctx)
}

func (p *Process) run() *run {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current == nil {
		return neverStarted
	}
	return p.current
}

func (p *Process) stop(ctx context.Context) error {
	r := p.run()
	sig := p.spec.Stop
	if sig == nil {
		sig = syscall.SIGTERM
	}
	r.markStopped()
	if err := r.signal(sig, true); err != nil {
		return fmt.Errorf("stop %s: %w", p.spec.Name, err)
	}
	grace := time.NewTimer(orDefault(p.spec.Grace, defaultGrace))
	defer grace.Stop()
	select {
	case <-r.done:
		return nil
	case <-grace.C:
	case <-ctx.Done():
	}
	if err := r.signal(syscall.SIGKILL, true); err != nil {
		return fmt.Errorf("kill %s: %w", p.spec.Name, err)
	}
	<-r.done
	return nil
}

func (r *run) pid() int {
	if r.cmd == nil {
		return 0
	}
	return r.cmd.Process.Pid
}

func (r *run) markStopped() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopped = true
}

// signal reaches the leader or its whole group; a process that is gone is no error.
func (r *run) signal(sig os.Signal, group bool) error {
	number, ok := sig.(syscall.Signal)
	if !ok {
		return fmt.Errorf("unsupported signal %v", sig)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.reaped {
		return nil
	}
	target := r.cmd.Process.Pid
	if group {
		target = -target
	}
	if err := syscall.Kill(target, number); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return nil
}

// reap waits for the leader's end, kills what is left of its group, and records how it ended.
func (r *run) reap() (stopped bool, err error) {
	awaitExit(r.cmd.Process.Pid)
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = syscall.Kill(-r.cmd.Process.Pid, syscall.SIGKILL) // ESRCH: nobody is left
	r.err = r.cmd.Wait()
	r.reaped = true
	close(r.done)
	return r.stopped, r.err
}

func orDefault(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}
