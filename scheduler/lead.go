package scheduler

import (
	"context"
	"runtime/debug"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/scheduler/election"
)

// reign is a term with what drives it. Nothing of it outlives the term.
type reign struct {
	*Term
	desk  *desk
	ended <-chan struct{}
}

// lead drives one term. It returns when the term's context ends, or with the
// first error, which ends the term.
func (s *Scheduler) lead(t election.Term) error {
	group, ctx := errgroup.WithContext(t.Context)
	r := &reign{Term: newTerm(s.cfg, s.deps, s.metrics, s.trouble, t.Fence), desk: newDesk(), ended: ctx.Done()}
	r.news = s.Nudge
	s.term.Store(r)
	s.deps.Begun()
	defer func() {
		s.term.Store(nil)
		s.metrics.idle()
	}()
	group.Go(guarded(func() error { return s.cycles(ctx, r) }))
	group.Go(guarded(func() error { return r.desk.run(ctx, s.cfg.LeaseWindow, r.Grant) }))
	group.Go(guarded(func() error { return trims(ctx, r.Term) }))
	err := group.Wait()
	if t.Context.Err() == nil && !fault.Is(err, fault.Internal) { // a write failed
		s.trouble.database(s.deps.Now())
	}
	return err
}

// cycles runs one cycle per wake-up. A world that cannot be read is read again
// at the next; a decision that cannot be written ends the term.
func (s *Scheduler) cycles(ctx context.Context, r *reign) error {
	sweep := time.NewTicker(s.cfg.Sweep)
	defer sweep.Stop()
	for {
		began := time.Now()
		more, err := r.Cycle(ctx)
		if err != nil {
			return err
		}
		took := time.Since(began)
		if more {
			s.Nudge()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-sweep.C:
		case <-s.until(r.lapses):
		case <-s.nudge:
			// A cycle over a long queue leaves as much time to others as it took.
			s.gatherMore(ctx, time.Until(began.Add(max(s.cfg.Batch, 2*took))))
		}
	}
}

// until fires just after a time; never for the zero time. What has lapsed moves
// at once then, and not at the next sweep.
func (s *Scheduler) until(at time.Time) <-chan time.Time {
	if at.IsZero() {
		return nil
	}
	return time.After(at.Sub(s.deps.Now()) + time.Millisecond)
}

// firstTrim is how old a term is when it trims for the first time: what waited to
// be placed while nobody led comes first.
const firstTrim = 10 * time.Second

// trims removes old rows now and then.
func trims(ctx context.Context, t *Term) error {
	next := time.NewTimer(firstTrim)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-next.C:
			t.Trim(ctx)
			next.Reset(TrimEvery)
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
