package scheduler

import (
	"context"
	"slices"
	"time"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/scheduler/placement"
)

// yieldEvery is how often work of higher priority that waits looks for room that
// others could make: it reads all that runs.
const yieldEvery = 5 * time.Second

// plan adds the planned moves to what was decided: what drains, taints and work
// of higher priority ask of owners that are healthy. Each is a revocation; what
// was revoked is placed like any other once its owner has acked, or by force if
// its owner lapses first. It reads all that the clusters hold, so it looks once a
// sweep. An error leaves the decision as it was.
func (t *Term) plan(ctx context.Context, seen *Seen) error {
	clusters := t.leaves(seen)
	if len(clusters) == 0 {
		return nil
	}
	ctx, cancel := t.bounded(ctx)
	defer cancel()
	held, err := t.gather.Held(ctx, clusters, t.cfg.PendingLimit)
	if err != nil || len(held) == 0 {
		return err
	}
	view := seen.View // its own requirements: a stored round holds what Decide saw
	if err := t.gather.Require(ctx, &view, held); err != nil {
		return err
	}
	seen.revoked = placement.Evict(view, held)
	return nil
}

// leaves are the clusters of which this cycle asks whether something has to leave.
func (t *Term) leaves(seen *Seen) []string {
	now := seen.Sight.Now
	if t.deps.Orders == nil {
		return nil
	}
	if t.yields(seen) {
		t.yieldAt, t.plannedAt = now, now
		return all(seen.View)
	}
	clusters := emptying(seen.View)
	if len(clusters) == 0 || !t.due(&t.plannedAt, now) {
		return nil
	}
	return clusters
}

// emptying are the healthy clusters of which work may have to leave.
func emptying(v placement.View) (out []string) {
	for _, c := range v.Clusters {
		tainted := slices.ContainsFunc(c.Taints, func(t flow.Taint) bool { return t.Effect == flow.NoExecute })
		if c.Health == flow.HealthHealthy && (tainted || draining(c.Cluster)) {
			out = append(out, c.Name)
		}
	}
	return out
}

func draining(c flow.Cluster) bool { return c.Drain != nil && !c.Drain.Expired }

func all(v placement.View) (out []string) {
	for _, c := range v.Clusters {
		if c.Health == flow.HealthHealthy {
			out = append(out, c.Name)
		}
	}
	return out
}

// yields reports whether it is time to look for work of lower priority that
// could make room: something waits, and priorities were declared.
func (t *Term) yields(seen *Seen) bool {
	if len(seen.Plan.Waits) == 0 || t.cfg.Limits.Preemptions < 0 || seen.Sight.Now.Sub(t.yieldAt) < yieldEvery {
		return false
	}
	return slices.ContainsFunc(seen.View.Policies, func(p flow.Policy) bool {
		return len(p.Rules.Classes) > 0 || p.Rules.Priority != nil
	})
}

// revoke asks owners to give up what is to leave.
func (t *Term) revoke(ctx context.Context, seen *Seen) error {
	ids, err := t.commit.Revoke(ctx, seen.revoked, seen.Plan.At)
	if err != nil || len(ids) == 0 {
		return err
	}
	kinds := map[flow.ExecutionID]flow.MoveKind{}
	for _, r := range seen.revoked {
		kinds[r.Execution] = r.Kind
	}
	asked := map[flow.MoveKind]int{}
	for _, id := range ids {
		asked[kinds[id]]++
		t.metrics.moves.WithLabelValues(string(kinds[id])).Inc()
	}
	for kind, n := range asked {
		t.deps.Log.Info("owners are asked to give executions up", "kind", string(kind), "executions", n)
	}
	t.deps.Woken(emptying(seen.View))
	return nil
}

// endDrains ends the drains whose clusters are empty, and those whose time is
// up: what is left then stays.
func (t *Term) endDrains(ctx context.Context, seen *Seen) error {
	full := map[string]bool{}
	for _, l := range seen.View.Loads {
		full[l.Cluster] = full[l.Cluster] || l.Executions > 0
	}
	for _, c := range seen.View.Clusters {
		if !draining(c.Cluster) {
			continue
		}
		late := !c.Drain.Deadline.IsZero() && !seen.View.Now.Before(c.Drain.Deadline)
		if full[c.Name] && !late {
			continue
		}
		if err := t.commit.EndDrain(ctx, c.Name, full[c.Name], seen.Plan.At); err != nil {
			return err
		}
		t.deps.Log.Info("a drain has ended", "cluster", c.Name, "empty", !full[c.Name])
	}
	return nil
}
