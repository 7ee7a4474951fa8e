package storetest

import (
	"slices"
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

var sessionCases = []testCase{
	{"a session belongs to a registered cluster", func(w *world) {
		_, err := w.OpenSession(w.ctx, flow.Member{Cluster: "x", Instance: "i"}, "hub", flow.ClusterReport{})
		w.fails(err, fault.NotFound)
	}},
	{"each session has the next generation", func(w *world) {
		w.cluster("east")
		first, second := w.session("east"), w.session("east")
		w.equal([]uint64{first.Generation, second.Generation, second.Incarnation}, []uint64{1, 2, 1})
		fence, err := w.ReadFence(w.ctx)
		w.equal(second.Era, must(w, fence, err).Epoch.Era)
		members, err := w.ListMembers(w.ctx, "east")
		w.equal(must(w, members, err)[0].Generation, uint64(2))
		w.equal(members[0].Hub, "hub")
		w.ok(w.CloseSession(w.ctx, first.Sender))
		members, err = w.ListMembers(w.ctx, "east")
		w.equal(must(w, members, err)[0].Hub, "hub")
		w.ok(w.CloseSession(w.ctx, second.Sender))
		members, err = w.ListMembers(w.ctx, "east")
		w.equal(must(w, members, err)[0].Hub, "")
	}},
	{"who has something to read is who has rows that wait, or a session that is over", func(w *world) {
		idle, acked, waits, over := w.member("idle"), w.member("acked"), w.member("waits"), w.member("over")
		w.run("a", acked)
		e := w.place(w.create("b"), "waits")
		w.session("over")
		revoked := w.member("revoked")
		_, err := w.SetRevoked(w.ctx, revoked.Member, true, flow.Audit{At: began})
		w.ok(err)
		ghost := flow.Sender{Member: flow.Member{Cluster: "nowhere", Instance: "i"}, Generation: 1, Incarnation: 1}
		all := []flow.Sender{idle, acked, waits, over, revoked, ghost}
		due, err := w.Due(w.ctx, all)
		w.equal(must(w, due, err), []flow.Sender{waits, over, revoked, ghost})
		for _, who := range all { // Assignments agrees
			list, err := w.Assignments(w.ctx, who, 10)
			w.equal([]any{who.Cluster, len(list) > 0 || err != nil}, []any{who.Cluster, slices.Contains(due, who)})
		}
		w.ok(w.Ack(w.ctx, waits, []flow.Ack{{Execution: e.ID, Epoch: e.Epoch, Revision: e.Revision}}))
		due, err = w.Due(w.ctx, all[:3])
		w.equal(len(must(w, due, err)), 0)
		due, err = w.Due(w.ctx, nil)
		w.equal(len(must(w, due, err)), 0)
	}},
	{"an old session is refused everywhere", func(w *world) {
		old := w.member("east")
		e := w.place(w.create("a"), "east")
		w.session("east")
		_, err := w.Assignments(w.ctx, old, 10)
		w.fails(err, fault.Stale)
		w.fails(w.Ack(w.ctx, old, []flow.Ack{{Execution: e.ID, Epoch: e.Epoch, Revision: 1}}), fault.Stale)
		w.fails(w.Report(w.ctx, old, flow.ClusterReport{}), fault.Stale)
		_, err = w.Verdicts(w.ctx, old, nil)
		w.fails(err, fault.Stale)
		_, err = w.RecordEvents(w.ctx, old, []flow.Event{happened(e, flow.EventWorkflow, "", 2, 1)}, apply)
		w.fails(err, fault.Stale)
		w.equal(w.get(e.ID).Sequence, uint64(0))
	}},
	{"a report changes what the cluster offers, and nothing else", func(w *world) {
		w.ok(w.CreateCluster(w.ctx, flow.Cluster{Name: "east", Labels: map[string]string{"a": "b"}, CreatedAt: began}))
		w.fails(w.CreateCluster(w.ctx, flow.Cluster{Name: "east"}), fault.Conflict)
		sender := w.member("east")
		report := flow.ClusterReport{Capacity: flow.Resources{MilliCPU: 9}, LargestNode: flow.Resources{Memory: 7}, TaskTypes: []string{"t"}, Version: "v",
			Architectures: []string{"amd64"}, Accelerators: []string{"gpu"}, Store: "s"}
		w.ok(w.Report(w.ctx, sender, report))
		c, err := w.GetCluster(w.ctx, "east")
		w.ok(err)
		w.equal(c, flow.Cluster{Name: "east", Labels: map[string]string{"a": "b"}, Incarnation: 1, Health: flow.HealthUnknown,
			HealthSince: began, CreatedAt: began, UpdatedAt: c.UpdatedAt, Capacity: report.Capacity, LargestNode: report.LargestNode,
			TaskTypes: report.TaskTypes, Version: "v", Architectures: report.Architectures, Accelerators: report.Accelerators, Store: "s"})
		list, err := w.ListClusters(w.ctx)
		w.equal(must(w, list, err), []flow.Cluster{c})
		members, err := w.ListMembers(w.ctx, "east")
		w.equal(must(w, members, err)[0].Version, "v")
	}},
	{"an assignment holds the whole desired state", assignmentCase},
	{"an ack counts for its own epoch and revision", ackCase},
}

func assignmentCase(w *world) {
	sender := w.member("east")
	w.ok(w.CreateEntity(w.ctx, flow.Entity{Kind: flow.KindWorkflow, ID: w.example("").Workflow, Body: []byte("closure"), BodyDigest: []byte("sum")}))
	e := w.place(w.create("a"), "east")
	want := flow.Assignment{Execution: e.ID, Cluster: "east", Epoch: e.Epoch, Incarnation: 1, Revision: e.Revision, OwnershipRevision: 1,
		Desired: flow.DesiredRun, Run: &flow.Run{Workflow: e.Workflow, LaunchPlan: e.LaunchPlan, Closure: []byte("closure"),
			ClosureDigest: []byte("sum"), Inputs: e.Inputs, Spec: e.Spec, DataPrefix: e.DataPrefix, RawPrefix: e.RawPrefix,
			CreatedAt: e.CreatedAt, Trace: e.Trace}}
	w.equal(w.due(sender), []flow.Assignment{want})
	w.equal(w.due(sender), []flow.Assignment{want}) // it stays due until it is acked
	w.equal(len(w.due(w.member("west"))), 0)
	w.ok(w.Ack(w.ctx, sender, []flow.Ack{{Execution: e.ID, Epoch: e.Epoch, Revision: e.Revision}}))
	w.equal(len(w.due(sender)), 0)
}

func ackCase(w *world) {
	sender := w.member("east")
	e := w.place(w.create("a"), "east")
	_, err := w.AbortExecution(w.ctx, e.ID, "", "", began.Add(time.Hour))
	w.ok(err)
	for _, c := range []struct {
		ack flow.Ack
		due int
		why string
	}{
		{flow.Ack{Execution: e.ID, Epoch: e.Epoch, Revision: 1}, 1, "the abort is at revision 2"},
		{flow.Ack{Execution: e.ID, Epoch: e.Epoch.Next(), Revision: 2}, 1, "it is another epoch's"},
		{flow.Ack{Execution: w.id("x"), Epoch: e.Epoch, Revision: 2}, 1, "it is about nothing"},
		{flow.Ack{Execution: e.ID, Epoch: e.Epoch, Revision: 99}, 0, "it covers the abort"},
		{flow.Ack{Execution: e.ID, Epoch: e.Epoch, Revision: 1}, 0, "an ack never lowers"},
	} {
		w.ok(w.Ack(w.ctx, sender, []flow.Ack{c.ack}))
		if got := len(w.due(sender)); got != c.due {
			w.Errorf("after %+v, %d are due, want %d: %s", c.ack, got, c.due, c.why)
		}
	}
}
