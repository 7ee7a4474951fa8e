package storetest

import "github.com/skein-project/skein/api/flow"

// sharedCases are of clusters with several members: what one of them does not
// find another one may be about to make.
var sharedCases = []testCase{
	{"what one of several members does not find is asked for, and released by the ack", sharedCase},
	{"what one of several members does not find and may not move fails by the ack", func(w *world) {
		sender := w.second()
		e := w.example("a")
		e.Failover = flow.Failover{Mode: flow.FailoverNever}
		w.ok(w.CreateExecution(w.ctx, e))
		e = w.place(e.ID, "east")
		w.ack(sender, e, e.Revision)
		w.judge(sender)
		e = w.get(e.ID)
		w.equal([]any{e.Phase.Terminal(), e.Revoking}, []any{false, flow.MoveReleased})
		w.ack(sender, e, e.Revision)
		w.equal([]any{w.get(e.ID).Phase, w.get(e.ID).Cluster}, []any{flow.ExecutionFailed, ""})
	}},
	{"an abort that one of several members does not find is told again", func(w *world) {
		sender := w.second()
		e := w.run("a", sender)
		_, err := w.AbortExecution(w.ctx, e.ID, "why", "who", began)
		w.ok(err)
		e = w.get(e.ID)
		w.ack(sender, e, e.Revision)
		w.equal(len(w.due(sender)), 0)
		for range 2 {
			w.equal(w.judge(sender).OwnershipRevision, uint64(1))
			w.equal([]any{w.get(e.ID).Phase, w.get(e.ID).Cluster}, []any{flow.ExecutionAborting, "east"})
			due := w.due(sender)
			w.equal([]any{len(due), due[0].Desired, due[0].Revision}, []any{1, flow.DesiredAbort, e.Revision})
		}
	}},
	{"what is being revoked and one of several members does not find is asked for once", func(w *world) {
		sender := w.second()
		e := w.run("a", sender)
		w.revoke(e)
		e = w.get(e.ID)
		w.judge(sender)
		w.equal(w.get(e.ID), e)
		w.ack(sender, e, e.Revision)
		w.equal([]any{w.get(e.ID).Phase, w.get(e.ID).Moves, w.moves(e.ID)[0].Kind}, []any{flow.ExecutionQueued, 0, flow.MoveDrain})
	}},
}

// second registers a cluster with two members, and gives the first one's session.
func (w *world) second() flow.Sender {
	w.Helper()
	sender := w.member("east")
	_, err := w.OpenSession(w.ctx, flow.Member{Cluster: "east", Instance: "j"}, "hub", flow.ClusterReport{})
	w.ok(err)
	return sender
}

func sharedCase(w *world) {
	sender := w.second()
	w.member("west")
	e := w.run("a", sender)
	w.equal(w.judge(sender).OwnershipRevision, uint64(1))
	asked := w.get(e.ID)
	w.equal([]any{asked.Cluster, asked.Epoch, asked.Revoking, asked.Revision}, []any{"east", e.Epoch, flow.MoveReleased, e.Revision + 1})
	w.judge(sender)
	w.equal(w.get(e.ID), asked) // it is asked for once
	due := w.due(sender)
	w.equal([]any{len(due), due[0].Desired, due[0].Revision}, []any{1, flow.DesiredGone, asked.Revision})
	w.ack(sender, e, e.Revision) // of the run that was under way: not what was asked
	w.equal(w.get(e.ID).Cluster, "east")
	w.ack(sender, e, asked.Revision)
	got := w.get(e.ID)
	w.equal([]any{got.Phase, got.Cluster, got.Epoch, got.Moves, got.Revoking}, []any{flow.ExecutionQueued, "", e.Epoch, 1, flow.MoveKind("")})
	w.equal(w.moves(e.ID)[0].Kind, flow.MoveReleased)
	w.equal(w.judge(sender).OwnershipRevision, uint64(1)) // its cluster has agreed
	w.equal(w.place(e.ID, "west").Epoch, e.Epoch.Next())
}
