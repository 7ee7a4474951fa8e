package scheduler

import (
	"context"
	"fmt"
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/scheduler/placement"
	"github.com/skein-project/skein/scheduler/snapshot"
)

// Seen is one observed world, with what was decided about it. It is of use
// once, to Act.
type Seen struct {
	Sight snapshot.Sight
	View  placement.View
	Plan  placement.Plan
	// Doubt is why nothing is taken from lapsed clusters; empty: something may be.
	Doubt string

	leavers leavers
	part    bool // what free clusters hold was not read: nothing is known of what waits there
	revoked []flow.Revocation
	rebuild *flow.Rebuild // that lasts: nothing was looked at, nothing is decided
	began   time.Time
}

// Observe reads the world and decides; it writes nothing. It returns nil, and
// no error, if the world could not be read; without what planned moves need, it
// decides all but these. While a restored backup is rebuilt it decides nothing;
// Stale if that has begun in this term. What happens between Observe and Act is
// what Act's transactions guard against.
func (t *Term) Observe(ctx context.Context) (*Seen, error) {
	seen := &Seen{began: t.deps.Now()}
	t.lapses = time.Time{}
	now, lasts, err := t.rebuilding(ctx)
	if err == nil && lasts {
		seen.rebuild = &now
		return seen, nil
	}
	begun := false
	if err == nil {
		begun, err = t.overtaken(ctx)
	}
	if begun {
		return nil, fault.E(fault.Stale, "a restored backup is being rebuilt: this term is over")
	}
	if err == nil {
		err = t.read(ctx, seen)
	}
	if err != nil {
		if t.unread(ctx) {
			t.deps.Log.Warn("nothing scheduled: the world cannot be read", "err", err)
		}
		return nil, ctx.Err()
	}
	seen.Plan = placement.Decide(seen.View)
	if err := t.plan(ctx, seen); err != nil && t.unread(ctx) {
		t.deps.Log.Warn("no planned moves: what clusters hold cannot be read", "err", err)
	}
	return seen, ctx.Err()
}

// unread counts a read that failed, unless it did since the term has ended.
func (t *Term) unread(ctx context.Context) bool {
	if ctx.Err() != nil {
		return false
	}
	t.trouble.database(t.deps.Now())
	t.metrics.failed.Inc()
	return true
}

// read observes in the order that package snapshot promises.
func (t *Term) read(ctx context.Context, seen *Seen) (err error) {
	ctx, cancel := t.bounded(ctx)
	defer cancel()
	if seen.Sight, err = t.gather.Look(ctx); err != nil {
		return err
	}
	t.lapses = seen.Sight.Lapses
	seen.Doubt = t.judge(seen.Sight)
	if seen.View, err = t.gather.Gather(ctx, seen.Sight); err != nil {
		return err
	}
	free := t.free(seen.Sight, seen.Doubt)
	var held []flow.Placed
	if held, seen.part, err = t.held(ctx, free, seen.Sight.Now); err != nil {
		return err
	}
	seen.leavers = t.sort(free, held, seen.Sight)
	seen.View.Pending = append(seen.View.Pending, seen.leavers.movable...)
	if err := t.gather.Require(ctx, &seen.View, held); err != nil {
		return err
	}
	if !t.recalled {
		t.recalled = true
		if err := recall(ctx, &t.recent, t.deps.Rounds); err != nil {
			t.deps.Log.Warn("where workflows ran before this term is not known", "err", err)
		}
	}
	t.recent.Fill(&seen.View)
	return nil
}

// Rounds gives stored rounds that are older than a place in their order, the
// newest first.
type Rounds = func(ctx context.Context, older flow.RoundKey, limit int) ([]flow.Round, error)

// recall learns from the newest stored round where workflows ran lately.
func recall(ctx context.Context, recent *snapshot.Recent, rounds Rounds) error {
	if rounds == nil {
		return nil
	}
	list, err := rounds(ctx, flow.RoundKey{}, 1)
	if err != nil {
		return fmt.Errorf("read the newest round: %w", err)
	}
	for _, r := range list {
		if err := recent.Recall(r); err != nil {
			return err
		}
	}
	return nil
}

// bounded gives reads their time.
func (t *Term) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if t.deps.Inline {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, t.cfg.Timeout)
}

// held reads what these clusters hold, once a sweep, or at once while more is
// to be moved than one plan may. skipped says that it was not read.
func (t *Term) held(ctx context.Context, free map[string]flow.MoveKind, now time.Time) (list []flow.Placed, skipped bool, err error) {
	if len(free) == 0 {
		return nil, false, nil
	}
	if !t.due(&t.liveAt, now) {
		return nil, true, nil
	}
	list, err = t.gather.Held(ctx, names(free), t.cfg.PendingLimit)
	return list, false, err
}

// due reports whether a read of all that clusters hold is due, which is once a
// sweep, or at once while more is to be moved than one plan may; last is when it
// was due before.
func (t *Term) due(last *time.Time, now time.Time) bool {
	if !t.hurry && now.Sub(*last) < t.cfg.Sweep/2 {
		return false
	}
	*last = now
	return true
}
