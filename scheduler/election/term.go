package election

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"time"

	"github.com/hashicorp/raft"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/scheduler/commit"
)

// Term is one stretch of leadership.
type Term struct {
	Context context.Context // dies with leadership
	Fence   flow.Fence      // what the database holds as the term begins
}

// errRestored says that the database is older than what raft remembers, and that
// REBUILD could not be entered.
var errRestored = errors.New("the database is older than the fence that the replicas remember: restored backup")

// lately is within so many pauses.
const lately = 10

// Run leads whenever this replica wins, until ctx ends. lead does the term's
// work and returns when the term's context ends; if it returns earlier, with or
// without an error, the term is over and leadership goes to another replica.
// When ctx ends, Run hands leadership over and returns nil.
//
// A replica whose log cannot be written, mostly since its disk is full, leaves
// the election, and joins it again when the log can be.
func (e *Elector) Run(ctx context.Context, lead func(Term) error) error {
	for ctx.Err() == nil {
		p := e.participant()
		if p == nil {
			e.rejoin(ctx)
			continue
		}
		e.takePart(ctx, p, lead)
		switch {
		case p.isBroken():
			e.leave(p.why)
		case p.raft.State() == raft.Leader:
			e.transfer(p)
		}
	}
	return nil
}

// takePart leads whenever this replica wins, until ctx ends or the log breaks.
func (e *Elector) takePart(ctx context.Context, p *participant, lead func(Term) error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-p.broken:
			p.stop() // its calls end, and so does its leadership
			cancel()
		case <-ctx.Done():
		}
	}()
	monitor(ctx, p.raft.LeaderCh(), e.opts.Log, func(ctx context.Context) { e.reign(ctx, p, lead) })
}

// monitor turns raft's notifications into reigns. At most one reign runs; its
// context ends at the next notification, whatever that says, since the channel
// keeps the newest value only: "true" twice means lost and regained.
func monitor(ctx context.Context, leaderCh <-chan bool, log *slog.Logger, reign func(context.Context)) {
	end := func() {}
	defer func() { end() }()
	running := false
	for {
		select {
		case <-ctx.Done():
			return
		case leader := <-leaderCh:
			if leader && running {
				log.Warn("leadership was lost and regained")
			}
			end()
			end, running = func() {}, leader
			if leader {
				end = start(ctx, reign)
			}
		}
	}
}

// start runs a reign and gives what ends it and waits for it.
func start(ctx context.Context, reign func(context.Context)) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		reign(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

// reign leads terms until ctx ends. Only a failed term leads to a second one,
// after a pause, and then only if no other replica could take over.
func (e *Elector) reign(ctx context.Context, p *participant, lead func(Term) error) {
	for {
		err := e.term(ctx, p, lead)
		switch {
		case ctx.Err() != nil:
			e.metrics.terms.WithLabelValues(endLost).Inc()
			e.opts.Log.Info("leadership ended")
			return
		case errors.Is(err, errRestored):
			// Every replica remembers the same fence, and enters REBUILD in the same
			// database: handing over would only pass the refusal round.
			e.metrics.terms.WithLabelValues(endRefused).Inc()
			e.opts.Log.Error("refusing to schedule on a restored backup", "err", err)
		default:
			e.metrics.terms.WithLabelValues(endFailed).Inc()
			e.opts.Log.Error("term failed, handing leadership over", "err", err)
			e.handOver(ctx, p)
		}
		select {
		case <-ctx.Done():
		case <-time.After(e.opts.Pause):
		}
	}
}

// term establishes one term and does its work.
func (e *Elector) term(ctx context.Context, p *participant, lead func(Term) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	fence, err := e.establish(ctx, p)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		e.keep(ctx, p, fence)
	}()
	e.metrics.leading.Set(1)
	e.metrics.epoch.Set(float64(fence.Epoch.N))
	defer func() {
		e.metrics.leading.Set(0)
		cancel()
		<-done
	}()
	e.opts.Log.Info("leading", "epoch", fence.Epoch.String())
	return guarded(lead, Term{Context: ctx, Fence: fence})
}

// establish waits until everything that earlier leaders replicated is applied
// here, compares it with the database, and begins the term. A database that is
// older was restored from a backup: no term begins on it before it is in REBUILD,
// in which a leader only waits. It ends when its time is up or leadership is lost,
// whatever the database does. A BeginTerm that is left behind may land; it must not
// be sent again then, or it would end the term of a successor.
func (e *Elector) establish(ctx context.Context, p *participant) (flow.Fence, error) {
	barrier := p.raft.Barrier(e.opts.Timeout) // under way while the database is asked
	ctx, cancel := context.WithTimeout(ctx, e.opts.Timeout)
	defer cancel()
	found, err := e.opts.Epochs.ReadFence(ctx)
	if broken := barrier.Error(); broken != nil {
		return flow.Fence{}, fault.Wrap(fault.Unavailable, broken, "raft barrier")
	}
	if err != nil {
		return flow.Fence{}, fmt.Errorf("read fence: %w", err)
	}
	known := e.Known()
	if known.Compare(found) > 0 {
		if err := e.enterRebuild(ctx, found, known); err != nil {
			return flow.Fence{}, err
		}
	}
	fence, err := commit.Bounded(ctx, e.opts.Timeout, func(ctx context.Context) (flow.Fence, error) {
		return e.opts.Epochs.BeginTerm(ctx, e.opts.ID)
	})
	if err != nil {
		return flow.Fence{}, fmt.Errorf("begin term: %w", err)
	}
	if known.Compare(fence) >= 0 { // restored between the two: the next try begins the term
		return flow.Fence{}, errors.Join(fmt.Errorf("%w (begun %s, replicas %s)", errRestored, fence, known), e.enterRebuild(ctx, fence, known))
	}
	e.metrics.restored.Set(0)
	e.Observe(fence)
	return fence, e.replicate(p, fence)
}

// enterRebuild puts a restored backup into REBUILD. If it cannot, no term begins.
func (e *Elector) enterRebuild(ctx context.Context, found, known flow.Fence) error {
	e.metrics.restored.Set(1)
	why := fmt.Sprintf("replica %s knows the fence %s, and the database is at %s", e.opts.ID, known, found)
	rebuild, err := commit.Bounded(ctx, e.opts.Timeout, func(ctx context.Context) (flow.Rebuild, error) {
		return e.opts.Epochs.EnterRebuild(ctx, known, why)
	})
	if err != nil {
		return fmt.Errorf("%w (database %s, replicas %s); REBUILD was not entered: %w", errRestored, found, known, err)
	}
	e.opts.Log.Error("a backup of the database was restored: the control plane is in REBUILD", "since", rebuild.Since, "why", rebuild.Why)
	return nil
}

// keep replicates what was observed, at most once per Options.Observe.
func (e *Elector) keep(ctx context.Context, p *participant, last flow.Fence) {
	tick := time.NewTicker(e.opts.Observe)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		e.mu.Lock()
		now := e.observed
		e.mu.Unlock()
		if last.Compare(now) >= 0 {
			continue
		}
		if err := e.replicate(p, now); err != nil {
			// Leadership is being lost, or the next tick does it.
			e.opts.Log.Debug("fence not replicated", "err", err)
			continue
		}
		last = now
	}
}

// handOver hands leadership over after a failed term: at once if it is the first
// one of this replica for long, since it may be the only one that cannot lead.
// Else it pauses first: while the database is away, no replica can, and leadership
// would pass round as fast as raft lets it.
func (e *Elector) handOver(ctx context.Context, p *participant) {
	last := e.failed
	e.failed = time.Now()
	if e.failed.Sub(last) < lately*e.opts.Pause {
		select {
		case <-ctx.Done():
			return
		case <-time.After(e.opts.Pause):
		}
	}
	e.transfer(p)
}

// transfer hands leadership to the replica that is most up to date.
func (e *Elector) transfer(p *participant) {
	if p.isBroken() || !p.hasOthers(e.opts.ID) {
		return
	}
	if err := p.raft.LeadershipTransfer().Error(); err != nil {
		e.opts.Log.Warn("leadership was not handed over", "err", err)
	}
}

// guarded turns a panic of the work into an error with its stack: a replica
// that cannot schedule can still serve.
func guarded(lead func(Term) error, t Term) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fault.E(fault.Internal, "panic while leading: %v\n%s", p, debug.Stack())
		}
	}()
	if err = lead(t); err == nil && t.Context.Err() == nil {
		err = fault.E(fault.Internal, "the work of the term returned early")
	}
	return err
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
