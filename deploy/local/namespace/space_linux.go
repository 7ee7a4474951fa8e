package namespace

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/skein-project/skein/deploy/local/proc"
)

// keeping is the first process of a process table: it mounts /proc, reaps every orphan (who ignores SIGCHLD leaves none
// to reap), and ends when it is killed or the pipe to us closes. It is deaf to the signals that would end another. What
// it echoes proves that it has come that far.
const keeping = "mount -t proc proc /proc && exec env --ignore-signal=CHLD cat"

// Space is a set of namespaces. Its methods may be called from any goroutine; they take turns on its thread.
type Space struct {
	work   chan func()
	ended  chan struct{}
	env    string // what tells a process that it is in our network namespace
	keeper *exec.Cmd
}

// Open makes the namespaces. Close ends them, and so does the end of this process. An error that is ErrUnavailable says
// what is missing.
func Open(o Options) (*Space, error) {
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("%w: namespaces are made by root only", ErrUnavailable)
	}
	s := &Space{work: make(chan func()), ended: make(chan struct{})}
	opened := make(chan error, 1)
	go s.hold(o, opened)
	if err := <-opened; err != nil {
		return nil, fmt.Errorf("make namespaces: %w", err)
	}
	return s, nil
}

// hold is the life of the thread that holds the namespaces. It is locked and never unlocked, so it ends with this
// function, and with it all that was started from it.
func (s *Space) hold(o Options, opened chan<- error) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() { // the main thread cannot end before the process: find another one
		elsewhere := make(chan error, 1)
		go s.hold(o, elsewhere)
		opened <- <-elsewhere
		runtime.UnlockOSThread()
		return
	}
	defer close(s.ended)
	err := s.enter(o)
	opened <- err
	if err != nil {
		s.dismiss()
		return
	}
	for f := range s.work {
		f()
	}
}

// enter moves the calling thread, and no other, into fresh namespaces.
func (s *Space) enter(o Options) error {
	flags := 0
	if o.Network {
		flags |= unix.CLONE_NEWNET
	}
	if o.Mounts || o.Processes {
		flags |= unix.CLONE_NEWNS
	}
	if flags == 0 {
		return errors.New("nothing was asked to be private")
	}
	if err := unix.Unshare(flags); err != nil {
		return explain(err)
	}
	if flags&unix.CLONE_NEWNS != 0 {
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			return fmt.Errorf("keep mounts private: %w", err)
		}
	}
	if o.Network {
		path := fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), unix.Gettid())
		s.env = Variable + "=" + networkNumber(path) + " " + path
		if err := raiseLoopback(); err != nil {
			return fmt.Errorf("raise lo: %w", err)
		}
	}
	if o.Processes {
		return s.keep()
	}
	return nil
}

// keep starts the first process of a process table and sends the thread's further children there.
func (s *Space) keep() error {
	s.keeper = exec.Command("sh", "-c", keeping)
	s.keeper.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID, Pdeathsig: unix.SIGKILL, Setsid: true}
	var said strings.Builder
	s.keeper.Stderr = &said
	in, err := s.keeper.StdinPipe()
	if err != nil {
		return err
	}
	out, err := s.keeper.StdoutPipe()
	if err != nil {
		return err
	}
	if err := s.keeper.Start(); err != nil {
		s.keeper = nil
		return explain(err)
	}
	_, err = in.Write([]byte("up\n"))
	if line, _ := bufio.NewReader(out).ReadString('\n'); line != "up\n" {
		err := errors.Join(err, s.keeper.Wait())
		s.keeper = nil
		return fmt.Errorf("mount /proc of the new process table: %w: %s", err, strings.TrimSpace(said.String()))
	}
	handle, err := unix.PidfdOpen(s.keeper.Process.Pid, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(handle) }()
	return unix.Setns(handle, unix.CLONE_NEWPID)
}

// Do calls f on the thread of the Space, such as to mount something. It must start no goroutine that is to be inside,
// and with a process table of its own /proc/self is nobody there.
func (s *Space) Do(f func() error) error {
	done := make(chan error, 1)
	select {
	case s.work <- func() { done <- f() }:
		return <-done
	case <-s.ended:
		return errors.New("the namespaces are closed")
	}
}

// Start starts a command inside, which is killed when the Space or this process ends. Without a SysProcAttr of its own
// it gets a process group of its own. It must be waited for: Close of a process table waits for that.
func (s *Space) Start(cmd *exec.Cmd) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = proc.Attributes(nil)
	}
	cmd.SysProcAttr.Pdeathsig = unix.SIGKILL
	if s.keeper != nil {
		// The first process takes it along. Go's own check of its parent would end it at once: to a process of a new
		// table, a parent outside of it has number 0, as if it were dead.
		cmd.SysProcAttr.Pdeathsig = 0
	}
	if s.env != "" {
		cmd.Env = append(cmd.Environ(), s.env)
	}
	return s.Do(cmd.Start)
}

// Run starts a command inside and waits for its end. When ctx ends, it is interrupted, and killed after the grace.
func (s *Space) Run(ctx context.Context, cmd *exec.Cmd, grace time.Duration) error {
	if err := s.Start(cmd); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	_ = cmd.Process.Signal(os.Interrupt) // one that has ended meanwhile is waited for below
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-timer.C:
		_ = cmd.Process.Kill()
		return <-done
	}
}

// Close kills what runs inside and gives the namespaces up; the kernel drops their mounts and interfaces. It may be
// called again.
func (s *Space) Close() error {
	ended := make(chan struct{})
	select {
	case s.work <- func() { s.dismiss(); close(ended); runtime.Goexit() }:
		<-ended
		<-s.ended
	case <-s.ended:
	}
	return nil
}

// dismiss kills the first process, and with it everything in its table, and returns when all of it is gone.
func (s *Space) dismiss() {
	if s.keeper == nil {
		return
	}
	_ = s.keeper.Process.Kill()
	_ = s.keeper.Wait() // it was killed: its error is ours
	s.keeper = nil
}

// explain says what the kernel's refusal means here.
func explain(err error) error {
	switch {
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("%w: %w: root lacks CAP_SYS_ADMIN here, as in a container without privileges", ErrUnavailable, err)
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EUSERS):
		return fmt.Errorf("%w: %w: /proc/sys/user limits their number", ErrUnavailable, err)
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOSYS):
		return fmt.Errorf("%w: %w: the kernel was built without them", ErrUnavailable, err)
	}
	return err
}
