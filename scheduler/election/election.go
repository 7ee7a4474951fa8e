package election

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

// Epochs gives a term its fence.
type Epochs interface {
	// BeginTerm raises the scheduler epoch, in one write, and gives the fence.
	BeginTerm(ctx context.Context, replica string) (flow.Fence, error)
	// ReadFence gives the fence that the database holds now.
	ReadFence(ctx context.Context) (flow.Fence, error)
	// EnterRebuild makes a restored backup one on which may be led: nothing is
	// placed or granted until it was rebuilt, and its fence is above the known one.
	EnterRebuild(ctx context.Context, known flow.Fence, why string) (flow.Rebuild, error)
}

// Elector is this replica's part in the election.
type Elector struct {
	opts    Options
	fences  *fences
	metrics *metrics
	closers []func() error // closed in reverse
	once    sync.Once
	closed  error
	failed  time.Time // when a term last failed; reigns come one after the other

	mu       sync.Mutex
	observed flow.Fence
	part     *participant // nil while the log cannot be written
	out      error        // why
	gone     bool         // closed
}

// New opens the raft directory, listens, and takes part in elections at once;
// Run makes this replica lead when it wins. The caller must Close. Errors are
// Invalid (options, directory), Conflict (address or directory in use) and
// Precondition (a directory of another control plane).
func New(opts Options) (*Elector, error) {
	opts = opts.withDefaults()
	if err := opts.validate(); err != nil {
		return nil, err
	}
	e := &Elector{opts: opts, fences: &fences{}}
	if err := e.open(); err != nil {
		_ = e.Close()
		return nil, err
	}
	return e, nil
}

func (e *Elector) open() error {
	o := e.opts
	dir, err := openDirectory(o.Dir, o.ControlPlaneID)
	if err != nil {
		return err
	}
	e.closers = append(e.closers, dir.Close)
	if e.metrics, err = newMetrics(o.Registerer); err != nil {
		return fault.Wrap(fault.Conflict, err, "register election metrics")
	}
	p, err := e.join()
	if isFull(err) { // Run joins when there is room
		e.leave(err)
		return nil
	}
	e.part = p
	return err
}

func (e *Elector) config() *raft.Config {
	c := raft.DefaultConfig()
	c.LocalID = raft.ServerID(e.opts.ID)
	c.HeartbeatTimeout = e.opts.Heartbeat
	c.ElectionTimeout = e.opts.Election
	c.LeaderLeaseTimeout = e.opts.Lease
	c.SnapshotThreshold = 1024 // one entry a second: the state is one fence
	c.TrailingLogs = 256
	c.ShutdownOnRemove = false
	return c
}

func (e *Elector) bootstrap(r *raft.Raft) error {
	var c raft.Configuration
	for _, p := range e.opts.Peers {
		c.Servers = append(c.Servers, raft.Server{ID: raft.ServerID(p.ID), Address: raft.ServerAddress(p.Addr)})
	}
	err := r.BootstrapCluster(c).Error()
	if errors.Is(err, raft.ErrCantBootstrap) { // another replica reached us first
		return nil
	}
	return fault.Wrap(fault.Internal, err, "bootstrap raft with %d replicas", len(c.Servers))
}

// Leader is the replica that leads as far as this one knows. It may not have
// begun its term yet, or just have lost it: asking it tells.
func (e *Elector) Leader() (id string, ok bool) {
	p := e.participant()
	if p == nil {
		return "", false
	}
	_, server := p.raft.LeaderWithID()
	return string(server), server != ""
}

// Highest is the highest fence replicated to this replica.
func (e *Elector) Highest() flow.Fence { return e.fences.Highest() }

// Known is the highest fence that this replica remembers, replicated to it or
// seen by itself. The database holds at least that one, unless a backup of it was
// restored. Who compares reads this first: the two rise together.
func (e *Elector) Known() flow.Fence {
	known := e.fences.Highest()
	e.mu.Lock()
	defer e.mu.Unlock()
	if known.Compare(e.observed) < 0 {
		return e.observed
	}
	return known
}

// Observe notes the fence after a committed transaction. While this replica
// leads, it is replicated within a second; it never blocks.
func (e *Elector) Observe(f flow.Fence) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.observed.Compare(f) < 0 {
		e.observed = f
	}
}

// replicate writes a fence to the log, and returns when a majority has it.
func (e *Elector) replicate(p *participant, f flow.Fence) error {
	future := p.raft.Apply(encode(f), e.opts.Timeout)
	if err := future.Error(); err != nil {
		return fault.Wrap(fault.Unavailable, err, "replicate fence %s", f)
	}
	if err, ok := future.Response().(error); ok {
		return fmt.Errorf("apply fence %s: %w", f, err)
	}
	return nil
}

// Close leaves the election and gives address and directory back. Run should
// have returned before; if it has not, its term ends now.
func (e *Elector) Close() error {
	e.once.Do(func() {
		var list []error
		e.mu.Lock()
		p := e.part
		e.gone = true
		e.mu.Unlock()
		if p != nil {
			list = append(list, p.close())
		}
		for i := len(e.closers) - 1; i >= 0; i-- {
			list = append(list, e.closers[i]())
		}
		e.closed = errors.Join(list...)
	})
	return e.closed
}
