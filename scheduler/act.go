package scheduler

import (
	"context"
	"time"

	"github.com/skein-project/skein/api/flow"
)

// Act makes true what was decided, as far as the world is still as it was seen.
// more says that another cycle would find work at once.
func (t *Term) Act(ctx context.Context, seen *Seen) (more bool, err error) {
	view, plan := seen.View, seen.Plan
	if err := t.storeHealth(ctx, view); err != nil {
		return false, err
	}
	placed, err := t.commit.Plan(ctx, flow.Batch{Placements: plan.Placements, Waits: plan.Waits, Trails: plan.Trails,
		Takeovers: seen.leavers.guards, At: plan.At}, nil)
	t.announce(ctx, view, plan, placed)
	t.metrics.saw(view, plan, t.deps.Now().Sub(seen.began))
	if err != nil {
		return false, err
	}
	if t.deps.Orders != nil {
		if err := t.reap(ctx, seen.leavers, plan.At); err != nil {
			return false, err
		}
	}
	t.hurry = moves(plan.Placements) >= t.cfg.Limits.Moves
	t.trim(ctx, plan.At)
	return len(placed) > 0 && (t.hurry || len(view.Pending) >= t.cfg.PendingLimit), nil
}

func moves(placements []flow.Placement) (n int) {
	for _, p := range placements {
		if p.From != "" {
			n++
		}
	}
	return n
}

// trimEvery is how often old rows are removed.
const trimEvery = time.Minute

// trim removes what nobody needs any more. It decides nothing, so a failure is
// only told.
func (t *Term) trim(ctx context.Context, now time.Time) {
	if t.deps.Trim == nil || now.Sub(t.trimmed) < trimEvery {
		return
	}
	t.trimmed = now
	if !t.deps.Inline {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, t.cfg.Timeout)
		defer cancel()
	}
	gone, err := t.deps.Trim(ctx, now.Add(-t.cfg.Keep), t.cfg.Rounds)
	t.commit.Forget()
	switch {
	case err != nil && ctx.Err() == nil:
		t.deps.Log.Warn("old rows were not removed", "err", err)
	case gone > 0:
		t.deps.Log.Debug("old rows removed", "rows", gone)
	}
}
