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
	*memstore.Store
	w *World
	s site
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

func (l *ledger) Pending(ctx context.Context, limit int) (out []flow.Pending, err error) {
	if gone := l.at(false, func() { out, err = l.Store.Pending(ctx, limit) }); gone != nil {
		return nil, gone
	}
	return out, err
}

func (l *ledger) Requirements(ctx context.Context, digests []string) (out map[string]flow.Requirement, err error) {
	if gone := l.at(false, func() { out, err = l.Store.Requirements(ctx, digests) }); gone != nil {
		return nil, gone
	}
	return out, err
}

func (l *ledger) Reserved(ctx context.Context) (out []flow.Reserved, err error) {
	var loads []flow.Load
	if gone := l.at(false, func() { loads, err = l.Store.Loads(ctx) }); gone != nil {
		return nil, gone
	}
	for _, x := range loads {
		out = append(out, flow.Reserved{Cluster: x.Cluster, Reservation: x.Reservation})
	}
	return out, err
}

func (l *ledger) ListClusters(ctx context.Context) (out []flow.Cluster, err error) {
	if gone := l.at(false, func() { out, err = l.Store.ListClusters(ctx) }); gone != nil {
		return nil, gone
	}
	return out, err
}

func (l *ledger) ListMembers(ctx context.Context, cluster string) (out []flow.MemberState, err error) {
	if gone := l.at(false, func() { out, err = l.Store.ListMembers(ctx, cluster) }); gone != nil {
		return nil, gone
	}
	return out, err
}

func (l *ledger) CommitPlan(ctx context.Context, f flow.Fence, b flow.Batch) (next flow.Fence, ids []flow.ExecutionID, err error) {
	if gone := l.at(true, func() { next, ids, err = l.Store.CommitPlan(ctx, f, b) }); gone != nil {
		return f, nil, gone
	}
	return next, ids, err
}

func (l *ledger) RecordLeases(ctx context.Context, f flow.Fence, r []flow.LeaseRequest, d time.Duration, at time.Time) (next flow.Fence, leases []flow.Lease, err error) {
	if gone := l.at(true, func() { next, leases, err = l.Store.RecordLeases(ctx, f, r, d, at) }); gone != nil {
		return f, nil, gone
	}
	return next, leases, err
}

func (l *ledger) SetHealth(ctx context.Context, f flow.Fence, list []flow.HealthChange) (next flow.Fence, err error) {
	if gone := l.at(true, func() { next, err = l.Store.SetHealth(ctx, f, list) }); gone != nil {
		return f, gone
	}
	return next, err
}
