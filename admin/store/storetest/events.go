package storetest

import (
	"strings"

	"github.com/skein-project/skein/api/flow"
)

var eventCases = []testCase{
	{"a batch is applied in its order, rows made by it included", func(w *world) {
		sender := w.member("east")
		e := w.run("a", sender)
		results := w.record(sender,
			happened(e, flow.EventTask, "n0", int32(flow.TaskRunning), 1),
			happened(e, flow.EventNode, "n0", int32(flow.NodeRunning), 1),
			happened(e, flow.EventTask, "n0", int32(flow.TaskRunning), 2),
			happened(e, flow.EventNode, "n0", int32(flow.NodeSucceeded), 3),
			happened(e, flow.EventWorkflow, "", int32(flow.ExecutionSucceeded), 4))
		w.equal(results, []flow.EventResult{{Reason: "no node"}, {Accepted: true}, {Accepted: true}, {Accepted: true}, {Accepted: true}})
		got := w.get(e.ID)
		w.equal([]any{got.Phase, got.Sequence, got.Inputs}, []any{flow.ExecutionSucceeded, uint64(4), e.Inputs})
		id := flow.NodeID{Execution: e.ID, Node: "n0"}
		node, err := w.GetNode(w.ctx, id)
		w.equal([]any{must(w, node, err).Phase, node.Sequence, string(node.Detail)}, []any{flow.NodeSucceeded, uint64(3), "detail 3"})
		tasks, err := w.ListTasks(w.ctx, id, flow.Query{Limit: 10})
		w.equal(len(must(w, tasks, err)), 1)
		w.equal(tasks[0].Task, someTask)
	}},
	{"nodes are listed by their parent", func(w *world) {
		sender := w.member("east")
		e := w.run("a", sender)
		child := happened(e, flow.EventNode, "n0-0-n0", int32(flow.NodeRunning), 2)
		child.Parent = "n0"
		w.record(sender, happened(e, flow.EventNode, "n0", int32(flow.NodeRunning), 1), child)
		for parent, want := range map[string]string{"": "n0", "n0": "n0-0-n0"} {
			nodes, err := w.ListNodes(w.ctx, e.ID, parent, flow.Query{Limit: 10,
				Filters: []flow.Filter{{Field: "phase", Op: flow.OpEqual, Values: []string{"RUNNING"}}}})
			w.equal(len(must(w, nodes, err)), 1)
			w.equal(nodes[0].ID.Node, want)
		}
	}},
	{"what is not the sender's is refused before apply sees it", func(w *world) {
		east, west := w.member("east"), w.member("west")
		e := w.run("a", east)
		unseen := func(flow.Recorded, flow.Event) (flow.Recorded, flow.EventResult) {
			w.Error("apply was asked")
			return flow.Recorded{}, flow.EventResult{}
		}
		stale := happened(e, flow.EventWorkflow, "", 2, 1)
		stale.Epoch.N--
		newer := happened(e, flow.EventWorkflow, "", 2, 1)
		newer.Epoch.Era++
		for _, c := range []struct {
			sender flow.Sender
			event  flow.Event
			reason string
		}{{west, happened(e, flow.EventWorkflow, "", 2, 1), "stale epoch"}, {east, stale, "stale epoch"}, {east, newer, "stale epoch"},
			{east, happened(w.example("x"), flow.EventWorkflow, "", 2, 1), "does not exist"}} {
			results, err := w.RecordEvents(w.ctx, c.sender, []flow.Event{c.event}, unseen)
			w.equal(must(w, results, err)[0].Accepted, false)
			if !strings.Contains(results[0].Reason, c.reason) {
				w.Errorf("refused with %q, want %q", results[0].Reason, c.reason)
			}
		}
	}},
	{"a repeated batch changes nothing", func(w *world) {
		sender := w.member("east")
		e := w.run("a", sender)
		event := happened(e, flow.EventNode, "n0", int32(flow.NodeRunning), 1)
		w.record(sender, event)
		before := w.get(e.ID)
		w.equal(w.record(sender, event, event), []flow.EventResult{{Reason: "old"}, {Reason: "old"}})
		w.equal(w.get(e.ID), before)
	}},
	{"an event acks what had been applied, never a pending abort", func(w *world) {
		sender := w.member("east")
		e := w.place(w.create("a"), "east")
		_, err := w.AbortExecution(w.ctx, e.ID, "why", "who", began)
		w.ok(err)
		w.record(sender, happened(e, flow.EventNode, "n0", int32(flow.NodeRunning), 1)) // made at revision 1
		due := w.due(sender)
		w.equal(len(due), 1)
		w.equal(due[0].Desired, flow.DesiredAbort)
		ended := happened(e, flow.EventWorkflow, "", int32(flow.ExecutionAborted), 2)
		ended.Revision = 2
		w.record(sender, ended)
		w.equal(len(w.due(sender)), 0)
	}},
	{"no events are no work", func(w *world) {
		w.equal(len(w.record(w.member("east"))), 0)
	}},
}
