package storetest

import (
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

// lose declares a cluster lost.
func (w *world) lose(cluster string, failPinned bool) flow.LossReport {
	w.Helper()
	report, err := w.DeclareLost(w.ctx, cluster, failPinned, by("cluster.declare-lost"))
	return must(w, report, err)
}

var lostCases = []testCase{
	{"a lost cluster owns nothing, and what may move stays for the scheduler", lostCase},
	{"what may not move stays on a lost cluster, or fails if that is asked for", func(w *world) {
		sender := w.member("east")
		e := w.example("a")
		e.Failover = flow.Failover{Mode: flow.FailoverNever}
		w.ok(w.CreateExecution(w.ctx, e))
		e = w.place(e.ID, sender.Cluster)
		w.equal(w.lose("east", false).Pinned, int64(1))
		w.equal(w.get(e.ID), e)
		again := w.lose("east", true)
		w.equal([]any{again.Pinned, again.Cluster.Incarnation}, []any{int64(1), uint64(2)})
		got := w.get(e.ID)
		w.equal([]any{got.Phase, got.Cluster, got.ErrorCode}, []any{flow.ExecutionFailed, "", flow.ReasonClusterLost})
		w.equal(w.moves(e.ID)[0].Kind, flow.MoveLost)
		audit, err := w.ListAudit(w.ctx, "cluster/east", time.Time{}, 10)
		w.equal(len(must(w, audit, err)), 2)
	}},
	{"members of a lost cluster are turned away until it is declared found", func(w *world) {
		old := w.member("east")
		e := w.run("a", old)
		w.lose("east", false)
		_, err := w.OpenSession(w.ctx, old.Member, "hub", flow.ClusterReport{})
		w.fails(err, fault.Precondition)
		c, err := w.DeclareFound(w.ctx, "east", by("cluster.declare-found"))
		w.equal([]any{must(w, c, err).Lost, c.Incarnation, c.Health}, []any{false, uint64(3), flow.HealthUnknown})
		_, err = w.DeclareFound(w.ctx, "east", by("cluster.declare-found"))
		w.fails(err, fault.Precondition)
		_, err = w.DeclareFound(w.ctx, "x", by("cluster.declare-found"))
		w.fails(err, fault.NotFound)
		_, err = w.Assignments(w.ctx, old, 10)
		w.fails(err, fault.Stale)
		session := w.session("east")
		w.equal(session.Incarnation, uint64(3))
		w.equal(w.judge(session.Sender, flow.Held{Execution: e.ID, Epoch: e.Epoch}).List[0].Order, flow.OrderKeep) // it was not placed elsewhere
	}},
	{"what was to be taken from a lost cluster stays if the cluster was declared found meanwhile", func(w *world) {
		sender := w.member("east")
		e, aborting := w.run("a", sender), w.run("b", sender)
		w.registered("west")
		w.lose("east", false)
		guard := w.takeover("east")
		guard.Lost = true
		_, err := w.DeclareFound(w.ctx, "east", by("cluster.declare-found"))
		w.ok(err)
		_, err = w.AbortExecution(w.ctx, aborting.ID, "why", "who", began)
		w.ok(err)
		w.equal(len(w.commit(flow.Batch{Placements: []flow.Placement{forced(e, "west", flow.MoveLost)}, Takeovers: []flow.Takeover{guard}})), 0)
		next, reaped, err := w.Reap(w.ctx, w.fence, guard, []flow.ExecutionID{aborting.ID}, began)
		w.fence = must(w, next, err)
		w.equal(len(reaped), 0)
		w.equal([]any{w.get(e.ID).Cluster, w.get(aborting.ID).Phase}, []any{"east", flow.ExecutionAborting})
	}},
	{"a leader that has not heard of the loss does not undo it", func(w *world) {
		w.cluster("east")
		w.lose("east", false)
		w.lead()
		next, err := w.SetHealth(w.ctx, w.fence, []flow.HealthChange{{Cluster: "east", Health: flow.HealthSuspect, At: began.Add(time.Hour)}})
		w.fence = must(w, next, err)
		c, err := w.GetCluster(w.ctx, "east")
		w.equal([]any{must(w, c, err).Health, c.HealthSince}, []any{flow.HealthLost, began})
	}},
}

func lostCase(w *world) {
	sender := w.member("east")
	e, aborting := w.run("a", sender), w.run("b", sender)
	_, err := w.AbortExecution(w.ctx, aborting.ID, "why", "who", began)
	w.ok(err)
	w.lease(sender, began)
	w.change("east", func(c *flow.Cluster) { c.Drain = &flow.ClusterDrain{By: "ann"} })
	report := w.lose("east", false)
	w.equal([]any{report.Movable, report.Pinned, report.Aborting, report.LeaseUntil}, []any{int64(1), int64(0), int64(1), began.Add(30 * time.Second)})
	c := report.Cluster
	w.equal([]any{c.Lost, c.Incarnation, c.Health, c.HealthSince, c.Drain == nil}, []any{true, uint64(2), flow.HealthLost, began, true})
	got, err := w.Other.GetCluster(w.ctx, "east")
	w.equal(must(w, got, err), c)
	if w.ownership("east") < 2 {
		w.Error("the ownership revision was not raised")
	}
	w.equal([]any{w.get(aborting.ID).Phase, w.get(aborting.ID).Cluster}, []any{flow.ExecutionAborted, ""})
	w.equal(w.get(e.ID), e)
	_, err = w.RecordEvents(w.ctx, sender, []flow.Event{happened(e, flow.EventWorkflow, "", int32(flow.ExecutionSucceeded), 1)}, apply)
	w.fails(err, fault.Stale)
	next, leases, err := w.RecordLeases(w.ctx, w.fence, []flow.LeaseRequest{{Sender: sender}}, time.Minute, began)
	w.fence = must(w, next, err)
	w.equal(len(leases), 0)
	w.registered("west")
	w.equal(w.commit(flow.Batch{Placements: []flow.Placement{forced(e, "west", flow.MoveLost)},
		Takeovers: []flow.Takeover{w.takeover("east")}}), []flow.ExecutionID{e.ID})
	w.equal(w.moves(e.ID)[0].Kind, flow.MoveLost)
	_, err = w.DeclareLost(w.ctx, "x", false, by("cluster.declare-lost"))
	w.fails(err, fault.NotFound)
}
