package storetest

import (
	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

// signCases are about what gives a restored backup away.
var signCases = []testCase{
	{"a session meets a database below what its replica has seen", func(w *world) {
		w.lead()
		w.cluster("east")
		w.Know(w.fence)
		w.equal(w.session("east").Rebuild, false)
		w.Know(flow.Fence{Epoch: w.fence.Epoch, Beat: w.fence.Beat + 1})
		w.equal(w.session("east").Rebuild, true)
		w.rebuilding(true)
	}},
	{"a member has seen a later era", func(w *world) {
		w.lead()
		session := w.saw(7, 1)
		w.equal([]any{session.Rebuild, session.Era}, []any{true, uint64(7)})
		w.report(session.Sender, nil)
		w.end()
		w.equal(w.fence.Epoch.Era, uint64(8))
	}},
	{"a member's era must be believable", func(w *world) {
		w.lead()
		w.cluster("east")
		_, err := w.OpenSession(w.ctx, flow.Member{Cluster: "east", Instance: "i"}, "hub", flow.ClusterReport{Era: 1 << 60})
		w.fails(err, fault.Forbidden)
		w.rebuilding(false)
	}},
	{"a member's incarnation must be believable", func(w *world) {
		w.lead()
		w.cluster("east")
		_, err := w.OpenSession(w.ctx, flow.Member{Cluster: "east", Instance: "i"}, "hub", flow.ClusterReport{Incarnation: 1 << 62})
		w.fails(err, fault.Forbidden)
		w.rebuilding(false)
	}},
	{"no sign leads to an era that cannot be left", func(w *world) {
		w.lead()
		for _, era := range []uint64{1 << 22, 1<<63 - 1} {
			_, err := w.EnterRebuild(w.ctx, flow.Fence{Epoch: flow.Epoch{Era: era}}, "a member has said so")
			w.fails(err, fault.Forbidden)
			w.rebuilding(false)
		}
		fence, err := w.ReadFence(w.ctx)
		w.equal(must(w, fence, err), w.fence)
	}},
	{"the highest era that is believed can be left, and is believed afterwards", func(w *world) {
		w.lead()
		session := w.saw(1<<20, 1)
		w.equal([]any{session.Rebuild, session.Era}, []any{true, uint64(1 << 20)})
		w.report(session.Sender, nil)
		w.end()
		session = w.saw(1<<20+1, 1)
		w.equal([]any{session.Rebuild, session.Era}, []any{false, uint64(1<<20 + 1)})
		_, err := w.EnterRebuild(w.ctx, flow.Fence{Epoch: flow.Epoch{Era: 1<<20 + 2}}, "a replica has seen it")
		w.ok(err)
		w.rebuilding(true)
	}},
	{"a member has seen its cluster at a higher incarnation", func(w *world) {
		w.lead()
		session := w.saw(1, 4)
		w.equal([]any{session.Rebuild, session.Incarnation}, []any{true, uint64(4)})
		c, err := w.GetCluster(w.ctx, "east")
		w.equal(must(w, c, err).Incarnation, uint64(4))
	}},
	{"who comes back after the end has seen less, or is believed", func(w *world) {
		w.enter(flow.Fence{})
		w.end()
		session := w.saw(1, 4) // it was away when the era rose
		w.equal([]any{session.Rebuild, session.Incarnation}, []any{false, uint64(4)})
		w.equal(w.saw(2, 4).Rebuild, false)
		given := flow.Held{Execution: w.create("a"), Epoch: flow.Epoch{Era: 1, N: 3}, Revision: 1}
		sender := w.session("east").Sender
		w.equal(w.judge(sender, given).List[0].Order, flow.OrderStop) // what it held was given up
		w.place(given.Execution, "east")
		w.rebuilding(false)
		w.equal(w.record(sender, happened(flow.Execution{ID: given.Execution, Epoch: given.Epoch}, flow.EventWorkflow, "", 2, 1))[0].Accepted, false)
		w.rebuilding(false)
	}},
	{"an inventory has an epoch that the database has not given", func(w *world) {
		for _, c := range []struct {
			name  string
			epoch flow.Epoch
			known bool
		}{{"a", flow.Epoch{Era: 1, N: 9}, true}, {"b", flow.Epoch{Era: 2, N: 1}, true}, {"c", flow.Epoch{Era: 3, N: 1}, false}} {
			sender := w.member("east")
			id := w.id(c.name)
			if c.known {
				w.create(c.name)
			}
			_, err := w.Verdicts(w.ctx, sender, []flow.Held{{Execution: id, Epoch: c.epoch, Revision: 1}})
			w.fails(err, fault.Unavailable)
			w.rebuilding(true)
			w.ok(w.ForceRebuild(w.ctx, flow.Audit{Actor: "ann"}))
			w.end()
		}
	}},
	{"an event has an epoch that the database has not given", func(w *world) {
		sender := w.member("east")
		e := w.run("a", sender)
		w.judge(sender, held(e))
		e.Epoch = e.Epoch.Next()
		_, err := w.RecordEvents(w.ctx, sender, []flow.Event{happened(e, flow.EventWorkflow, "", 2, 1)}, apply)
		w.fails(err, fault.Unavailable)
		w.rebuilding(true)
		w.equal(w.get(e.ID).Sequence, uint64(0))
	}},
	{"an abort that nobody asked for takes the execution from its cluster", func(w *world) {
		session := w.sessionOf("east")
		e := w.run("a", session.Sender)
		w.record(session.Sender, happened(e, flow.EventNode, "n0", int32(flow.NodeRunning), 1))
		results, err := w.RecordEvents(w.ctx, session.Sender, []flow.Event{happened(e, flow.EventWorkflow, "", int32(flow.ExecutionAborted), 2)},
			func(r flow.Recorded, _ flow.Event) (flow.Recorded, flow.EventResult) {
				return r, flow.EventResult{Reason: "nobody asked", Unasked: true}
			})
		w.equal(must(w, results, err)[0].Accepted, false)
		got := w.get(e.ID)
		w.equal([]any{got.Phase, got.Cluster, got.Moves, got.Epoch}, []any{flow.ExecutionQueued, "", 1, e.Epoch})
		w.equal(w.session("east").OwnershipRevision, session.OwnershipRevision+1)
		node, err := w.GetNode(w.ctx, flow.NodeID{Execution: e.ID, Node: "n0"})
		w.equal(must(w, node, err).Reason, flow.ReasonClusterLost)
		w.equal(w.place(e.ID, "east").Epoch, e.Epoch.Next())
	}},
}

// saw opens a session of a member that has seen an era and an incarnation.
func (w *world) saw(era, incarnation uint64) flow.Session {
	w.Helper()
	w.registered("east")
	session, err := w.OpenSession(w.ctx, flow.Member{Cluster: "east", Instance: "i"}, "hub", flow.ClusterReport{Era: era, Incarnation: incarnation})
	return must(w, session, err)
}

func (w *world) sessionOf(cluster string) flow.Session {
	w.Helper()
	w.registered(cluster)
	return w.session(cluster)
}

// rebuilding says whether a REBUILD lasts.
func (w *world) rebuilding(want bool) {
	w.Helper()
	r, err := w.Rebuild(w.ctx)
	w.equal(!must(w, r, err).Since.IsZero(), want)
}
