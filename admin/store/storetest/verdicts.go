package storetest

import (
	"github.com/skein-project/skein/api/flow"
)

var verdictCases = []testCase{
	{"an inventory is answered by what the database holds", verdictCase},
	{"what was acked and is gone is released and placed again", releaseCase},
	{"what was acked, is gone and was to be aborted has ended", func(w *world) {
		sender := w.member("east")
		e := w.run("a", sender)
		_, err := w.AbortExecution(w.ctx, e.ID, "why", "who", began)
		w.ok(err)
		w.judge(sender)
		got := w.get(e.ID)
		w.equal([]any{got.Phase, got.Cluster, got.EndedAt.IsZero()}, []any{flow.ExecutionAborted, "", false})
		pending, err := w.Pending(w.ctx, flow.PendingKey{}, 10)
		w.equal(len(must(w, pending, err)), 0)
	}},
	{"what another member has acked since the session opened is not missing from its inventory", func(w *world) {
		sender := w.member("east")
		open := func() flow.Sender {
			session, err := w.OpenSession(w.ctx, flow.Member{Cluster: "east", Instance: "j"}, "hub", flow.ClusterReport{})
			return must(w, session, err).Sender
		}
		other := open()
		e := w.run("a", sender) // made and acked after the other one's inventory was taken
		w.equal(w.judge(other).OwnershipRevision, uint64(1))
		w.equal(w.get(e.ID), e)
		w.record(sender, happened(e, flow.EventNode, "n0", int32(flow.NodeRunning), 1))
		w.equal(w.judge(other).OwnershipRevision, uint64(1))
		w.equal(w.get(e.ID).Revoking, flow.MoveKind(""))
		w.judge(open()) // this inventory was taken later
		w.equal(w.get(e.ID).Revoking, flow.MoveReleased)
	}},
	{"what has ended below what it had reported is another object, and that one is gone", func(w *world) {
		sender := w.member("east")
		again := func(name string) (e flow.Execution, ended flow.Held) {
			e = w.run(name, sender)
			w.record(sender, happened(e, flow.EventNode, "n0", int32(flow.NodeRunning), 5))
			return e, flow.Held{Execution: e.ID, Epoch: e.Epoch, Revision: 2, Sequence: 4, Terminal: true, Desired: flow.DesiredRun}
		}
		aborting, aborted := again("a")
		aborted.Desired = flow.DesiredAbort
		_, err := w.AbortExecution(w.ctx, aborting.ID, "why", "who", began)
		w.ok(err)
		running, ran := again("b")
		known, knew := again("c") // its end came through before
		w.record(sender, happened(known, flow.EventWorkflow, "", int32(flow.ExecutionSucceeded), 6))
		same, whole := again("d")
		whole.Sequence = 5
		v := w.judge(sender, aborted, ran, knew, whole)
		var orders []flow.Order
		for _, one := range v.List {
			orders = append(orders, one.Order)
		}
		w.equal(orders, []flow.Order{flow.OrderStop, flow.OrderStop, flow.OrderStop, flow.OrderReport})
		w.equal([]any{w.get(aborting.ID).Phase, w.get(aborting.ID).Cluster}, []any{flow.ExecutionAborted, ""})
		w.equal([]any{w.get(running.ID).Phase, w.get(running.ID).Cluster, w.get(running.ID).Moves}, []any{flow.ExecutionQueued, "", 1})
		w.equal([]any{w.get(known.ID).Phase, w.get(known.ID).Cluster}, []any{flow.ExecutionSucceeded, "east"})
		w.equal(w.get(same.ID).Cluster, "east")
	}},
	{"what was never acked stays assigned", func(w *world) {
		sender := w.member("east")
		e := w.place(w.create("a"), "east")
		w.equal(w.judge(sender), flow.Verdicts{OwnershipRevision: 1})
		w.equal(w.get(e.ID), e)
		w.equal(len(w.due(sender)), 1)
	}},
	{"what has ended is not released", func(w *world) {
		sender := w.member("east")
		e := w.run("a", sender)
		w.record(sender, happened(e, flow.EventWorkflow, "", int32(flow.ExecutionSucceeded), 1))
		w.equal(w.judge(sender).OwnershipRevision, uint64(1))
		w.equal(w.get(e.ID).Cluster, "east")
	}},
}

func (w *world) judge(sender flow.Sender, inventory ...flow.Held) flow.Verdicts {
	w.Helper()
	verdicts, err := w.Verdicts(w.ctx, sender, inventory)
	return must(w, verdicts, err)
}

func verdictCase(w *world) {
	sender := w.member("east")
	w.member("west")
	var inventory []flow.Held
	var want []flow.Verdict
	hold := func(e flow.Execution, terminal bool, order flow.Order, acked uint64) {
		inventory = append(inventory, flow.Held{Execution: e.ID, Epoch: e.Epoch, Revision: 1, Terminal: terminal})
		want = append(want, flow.Verdict{Execution: e.ID, Epoch: e.Epoch, Order: order, Acked: acked})
	}
	running := w.run("running", sender)
	w.record(sender, happened(running, flow.EventWorkflow, "", int32(flow.ExecutionRunning), 5))
	hold(running, false, flow.OrderKeep, 5)
	hold(w.run("ended here only", sender), true, flow.OrderReport, 0)
	for name, terminal := range map[string]bool{"ended": true, "ended there only": false} {
		e := w.run(name, sender)
		w.record(sender, happened(e, flow.EventWorkflow, "", int32(flow.ExecutionFailed), 3))
		order := flow.OrderStop
		if terminal {
			order = flow.OrderKeep
		}
		hold(e, terminal, order, 3)
	}
	hold(w.place(w.create("elsewhere"), "west"), false, flow.OrderStop, 0)
	hold(w.example("unknown"), false, flow.OrderStop, 0)
	old := w.run("old", sender)
	hold(old, false, flow.OrderKeep, 0)
	old.Epoch.N = 0
	hold(old, false, flow.OrderStop, 0)
	w.equal(w.judge(sender, inventory...), flow.Verdicts{OwnershipRevision: 1, List: want})
}

func releaseCase(w *world) {
	sender := w.member("east")
	kept, lost := w.run("kept", sender), w.run("lost", sender)
	w.record(sender, happened(lost, flow.EventWorkflow, "", int32(flow.ExecutionRunning), 1),
		happened(lost, flow.EventNode, "n0", int32(flow.NodeSucceeded), 2),
		happened(lost, flow.EventNode, "n1", int32(flow.NodeRunning), 3),
		happened(lost, flow.EventTask, "n1", int32(flow.TaskRunning), 3))
	inventory := flow.Held{Execution: kept.ID, Epoch: kept.Epoch, Revision: 1}
	verdicts := w.judge(sender, inventory)
	w.equal(verdicts.OwnershipRevision, uint64(2))
	w.equal(len(verdicts.List), 1)
	got := w.get(lost.ID)
	w.equal([]any{got.Phase, got.Cluster, got.Epoch, got.Desired}, []any{flow.ExecutionQueued, "", lost.Epoch, flow.DesiredRun})
	w.equal(w.get(kept.ID), kept)
	w.closedAsLost(lost.ID)
	w.equal(w.judge(sender, inventory).OwnershipRevision, uint64(2)) // nothing is lost twice

	results := w.record(sender, happened(lost, flow.EventWorkflow, "", int32(flow.ExecutionSucceeded), 9))
	w.equal(results[0].Accepted, false)
	again := w.place(lost.ID, "east")
	w.equal(again.Epoch, lost.Epoch.Next())
	due := w.due(sender)
	w.equal(len(due), 1)
	w.equal([]any{due[0].Epoch, due[0].OwnershipRevision}, []any{again.Epoch, uint64(2)})
	w.equal(w.judge(sender, inventory).OwnershipRevision, uint64(2)) // the new epoch was not acked
	w.equal(w.record(sender, happened(lost, flow.EventWorkflow, "", int32(flow.ExecutionSucceeded), 9))[0].Accepted, false)
	w.equal(w.record(sender, happened(again, flow.EventNode, "n1", int32(flow.NodeRunning), 4))[0].Accepted, true)
	node, err := w.GetNode(w.ctx, flow.NodeID{Execution: lost.ID, Node: "n1"})
	w.equal([]any{must(w, node, err).Phase, node.Reason, node.Epoch}, []any{flow.NodeRunning, "", again.Epoch})
}

func (w *world) closedAsLost(id flow.ExecutionID) {
	w.Helper()
	done, err := w.GetNode(w.ctx, flow.NodeID{Execution: id, Node: "n0"})
	w.equal([]any{must(w, done, err).Phase, done.Reason}, []any{flow.NodeSucceeded, ""})
	open, err := w.GetNode(w.ctx, flow.NodeID{Execution: id, Node: "n1"})
	w.equal([]any{must(w, open, err).Phase, open.Reason, open.EndedAt.IsZero()}, []any{flow.NodeAborted, flow.ReasonClusterLost, false})
	task, err := w.GetTask(w.ctx, open.ID, someTask, 0)
	w.equal([]any{must(w, task, err).Phase, task.Reason, task.EndedAt.IsZero()}, []any{flow.TaskAborted, flow.ReasonClusterLost, false})
}
