package storetest

import (
	"fmt"
	"sync"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

// batchCases are about batches of several senders in one transaction.
var batchCases = []testCase{
	{"batches of several senders are each applied in their order", func(w *world) {
		east, west := w.member("east"), w.member("west")
		a, b := w.run("a", east), w.run("b", west)
		answers := w.records(
			flow.EventBatch{From: east, Events: []flow.Event{happened(a, flow.EventNode, "n0", int32(flow.NodeRunning), 1),
				happened(a, flow.EventTask, "n0", int32(flow.TaskRunning), 2)}},
			flow.EventBatch{From: west},
			flow.EventBatch{From: west, Events: []flow.Event{happened(b, flow.EventTask, "n0", int32(flow.TaskRunning), 1),
				happened(b, flow.EventNode, "n0", int32(flow.NodeRunning), 2)}},
			flow.EventBatch{From: east, Events: []flow.Event{happened(a, flow.EventNode, "n0", int32(flow.NodeSucceeded), 3),
				happened(a, flow.EventNode, "n0", int32(flow.NodeRunning), 3), happened(a, flow.EventWorkflow, "", int32(flow.ExecutionSucceeded), 4)}})
		w.equal(answers, []flow.BatchResult{{Results: []flow.EventResult{{Accepted: true}, {Accepted: true}}}, {},
			{Results: []flow.EventResult{{Reason: "no node"}, {Accepted: true}}},
			{Results: []flow.EventResult{{Accepted: true}, {Reason: "old"}, {Accepted: true}}}})
		w.equal([]any{w.get(a.ID).Phase, w.get(a.ID).Sequence, w.get(b.ID).Sequence}, []any{flow.ExecutionSucceeded, uint64(4), uint64(2)})
		w.equal([]any{w.node(a, "n0").Phase, w.node(b, "n0").Phase}, []any{flow.NodeSucceeded, flow.NodeRunning})
	}},
	{"a session that is over takes nothing with it", func(w *world) {
		old, west := w.member("east"), w.member("west")
		a, b := w.run("a", old), w.run("b", west)
		now := w.session("east").Sender
		revoked := w.member("north")
		_, err := w.SetRevoked(w.ctx, revoked.Member, true, flow.Audit{At: began})
		w.ok(err)
		event := func(e flow.Execution, sequence uint64) []flow.Event {
			return []flow.Event{happened(e, flow.EventNode, fmt.Sprintf("n%d", sequence), int32(flow.NodeRunning), sequence)}
		}
		answers := w.records(flow.EventBatch{From: old, Events: event(a, 7)}, flow.EventBatch{From: west, Events: event(b, 1)},
			flow.EventBatch{From: revoked, Events: event(a, 8)}, flow.EventBatch{From: now, Events: event(a, 2)})
		w.fails(answers[0].Err, fault.Stale)
		w.fails(answers[2].Err, fault.Forbidden)
		w.equal([]any{answers[0].Results, answers[2].Results}, []any{[]flow.EventResult(nil), []flow.EventResult(nil)})
		w.equal([]any{answers[1], answers[3]}, []any{flow.BatchResult{Results: []flow.EventResult{{Accepted: true}}}, flow.BatchResult{Results: []flow.EventResult{{Accepted: true}}}})
		w.equal([]any{w.get(a.ID).Sequence, w.get(b.ID).Sequence}, []any{uint64(2), uint64(1)})
		nodes, err := w.ListNodes(w.ctx, a.ID, "", flow.Query{Limit: 10})
		w.equal(len(must(w, nodes, err)), 1)
	}},
	{"what is not a batch's sender's is refused beside what is", func(w *world) {
		east, west := w.member("east"), w.member("west")
		a := w.run("a", east)
		stale := happened(a, flow.EventWorkflow, "", int32(flow.ExecutionFailed), 9)
		stale.Epoch.N--
		answers := w.records(
			flow.EventBatch{From: west, Events: []flow.Event{happened(a, flow.EventWorkflow, "", int32(flow.ExecutionFailed), 8)}},
			flow.EventBatch{From: east, Events: []flow.Event{stale, happened(a, flow.EventWorkflow, "", int32(flow.ExecutionRunning), 1)}})
		w.equal([]bool{answers[0].Results[0].Accepted, answers[1].Results[0].Accepted, answers[1].Results[1].Accepted}, []bool{false, false, true})
		w.equal([]any{w.get(a.ID).Phase, w.get(a.ID).Sequence}, []any{flow.ExecutionRunning, uint64(1)})
	}},
	{"each batch acks its own sender's rows, and no pending abort", func(w *world) {
		east, west := w.member("east"), w.member("west")
		a, b := w.place(w.create("a"), "east"), w.place(w.create("b"), "west")
		_, err := w.AbortExecution(w.ctx, a.ID, "why", "who", began)
		w.ok(err)
		w.records( // both were made at revision 1
			flow.EventBatch{From: east, Events: []flow.Event{happened(a, flow.EventNode, "n0", int32(flow.NodeRunning), 1)}},
			flow.EventBatch{From: west, Events: []flow.Event{happened(b, flow.EventNode, "n0", int32(flow.NodeRunning), 1)}})
		w.equal(len(w.due(west)), 0)
		due := w.due(east)
		w.equal(len(due), 1)
		w.equal(due[0].Desired, flow.DesiredAbort)
		// What was acked, and by whom, is what a verdict releases.
		_, err = w.Verdicts(w.ctx, west, nil)
		w.ok(err)
		w.equal(w.get(b.ID).Cluster, "")
	}},
	{"two instances of a cluster tell of one execution", func(w *world) {
		east := w.member("east")
		second, err := w.OpenSession(w.ctx, flow.Member{Cluster: "east", Instance: "j"}, "hub", flow.ClusterReport{})
		w.ok(err)
		e := w.place(w.create("a"), "east")
		answers := w.records(
			flow.EventBatch{From: east, Events: []flow.Event{happened(e, flow.EventNode, "n0", int32(flow.NodeRunning), 1)}},
			flow.EventBatch{From: second.Sender, Events: []flow.Event{happened(e, flow.EventNode, "n0", int32(flow.NodeSucceeded), 2)}})
		w.equal([]bool{answers[0].Results[0].Accepted, answers[1].Results[0].Accepted}, []bool{true, true})
		w.equal(w.node(e, "n0").Phase, flow.NodeSucceeded)
		w.equal(len(w.due(east)), 0)
	}},
	{"repeated batches change nothing", func(w *world) {
		east, west := w.member("east"), w.member("west")
		a, b := w.run("a", east), w.run("b", west)
		batches := []flow.EventBatch{
			{From: east, Events: []flow.Event{happened(a, flow.EventNode, "n0", int32(flow.NodeRunning), 1)}},
			{From: west, Events: []flow.Event{happened(b, flow.EventNode, "n0", int32(flow.NodeRunning), 1)}}}
		w.records(batches...)
		before := []flow.Execution{w.get(a.ID), w.get(b.ID)}
		for _, answer := range w.records(batches...) {
			w.equal(answer.Results, []flow.EventResult{{Reason: "old"}})
		}
		w.equal([]flow.Execution{w.get(a.ID), w.get(b.ID)}, before)
	}},
	{"no batches are no work", func(w *world) {
		w.equal(len(w.records()), 0)
		w.equal(w.records(flow.EventBatch{From: flow.Sender{Generation: 9}}), []flow.BatchResult{{}})
	}},
	{"replicas record batches of many members at once", batchRace},
}

// batchRace has two replicas record batches of four members each, of which one
// opens new sessions all the time.
func batchRace(w *world) {
	const members, times = 8, 10
	var senders [members]flow.Sender
	var executions [members]flow.Execution
	for i := range members {
		senders[i] = w.member(fmt.Sprintf("c%d", i))
		executions[i] = w.run(fmt.Sprintf("e%d", i), senders[i])
	}
	var group sync.WaitGroup
	var errs [2]error
	for half := range 2 {
		group.Go(func() {
			for n := range times {
				var batches []flow.EventBatch
				for i := half; i < members; i += 2 {
					batches = append(batches, flow.EventBatch{From: senders[i], Events: []flow.Event{
						happened(executions[i], flow.EventNode, fmt.Sprintf("n%d", n), int32(flow.NodeRunning), uint64(n+1)),
						happened(executions[i], flow.EventTask, fmt.Sprintf("n%d", n), int32(flow.TaskRunning), uint64(n+1))}})
				}
				answers, err := w.pick(half).RecordBatches(w.ctx, batches, apply)
				for k, i := 0, half; i < members && err == nil; k, i = k+1, i+2 {
					if err = answers[k].Err; i == 0 && fault.Is(err, fault.Stale) {
						err = nil // its session has ended meanwhile
					}
				}
				if err != nil {
					errs[half] = err
				}
			}
		})
	}
	w.session("c0")
	group.Wait()
	w.ok(errs[0])
	w.ok(errs[1])
	for i := 1; i < members; i++ {
		nodes, err := w.ListNodes(w.ctx, executions[i].ID, "", flow.Query{Limit: 100})
		w.equal(len(must(w, nodes, err)), times)
		w.equal(w.get(executions[i].ID).Sequence, uint64(times))
	}
}

func (w *world) records(batches ...flow.EventBatch) []flow.BatchResult {
	w.Helper()
	answers, err := w.RecordBatches(w.ctx, batches, apply)
	return must(w, answers, err)
}

func (w *world) node(e flow.Execution, node string) flow.NodeExecution {
	w.Helper()
	n, err := w.GetNode(w.ctx, flow.NodeID{Execution: e.ID, Node: node})
	return must(w, n, err)
}
