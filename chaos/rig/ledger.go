package rig

import (
	"context"
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/chaos/memstore"
)

// ledger is the scheduler's view of the database: each call takes its time, and
// the thread that makes it gives the word back meanwhile.
type ledger struct {
	db *memstore.Store
	w  *World
	s  site
}

// at carries a call out at the database, and says whether there was one. A read
// holds nobody up; a write holds the committer's turn.
func (l *ledger) at(write bool, call func()) error {
	me := l.w.current
	if me == nil || me.gone {
		return errDied
	}
	reachable := l.w.net.reaches(l.s, database) && l.w.net.reaches(database, l.s)
	if !reachable {
		call = func() {}
	}
	if !me.yield(pause{call: call, write: write}) {
		me.gone = true
		return errDied
	}
	l.w.current = me
	if !reachable {
		return fault.E(fault.Unavailable, "the database cannot be reached")
	}
	return nil
}

func read[T any](l *ledger, call func() (T, error)) (out T, err error) {
	if gone := l.at(false, func() { out, err = call() }); gone != nil {
		var none T
		return none, gone
	}
	return out, err
}

func write[T any](l *ledger, f flow.Fence, call func() (flow.Fence, T, error)) (next flow.Fence, out T, err error) {
	if gone := l.at(true, func() { next, out, err = call() }); gone != nil {
		var none T
		return f, none, gone
	}
	return next, out, err
}

func (l *ledger) Pending(ctx context.Context, after flow.PendingKey, limit int) ([]flow.Pending, error) {
	return read(l, func() ([]flow.Pending, error) { return l.db.Pending(ctx, after, limit) })
}

func (l *ledger) Requirements(ctx context.Context, digests []string) (map[string]flow.Requirement, error) {
	return read(l, func() (map[string]flow.Requirement, error) { return l.db.Requirements(ctx, digests) })
}

func (l *ledger) Loads(ctx context.Context) ([]flow.Load, error) {
	return read(l, func() ([]flow.Load, error) { return l.db.Loads(ctx) })
}

func (l *ledger) Live(ctx context.Context, clusters []string, limit int) ([]flow.Placed, error) {
	return read(l, func() ([]flow.Placed, error) { return l.db.Live(ctx, clusters, limit) })
}

func (l *ledger) ListPolicies(ctx context.Context, scope string) ([]flow.Policy, error) {
	return read(l, func() ([]flow.Policy, error) { return l.db.ListPolicies(ctx, scope) })
}

func (l *ledger) ListClusters(ctx context.Context) ([]flow.Cluster, error) {
	return read(l, func() ([]flow.Cluster, error) { return l.db.ListClusters(ctx) })
}

func (l *ledger) ListMembers(ctx context.Context, cluster string) ([]flow.MemberState, error) {
	return read(l, func() ([]flow.MemberState, error) { return l.db.ListMembers(ctx, cluster) })
}

func (l *ledger) LongestLease(ctx context.Context) (time.Duration, error) {
	return read(l, func() (time.Duration, error) { return l.db.LongestLease(ctx) })
}

func (l *ledger) Trim(ctx context.Context, before time.Time, rounds int) (int64, error) {
	return read(l, func() (int64, error) { return l.db.Trim(ctx, before, rounds) })
}

func (l *ledger) CommitPlan(ctx context.Context, f flow.Fence, b flow.Batch) (flow.Fence, []flow.ExecutionID, error) {
	return write(l, f, func() (flow.Fence, []flow.ExecutionID, error) { return l.db.CommitPlan(ctx, f, b) })
}

func (l *ledger) RecordLeases(ctx context.Context, f flow.Fence, r []flow.LeaseRequest, d time.Duration, at time.Time) (flow.Fence, []flow.Lease, error) {
	return write(l, f, func() (flow.Fence, []flow.Lease, error) {
		next, leases, err := l.db.RecordLeases(ctx, f, r, d, at)
		for _, x := range leases {
			l.w.clusterOf(x.Member).leasedAt = l.w.sim.now
		}
		return next, leases, err
	})
}

func (l *ledger) Reap(ctx context.Context, f flow.Fence, t flow.Takeover, ids []flow.ExecutionID, at time.Time) (flow.Fence, []flow.ExecutionID, error) {
	return write(l, f, func() (flow.Fence, []flow.ExecutionID, error) { return l.db.Reap(ctx, f, t, ids, at) })
}

func (l *ledger) Revoke(ctx context.Context, f flow.Fence, list []flow.Revocation, at time.Time) (flow.Fence, []flow.ExecutionID, error) {
	return write(l, f, func() (flow.Fence, []flow.ExecutionID, error) { return l.db.Revoke(ctx, f, list, at) })
}

func (l *ledger) SetHealth(ctx context.Context, f flow.Fence, list []flow.HealthChange) (flow.Fence, error) {
	next, _, err := write(l, f, func() (flow.Fence, struct{}, error) {
		next, err := l.db.SetHealth(ctx, f, list)
		return next, struct{}{}, err
	})
	return next, err
}

func (l *ledger) EndDrain(ctx context.Context, f flow.Fence, cluster string, expired bool, at time.Time) (flow.Fence, error) {
	next, _, err := write(l, f, func() (flow.Fence, struct{}, error) {
		next, err := l.db.EndDrain(ctx, f, cluster, expired, at)
		return next, struct{}{}, err
	})
	return next, err
}

func (l *ledger) Rebuild(ctx context.Context) (flow.Rebuild, error) {
	return read(l, func() (flow.Rebuild, error) { return l.db.Rebuild(ctx) })
}

func (l *ledger) EndRebuild(ctx context.Context, f flow.Fence, at time.Time) (flow.Fence, flow.Rebuilt, error) {
	return write(l, f, func() (flow.Fence, flow.Rebuilt, error) {
		defer l.w.ended()
		return l.db.EndRebuild(ctx, f, at)
	})
}
