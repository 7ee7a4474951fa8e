package scheduler

import (
	"context"
	"time"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/scheduler/commit"
	"github.com/skein-project/skein/scheduler/placement"
	"github.com/skein-project/skein/scheduler/snapshot"
)

// Term is the work of one stretch of leadership, as steps that somebody else
// drives: no method starts a goroutine that outlives it, waits for a clock, or
// reads any but Deps.Now. In production Scheduler drives it with tickers; on a
// virtual clock one thread does, with Deps.Inline.
//
// Duties of the caller: Cycle (or Observe and Act) by one goroutine, Grant by
// one, which may be another; Heard by any. The first error of Cycle, Act or
// Grant ends the term: nothing more of it may be called, and nothing that is
// called writes any more.
type Term struct {
	cfg     Config
	deps    Deps
	metrics *metrics
	memory  *memory
	commit  *commit.Committer
	gather  *snapshot.Gatherer
}

// NewTerm begins the work of a term with the fence that BeginTerm gave. Of
// deps the ports Ledger, Fleet and Commit are needed; Elector, if there is one,
// is told of each new fence. The term's clock starts now: leases of earlier
// terms are counted in full from here.
func NewTerm(cfg Config, deps Deps, fence flow.Fence) (*Term, error) {
	m, err := newMetrics(nil)
	if err != nil {
		return nil, err
	}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if deps, err = deps.complete(); err != nil {
		return nil, err
	}
	return newTerm(cfg, deps, m, fence), nil
}

func newTerm(cfg Config, deps Deps, m *metrics, fence flow.Fence) *Term {
	options := commit.Options{Batch: cfg.BatchSize, Timeout: cfg.Timeout, Inline: deps.Inline}
	if deps.Elector != nil {
		options.Observe = deps.Elector.Observe
	}
	t := &Term{cfg: cfg, deps: deps, metrics: m, memory: newMemory(), commit: commit.New(deps.Commit, fence, options)}
	t.gather = &snapshot.Gatherer{Ledger: deps.Ledger, Fleet: deps.Fleet, Live: t.memory.Live, Since: deps.Now(),
		Health: cfg.Health, Policy: cfg.Policy, Limit: cfg.PendingLimit, Now: deps.Now}
	return t
}

// Fence is the fence that the next transaction will give.
func (t *Term) Fence() flow.Fence { return t.commit.Fence() }

// Heard takes what a hub heard from its members. It grants nothing: the lease
// requests among it go to Grant.
func (t *Term) Heard(hub string, beats []flow.Beat) { t.memory.heard(hub, beats, t.deps.Now()) }

// Grant records leases in one transaction, and returns those that may be sent:
// of several requests of one member only the newest session's newest is
// answered. Their time on this leader's clock counts from after the write: that
// errs on the side of waiting longer.
func (t *Term) Grant(ctx context.Context, requests []flow.LeaseRequest) ([]flow.Lease, error) {
	leases, err := t.commit.Leases(ctx, newest(requests), t.cfg.Lease, t.deps.Now())
	if err != nil {
		return nil, err
	}
	t.memory.granted(leases, t.deps.Now())
	t.metrics.leases.Add(float64(len(leases)))
	return leases, nil
}

// Cycle observes, decides and acts once. more says that another cycle would
// find work at once. A world that cannot be read is no error: it is read again
// in the next cycle.
func (t *Term) Cycle(ctx context.Context) (more bool, err error) {
	seen, err := t.Observe(ctx)
	if err != nil || seen == nil {
		return false, err
	}
	return t.Act(ctx, seen)
}

// Seen is one observed world, with what was decided about it. It is of use
// once, to Act.
type Seen struct {
	View  placement.View
	Plan  placement.Plan
	began time.Time
}

// Observe reads the world and decides; it writes nothing. It returns nil, and
// no error, if the world could not be read. What happens between Observe and
// Act is what Act's transactions guard against.
func (t *Term) Observe(ctx context.Context) (*Seen, error) {
	began := t.deps.Now()
	view, err := t.read(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		t.metrics.failed.Inc()
		t.deps.Log.Warn("nothing scheduled: the world cannot be read", "err", err)
		return nil, nil
	}
	return &Seen{View: view, Plan: placement.Decide(view), began: began}, nil
}

func (t *Term) read(ctx context.Context) (placement.View, error) {
	if !t.deps.Inline {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, t.cfg.Timeout)
		defer cancel()
	}
	return t.gather.Gather(ctx)
}

// Act makes true what was decided, as far as the world is still as it was seen.
func (t *Term) Act(ctx context.Context, seen *Seen) (more bool, err error) {
	view, plan := seen.View, seen.Plan
	if err := t.storeHealth(ctx, view); err != nil {
		return false, err
	}
	placed, err := t.commit.Plan(ctx, plan.Placements, plan.Waits, plan.At)
	t.announce(ctx, view, plan, placed)
	t.metrics.saw(view, plan, t.deps.Now().Sub(seen.began))
	return err == nil && len(view.Pending) >= t.cfg.PendingLimit && len(placed) > 0, err
}
