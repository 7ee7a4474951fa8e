// Package commit makes a leader's decisions true, or refuses.
//
// It is the only writer of a term: placements and waits, leases, and changes of
// health all pass through one Committer, one fenced transaction after another.
// It decides nothing and reads nothing. The scheduler's cycle and its answers
// to heartbeats call it.
//
// Invariant: after a transaction whose outcome is not known, or which found
// another fence than expected, nothing more is written in this term. Every
// later call returns fault.Stale.
package commit

import (
	"context"
	"sync"
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

// Ledger writes, each call in one transaction whose first statement raises the
// beat where era, epoch and beat are the given fence's, or fails with
// fault.Stale. Each returns the fence that the next call must give.
type Ledger interface {
	// CommitPlan places what is still where it was read at the prior epoch, and
	// stores what explains it. It takes nothing from a cluster whose lease rows
	// are not what its takeover says. It returns the executions that it placed.
	CommitPlan(ctx context.Context, f flow.Fence, b flow.Batch) (flow.Fence, []flow.ExecutionID, error)
	// RecordLeases records a lease for each request of a newest session, and
	// leaves the others out.
	RecordLeases(ctx context.Context, f flow.Fence, requests []flow.LeaseRequest, duration time.Duration, at time.Time) (flow.Fence, []flow.Lease, error)
	// SetHealth stores changes of health.
	SetHealth(ctx context.Context, f flow.Fence, changes []flow.HealthChange) (flow.Fence, error)
}

// Orders writes in the same way what is not placed.
type Orders interface {
	// Reap ends executions that are to be aborted, without their owner. It
	// returns those that it ended: none if a lease row is not as it was seen.
	Reap(ctx context.Context, f flow.Fence, t flow.Takeover, ids []flow.ExecutionID, at time.Time) (flow.Fence, []flow.ExecutionID, error)
	// Revoke asks owners to give executions up, and returns those that it asked for.
	Revoke(ctx context.Context, f flow.Fence, list []flow.Revocation, at time.Time) (flow.Fence, []flow.ExecutionID, error)
	// EndDrain ends a cluster's drain: it is empty, or its time is up.
	EndDrain(ctx context.Context, f flow.Fence, cluster string, expired bool, at time.Time) (flow.Fence, error)
}

// Rebuild writes in the same way the end of a REBUILD.
type Rebuild interface {
	// EndRebuild begins the next era.
	EndRebuild(ctx context.Context, f flow.Fence, at time.Time) (flow.Fence, flow.Rebuilt, error)
}

// Options of a Committer; zero values take defaults.
type Options struct {
	Batch   int              // placements and waits in one transaction: 500, which is also the most
	Timeout time.Duration    // of one transaction; 5 s
	Observe func(flow.Fence) // told each new fence; must not block
	Orders  Orders           // needed for Reap, Revoke and EndDrain
	Rebuild Rebuild          // needed for EndRebuild
	// Inline runs each transaction in its caller's goroutine, for as long as it
	// takes: for one thread that owns the clock. Timeout has no effect.
	Inline bool
}

// MaxBatch is the most that one transaction places.
const MaxBatch = 500

// Committer writes for one term. It is safe for concurrent use; its
// transactions run one at a time, since each expects the beat of the one
// before.
type Committer struct {
	ledger Ledger
	opts   Options
	turn   chan struct{} // holds one token; a channel, so that waiting ends with the context

	mu     sync.Mutex
	fence  flow.Fence
	broken error

	told *reported
}

// New makes the Committer of a term that begins with that fence.
func New(ledger Ledger, fence flow.Fence, opts Options) *Committer {
	if opts.Batch <= 0 || opts.Batch > MaxBatch {
		opts.Batch = MaxBatch
	}
	if opts.Timeout <= 0 {
		opts.Timeout = 5 * time.Second
	}
	if opts.Observe == nil {
		opts.Observe = func(flow.Fence) {}
	}
	return &Committer{ledger: ledger, opts: opts, turn: make(chan struct{}, 1), fence: fence, told: newReported()}
}

// Fence is the fence that the next transaction will give.
func (c *Committer) Fence() flow.Fence {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fence
}

// Plan commits a batch of any size, cut into transactions, and returns the
// executions placed: those of the transactions before an error too. Placements
// go first. Of the waits it writes those that say something new, at most a few
// thousand, and of the trails those that are referred to and that this term has
// not stored yet. part says that the batch does not name all that wait: what is
// not in it may wait as before, and is no news when it is named again. If there is
// anything to write, round is asked for the round, with the fence of its first
// transaction, and stored with that; it may be nil, and may give nil. Only one
// goroutine may call it.
func (c *Committer) Plan(ctx context.Context, b flow.Batch, part bool, round func(first flow.Fence) *flow.Round) ([]flow.ExecutionID, error) {
	var placed []flow.ExecutionID
	placements, waits := b.Placements, c.told.changed(b, part)
	if len(placements)+len(waits) > 0 && round != nil {
		first := c.Fence()
		first.Beat++
		if b.Round = round(first); b.Round != nil {
			b.RoundID = b.Round.ID
		}
	}
	for len(placements)+len(waits) > 0 {
		one := b
		one.Placements = placements[:min(len(placements), c.opts.Batch)]
		one.Waits = waits[:min(len(waits), c.opts.Batch-len(one.Placements))]
		one.Takeovers = guards(one.Placements, b.Takeovers)
		one.Trails = c.told.unstored(one, b.Trails)
		placements, waits, b.Round = placements[len(one.Placements):], waits[len(one.Waits):], nil
		ids, err := write(ctx, c, func(ctx context.Context, f flow.Fence) (flow.Fence, []flow.ExecutionID, error) {
			return c.ledger.CommitPlan(ctx, f, one)
		})
		if err != nil {
			return placed, err
		}
		placed = append(placed, ids...)
		c.told.written(one, b.Trails)
	}
	return placed, nil
}

// guards are the takeovers that these placements need.
func guards(placements []flow.Placement, all []flow.Takeover) (out []flow.Takeover) {
	needed := map[string]bool{}
	for _, p := range placements {
		needed[p.From] = true
	}
	for _, t := range all {
		if needed[t.Cluster] {
			out = append(out, t)
		}
	}
	return out
}

// Forget lets the next plan store its trails anew: those that nothing refers to
// may have been removed. Only the goroutine that calls Plan may call it.
func (c *Committer) Forget() { clear(c.told.trails) }

// Reap ends executions of one cluster that are to be aborted, without their
// owner, and returns those that it ended.
func (c *Committer) Reap(ctx context.Context, t flow.Takeover, ids []flow.ExecutionID, at time.Time) ([]flow.ExecutionID, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	return write(ctx, c, func(ctx context.Context, f flow.Fence) (flow.Fence, []flow.ExecutionID, error) {
		return c.opts.Orders.Reap(ctx, f, t, ids[:min(len(ids), c.opts.Batch)], at)
	})
}

// Revoke asks owners to give executions up, at most a transaction's worth, and
// returns those that it asked for.
func (c *Committer) Revoke(ctx context.Context, list []flow.Revocation, at time.Time) ([]flow.ExecutionID, error) {
	if len(list) == 0 {
		return nil, nil
	}
	return write(ctx, c, func(ctx context.Context, f flow.Fence) (flow.Fence, []flow.ExecutionID, error) {
		return c.opts.Orders.Revoke(ctx, f, list[:min(len(list), c.opts.Batch)], at)
	})
}

// EndDrain ends a cluster's drain.
func (c *Committer) EndDrain(ctx context.Context, cluster string, expired bool, at time.Time) error {
	_, err := write(ctx, c, func(ctx context.Context, f flow.Fence) (flow.Fence, struct{}, error) {
		next, err := c.opts.Orders.EndDrain(ctx, f, cluster, expired, at)
		return next, struct{}{}, err
	})
	return err
}

// EndRebuild ends a REBUILD. The term goes on in the next era.
func (c *Committer) EndRebuild(ctx context.Context, at time.Time) (flow.Rebuilt, error) {
	return write(ctx, c, func(ctx context.Context, f flow.Fence) (flow.Fence, flow.Rebuilt, error) {
		return c.opts.Rebuild.EndRebuild(ctx, f, at)
	})
}

// Leases records leases in one transaction. What it returns is recorded.
func (c *Committer) Leases(ctx context.Context, requests []flow.LeaseRequest, duration time.Duration, at time.Time) ([]flow.Lease, error) {
	if len(requests) == 0 {
		return nil, nil
	}
	return write(ctx, c, func(ctx context.Context, f flow.Fence) (flow.Fence, []flow.Lease, error) {
		return c.ledger.RecordLeases(ctx, f, requests, duration, at)
	})
}

// Health stores changes of health in one transaction.
func (c *Committer) Health(ctx context.Context, changes []flow.HealthChange) error {
	if len(changes) == 0 {
		return nil
	}
	_, err := write(ctx, c, func(ctx context.Context, f flow.Fence) (flow.Fence, struct{}, error) {
		next, err := c.ledger.SetHealth(ctx, f, changes)
		return next, struct{}{}, err
	})
	return err
}

// transaction is one fenced write and what it gives.
type transaction[T any] func(context.Context, flow.Fence) (flow.Fence, T, error)

// outcome is what one transaction gave.
type outcome[T any] struct {
	next  flow.Fence
	value T
}

// write runs one transaction in its turn. Whatever its error, the beat that the
// database now holds is not known for certain, so the term is over.
func write[T any](ctx context.Context, c *Committer, tx transaction[T]) (none T, err error) {
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return none, fault.Wrap(fault.Stale, ctx.Err(), "the term ended before the write")
	}
	if err := c.usable(ctx); err != nil {
		return none, err
	}
	fence := c.Fence()
	run := func(ctx context.Context) (o outcome[T], err error) {
		o.next, o.value, err = tx(ctx, fence)
		return o, err
	}
	var o outcome[T]
	if c.opts.Inline {
		o, err = run(ctx)
	} else { // what is left behind still carries its fence, and is this term's last
		o, err = Bounded(ctx, c.opts.Timeout, run)
	}
	if err == nil && o.next.Compare(fence) <= 0 {
		err = fault.E(fault.Internal, "the fence did not rise: %s after %s", o.next, fence)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.broken = fault.Wrap(fault.Stale, err, "fenced write at %s", fence)
		return none, c.broken
	}
	c.fence = o.next
	c.opts.Observe(o.next)
	return o.value, nil
}

// usable refuses a write of a term that is over.
func (c *Committer) usable(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fault.Wrap(fault.Stale, err, "the term ended before the write")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.broken
}
