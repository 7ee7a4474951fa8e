package proc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
)

// Group is a set of children that is stopped together, the youngest first. Safe for concurrent use.
type Group struct {
	state string
	log   *slog.Logger

	mu      sync.Mutex
	closed  bool
	started []*Process
	onExit  func(*Process, error)
}

var errStopped = errors.New("the group is stopped")

// NewGroup makes an empty group whose children carry the state folder in their environment.
func NewGroup(state string, log *slog.Logger) *Group {
	return &Group{state: state, log: log}
}

// State returns the state folder that the children carry.
func (g *Group) State() string { return g.state }

// OnExit sets what is called, on a goroutine of its own, when a child ends that nobody asked to (Kill9 counts as such).
// The callback may call Restart. Set it before the first Start.
func (g *Group) OnExit(f func(*Process, error)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.onExit = f
}

// Start starts a child and waits until it is ready. On an error the child is gone, and its siblings are untouched: the
// caller stops the group. A name in use is an error, and so is a group that has been stopped.
func (g *Group) Start(ctx context.Context, spec Spec) (*Process, error) {
	p := &Process{spec: spec, group: g}
	p.lifecycle.Lock()
	defer p.lifecycle.Unlock()
	if err := g.add(p); err != nil {
		return nil, err
	}
	if err := p.start(ctx); err != nil {
		g.remove(p)
		return nil, err
	}
	g.log.Debug("process ready", "name", spec.Name, "pid", p.PID())
	return p, nil
}

// Stop stops all children in the reverse order of their starts, each within its grace; when ctx ends, the rest is
// killed. The group takes no more children afterwards. Calling it again, or after a partial start, is safe.
func (g *Group) Stop(ctx context.Context) error {
	var errs []error
	for {
		p := g.youngest()
		if p == nil {
			return errors.Join(errs...)
		}
		errs = append(errs, p.Stop(ctx))
		g.remove(p)
	}
}

// Process returns the child of that name, or nil.
func (g *Group) Process(name string) *Process {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range g.started {
		if p.spec.Name == name {
			return p
		}
	}
	return nil
}

// Processes returns the children in the order of their starts.
func (g *Group) Processes() []*Process {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]*Process(nil), g.started...)
}

func (g *Group) add(p *Process) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return fmt.Errorf("start %s: %w", p.spec.Name, errStopped)
	}
	for _, other := range g.started {
		if other.spec.Name == p.spec.Name {
			return fmt.Errorf("start %s: the group has a process of that name", p.spec.Name)
		}
	}
	g.started = append(g.started, p)
	return nil
}

// open reports whether the group still takes starts.
func (g *Group) open() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return errStopped
	}
	return nil
}

func (g *Group) remove(p *Process) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, other := range g.started {
		if other == p {
			g.started = append(g.started[:i], g.started[i+1:]...)
			return
		}
	}
}

// youngest closes the group and returns the child to stop next.
func (g *Group) youngest() *Process {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	if len(g.started) == 0 {
		return nil
	}
	return g.started[len(g.started)-1]
}

func (g *Group) exited(p *Process, err error) {
	g.mu.Lock()
	f, closed := g.onExit, g.closed
	g.mu.Unlock()
	if closed {
		return
	}
	g.log.Warn("process ended", "name", p.spec.Name, "error", err)
	if f != nil {
		f(p, err)
	}
}
