package proc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// StateVariable names the environment variable that carries the state folder into every child.
const StateVariable = "SKEIN_STATE"

// tailBytes bounds how much of a dead child's log goes into an error.
const tailBytes = 3000

// start makes a new incarnation and waits until it is ready; one that does not become ready is killed.
func (p *Process) start(ctx context.Context) error {
	if p.spec.Before != nil {
		if err := p.spec.Before(ctx); err != nil {
			return fmt.Errorf("start %s: %w", p.spec.Name, err)
		}
	}
	r, err := p.launch()
	if err != nil {
		return fmt.Errorf("start %s: %w", p.spec.Name, err)
	}
	p.mu.Lock()
	p.current = r
	p.mu.Unlock()
	go p.watch(r)
	if err := p.awaitReady(ctx, r); err != nil {
		r.markStopped()
		return errors.Join(fmt.Errorf("start %s: %w", p.spec.Name, err), p.Kill9())
	}
	return nil
}

// launch starts the program with its output in its log file.
func (p *Process) launch() (*run, error) {
	if err := os.MkdirAll(filepath.Dir(p.spec.Log), 0o755); err != nil {
		return nil, err
	}
	log, err := os.OpenFile(p.spec.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the child has its own copy
	from, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(p.spec.Path, p.spec.Args...)
	cmd.Dir = p.spec.Dir
	cmd.Env = environment(p.spec.Env, p.group.state)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = Attributes(p.spec.User)
	begin := p.spec.Start
	if begin == nil {
		begin = Start
	}
	if err := begin(cmd); err != nil {
		return nil, err
	}
	return &run{cmd: cmd, logFrom: from, done: make(chan struct{})}, nil
}

// watch reaps the incarnation and tells the group of an end that nobody asked for.
func (p *Process) watch(r *run) {
	stopped, err := r.reap()
	if !stopped {
		p.group.exited(p, exitError(err))
	}
}

// awaitReady polls the readiness condition until it holds, the child ends, or the deadline passes.
func (p *Process) awaitReady(ctx context.Context, r *run) error {
	if p.spec.Ready == nil {
		return nil
	}
	timeout := orDefault(p.spec.ReadyTimeout, defaultReadyTimeout)
	outer := ctx
	ctx, cancel := context.WithTimeout(outer, timeout)
	defer cancel()
	tick := time.NewTicker(readyInterval)
	defer tick.Stop()
	last := context.DeadlineExceeded // until it has answered anything
	for {
		select {
		case <-r.done:
			return p.died(r)
		case <-outer.Done():
			return fmt.Errorf("not awaited any more: %w", context.Cause(outer))
		case <-ctx.Done():
			return fmt.Errorf("not ready after %s (last answer: %w); end of its log %s:\n%s",
				timeout, last, p.spec.Log, tail(p.spec.Log, r.logFrom))
		case <-tick.C:
		}
		err := p.spec.Ready(ctx)
		if err == nil {
			return p.stillAlive(r)
		}
		if ctx.Err() == nil {
			last = err
		}
	}
}

// stillAlive guards against a readiness answer that came from a stranger, such as the owner of a port that is in use.
func (p *Process) stillAlive(r *run) error {
	select {
	case <-r.done:
		return p.died(r)
	default:
		return nil
	}
}

func (p *Process) died(r *run) error {
	return fmt.Errorf("ended before it was ready (%w); end of its log %s:\n%s",
		exitError(r.err), p.spec.Log, tail(p.spec.Log, r.logFrom))
}

// environment adds the state folder to the given environment, or to ours.
func environment(env []string, state string) []string {
	if env == nil {
		env = os.Environ()
	}
	kept := make([]string, 0, len(env)+1)
	for _, variable := range env {
		if !strings.HasPrefix(variable, StateVariable+"=") {
			kept = append(kept, variable)
		}
	}
	return append(kept, StateVariable+"="+state)
}

// exitError says in words how a child ended, also if it ended well when it should not have ended.
func exitError(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}

// tail returns the last part of the log that was written after the given offset.
func tail(path string, from int64) string {
	file, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer file.Close()
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return err.Error()
	}
	text, err := io.ReadAll(io.NewSectionReader(file, max(from, size-tailBytes), tailBytes))
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(text))
}
