package storetest

import (
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

// revoke asks a cluster to give an execution up.
func (w *world) revoke(e flow.Execution) []flow.ExecutionID {
	w.Helper()
	next, done, err := w.Revoke(w.ctx, w.fence, []flow.Revocation{{Execution: e.ID, Epoch: e.Epoch, Kind: flow.MoveDrain, Reason: "upgrade"}},
		began.Add(time.Hour))
	w.fence = must(w, next, err)
	return done
}

func (w *world) ack(sender flow.Sender, e flow.Execution, revision uint64) {
	w.Helper()
	w.ok(w.Ack(w.ctx, sender, []flow.Ack{{Execution: e.ID, Epoch: e.Epoch, Revision: revision}}))
}

var revokeCases = []testCase{
	{"a planned move is revoked, acked, released and placed again", revokeCase},
	{"an event never acks a revocation", func(w *world) {
		sender := w.member("east")
		e := w.run("a", sender)
		w.revoke(e)
		e = w.get(e.ID)
		w.record(sender, happened(e, flow.EventNode, "n0", int32(flow.NodeAborted), 1)) // of a worker that drains, at the revision of the revoke
		w.equal([]any{w.get(e.ID).Cluster, len(w.due(sender))}, []any{"east", 1})
		w.ack(sender, e, e.Revision-1)
		w.equal([]any{w.get(e.ID).Cluster, len(w.due(sender))}, []any{"east", 1})
	}},
	{"an abort wins over a revocation, and is not acked by it", func(w *world) {
		sender := w.member("east")
		e := w.run("a", sender)
		w.revoke(e)
		revoking := w.get(e.ID)
		_, err := w.AbortExecution(w.ctx, e.ID, "why", "who", began)
		w.ok(err)
		w.ack(sender, e, revoking.Revision)
		got := w.get(e.ID)
		w.equal([]any{got.Phase, got.Cluster, got.Revoking}, []any{flow.ExecutionAborting, "east", flow.MoveKind("")})
		due := w.due(sender)
		w.equal([]any{len(due), due[0].Desired, due[0].Revision}, []any{1, flow.DesiredAbort, revoking.Revision + 1})
		w.ack(sender, e, got.Revision)
		w.equal([]any{w.get(e.ID).Phase, w.get(e.ID).Cluster}, []any{flow.ExecutionAborting, "east"})
		w.equal(len(w.revoke(got)), 0)
	}},
	{"what ends while it is revoked has ended, and is gone", func(w *world) {
		sender := w.member("east")
		e := w.run("a", sender)
		w.revoke(e)
		e = w.get(e.ID)
		w.record(sender, happened(e, flow.EventWorkflow, "", int32(flow.ExecutionSucceeded), 1))
		due := w.due(sender)
		w.equal([]any{len(due), due[0].Desired}, []any{1, flow.DesiredGone})
		w.ack(sender, e, e.Revision)
		w.equal([]any{w.get(e.ID).Phase, len(w.due(sender)), len(w.moves(e.ID))}, []any{flow.ExecutionSucceeded, 0, 0})
	}},
	{"only what runs at the epoch that was read is revoked, once, by a planned move", func(w *world) {
		sender := w.member("east")
		e := w.run("a", sender)
		older := e
		older.Epoch.N--
		pending := w.get(w.create("pending"))
		for _, r := range []flow.Revocation{
			{Execution: older.ID, Epoch: older.Epoch, Kind: flow.MoveDrain}, {Execution: pending.ID, Kind: flow.MoveDrain},
			{Execution: e.ID, Epoch: e.Epoch, Kind: flow.MoveLapse}, {Execution: e.ID, Epoch: e.Epoch}, {Execution: w.id("x"), Kind: flow.MoveDrain},
		} {
			next, done, err := w.Revoke(w.ctx, w.fence, []flow.Revocation{r}, began)
			w.fence = must(w, next, err)
			w.equal(len(done), 0)
		}
		w.equal(w.get(e.ID), e)
		w.equal(len(w.revoke(e)), 1)
		once := w.get(e.ID)
		w.equal(len(w.revoke(e)), 0)
		w.equal(w.get(e.ID), once)
		old := w.fence
		w.lead()
		_, _, err := w.Revoke(w.ctx, old, nil, began)
		w.fails(err, fault.Stale)
	}},
	{"what is revoked on a cluster that lapses is taken by force", func(w *world) {
		sender := w.member("east")
		e := w.run("a", sender)
		w.revoke(e)
		revoking := w.get(e.ID)
		got := w.take(revoking, "west")
		w.equal([]any{got.Cluster, got.Revoking, got.Moves}, []any{"west", flow.MoveKind(""), 1})
		w.equal([]any{w.moves(e.ID)[0].Kind, w.ownership("east")}, []any{flow.MoveLapse, uint64(2)})
		w.ack(sender, revoking, revoking.Revision)
		w.equal(w.get(e.ID), got)
	}},
	{"what was revoked, and is gone from the inventory, has left as planned", func(w *world) {
		sender := w.member("east")
		e := w.run("a", sender)
		w.revoke(e)
		w.equal(w.judge(sender).OwnershipRevision, uint64(1))
		got := w.get(e.ID)
		w.equal([]any{got.Phase, got.Cluster, got.Moves, got.Revoking}, []any{flow.ExecutionQueued, "", 0, flow.MoveKind("")})
		w.equal(w.moves(e.ID)[0].Kind, flow.MoveDrain)
	}},
	{"what was revoked, and is in the inventory, is kept until it is told to go", func(w *world) {
		sender := w.member("east")
		e := w.run("a", sender)
		w.revoke(e)
		w.equal(w.judge(sender, flow.Held{Execution: e.ID, Epoch: e.Epoch}).List[0].Order, flow.OrderKeep)
		w.equal(w.due(sender)[0].Desired, flow.DesiredGone)
	}},
}

func revokeCase(w *world) {
	sender := w.member("east")
	e := w.run("a", sender)
	w.half(e, sender)
	w.equal(w.revoke(w.get(e.ID)), []flow.ExecutionID{e.ID})
	revoking := w.get(e.ID)
	w.equal([]any{revoking.Revoking, revoking.Revision, revoking.Cluster, revoking.Phase},
		[]any{flow.MoveDrain, e.Revision + 1, "east", flow.ExecutionRunning})
	live, err := w.Live(w.ctx, []string{"east"}, 10)
	w.equal([]any{must(w, live, err)[0].Revoking, live[0].RevokedAt}, []any{flow.MoveDrain, began.Add(time.Hour)})
	due := w.due(sender)
	w.equal(due, []flow.Assignment{{Execution: e.ID, Cluster: "east", Epoch: e.Epoch, Incarnation: 1, Revision: revoking.Revision,
		OwnershipRevision: 1, Desired: flow.DesiredGone}})
	pending, err := w.Pending(w.ctx, flow.PendingKey{}, 10)
	w.equal(len(must(w, pending, err)), 0)

	w.ack(sender, e, revoking.Revision)
	pending, err = w.Pending(w.ctx, flow.PendingKey{}, 10)
	w.equal([]any{len(must(w, pending, err)), pending[0].Last, pending[0].Epoch}, []any{1, "east", e.Epoch})
	got := w.get(e.ID)
	w.equal([]any{got.Phase, got.Cluster, got.Epoch, got.Moves, got.Revoking}, []any{flow.ExecutionQueued, "", e.Epoch, 0, flow.MoveKind("")})
	w.equal(w.ownership("east"), uint64(1)) // its owner has agreed
	w.closedAsLost(e.ID)
	moves := w.moves(e.ID)
	w.equal(moves, []flow.Move{{Execution: e.ID, From: "east", Epoch: e.Epoch, Kind: flow.MoveDrain, Reason: "upgrade", At: moves[0].At}})
	w.equal(len(w.due(sender)), 0)
	w.ack(sender, e, revoking.Revision)
	w.equal(w.get(e.ID), got)
	w.equal(w.record(sender, happened(e, flow.EventWorkflow, "", int32(flow.ExecutionSucceeded), 9))[0].Accepted, false)
	again := w.place(e.ID, "east")
	w.equal([]any{again.Epoch, again.Resumed, w.due(sender)[0].Desired}, []any{e.Epoch.Next(), true, flow.DesiredRun})
}
