package storetest

import (
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/api/flyteidl/event"
)

// takeover marks a cluster's lease rows as they are now.
func (w *world) takeover(cluster string) flow.Takeover {
	w.Helper()
	members, err := w.ListMembers(w.ctx, cluster)
	t := flow.Takeover{Cluster: cluster}
	for _, m := range must(w, members, err) {
		t.Marks = append(t.Marks, flow.LeaseMark{Member: m.Member, Generation: m.LeaseGeneration, RecordedAt: m.LeaseRecordedAt})
	}
	return t
}

// lease records a lease for a member.
func (w *world) lease(sender flow.Sender, when time.Time) {
	w.Helper()
	next, leases, err := w.RecordLeases(w.ctx, w.fence, []flow.LeaseRequest{{Sender: sender}}, 30*time.Second, when)
	w.fence = must(w, next, err)
	w.equal(len(leases), 1)
}

// forced is the placement that takes an execution from where it is.
func forced(e flow.Execution, to string, kind flow.MoveKind) flow.Placement {
	return flow.Placement{Execution: e.ID, Prior: e.Epoch, Cluster: to, From: e.Cluster, Kind: kind}
}

// take places an execution elsewhere by force, as its cluster's lease rows are.
func (w *world) take(e flow.Execution, to string) flow.Execution {
	w.Helper()
	w.registered(to)
	placed := w.commit(flow.Batch{Placements: []flow.Placement{forced(e, to, flow.MoveLapse)}, Takeovers: []flow.Takeover{w.takeover(e.Cluster)}})
	w.equal(placed, []flow.ExecutionID{e.ID})
	return w.get(e.ID)
}

// half has an execution report n0 as succeeded and n1 as running.
func (w *world) half(e flow.Execution, sender flow.Sender) {
	w.Helper()
	w.record(sender, happened(e, flow.EventWorkflow, "", int32(flow.ExecutionRunning), 1),
		happened(e, flow.EventNode, "n0", int32(flow.NodeSucceeded), 2),
		happened(e, flow.EventNode, "n1", int32(flow.NodeRunning), 3),
		happened(e, flow.EventTask, "n1", int32(flow.TaskRunning), 3))
}

func (w *world) ownership(cluster string) uint64 {
	w.Helper()
	members, err := w.ListMembers(w.ctx, cluster)
	return must(w, members, err)[0].OwnershipRevision
}

func (w *world) moves(id flow.ExecutionID) []flow.Move {
	w.Helper()
	moves, err := w.Other.ListMoves(w.ctx, id)
	return must(w, moves, err)
}

var moveCases = []testCase{
	{"what a lapsed cluster held is placed elsewhere, and closed there", takeCase},
	{"a lease that was granted since the snapshot keeps the cluster's work", grantCase},
	{"nothing is taken without a takeover, from elsewhere, at another epoch, or when it is to end", func(w *world) {
		sender := w.member("east")
		w.registered("west")
		e, aborted := w.run("a", sender), w.run("b", sender)
		_, err := w.AbortExecution(w.ctx, aborted.ID, "", "", began)
		w.ok(err)
		aborted = w.get(aborted.ID)
		older, elsewhere, lost := e, e, e
		older.Epoch.N--
		elsewhere.Cluster = "west"
		takeovers := []flow.Takeover{w.takeover("east"), w.takeover("west")}
		w.cluster("south")
		_, err = w.DeclareLost(w.ctx, "south", false, by("cluster.declare-lost"))
		w.ok(err)
		for _, b := range []flow.Batch{
			{Placements: []flow.Placement{forced(e, "west", flow.MoveLapse)}},
			{Placements: []flow.Placement{forced(e, "west", flow.MoveLapse)}, Takeovers: takeovers[1:]},
			{Placements: []flow.Placement{forced(e, "west", flow.MoveDrain)}, Takeovers: takeovers},
			{Placements: []flow.Placement{forced(e, "west", "")}, Takeovers: takeovers},
			{Placements: []flow.Placement{forced(older, "west", flow.MoveLapse)}, Takeovers: takeovers},
			{Placements: []flow.Placement{forced(elsewhere, "east", flow.MoveLapse)}, Takeovers: takeovers},
			{Placements: []flow.Placement{forced(aborted, "west", flow.MoveLapse)}, Takeovers: takeovers},
			{Placements: []flow.Placement{forced(lost, "south", flow.MoveLapse)}, Takeovers: takeovers},
			{Placements: []flow.Placement{{Execution: e.ID, Prior: e.Epoch, Cluster: "west"}}, Takeovers: takeovers},
		} {
			w.equal(len(w.commit(b)), 0)
		}
		w.equal(w.get(e.ID), e)
		w.equal(w.ownership("east"), uint64(1))
	}},
	{"a restart puts away what earlier epochs recorded", restartCase},
	{"a resumed epoch is told what stands and what has to go on", recoveryCase},
	{"what is to end on a lapsed cluster ends without it", reapCase},
	{"what may not move has failed when its cluster lost it", stuckCase},
	{"what a cluster keeps losing is placed after a pause", func(w *world) {
		sender := w.member("east")
		e := w.run("a", sender)
		var pauses []time.Duration
		for range 3 {
			w.judge(sender)
			got := w.get(e.ID)
			pause := time.Duration(0)
			if !got.NotBefore.IsZero() {
				pause = got.NotBefore.Sub(got.UpdatedAt)
			}
			pauses = append(pauses, pause)
			pending, err := w.Pending(w.ctx, flow.PendingKey{}, 10)
			w.equal([]any{must(w, pending, err)[0].NotBefore, pending[0].Moves}, []any{got.NotBefore, len(pauses)})
			e = w.place(e.ID, "east")
			w.equal(e.NotBefore, time.Time{})
			w.ok(w.Ack(w.ctx, sender, []flow.Ack{{Execution: e.ID, Epoch: e.Epoch, Revision: e.Revision}}))
		}
		w.equal(pauses, []time.Duration{0, 2 * time.Second, 4 * time.Second})
	}},
	{"live placements are listed with what decides about them, and summed up", liveCase},
}

func takeCase(w *world) {
	east, west := w.member("east"), w.member("west")
	other := w.run("other", east)
	e := w.run("a", east)
	w.half(e, east)
	w.lease(east, began)
	got := w.take(w.get(e.ID), "west")
	w.equal([]any{got.Cluster, got.Epoch, got.Phase, got.Moves, got.Resumed, got.Sequence},
		[]any{"west", e.Epoch.Next(), flow.ExecutionQueued, 1, true, uint64(0)})
	w.closedAsLost(e.ID)
	w.equal([]uint64{w.ownership("east"), w.ownership("west")}, []uint64{2, 1})
	moves := w.moves(e.ID)
	w.equal(moves, []flow.Move{{Execution: e.ID, From: "east", Epoch: e.Epoch, Kind: flow.MoveLapse, Reason: moves[0].Reason, At: began}})
	w.equal(w.record(east, happened(e, flow.EventWorkflow, "", int32(flow.ExecutionSucceeded), 9))[0].Accepted, false)
	w.equal(w.get(other.ID), other)
	w.equal(len(w.due(east)), 0)
	due := w.due(west)
	w.equal([]any{len(due), due[0].Epoch, due[0].Desired}, []any{1, got.Epoch, flow.DesiredRun})
	verdicts := w.judge(east, flow.Held{Execution: e.ID, Epoch: e.Epoch}, flow.Held{Execution: other.ID, Epoch: other.Epoch})
	w.equal([]flow.Order{verdicts.List[0].Order, verdicts.List[1].Order}, []flow.Order{flow.OrderStop, flow.OrderKeep})
	w.equal(w.take(got, "east").Moves, 2)
	w.equal(len(w.moves(e.ID)), 2)
}

// grantCase has another lease recorded between the snapshot and the commit.
func grantCase(w *world) {
	east, south := w.member("east"), w.member("south")
	w.registered("west")
	e, f := w.run("a", east), w.run("b", south)
	second, err := w.OpenSession(w.ctx, flow.Member{Cluster: "east", Instance: "j"}, "hub", flow.ClusterReport{})
	w.ok(err)
	for i, grant := range []func(){
		func() { w.lease(east, began) },                                           // the first there is
		func() { w.lease(east, began.Add(time.Second)) },                          // a renewal
		func() { w.lease(second.Sender, began) },                                  // another member's first
		func() { east = w.member("east"); w.lease(east, began.Add(time.Second)) }, // a new session's, at the same time
	} {
		b := flow.Batch{Placements: []flow.Placement{forced(e, "west", flow.MoveLapse), {Execution: w.create(string(rune('m' + i))), Cluster: "west"}},
			Takeovers: []flow.Takeover{w.takeover("east")}}
		grant()
		w.equal(w.commit(b), []flow.ExecutionID{b.Placements[1].Execution}) // the rest of the batch stands
		w.equal(w.get(e.ID).Cluster, "east")
	}
	b := flow.Batch{Placements: []flow.Placement{forced(e, "west", flow.MoveLapse), forced(f, "west", flow.MoveLapse)},
		Takeovers: []flow.Takeover{w.takeover("east"), w.takeover("south")}}
	w.lease(south, began)
	w.equal(w.commit(b), []flow.ExecutionID{e.ID})
	w.equal([]uint64{w.ownership("east"), w.ownership("south")}, []uint64{2, 1})
}

func restartCase(w *world) {
	east := w.member("east")
	w.registered("west")
	e := w.run("a", east)
	w.half(e, east)
	p := forced(e, "west", flow.MoveLapse)
	p.Restart, p.Fallback = true, "the clusters share no object store"
	w.commit(flow.Batch{At: began.Add(time.Hour), Placements: []flow.Placement{p}, Takeovers: []flow.Takeover{w.takeover("east")}})
	got := w.get(e.ID)
	w.equal([]any{got.Cluster, got.Resumed, got.Moves}, []any{"west", false, 1})
	nodes, err := w.ListNodes(w.ctx, e.ID, "", flow.Query{Limit: 10})
	w.equal(len(must(w, nodes, err)), 0)
	_, err = w.GetTask(w.ctx, flow.NodeID{Execution: e.ID, Node: "n1"}, someTask, 0)
	w.fails(err, fault.NotFound)
	nodes, err = w.ArchivedNodes(w.ctx, e.ID)
	w.equal(len(must(w, nodes, err)), 2)
	w.equal([]any{nodes[0].ID.Node, nodes[0].Phase, nodes[1].ID.Node, nodes[1].Phase, nodes[1].Reason},
		[]any{"n0", flow.NodeSucceeded, "n1", flow.NodeAborted, flow.ReasonClusterLost})
	tasks, err := w.ArchivedTasks(w.ctx, e.ID)
	w.equal([]any{len(must(w, tasks, err)), tasks[0].Phase}, []any{1, flow.TaskAborted})
	decisions, err := w.ListDecisions(w.ctx, e.ID)
	w.equal(must(w, decisions, err)[0].Fallback, p.Fallback)
	west := w.session("west").Sender
	w.equal(w.due(west)[0].Run.Recovery, flow.Recovery{})
	w.equal(w.record(west, happened(got, flow.EventNode, "n0", int32(flow.NodeRunning), 1))[0].Accepted, true)
}

// told is an event with a detail of its kind.
func (w *world) told(e flow.Event, detail proto.Message) flow.Event {
	w.Helper()
	raw, err := proto.Marshal(detail)
	e.Detail = must(w, raw, err)
	return e
}

func recoveryCase(w *world) {
	east := w.member("east")
	w.registered("west")
	e := w.example("a")
	e.Failover = flow.Failover{Mode: flow.FailoverResume, Strict: true, MaxMoves: 9}
	w.ok(w.CreateExecution(w.ctx, e))
	e = w.place(e.ID, "east")
	w.equal(w.due(east)[0].Run.Failover, e.Failover)
	failure := &core.ExecutionError{Code: "Boom", Kind: core.ExecutionError_USER}
	raw, err := proto.Marshal(failure)
	w.ok(err)
	fails := func(attempt uint32, kind core.ExecutionError_ErrorKind) flow.Event {
		task := w.told(happened(e, flow.EventTask, "n2", int32(flow.TaskRetryableFailed), uint64(10+attempt)),
			&event.TaskExecutionEvent{OutputResult: &event.TaskExecutionEvent_Error{Error: &core.ExecutionError{Kind: kind}}})
		task.Attempt = attempt
		return task
	}
	running := happened(e, flow.EventTask, "n2", int32(flow.TaskRunning), 13)
	running.Attempt = 2
	child := w.told(happened(e, flow.EventNode, "n2-0-n0", int32(flow.NodeSkipped), 5), &event.NodeExecutionEvent{})
	child.Parent = "n2"
	w.record(east,
		w.told(happened(e, flow.EventNode, "n0", int32(flow.NodeSucceeded), 2),
			&event.NodeExecutionEvent{OutputResult: &event.NodeExecutionEvent_OutputUri{OutputUri: "/data/n0/outputs.pb"}}),
		w.told(happened(e, flow.EventNode, "n1", int32(flow.NodeFailed), 3),
			&event.NodeExecutionEvent{OutputResult: &event.NodeExecutionEvent_Error{Error: failure}}),
		w.told(happened(e, flow.EventNode, "n2", int32(flow.NodeRunning), 4), &event.NodeExecutionEvent{
			TargetMetadata: &event.NodeExecutionEvent_TaskNodeMetadata{TaskNodeMetadata: &event.TaskNodeMetadata{CheckpointUri: "/raw/n2"}}}),
		child, fails(0, core.ExecutionError_USER), fails(1, core.ExecutionError_SYSTEM), running)
	got := w.take(w.get(e.ID), "west")
	west := w.session("west").Sender
	want := []flow.RecoveredNode{
		{Node: "n0", Phase: flow.NodeSucceeded, OutputURI: "/data/n0/outputs.pb"},
		{Node: "n1", Phase: flow.NodeFailed, Error: raw},
		{Node: "n2", NextAttempt: 3, Charged: 1, Checkpoint: "/raw/n2"},
		{Node: "n2-0-n0", Parent: "n2", Phase: flow.NodeSkipped},
	}
	w.equal(w.due(west)[0].Run.Recovery.Nodes, want)
	w.equal(w.due(west)[0].Run.Failover, e.Failover)
	// What this epoch records is not of earlier ones.
	again := w.told(happened(got, flow.EventNode, "n2", int32(flow.NodeRunning), 20), &event.NodeExecutionEvent{})
	again.Revision = 0 // so that the assignment stays due
	w.record(west, again)
	w.equal(w.due(west)[0].Run.Recovery.Nodes, []flow.RecoveredNode{want[0], want[1], want[3]})
	w.take(w.get(e.ID), "east")
	w.equal(len(w.due(w.session("east").Sender)[0].Run.Recovery.Nodes), 4)
}

func reapCase(w *world) {
	east := w.member("east")
	e, running := w.run("a", east), w.run("b", east)
	w.half(e, east)
	_, err := w.AbortExecution(w.ctx, e.ID, "why", "who", began)
	w.ok(err)
	w.lease(east, began)
	stale := w.takeover("east")
	w.lease(east, began.Add(time.Second))
	reap := func(t flow.Takeover, ids ...flow.ExecutionID) []flow.ExecutionID {
		next, done, err := w.Reap(w.ctx, w.fence, t, ids, began.Add(time.Hour))
		w.fence = must(w, next, err)
		return done
	}
	w.equal(len(reap(stale, e.ID)), 0)
	w.equal(w.get(e.ID).Phase, flow.ExecutionAborting)
	w.equal(reap(w.takeover("east"), e.ID, running.ID, w.id("x")), []flow.ExecutionID{e.ID})
	w.equal(w.ownership("east"), uint64(2))
	got := w.get(e.ID)
	w.equal([]any{got.Phase, got.Cluster, got.EndedAt, got.AbortCause}, []any{flow.ExecutionAborted, "", began.Add(time.Hour), "why"})
	w.closedAsLost(e.ID)
	w.equal([]any{len(w.moves(e.ID)), w.moves(e.ID)[0].Kind}, []any{1, flow.MoveLapse})
	w.equal(w.record(east, happened(e, flow.EventWorkflow, "", int32(flow.ExecutionSucceeded), 9))[0].Accepted, false)
	w.equal(w.get(running.ID), running)
	w.equal(len(reap(w.takeover("east"), e.ID)), 0)
	w.equal(w.ownership("east"), uint64(2)) // nothing was taken twice
	old := w.fence
	w.lead()
	_, _, err = w.Reap(w.ctx, old, w.takeover("east"), nil, began)
	w.fails(err, fault.Stale)
}

func stuckCase(w *world) {
	sender := w.member("east")
	for name, failover := range map[string]flow.Failover{"never": {Mode: flow.FailoverNever}, "limit": {MaxMoves: 1}} {
		e := w.example(name)
		e.Failover = failover
		w.ok(w.CreateExecution(w.ctx, e))
		e = w.place(e.ID, "east")
		w.ok(w.Ack(w.ctx, sender, []flow.Ack{{Execution: e.ID, Epoch: e.Epoch, Revision: e.Revision}}))
		if name == "limit" {
			w.judge(sender)
			w.equal([]any{w.get(e.ID).Phase, w.get(e.ID).Moves}, []any{flow.ExecutionQueued, 1})
			e = w.place(e.ID, "east")
			w.ok(w.Ack(w.ctx, sender, []flow.Ack{{Execution: e.ID, Epoch: e.Epoch, Revision: e.Revision}}))
		}
		w.judge(sender)
		got := w.get(e.ID)
		w.equal([]any{got.Phase, got.Cluster, got.ErrorKind, got.ErrorCode, got.EndedAt.IsZero()},
			[]any{flow.ExecutionFailed, "", "SYSTEM", flow.ReasonClusterLost, false})
		var failure core.ExecutionError
		w.ok(proto.Unmarshal(got.Error, &failure))
		if !strings.Contains(failure.GetMessage(), "east") || !strings.Contains(failure.GetMessage(), name) {
			w.Errorf("the error does not name the cluster and the policy: %s", failure.GetMessage())
		}
		w.equal(w.moves(e.ID)[0].Kind, flow.MoveReleased)
	}
}

func liveCase(w *world) {
	east := w.member("east")
	w.member("west")
	e := w.run("b", east)
	started := w.run("a", east)
	w.record(east, happened(started, flow.EventWorkflow, "", int32(flow.ExecutionRunning), 1))
	_, err := w.AbortExecution(w.ctx, started.ID, "", "", began)
	w.ok(err)
	ended := w.run("ended", east)
	w.record(east, happened(ended, flow.EventWorkflow, "", int32(flow.ExecutionSucceeded), 1))
	elsewhere := w.place(w.create("elsewhere"), "west")
	w.create("pending")
	live, err := w.Live(w.ctx, []string{"east"}, 10)
	w.equal(len(must(w, live, err)), 2)
	w.equal(live[0], flow.Placed{Pending: flow.Pending{Execution: e.ID, Epoch: e.Epoch, CreatedAt: e.CreatedAt, Trace: e.Trace,
		Digest: live[0].Digest, From: "east"}, Desired: flow.DesiredRun, PlacedAt: began.Add(time.Minute)})
	w.equal([]any{live[1].Execution, live[1].Desired, live[1].Started}, []any{started.ID, flow.DesiredAbort, true})
	known, err := w.Requirements(w.ctx, []string{live[0].Digest})
	w.equal(must(w, known, err)[live[0].Digest], e.Requirement)
	live, err = w.Live(w.ctx, []string{"east", "west"}, 3)
	w.equal(must(w, live, err)[2].Execution, elsewhere.ID)
	live, err = w.Live(w.ctx, []string{"east", "west"}, 1)
	w.equal(len(must(w, live, err)), 1)

	grouped := w.example("grouped")
	grouped.Requirement.Group, grouped.Requirement.Workflow = "g", "wf"
	grouped.Requirement.Reservation.GPUs = 1
	w.ok(w.CreateExecution(w.ctx, grouped))
	w.place(grouped.ID, "east")
	one := flow.Load{Cluster: "east", Tenant: e.ID.Tenant(), Executions: 2, Reservation: e.Requirement.Reservation.Times(2)}
	two := flow.Load{Cluster: "east", Tenant: e.ID.Tenant(), Group: "g", Workflow: "wf", Executions: 1, Reservation: grouped.Requirement.Reservation}
	three := flow.Load{Cluster: "west", Tenant: e.ID.Tenant(), Executions: 1, Reservation: e.Requirement.Reservation}
	loads, err := w.Loads(w.ctx)
	w.equal(must(w, loads, err), []flow.Load{one, two, three})
}
