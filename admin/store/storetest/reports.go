package storetest

import (
	"github.com/skein-project/skein/api/flow"
)

// reportCases are about what members hold, and what that makes of the rows of a
// restored backup.
var reportCases = []testCase{
	{"the higher of two epochs wins, whoever reports first", func(w *world) {
		for _, order := range [][]string{{"east", "west"}, {"west", "east"}} {
			w.member("east")
			w.member("west")
			e := w.run("a"+order[0], w.session("east").Sender) // as the backup has it
			moved := held(e)
			moved.Epoch = e.Epoch.Next() // as it went on
			w.enter(flow.Fence{})
			for _, cluster := range order {
				sender := w.session(cluster).Sender
				if cluster == "east" {
					w.report(sender, nil, held(e))
				} else {
					w.report(sender, nil, moved)
				}
			}
			rebuilt := w.end()
			w.equal([]int64{rebuilt.Kept, rebuilt.Moved, rebuilt.Released}, []int64{0, 1, 0})
			got := w.get(e.ID)
			w.equal([]any{got.Cluster, got.Epoch, got.Phase}, []any{"west", moved.Epoch, flow.ExecutionQueued})
			moves, err := w.ListMoves(w.ctx, e.ID)
			w.equal(len(must(w, moves, err)), 1)
			w.equal([]any{moves[0].From, moves[0].Kind, moves[0].Epoch}, []any{"east", flow.MoveRebuild, e.Epoch})
			decisions, err := w.ListDecisions(w.ctx, e.ID)
			w.equal([]any{must(w, decisions, err)[0].Cluster, decisions[0].Epoch, len(decisions[0].Reasons)}, []any{"west", moved.Epoch, 1})
			w.equal(w.judge(w.session("east").Sender, held(e)).List[0].Order, flow.OrderStop)
			west := w.session("west").Sender
			w.equal(w.judge(west, moved).List[0].Order, flow.OrderKeep)
			w.equal(len(w.due(west)), 0)
			w.equal(w.record(west, happened(got, flow.EventWorkflow, "", int32(flow.ExecutionSucceeded), 1))[0].Accepted, true)
		}
	}},
	{"what waits for a cluster is found", func(w *world) {
		w.member("east")
		id := w.create("a")
		w.enter(flow.Fence{})
		h := flow.Held{Execution: id, Epoch: flow.Epoch{Era: 1, N: 3}, Revision: 4}
		for range 2 { // a report that is repeated changes nothing
			w.report(w.session("east").Sender, nil, h)
		}
		w.equal(w.end().Moved, int64(1))
		got := w.get(id)
		w.equal([]any{got.Cluster, got.Epoch, got.Revision}, []any{"east", h.Epoch, uint64(4)})
		moves, err := w.ListMoves(w.ctx, id)
		w.equal(len(must(w, moves, err)), 0) // it had been nowhere
		sender := w.session("east").Sender
		w.equal(w.judge(sender, h).List[0].Order, flow.OrderKeep)
		w.equal(w.judge(w.session("east").Sender).OwnershipRevision, w.judge(w.session("east").Sender).OwnershipRevision)
		w.equal([]any{w.get(id).Cluster, w.get(id).Epoch}, []any{"", h.Epoch}) // what was found counts as acked
		w.equal(w.place(id, "east").Epoch, flow.Epoch{Era: 2, N: 4})
	}},
	{"what is where the row has it stays, and knows its revision", func(w *world) {
		sender := w.member("east")
		e := w.run("a", sender)
		w.record(sender, happened(e, flow.EventWorkflow, "", int32(flow.ExecutionRunning), 5))
		w.lead()
		w.ok2(w.Revoke(w.ctx, w.fence, []flow.Revocation{{Execution: e.ID, Epoch: e.Epoch, Kind: flow.MoveDrain}}, began))
		w.enter(flow.Fence{})
		h := held(e)
		h.Revision = 9
		w.report(w.session("east").Sender, nil, h)
		w.equal(w.end().Kept, int64(1))
		got := w.get(e.ID)
		w.equal([]any{got.Cluster, got.Epoch, got.Phase, got.Sequence, got.Revision, got.Revoking},
			[]any{"east", e.Epoch, flow.ExecutionRunning, uint64(5), uint64(9), flow.MoveKind("")})
		sender = w.session("east").Sender
		w.judge(sender, h)
		w.equal(len(w.due(sender)), 0)
		_, err := w.AbortExecution(w.ctx, e.ID, "", "", began)
		w.ok(err)
		w.equal(w.due(sender)[0].Revision, uint64(10)) // above what the cluster has applied
	}},
	{"at one epoch who has reported it holds it", func(w *world) {
		w.member("east")
		w.member("west")
		e := w.place(w.create("a"), "east") // by a term that did not know of the forgotten one
		w.enter(flow.Fence{})
		w.report(w.session("west").Sender, nil, held(e))
		w.equal(w.get(e.ID).Cluster, "west")
		w.report(w.session("east").Sender, nil, held(e))
		w.equal(w.get(e.ID).Cluster, "west")
		w.equal(w.end().Moved, int64(1))
	}},
	{"an abort reaches the holder, and one that was forgotten is known by its object", func(w *world) {
		w.member("east")
		w.member("west")
		east := w.session("east").Sender
		asked, forgotten := w.run("asked", east), w.run("forgotten", east)
		w.enter(flow.Fence{})
		_, err := w.AbortExecution(w.ctx, asked.ID, "why", "who", began)
		w.ok(err)
		moved, aborted := held(asked), held(forgotten)
		moved.Epoch, moved.Revision = asked.Epoch.Next(), 7
		aborted.Desired, aborted.Terminal = flow.DesiredAbort, true
		w.report(w.session("west").Sender, nil, moved)
		w.report(w.session("east").Sender, nil, aborted)
		w.end()
		west := w.session("west").Sender
		w.judge(west, moved)
		due := w.due(west)
		w.equal([]any{len(due), due[0].Desired, due[0].Epoch, due[0].Revision}, []any{1, flow.DesiredAbort, moved.Epoch, uint64(8)})
		got := w.get(forgotten.ID)
		w.equal([]any{got.Desired, got.Phase}, []any{flow.DesiredAbort, flow.ExecutionAborting})
		east = w.session("east").Sender
		w.equal(w.judge(east, aborted).List[0].Order, flow.OrderReport)
		w.equal(w.record(east, happened(got, flow.EventWorkflow, "", int32(flow.ExecutionAborted), 3))[0].Accepted, true)
		w.equal(w.get(forgotten.ID).Phase, flow.ExecutionAborted)
	}},
	{"what was stopped, and nobody had asked to abort, holds nothing", func(w *world) {
		w.member("east")
		waits, there := w.create("waits"), w.run("there", w.session("east").Sender)
		w.enter(flow.Fence{})
		h := held(there)
		h.Desired, h.Terminal = flow.DesiredGone, true
		w.report(w.session("east").Sender, nil, h, flow.Held{Execution: waits, Epoch: flow.Epoch{Era: 1, N: 2}, Revision: 1, Terminal: true, Desired: flow.DesiredGone})
		w.equal(w.end().Released, int64(1))
		w.equal(w.get(waits).Cluster, "")
		w.equal(w.place(waits, "east").Epoch, flow.Epoch{Era: 2, N: 1})
		session := w.session("east")
		w.equal(w.judge(session.Sender, h).OwnershipRevision, session.OwnershipRevision+1)
		w.equal([]any{w.get(there.ID).Cluster, w.get(there.ID).Phase}, []any{"", flow.ExecutionQueued})
		w.equal(w.place(there.ID, "east").Epoch, flow.Epoch{Era: 2, N: 2})
	}},
	{"what has ended stays ended, whatever is held of it", func(w *world) {
		w.member("east")
		id := w.create("a")
		w.enter(flow.Fence{})
		_, err := w.AbortExecution(w.ctx, id, "", "", began)
		w.ok(err)
		w.report(w.session("east").Sender, nil, flow.Held{Execution: id, Epoch: flow.Epoch{Era: 1, N: 1}, Revision: 1})
		w.equal(w.get(id).Phase, flow.ExecutionAborted)
	}},
	{"an execution that the backup has forgotten is made again", madeAgainCase},
	{"what had ended is ended again by its events", func(w *world) {
		w.member("east")
		w.enter(flow.Fence{})
		h := w.holding("a", flow.Epoch{Era: 1, N: 1})
		h.Held.Terminal = true
		sender := w.session("east").Sender
		w.equal(w.report(sender, []flow.Holding{h}, h.Held), []flow.Held{h.Held})
		w.end()
		sender = w.session("east").Sender
		w.equal(w.judge(sender, h.Held).List[0].Order, flow.OrderReport)
		e := w.get(h.Held.Execution)
		w.equal(w.record(sender, happened(e, flow.EventWorkflow, "", int32(flow.ExecutionSucceeded), 9))[0].Accepted, true)
		w.equal(w.get(e.ID).Phase, flow.ExecutionSucceeded)
	}},
	{"what was forgotten and stopped waits for a cluster", func(w *world) {
		w.member("east")
		w.enter(flow.Fence{})
		h := w.holding("a", flow.Epoch{Era: 1, N: 5})
		h.Held.Desired, h.Held.Terminal = flow.DesiredGone, true
		w.report(w.session("east").Sender, []flow.Holding{h, {Held: flow.Held{Execution: w.id("tombstone"), Epoch: flow.Epoch{Era: 1, N: 1}}}}, h.Held)
		w.equal(w.end().Created, int64(1))
		e := w.get(h.Held.Execution)
		w.equal([]any{e.Cluster, e.Epoch, e.Phase}, []any{"", h.Held.Epoch, flow.ExecutionQueued})
		w.equal(w.place(e.ID, "east").Epoch, flow.Epoch{Era: 2, N: 6})
		_, err := w.GetExecution(w.ctx, w.id("tombstone"))
		if err == nil {
			w.Fatal("of a tombstone without a run nothing can be made")
		}
	}},
}

// ok2 is ok for a scheduling write.
func (w *world) ok2(next flow.Fence, _ []flow.ExecutionID, err error) {
	w.Helper()
	w.fence = must(w, next, err)
}

// holding is an execution that only its cluster knows.
func (w *world) holding(name string, epoch flow.Epoch) flow.Holding {
	e := w.example(name)
	return flow.Holding{
		Held: flow.Held{Execution: e.ID, Epoch: epoch, Revision: 3, Desired: flow.DesiredRun},
		Assignment: flow.Assignment{Execution: e.ID, Epoch: epoch, Desired: flow.DesiredRun, Run: &flow.Run{
			Workflow: e.Workflow, LaunchPlan: e.LaunchPlan, Closure: []byte("closure"), Inputs: e.Inputs, Spec: e.Spec,
			DataPrefix: e.DataPrefix, RawPrefix: e.RawPrefix, CreatedAt: e.CreatedAt, Trace: e.Trace,
			Failover: flow.Failover{Mode: flow.FailoverNever}}},
		Row: &e,
	}
}

func madeAgainCase(w *world) {
	w.member("east")
	w.enter(flow.Fence{})
	h := w.holding("a", flow.Epoch{Era: 1, N: 2})
	elsewhere := w.holding("b", flow.Epoch{Era: 1, N: 1})
	elsewhere.Held.Execution.Project, elsewhere.Row = "forgotten", nil
	for range 2 {
		w.report(w.session("east").Sender, []flow.Holding{h, elsewhere}, h.Held, elsewhere.Held)
	}
	rebuilt := w.end()
	w.equal([]int64{rebuilt.Created, rebuilt.Moved, rebuilt.Kept, rebuilt.Released}, []int64{2, 0, 0, 0})
	got := w.get(h.Held.Execution)
	want := *h.Row
	want.Cluster, want.Epoch, want.Revision = "east", h.Held.Epoch, 3
	want.UpdatedAt, want.Version = got.UpdatedAt, got.Version
	w.equal(got, want)
	other := w.get(elsewhere.Held.Execution)
	w.equal([]any{other.Failover.Mode, other.Requirement.Workflow, string(other.Inputs)}, []any{flow.FailoverNever, "wf", "inputs"})
	loads, err := w.Loads(w.ctx)
	w.equal(len(must(w, loads, err)), 2)

	sender := w.session("east").Sender
	w.judge(sender, h.Held, elsewhere.Held)
	w.equal(len(w.due(sender)), 0)
	w.judge(w.session("east").Sender, elsewhere.Held) // its object has gone: it is placed again, whole
	w.place(h.Held.Execution, "east")
	due := w.due(w.session("east").Sender)
	w.equal([]any{len(due), string(due[0].Run.Closure), due[0].Run.Workflow}, []any{1, "closure", h.Row.Workflow})
}
