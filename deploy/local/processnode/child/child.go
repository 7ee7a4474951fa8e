// Package child runs one local process the way a container runtime runs a
// container: in a session of its own, with an environment from zero, and with
// everything that it started killed as soon as it has ended.
//
// It is not a supervisor (nothing is restarted here) and not a sandbox: it
// isolates nothing. The process node agent is its only caller.
//
// Invariant: a child dies with this process (Pdeathsig, from one OS thread that
// lives as long as the process does), and when Done is closed no descendant of
// the child that can be recognised is alive. A descendant is recognised by its
// ancestors, its process group, its session, its working directory or its
// environment; one that has changed all five escapes, and no cgroup is used to
// hold it, since that would need root.
package child

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Spec says what to run. Argv[0] is the path of the program, already looked up.
type Spec struct {
	Argv []string
	Env  []string
	// Dir is the working directory; it must exist.
	Dir string
	// Output takes standard output and standard error. The caller keeps it and
	// closes its own copy after Start.
	Output *os.File
	// Folders are the container's own: a process that has one of them as HOME
	// or TMPDIR, or works inside it, belongs to this child.
	Folders []string
}

// Process is one started child. All methods may be called from any goroutine,
// at any time, also after the end.
type Process struct {
	// Record identifies the process for a later agent.
	Record Record

	folders []string
	done    chan struct{}

	mu     sync.Mutex
	reaped bool
	exit   int
}

// request is one start, carried out by the starter thread.
type request struct {
	spec  Spec
	reply chan<- started
}

type started struct {
	pid int
	err error
}

// starter is the one OS thread from which all children are started: the kernel
// sends Pdeathsig when the thread that forked ends, not when the process does,
// and the Go runtime ends threads when it likes unless they are locked.
var starter = sync.OnceValue(func() chan<- request {
	requests := make(chan request)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread lives as long as the process
		for r := range requests {
			pid, err := fork(r.spec)
			r.reply <- started{pid: pid, err: err}
		}
	}()
	return requests
})

func fork(spec Spec) (int, error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return 0, err
	}
	defer null.Close()
	out := spec.Output.Fd()
	return syscall.ForkExec(spec.Argv[0], spec.Argv, &syscall.ProcAttr{
		Dir:   spec.Dir,
		Env:   spec.Env,
		Files: []uintptr{null.Fd(), out, out},
		Sys:   &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL},
	})
}

// Start starts the child. The error is the kernel's (ENOENT, EACCES, ENOEXEC…):
// nothing runs then.
func Start(spec Spec) (*Process, error) {
	reply := make(chan started, 1)
	starter() <- request{spec: spec, reply: reply}
	s := <-reply
	if s.err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.Argv[0], s.err)
	}
	p := &Process{
		Record:  Record{Pid: s.pid, Start: startTicks(s.pid)},
		folders: spec.Folders,
		done:    make(chan struct{}),
	}
	go p.wait()
	return p, nil
}

// wait sees the end of the child, kills what it left behind while its number
// still cannot be given to another process, and only then reaps it.
func (p *Process) wait() {
	defer close(p.done)
	pid := p.Record.Pid
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			break
		}
	}
	killTree(p.Record, p.folders)
	var status unix.WaitStatus
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		_, err := unix.Wait4(pid, &status, 0, nil)
		if err != unix.EINTR {
			break
		}
	}
	p.reaped = true
	p.exit = code(status)
}

// code is the exit code as a shell or a container runtime gives it.
func code(status unix.WaitStatus) int {
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}

// Done is closed when the child and its descendants have ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Exit is the exit code, 128+n after signal n; it means something only once
// Done is closed.
func (p *Process) Exit() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.exit
}

// Term sends TERM to the child alone, as a kubelet does to a container's first
// process.
func (p *Process) Term() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		_ = unix.Kill(p.Record.Pid, unix.SIGTERM)
	}
}

// Kill ends the child, its group and all its descendants.
func (p *Process) Kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		killTree(p.Record, p.folders)
	}
}
