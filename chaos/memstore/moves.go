package memstore

import (
	"context"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/api/mutant"
)

// leave writes down that an execution left its cluster: what ran there is closed
// as lost, charged to nobody, and its outbox row is gone.
func (t *tables) leave(r *run, kind flow.MoveKind, reason string, at time.Time) {
	if kind.Forced() {
		t.force(r.e.Cluster)
	}
	t.depart(r, kind, reason, at)
}

// depart clears an execution away from where it was.
func (t *tables) depart(r *run, kind flow.MoveKind, reason string, at time.Time) {
	at = stamp(at)
	e := t.touch(r)
	for _, name := range sortedKeys(r.nodes) {
		if n := r.nodes[name]; !n.Phase.Terminal() {
			n.Phase, n.Reason, n.UpdatedAt, n.EndedAt = flow.NodeAborted, flow.ReasonClusterLost, at, at
			r.nodes[name] = n
		}
	}
	for _, key := range sortedAttempts(r.tasks) {
		if k := r.tasks[key]; !k.Phase.Terminal() && k.Phase != flow.TaskRetryableFailed {
			k.Phase, k.Reason, k.UpdatedAt, k.EndedAt = flow.TaskAborted, flow.ReasonClusterLost, at, at
			r.tasks[key] = k
		}
	}
	delete(t.outbox[e.Cluster], e.ID)
	r.moves = append(r.moves, flow.Move{Execution: e.ID, From: e.Cluster, Epoch: e.Epoch, Kind: kind, Reason: reason, At: at})
	e.UpdatedAt, e.Sequence, e.Revoking, e.Cluster = at, 0, "", ""
	r.revokedAt, r.because = time.Time{}, ""
	e.Revision++
	e.Version++
}

// queue lets an execution wait for a cluster again.
func (t *tables) queue(r *run, at, notBefore time.Time) {
	e := t.touch(r)
	e.Phase, e.NotBefore = flow.ExecutionQueued, stamp(notBefore)
	e.UpdatedAt = stamp(at)
}

// end ends an execution that no cluster holds any more.
func (t *tables) end(r *run, phase flow.ExecutionPhase, at time.Time) {
	e := t.touch(r)
	e.Phase, e.EndedAt = phase, stamp(at)
}

// stuck ends an execution that has lost its cluster and may not move.
func (t *tables) stuck(r *run, lost string, at time.Time) {
	t.end(r, flow.ExecutionFailed, at)
	policy := "its failover policy is \"never\""
	if r.e.Failover.Mode != flow.FailoverNever {
		policy = fmt.Sprintf("it was moved %d times, which is its limit", r.e.Moves)
	}
	failure := &core.ExecutionError{Code: flow.ReasonClusterLost, Kind: core.ExecutionError_SYSTEM, Message: lost + ", and " + policy}
	r.e.Error, _ = proto.Marshal(failure) // what was made here
	r.e.ErrorKind, r.e.ErrorCode = failure.GetKind().String(), failure.GetCode()
}

// release takes what its cluster had acked and holds no more, or has given up as
// it was asked to.
func (t *tables) release(r *run, asked bool, at time.Time) {
	e := r.e
	kind, why := flow.MoveReleased, fmt.Sprintf("cluster %s had taken it over and holds it no more", e.Cluster)
	revoking := e.Revoking != "" && e.Revoking != flow.MoveReleased
	if e.Desired != flow.DesiredAbort && revoking {
		kind, why = e.Revoking, r.because
	}
	t.depart(r, kind, why, at)
	if kind.Forced() && !asked {
		t.force(e.Cluster)
	}
	switch {
	case e.Desired == flow.DesiredAbort:
		t.end(r, flow.ExecutionAborted, at)
	case revoking:
		t.queue(r, at, time.Time{})
	case !e.Failover.Moves(e.Moves):
		t.stuck(r, why, at)
	default:
		r.e.Moves++
		notBefore := time.Time{}
		if pause := backOff(r.e.Moves); pause > 0 {
			notBefore = at.Add(pause)
		}
		t.queue(r, at, notBefore)
	}
}

// backOff is the pause before a further placement of what its clusters keep
// losing.
func backOff(moves int) time.Duration {
	if moves <= 1 {
		return 0
	}
	return min(time.Second<<min(moves-1, 10), time.Minute)
}

// unchanged reports whether the lease rows of a cluster's members are as a
// snapshot saw them.
func (t *tables) unchanged(take flow.Takeover) bool {
	if mutant.On("re-place-without-reading-the-lease-row") {
		return true
	}
	if c := t.clusters[take.Cluster]; take.Lost && (c == nil || !c.Lost) {
		return false // it was declared found meanwhile: leases from before the loss may live
	}
	if t.began != nil {
		t = t.began
	}
	marks := map[flow.Member]flow.LeaseMark{}
	for _, m := range take.Marks {
		marks[m.Member] = m
	}
	for _, m := range t.membersOf(take.Cluster) {
		seen := marks[m.Member]
		if m.LeaseGeneration != seen.Generation || !m.LeaseRecordedAt.Equal(stamp(seen.RecordedAt)) {
			return false
		}
	}
	return true
}

// Reap is as admin/store's.
func (s *Store) Reap(ctx context.Context, f flow.Fence, take flow.Takeover, ids []flow.ExecutionID, at time.Time) (flow.Fence, []flow.ExecutionID, error) {
	var out []flow.ExecutionID
	next, err := s.fenced(ctx, "Reap", f, 0, func(t *tables) error {
		out = nil
		if !t.unchanged(take) {
			return nil
		}
		for _, id := range ids {
			r := t.runs[id]
			if r == nil || r.e.Cluster != take.Cluster || r.e.Desired != flow.DesiredAbort || r.e.Phase.Terminal() {
				continue
			}
			kind := flow.MoveLapse
			if c := t.clusters[take.Cluster]; c != nil && c.Lost {
				kind = flow.MoveLost
			}
			if mutant.On("ownership-revision-not-raised-by-aborted-at-lease-end") {
				kind = flow.MoveDrain // which asks the owner, and raises nothing
			}
			t.leave(r, kind, why(kind, take.Cluster), at)
			t.end(r, flow.ExecutionAborted, at)
			out = append(out, id)
		}
		return nil
	})
	return next, out, err
}

// Revoke is as admin/store's.
func (s *Store) Revoke(ctx context.Context, f flow.Fence, list []flow.Revocation, at time.Time) (flow.Fence, []flow.ExecutionID, error) {
	var out []flow.ExecutionID
	next, err := s.fenced(ctx, "Revoke", f, 0, func(t *tables) error {
		out = nil
		for _, v := range list {
			r := t.runs[v.Execution]
			if v.Kind == "" || v.Kind.Forced() || r == nil || r.e.Phase == flow.ExecutionAborting || r.e.Cluster == "" || r.e.Epoch != v.Epoch || r.e.Desired != flow.DesiredRun ||
				r.e.Revoking != "" || r.e.Phase.Terminal() {
				continue
			}
			t.revoke(r, v.Kind, v.Reason, at)
			out = append(out, v.Execution)
		}
		return nil
	})
	return next, out, err
}

// revoke asks the cluster of an execution to give it up.
func (t *tables) revoke(r *run, kind flow.MoveKind, reason string, at time.Time) {
	e := t.touch(r)
	e.Revoking, e.UpdatedAt = kind, stamp(at)
	e.Revision++
	e.Version++
	r.revokedAt, r.because = stamp(at), reason
	t.want(e)
}

// ask has a cluster of several members give up what one of them does not find, and
// tells an abort of it again.
func (t *tables) ask(r *run, at time.Time) {
	switch {
	case r.e.Desired == flow.DesiredAbort:
		row := t.outbox[r.e.Cluster][r.e.ID]
		row.acked, row.by, row.in = 0, "", 0
	case r.e.Revoking == "":
		t.revoke(r, flow.MoveReleased, fmt.Sprintf("cluster %s had taken it over and holds it no more", r.e.Cluster), at)
	}
}

// ListMoves is as admin/store's.
func (s *Store) ListMoves(ctx context.Context, id flow.ExecutionID) (list []flow.Move, err error) {
	err = s.read(ctx, "ListMoves", func(t *tables) error {
		r, err := t.run(id)
		if err == nil {
			list = slices.Clone(r.moves)
			slices.Reverse(list)
		}
		return nil
	})
	return list, err
}
