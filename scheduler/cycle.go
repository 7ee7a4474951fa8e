package scheduler

import (
	"context"
	"runtime/debug"
	"slices"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/scheduler/commit"
	"github.com/skein-project/skein/scheduler/election"
	"github.com/skein-project/skein/scheduler/placement"
	"github.com/skein-project/skein/scheduler/snapshot"
)

var tracer = otel.Tracer("github.com/skein-project/skein/scheduler")

// reign is one term's state. Nothing of it outlives the term.
type reign struct {
	memory *memory
	desk   *desk
	commit *commit.Committer
	gather *snapshot.Gatherer
	ended  <-chan struct{}
}

// lead works one term. It returns when the term's context ends, or with the
// first error, which ends the term.
func (s *Scheduler) lead(t election.Term) error {
	group, ctx := errgroup.WithContext(t.Context)
	r := &reign{
		memory: newMemory(),
		desk:   newDesk(),
		commit: commit.New(s.deps.Commit, t.Fence, commit.Options{
			Batch: s.cfg.BatchSize, Timeout: s.cfg.Timeout, Observe: s.deps.Elector.Observe}),
		ended: ctx.Done(),
	}
	r.gather = &snapshot.Gatherer{Ledger: s.deps.Ledger, Fleet: s.deps.Fleet, Live: r.memory.Live,
		Since: s.deps.Now(), Health: s.cfg.Health, Policy: s.cfg.Policy, Limit: s.cfg.PendingLimit, Now: s.deps.Now}
	s.term.Store(r)
	defer func() {
		s.term.Store(nil)
		s.metrics.idle()
	}()
	group.Go(guarded(func() error { return s.cycles(ctx, r) }))
	group.Go(guarded(func() error {
		return r.desk.run(ctx, s.cfg.LeaseWindow, func(ctx context.Context, requests []flow.LeaseRequest) ([]flow.Lease, error) {
			return s.grant(ctx, r, requests)
		})
	}))
	return group.Wait()
}

// grant records leases. Their time on this leader's clock counts from after the
// write: that errs on the side of waiting longer.
func (s *Scheduler) grant(ctx context.Context, r *reign, requests []flow.LeaseRequest) ([]flow.Lease, error) {
	leases, err := r.commit.Leases(ctx, requests, s.cfg.Lease, s.deps.Now())
	if err != nil {
		return nil, err
	}
	r.memory.granted(leases, s.deps.Now())
	s.metrics.leases.Add(float64(len(leases)))
	return leases, nil
}

// cycles runs one cycle per wake-up. A world that cannot be read is read again
// at the next; a decision that cannot be written ends the term.
func (s *Scheduler) cycles(ctx context.Context, r *reign) error {
	sweep := time.NewTicker(s.cfg.Sweep)
	defer sweep.Stop()
	for {
		began := time.Now()
		if err := s.cycle(ctx, r); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-sweep.C:
		case <-s.nudge:
			s.gatherMore(ctx, time.Until(began.Add(s.cfg.Batch)))
		}
	}
}

// gatherMore lets a burst of nudges become few batches: the first nudge after a
// pause is served at once, and those that follow one window after it.
func (s *Scheduler) gatherMore(ctx context.Context, left time.Duration) {
	if left > 0 {
		select {
		case <-ctx.Done():
		case <-time.After(left):
		}
	}
	select { // the nudges that came meanwhile are served by the cycle that follows
	case <-s.nudge:
	default:
	}
}

// cycle is steps 2 to 6 of the package comment.
func (s *Scheduler) cycle(ctx context.Context, r *reign) error {
	began := time.Now()
	reading, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	view, err := r.gather.Gather(reading)
	cancel()
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.metrics.failed.Inc()
		s.deps.Log.Warn("nothing scheduled: the world cannot be read", "err", err)
		return nil
	}
	if err := s.storeHealth(ctx, r, view); err != nil {
		return err
	}
	plan := placement.Decide(view)
	placed, err := r.commit.Plan(ctx, plan.Placements, plan.Waits, plan.At)
	s.announce(ctx, r, view, plan, placed)
	s.metrics.saw(view, plan, time.Since(began))
	if err != nil {
		return err
	}
	if len(view.Pending) >= s.cfg.PendingLimit && len(placed) > 0 {
		s.Nudge() // there is more
	}
	return nil
}

// storeHealth stores the changes, and only those.
func (s *Scheduler) storeHealth(ctx context.Context, r *reign, v placement.View) error {
	var changes []flow.HealthChange
	for _, c := range v.Clusters {
		if c.Health != c.Recorded {
			changes = append(changes, flow.HealthChange{Cluster: c.Name, Health: c.Health, At: v.Now})
		}
	}
	if err := r.commit.Health(ctx, changes); err != nil {
		return err
	}
	for _, c := range v.Clusters {
		if c.Health != c.Recorded {
			s.deps.Log.Info("cluster health changed", "cluster", c.Name, "from", string(c.Recorded), "to", string(c.Health))
		}
	}
	return nil
}

// announce tells hubs, traces, metrics and the log what was placed.
func (s *Scheduler) announce(ctx context.Context, r *reign, v placement.View, p placement.Plan, placed []flow.ExecutionID) {
	if len(placed) == 0 {
		return
	}
	created := make(map[flow.ExecutionID]time.Time, len(v.Pending))
	for _, x := range v.Pending {
		created[x.Execution] = x.CreatedAt
	}
	byID := make(map[flow.ExecutionID]flow.Placement, len(p.Placements))
	for _, x := range p.Placements {
		byID[x.Execution] = x
	}
	era := r.commit.Fence().Epoch.Era
	var clusters []string
	for _, id := range placed {
		x, ok := byID[id]
		if !ok {
			continue
		}
		clusters = append(clusters, x.Cluster)
		span(ctx, x, flow.Epoch{Era: era, N: x.Prior.N + 1}, v.Now)
		s.metrics.age.Observe(s.deps.Now().Sub(created[id]).Seconds())
	}
	s.metrics.placed.Add(float64(len(placed)))
	slices.Sort(clusters)
	s.deps.Woken(slices.Compact(clusters))
	s.deps.Log.Info("placed", "plan", p, "epoch", r.commit.Fence().Epoch.String())
}

// span adds the placement to the execution's own trace, which began with the
// call that created it.
func span(ctx context.Context, p flow.Placement, epoch flow.Epoch, began time.Time) {
	ctx = trace.ContextWithSpanContext(ctx, trace.SpanContext{})
	ctx = propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": p.Trace})
	_, sp := tracer.Start(ctx, "scheduler.place", trace.WithTimestamp(began), trace.WithAttributes(
		attribute.String("execution", p.Execution.String()),
		attribute.String("cluster", p.Cluster),
		attribute.String("epoch", epoch.String())))
	sp.End()
}

// guarded turns a panic into an error with its stack, which ends the term.
func guarded(f func() error) func() error {
	return func() (err error) {
		defer func() {
			if p := recover(); p != nil {
				err = fault.E(fault.Internal, "panic while leading: %v\n%s", p, debug.Stack())
			}
		}()
		return f()
	}
}
