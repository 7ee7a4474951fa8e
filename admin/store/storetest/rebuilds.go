package storetest

import (
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

// rebuildCases are about the course of a REBUILD.
var rebuildCases = []testCase{
	{"without a restored backup there is nothing to rebuild, force or end", func(w *world) {
		w.lead()
		r, err := w.Rebuild(w.ctx)
		w.equal(must(w, r, err).Since.IsZero(), true)
		_, err = w.LastRebuilt(w.ctx)
		w.fails(err, fault.NotFound)
		w.fails(w.ForceRebuild(w.ctx, flow.Audit{Actor: "ann"}), fault.Precondition)
		_, _, err = w.EndRebuild(w.ctx, w.fence, began)
		w.fails(err, fault.Precondition)
		w.equal(w.commit(onto("east")), []flow.ExecutionID(nil)) // the refused end has moved no fence
	}},
	{"entering fences the leader off, ends sessions and forgets leases, once", func(w *world) {
		old := w.member("east")
		w.lead()
		w.grant(old)
		known := flow.Fence{Epoch: flow.Epoch{Era: 1, N: 40}, Beat: 7}
		first := w.enter(known)
		w.equal([]any{first.Since.IsZero(), first.Why, first.Waiting, first.Forced, first.Longest},
			[]any{false, "a test says so", []string{"east"}, false, 30 * time.Second})
		fence, err := w.ReadFence(w.ctx)
		w.equal(must(w, fence, err), flow.Fence{Epoch: flow.Epoch{Era: 1, N: 41}})
		_, _, err = w.CommitPlan(w.ctx, w.fence, onto("east"))
		w.fails(err, fault.Stale)
		_, err = w.Verdicts(w.ctx, old, nil)
		w.fails(err, fault.Stale)
		members, err := w.ListMembers(w.ctx, "east")
		w.equal([]any{must(w, members, err)[0].LeaseRecordedAt.IsZero(), members[0].Hub}, []any{true, ""})
		reporting := w.session("east")
		w.equal([]any{reporting.Rebuild, reporting.Generation > old.Generation+1000}, []any{true, true})

		w.equal(w.enter(known), first) // and the session that reports stays
		w.report(reporting.Sender, nil)
		fence, err = w.ReadFence(w.ctx)
		w.equal(must(w, fence, err).Epoch.N, uint64(41))
		lines, err := w.ListAudit(w.ctx, "control-plane", time.Time{}, 10)
		w.equal(len(must(w, lines, err)), 1)
		w.equal([]string{lines[0].Action, lines[0].Detail}, []string{"rebuild.begin", "a test says so"})

		w.enter(flow.Fence{Epoch: flow.Epoch{Era: 3, N: 50}}) // one replica had seen more still
		fence, err = w.ReadFence(w.ctx)
		w.equal(must(w, fence, err), flow.Fence{Epoch: flow.Epoch{Era: 3, N: 51}})
		w.end()
		w.equal(w.fence.Epoch.Era, uint64(4))
	}},
	{"who the backup does not know begins above the sessions of before as well", func(w *world) {
		w.member("east")
		open := func(instance string) flow.Session {
			session, err := w.OpenSession(w.ctx, flow.Member{Cluster: "east", Instance: instance}, "hub", flow.ClusterReport{})
			return must(w, session, err)
		}
		forgotten := flow.Sender{Member: flow.Member{Cluster: "east", Instance: "late"}, Generation: 1, Incarnation: open("other").Incarnation}
		w.enter(flow.Fence{})
		w.report(w.session("east").Sender, nil)
		w.report(open("other").Sender, nil)
		late := open("late")
		w.equal(late.Generation > 1<<32, true)
		w.report(late.Sender, nil)
		w.end()
		late = open("late")
		w.ok(w.CloseSession(w.ctx, forgotten)) // by the hub that served it before the restore
		w.lead()
		w.grant(late.Sender)
		first := open("first") // in the new era
		w.equal(first.Generation > 1<<32, true)
		w.enter(flow.Fence{Epoch: flow.Epoch{Era: 2, N: 1 << 20}})
		w.equal(open("second").Generation > first.Generation+1000, true)
	}},
	{"a replica that noticed late begins no second REBUILD", func(w *world) {
		w.lead()
		known := flow.Fence{Epoch: flow.Epoch{Era: 1, N: 40}}
		w.enter(known)
		w.lead()
		w.end()
		w.equal(w.enter(known).Since.IsZero(), true)
		w.equal(w.commit(onto("east")), []flow.ExecutionID(nil))
	}},
	{"nothing is placed, leased, moved or recorded while it lasts", func(w *world) {
		sender := w.member("east")
		e := w.run("a", sender)
		waits := w.create("b")
		w.enter(flow.Fence{})
		w.lead()
		_, _, err := w.CommitPlan(w.ctx, w.fence, onto("east", waits))
		w.fails(err, fault.Unavailable)
		_, _, err = w.Reap(w.ctx, w.fence, flow.Takeover{Cluster: "east"}, []flow.ExecutionID{e.ID}, began)
		w.fails(err, fault.Unavailable)
		_, _, err = w.Revoke(w.ctx, w.fence, []flow.Revocation{{Execution: e.ID, Epoch: e.Epoch, Kind: flow.MoveDrain}}, began)
		w.fails(err, fault.Unavailable)
		_, err = w.SetHealth(w.ctx, w.fence, []flow.HealthChange{{Cluster: "east", Health: flow.HealthHealthy, At: began}})
		w.fails(err, fault.Unavailable)
		sender = w.session("east").Sender
		_, _, err = w.RecordLeases(w.ctx, w.fence, []flow.LeaseRequest{{Sender: sender, Nonce: 1}}, time.Second, began)
		w.fails(err, fault.Unavailable)
		_, err = w.Assignments(w.ctx, sender, 10)
		w.fails(err, fault.Unavailable)
		_, err = w.Verdicts(w.ctx, sender, nil)
		w.fails(err, fault.Unavailable)
		w.fails(w.Ack(w.ctx, sender, []flow.Ack{{Execution: e.ID, Epoch: e.Epoch, Revision: 1}}), fault.Unavailable)
		_, err = w.RecordEvents(w.ctx, sender, []flow.Event{happened(e, flow.EventWorkflow, "", 2, 1)}, apply)
		w.fails(err, fault.Unavailable)
		w.ok(w.Report(w.ctx, sender, flow.ClusterReport{Version: "v"}))
		w.equal(w.get(e.ID), e)
		w.equal(w.get(waits).Cluster, "")
		w.report(sender, nil, held(e))
		w.end()
		_, _, err = w.RecordLeases(w.ctx, w.fence, []flow.LeaseRequest{{Sender: sender, Nonce: 1}}, time.Second, began)
		w.ok(err) // and it leaves out who reported: that session is over
		members, err := w.ListMembers(w.ctx, "east")
		w.equal(must(w, members, err)[0].LeaseRecordedAt.IsZero(), true)
	}},
	{"users are served while it lasts", func(w *world) {
		w.enter(flow.Fence{})
		id := w.create("a")
		e, err := w.AbortExecution(w.ctx, id, "why", "who", began)
		w.equal(must(w, e, err).Phase, flow.ExecutionAborted)
	}},
	{"it waits for each member of each cluster", func(w *world) {
		one := w.member("east")
		open := func(instance string) flow.Sender {
			s, err := w.OpenSession(w.ctx, flow.Member{Cluster: "east", Instance: instance}, "hub", flow.ClusterReport{})
			return must(w, s, err).Sender
		}
		open("j")
		w.member("west")
		w.cluster("empty") // which no member ever joined
		w.enter(flow.Fence{})
		w.lead()
		w.waits("east", "west")
		one = open(one.Instance)
		w.report(one, nil)
		w.waits("east", "west")
		_, _, err := w.EndRebuild(w.ctx, w.fence, began)
		w.fails(err, fault.Precondition)
		two := open("j")
		w.report(two, nil)
		w.waits("west")
		open("j") // again: its old report does not count for its new session
		w.waits("east", "west")
		w.report(open("j"), nil)
		_, err = w.DeclareLost(w.ctx, "west", false, flow.Audit{Actor: "ann"})
		w.ok(err)
		w.waits()
		w.end()
	}},
	{"a revoked member is not waited for", func(w *world) {
		w.member("east")
		w.enter(flow.Fence{})
		w.waits("east")
		_, err := w.SetRevoked(w.ctx, flow.Member{Cluster: "east", Instance: "i"}, true, flow.Audit{Actor: "ann"})
		w.ok(err)
		w.waits()
	}},
	{"an operator's word ends the waiting", func(w *world) {
		sender := w.member("east")
		e := w.run("a", sender)
		w.enter(flow.Fence{})
		w.lead()
		w.ok(w.ForceRebuild(w.ctx, flow.Audit{Actor: "ann", Action: "rebuild.finish"}))
		r, err := w.Rebuild(w.ctx)
		w.equal([]any{must(w, r, err).Forced, r.Waiting}, []any{true, []string{"east"}})
		rebuilt := w.end()
		w.equal(rebuilt.Released, int64(1))
		w.equal(w.get(e.ID).Cluster, "east") // it is the cluster's still, should it come back first
	}},
	{"an inventory of a session from before is refused", func(w *world) {
		old := w.member("east")
		e := w.run("a", old)
		w.enter(flow.Fence{})
		w.lead()
		_, err := w.TakeInventory(w.ctx, old, []flow.Held{held(e)})
		w.fails(err, fault.Stale)
		w.fails(w.TakeHoldings(w.ctx, old, nil, true), fault.Stale)
		w.waits("east")
		reporting := w.session("east").Sender
		w.fails(w.TakeHoldings(w.ctx, reporting, nil, true), fault.Precondition) // it gave no inventory
		w.waits("east")
	}},
	{"the end begins an era, and ends sessions and rights once more", func(w *world) {
		sender := w.member("east")
		e := w.run("a", sender)
		next := w.create("b")
		w.enter(flow.Fence{})
		w.lead()
		began := w.fence
		reporting := w.session("east")
		w.report(reporting.Sender, nil, held(e))
		rebuilt := w.end()
		w.equal(w.fence, flow.Fence{Epoch: flow.Epoch{Era: began.Epoch.Era + 1, N: began.Epoch.N}, Beat: 1})
		w.equal([]any{rebuilt.Era, rebuilt.Kept, rebuilt.EndedAt.IsZero()}, []any{w.fence.Epoch.Era, int64(1), false})
		last, err := w.LastRebuilt(w.ctx)
		w.equal(must(w, last, err), rebuilt)
		_, err = w.Verdicts(w.ctx, reporting.Sender, nil)
		w.fails(err, fault.Stale)
		session := w.session("east")
		w.equal([]any{session.Rebuild, session.Era, session.OwnershipRevision}, []any{false, uint64(2), reporting.OwnershipRevision + 1})
		w.equal(w.judge(session.Sender, held(e)).List[0].Order, flow.OrderKeep)
		w.equal(w.place(next, "east").Epoch, flow.Epoch{Era: 2, N: 1})
		w.equal(w.get(e.ID).Epoch, e.Epoch)
		_, _, err = w.EndRebuild(w.ctx, began, w.get(next).CreatedAt)
		w.fails(err, fault.Stale)
	}},
	{"a lost answer to entering or ending does no harm", func(w *world) {
		if w.Cut == nil {
			w.Skip("this engine has no wire")
		}
		for _, landed := range []bool{false, true} {
			w.member("east")
			w.lead()
			happened := w.Cut(landed)
			w.enter(flow.Fence{})
			w.equal(happened(), true)
			w.lead()
			w.report(w.session("east").Sender, nil)
			happened = w.Cut(landed)
			before := w.fence
			rebuilt := w.end()
			w.equal([]any{happened(), rebuilt.Era, w.fence.Epoch}, []any{true, before.Epoch.Era + 1, flow.Epoch{Era: before.Epoch.Era + 1, N: before.Epoch.N}})
		}
		lines, err := w.ListAudit(w.ctx, "control-plane", time.Time{}, 10)
		w.equal(len(must(w, lines, err)), 4)
	}},
}

// enter enters REBUILD.
func (w *world) enter(known flow.Fence) flow.Rebuild {
	w.Helper()
	r, err := w.EnterRebuild(w.ctx, known, "a test says so")
	return must(w, r, err)
}

// end ends REBUILD, in the term that w leads or in a new one.
func (w *world) end() flow.Rebuilt {
	w.Helper()
	if fence, err := w.ReadFence(w.ctx); must(w, fence, err).Epoch != w.fence.Epoch {
		w.lead()
	}
	next, rebuilt, err := w.EndRebuild(w.ctx, w.fence, began)
	w.fence = must(w, next, err)
	return rebuilt
}

// waits says for which clusters REBUILD has to wait.
func (w *world) waits(clusters ...string) {
	w.Helper()
	r, err := w.Rebuild(w.ctx)
	w.equal(must(w, r, err).Waiting, clusters)
}

// report gives all that a member holds.
func (w *world) report(sender flow.Sender, list []flow.Holding, inventory ...flow.Held) []flow.Held {
	w.Helper()
	unknown, err := w.TakeInventory(w.ctx, sender, inventory)
	w.ok(err)
	w.ok(w.TakeHoldings(w.ctx, sender, list, true))
	return unknown
}

// grant records a lease for a session.
func (w *world) grant(sender flow.Sender) {
	w.Helper()
	next, leases, err := w.RecordLeases(w.ctx, w.fence, []flow.LeaseRequest{{Sender: sender, Nonce: 1}}, 30*time.Second, began)
	w.fence = must(w, next, err)
	w.equal(len(leases), 1)
}

// held is an execution as its cluster holds it.
func held(e flow.Execution) flow.Held {
	return flow.Held{Execution: e.ID, Epoch: e.Epoch, Revision: e.Revision, Desired: flow.DesiredRun}
}
