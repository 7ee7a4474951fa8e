package scheduler

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/scheduler/commit"
	"github.com/skein-project/skein/scheduler/placement"
)

// Act makes true what was decided, as far as the world is still as it was seen.
// more says that another cycle would find work at once.
func (t *Term) Act(ctx context.Context, seen *Seen) (more bool, err error) {
	if seen.rebuild != nil {
		return t.watch(ctx, *seen.rebuild)
	}
	view, plan := seen.View, seen.Plan
	if err := t.storeHealth(ctx, view); err != nil {
		return false, err
	}
	waits := append(slices.Clip(plan.Waits), seen.leavers.staying...)
	placed, err := t.commit.Plan(ctx, flow.Batch{Placements: plan.Placements, Waits: waits, Trails: plan.Trails,
		Takeovers: seen.leavers.guards, At: plan.At}, seen.part, func(first flow.Fence) *flow.Round { return t.round(seen, first) })
	t.recent.Placed(view, madeTrue(plan.Placements, placed))
	t.announce(ctx, view, plan, placed)
	t.metrics.saw(view, plan, t.deps.Now().Sub(seen.began))
	if err != nil {
		return false, err
	}
	if t.deps.Orders != nil {
		if err := errors.Join(t.reap(ctx, seen.leavers, plan.At), t.revoke(ctx, seen), t.endDrains(ctx, seen)); err != nil {
			return false, err
		}
	}
	t.hurry = moves(plan.Placements) >= t.cfg.Limits.Moves
	t.forget(plan.At)
	return len(placed) > 0 && (t.hurry || len(view.Pending) >= t.cfg.PendingLimit), nil
}

// madeTrue are the placements of a plan that were committed.
func madeTrue(placements []flow.Placement, placed []flow.ExecutionID) []flow.Placement {
	if len(placed) == len(placements) {
		return placements
	}
	is := make(map[flow.ExecutionID]bool, len(placed))
	for _, id := range placed {
		is[id] = true
	}
	return slices.DeleteFunc(slices.Clone(placements), func(p flow.Placement) bool { return !is[p.Execution] })
}

func moves(placements []flow.Placement) (n int) {
	for _, p := range placements {
		if p.From != "" {
			n++
		}
	}
	return n
}

// The largest rounds that are stored. A decision over more is explained by its
// trail, and cannot be replayed: it would be megabytes each second.
const (
	mostRows  = 20_000
	mostBytes = 1 << 20
)

// round is what was seen and decided, to be decided again; nil if it is too
// large to be kept, or none are.
func (t *Term) round(seen *Seen, first flow.Fence) *flow.Round {
	v := seen.View
	if t.cfg.Rounds == 0 || len(v.Pending)+len(v.Loads)+len(v.Clusters) > mostRows {
		return nil
	}
	packed, err := placement.Encode(v)
	if err != nil || len(packed) > mostBytes {
		return nil
	}
	return &flow.Round{ID: first.String(), Scheduler: first.Epoch, At: seen.Plan.At, View: packed, Plan: seen.Plan.Mark(),
		Decisions: len(seen.Plan.Placements) + len(seen.Plan.Waits)}
}

// TrimEvery is how often Trim is to be called, and the most that one call takes.
const TrimEvery = time.Minute

// Trim removes from the database what nobody needs any more. It decides nothing,
// so a failure is only told; while a restored backup is rebuilt, it does nothing.
// Any goroutine may call it, beside the cycles: it takes as long as there is to be
// removed, and nothing waits for it. When ctx ends it returns, whatever the
// database does. A trail that a cycle takes for stored was stored less than two
// TrimEvery ago, and what is that new is not removed (Config.Keep).
func (t *Term) Trim(ctx context.Context) {
	if t.deps.Trim == nil {
		return
	}
	if _, lasts, err := t.rebuilding(ctx); lasts || err != nil {
		return
	}
	gone, err := t.trim(ctx)
	switch {
	case err != nil && ctx.Err() == nil:
		t.deps.Log.Warn("not all old rows were removed", "removed", gone, "err", err)
	case gone > 0:
		t.deps.Log.Debug("old rows removed", "rows", gone)
	}
}

// trim is left behind when ctx ends: what it removes then, any leader may remove.
func (t *Term) trim(ctx context.Context) (int64, error) {
	before := t.deps.Now().Add(-t.cfg.Keep)
	run := func(ctx context.Context) (int64, error) { return t.deps.Trim(ctx, before, t.cfg.Rounds) }
	if t.deps.Inline {
		return run(ctx)
	}
	return commit.Bounded(ctx, TrimEvery, run)
}

// forget drops what this term remembers for too long.
func (t *Term) forget(now time.Time) {
	if now.Sub(t.forgot) < TrimEvery {
		return
	}
	t.forgot = now
	t.recent.Trim(now)
	t.commit.Forget()
}
