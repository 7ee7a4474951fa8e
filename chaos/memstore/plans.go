package memstore

import (
	"context"
	"slices"
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/mutant"
)

// BeginTerm is as admin/store's.
func (s *Store) BeginTerm(ctx context.Context, _ string) (out flow.Fence, err error) {
	err = s.write(ctx, "BeginTerm", func(t *tables) error {
		t.fence = flow.Fence{Epoch: t.fence.Epoch.Next()}
		out = t.fence
		return nil
	})
	return out, err
}

// ReadFence is as admin/store's.
func (s *Store) ReadFence(ctx context.Context) (out flow.Fence, err error) {
	err = s.read(ctx, "ReadFence", func(t *tables) error { out = t.fence; return nil })
	return out, err
}

// LongestLease is as admin/store's.
func (s *Store) LongestLease(ctx context.Context) (out time.Duration, err error) {
	err = s.read(ctx, "LongestLease", func(t *tables) error { out = t.longest; return nil })
	return out, err
}

// fenced runs a scheduling transaction, whose first statement raises the beat.
func (s *Store) fenced(ctx context.Context, op string, f flow.Fence, lease time.Duration, fn func(*tables) error) (flow.Fence, error) {
	next := flow.Fence{Epoch: f.Epoch, Beat: f.Beat + 1}
	if mutant.On("epoch-by-select") {
		// A SELECT sees the fence as it was when the transaction began, whenever
		// it lands.
		now, err := s.ReadFence(context.WithoutCancel(ctx))
		if err == nil && now.Epoch != f.Epoch {
			return f, fault.E(fault.Stale, "fence %s is over", f)
		}
		err = s.write(ctx, op, func(t *tables) error { return fn(t) })
		return next, err
	}
	err := s.write(ctx, op, func(t *tables) error {
		if t.fence != f {
			return fault.E(fault.Stale, "fence %s is over", f)
		}
		if err := fn(t); err != nil {
			return err
		}
		t.fence, t.longest = next, max(t.longest, lease)
		return nil
	})
	if err != nil {
		return f, err
	}
	return next, nil
}

// Pending is as admin/store's.
func (s *Store) Pending(ctx context.Context, limit int) (list []flow.Pending, err error) {
	err = s.read(ctx, "Pending", func(t *tables) error {
		for _, id := range t.order {
			if r := t.runs[id]; r.e.Cluster == "" && waits(r.e.Phase) && r.e.Desired == flow.DesiredRun {
				list = append(list, r.pending())
			}
		}
		slices.SortStableFunc(list, func(a, b flow.Pending) int {
			if c := a.CreatedAt.Compare(b.CreatedAt); c != 0 {
				return c
			}
			return byID(a.Execution, b.Execution)
		})
		list = list[:min(limit, len(list))]
		return nil
	})
	return list, err
}

func waits(p flow.ExecutionPhase) bool {
	return p == flow.ExecutionUndefined || p == flow.ExecutionQueued
}

func (r *run) pending() flow.Pending {
	return flow.Pending{Execution: r.e.ID, Epoch: r.e.Epoch, Requirement: r.e.Requirement, CreatedAt: r.e.CreatedAt,
		Trace: r.e.Trace, Digest: r.digest, NotBefore: r.e.NotBefore, Failover: r.e.Failover, Moves: r.e.Moves}
}

// Live is as admin/store's.
func (s *Store) Live(ctx context.Context, clusters []string, limit int) (list []flow.Placed, err error) {
	err = s.read(ctx, "Live", func(t *tables) error {
		for _, id := range t.order {
			r := t.runs[id]
			if r.e.Phase.Terminal() || r.e.Cluster == "" || !slices.Contains(clusters, r.e.Cluster) || len(list) >= limit {
				continue
			}
			p := flow.Placed{Pending: r.pending(), Desired: r.e.Desired, Revoking: r.e.Revoking,
				PlacedAt: r.placedAt, Started: r.e.Sequence > 0}
			p.From = r.e.Cluster
			if p.Revoking != "" {
				p.RevokedAt = r.revokedAt
			}
			list = append(list, p)
		}
		return nil
	})
	return list, err
}

// Reserved is as admin/store's.
func (s *Store) Reserved(ctx context.Context) (list []flow.Reserved, err error) {
	err = s.read(ctx, "Reserved", func(t *tables) error {
		for _, cluster := range t.clusterNames() {
			for _, id := range t.placedOn(cluster) {
				list = append(list, flow.Reserved{Execution: id, Cluster: cluster, Reservation: t.runs[id].e.Requirement.Reservation})
			}
		}
		return nil
	})
	return list, err
}

// Loads is as admin/store's.
func (s *Store) Loads(ctx context.Context) (list []flow.Load, err error) {
	err = s.read(ctx, "Loads", func(t *tables) error {
		at := map[flow.Load]int{}
		for _, id := range t.order {
			e := &t.runs[id].e
			if e.Cluster == "" || e.Phase.Terminal() {
				continue
			}
			key := flow.Load{Cluster: e.Cluster, Tenant: id.Tenant(), Group: e.Requirement.Group, Workflow: e.Requirement.Workflow}
			i, known := at[key]
			if !known {
				i = len(list)
				at[key] = i
				list = append(list, key)
			}
			list[i].Executions++
			list[i].Reservation = list[i].Reservation.Add(e.Requirement.Reservation)
		}
		return nil
	})
	return list, err
}

// CommitPlan is as admin/store's.
func (s *Store) CommitPlan(ctx context.Context, f flow.Fence, b flow.Batch) (flow.Fence, []flow.ExecutionID, error) {
	var placed []flow.ExecutionID
	next, err := s.fenced(ctx, "CommitPlan", f, 0, func(t *tables) error {
		var done []flow.ExecutionID
		may, taken := map[string]bool{}, map[string]bool{}
		for _, take := range b.Takeovers {
			may[take.Cluster] = t.unchanged(take)
		}
		for _, p := range b.Placements {
			if r := t.runs[p.Execution]; r != nil && r.fits(p) && (p.From == "" || may[p.From]) {
				t.place(r, p, f, b)
				done = append(done, p.Execution)
				taken[p.From] = true
			}
		}
		delete(taken, "")
		for _, cluster := range sortedKeys(taken) {
			t.raise(cluster)
		}
		for _, w := range b.Waits {
			t.wait(w, f, b.At)
		}
		for _, trail := range b.Trails {
			t.trails[trail.Digest] = trail
		}
		if b.Round != nil {
			t.rounds = append(t.rounds, *b.Round)
		}
		placed = done
		return nil
	})
	if err != nil {
		return next, nil, err
	}
	return next, placed, nil
}

// fits reports whether an execution is as the scheduler saw it.
func (r *run) fits(p flow.Placement) bool {
	e := &r.e
	if e.Desired != flow.DesiredRun || e.Epoch != p.Prior {
		return false
	}
	if p.From == "" {
		return e.Cluster == "" && waits(e.Phase)
	}
	return e.Cluster == p.From && !e.Phase.Terminal()
}

func (t *tables) place(r *run, p flow.Placement, f flow.Fence, b flow.Batch) {
	if p.From != "" {
		t.take(r, p.Kind, "", b.At)
	}
	e := &r.e
	if e.Epoch.Era != 0 || e.Epoch.N != 0 {
		e.Resumed = !p.Restart
	}
	if p.Restart {
		r.archived += len(r.nodes) + len(r.tasks)
		r.nodes, r.tasks = map[string]flow.NodeExecution{}, map[attempt]flow.TaskExecution{}
	}
	e.Epoch = flow.Epoch{Era: f.Epoch.Era, N: e.Epoch.N + 1}
	e.Cluster, e.Phase, e.Sequence, e.UpdatedAt = p.Cluster, flow.ExecutionQueued, 0, stamp(b.At)
	e.NotBefore = time.Time{}
	e.Revision++
	e.Version++
	r.placedAt, r.wait = stamp(b.At), nil
	t.want(e)
	r.decisions = append(r.decisions, flow.Decision{Execution: e.ID, Epoch: e.Epoch, Cluster: p.Cluster, Scheduler: f.Epoch,
		Reasons: p.Reasons, At: stamp(b.At), Trail: p.Trail, Score: p.Score, Fallback: p.Fallback})
}

// wait keeps the newest reasons, and writes only new ones.
func (t *tables) wait(w flow.Wait, f flow.Fence, at time.Time) {
	r := t.runs[w.Execution]
	if r == nil || r.wait != nil && slices.EqualFunc(r.wait.Reasons, w.Reasons, sameReason) && r.wait.Trail == w.Trail {
		return
	}
	r.wait = &flow.Decision{Execution: w.Execution, Scheduler: f.Epoch, Reasons: w.Reasons, Trail: w.Trail, At: stamp(at)}
}

func sameReason(a, b flow.Reason) bool {
	return a.Cluster == b.Cluster && a.Filter == b.Filter && a.Message == b.Message && a.Chosen == b.Chosen
}

// ListDecisions is as admin/store's.
func (s *Store) ListDecisions(ctx context.Context, id flow.ExecutionID) (list []flow.Decision, err error) {
	err = s.read(ctx, "ListDecisions", func(t *tables) error {
		r := t.runs[id]
		if r == nil {
			return nil
		}
		list = slices.Clone(r.decisions)
		if r.wait != nil {
			list = append(list, *r.wait)
		}
		return nil
	})
	return list, err
}
