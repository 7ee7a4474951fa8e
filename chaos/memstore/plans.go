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
		return s.selected(ctx, op, f, next, fn)
	}
	err := s.write(ctx, op, func(t *tables) error {
		switch {
		case t.fence != f:
			return fault.E(fault.Stale, "fence %s is over", f)
		case !t.rebuild.Since.IsZero():
			return rebuilding()
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

// selected is a mistake: the fence is read and not written. What the transaction
// reads is as it was when it began, whenever it lands.
func (s *Store) selected(ctx context.Context, op string, f, next flow.Fence, fn func(*tables) error) (flow.Fence, error) {
	s.mu.Lock()
	began := s.t.clone()
	s.mu.Unlock()
	if began.fence.Epoch != f.Epoch {
		return f, fault.E(fault.Stale, "fence %s is over", f)
	}
	return next, s.write(ctx, op, func(t *tables) error {
		t.began = began
		defer func() { t.began = nil }()
		return fn(t)
	})
}

// CommitPlan is as admin/store's.
func (s *Store) CommitPlan(ctx context.Context, f flow.Fence, b flow.Batch) (flow.Fence, []flow.ExecutionID, error) {
	var placed []flow.ExecutionID
	next, err := s.fenced(ctx, "CommitPlan", f, 0, func(t *tables) error {
		var done []flow.ExecutionID
		may := map[string]bool{}
		for _, take := range b.Takeovers {
			may[take.Cluster] = t.unchanged(take)
		}
		for _, p := range b.Placements {
			r, c := t.runs[p.Execution], t.clusters[p.Cluster]
			if r != nil && c != nil && !c.Lost && r.fits(p) && (p.From == "" || (may[p.From] && p.Kind.Forced())) {
				t.place(r, p, f, b)
				done = append(done, p.Execution)
			}
		}
		for _, w := range b.Waits {
			t.wait(w, f, b)
		}
		t.keep(b)
		placed = done
		return nil
	})
	if err != nil {
		return next, nil, err
	}
	return next, placed, nil
}

// keep stores a batch's trails and its round, each once.
func (t *tables) keep(b flow.Batch) {
	for _, trail := range b.Trails {
		if _, known := t.trails[trail.Digest]; !known {
			t.trails[trail.Digest] = trail
		}
		if now := stamp(b.At); t.stored[trail.Digest].Before(now) {
			t.stored[trail.Digest] = now
		}
	}
	if b.Round != nil && !slices.ContainsFunc(t.rounds, func(r flow.Round) bool { return r.ID == b.Round.ID }) {
		t.rounds = append(t.rounds, *b.Round)
	}
}

// fits reports whether an execution is as the scheduler saw it.
func (r *run) fits(p flow.Placement) bool {
	e := &r.e
	if e.Desired != flow.DesiredRun || e.Epoch != p.Prior {
		return false
	}
	return e.Cluster == p.From && !e.Phase.Terminal() && e.Phase != flow.ExecutionAborting
}

func (t *tables) place(r *run, p flow.Placement, f flow.Fence, b flow.Batch) {
	e := t.touch(r)
	revision, version := e.Revision+1, e.Version+1
	if p.From != "" {
		t.leave(r, p.Kind, why(p.Kind, p.From), b.At)
		e.Moves++
	}
	again := p.Prior.N > 0
	if again && p.Restart {
		r.archive()
	}
	e.Resumed = again && !p.Restart
	e.Epoch = flow.Epoch{Era: f.Epoch.Era, N: p.Prior.N + 1}
	e.Cluster, e.Phase, e.Sequence, e.UpdatedAt = p.Cluster, flow.ExecutionQueued, 0, stamp(b.At)
	e.NotBefore, e.Revoking = time.Time{}, ""
	e.Revision, e.Version = revision, version
	r.placedAt = stamp(b.At)
	t.want(e)
	r.decisions = append(r.decisions, flow.Decision{Execution: e.ID, Epoch: e.Epoch, Cluster: p.Cluster, Scheduler: f.Epoch,
		Reasons: p.Reasons, At: stamp(b.At), Trail: p.Trail, Score: p.Score, Fallback: p.Fallback, Round: roundOf(b)})
}

func roundOf(b flow.Batch) string {
	if b.RoundID == "" && b.Round != nil {
		return b.Round.ID
	}
	return b.RoundID
}

// archive puts away what earlier epochs recorded.
func (r *run) archive() {
	var nodes []flow.NodeExecution
	var tasks []flow.TaskExecution
	for _, name := range sortedKeys(r.nodes) {
		nodes = append(nodes, r.nodes[name])
	}
	for _, key := range sortedAttempts(r.tasks) {
		tasks = append(tasks, r.tasks[key])
	}
	r.oldNodes, r.oldTasks = append(nodes, r.oldNodes...), append(tasks, r.oldTasks...)
	r.nodes, r.tasks = map[string]flow.NodeExecution{}, map[attempt]flow.TaskExecution{}
}

// wait keeps the newest reasons, and writes only new ones: since the newest
// placement.
func (t *tables) wait(w flow.Wait, f flow.Fence, b flow.Batch) {
	r := t.runs[w.Execution]
	if r != nil && r.wait != nil && !r.placedAt.Before(r.wait.At) {
		r.wait = nil
	}
	if r == nil || r.wait != nil && slices.EqualFunc(r.wait.Reasons, w.Reasons, sameReason) && r.wait.Trail == w.Trail {
		return
	}
	r.wait = &flow.Decision{Execution: w.Execution, Scheduler: f.Epoch, Reasons: w.Reasons, Trail: w.Trail, At: stamp(b.At), Round: roundOf(b)}
}

func sameReason(a, b flow.Reason) bool {
	return a.Cluster == b.Cluster && a.Filter == b.Filter && a.Message == b.Message && a.Chosen == b.Chosen
}
