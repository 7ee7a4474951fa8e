package storetest

import (
	"fmt"
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

var planCases = []testCase{
	{"pending executions come oldest first", func(w *world) {
		for _, name := range []string{"b", "a", "c"} {
			w.create(name)
		}
		w.place(w.id("a"), "east")
		pending, err := w.Pending(w.ctx, flow.PendingKey{}, 10)
		w.equal(len(must(w, pending, err)), 2)
		want := w.get(w.id("b"))
		digest := pending[0].Digest
		w.equal(pending[0], flow.Pending{Execution: want.ID, CreatedAt: want.CreatedAt, Trace: want.Trace, Digest: digest})
		w.equal(pending[1].Digest, digest)
		known, err := w.Requirements(w.ctx, []string{digest, "no such digest"})
		w.equal(must(w, known, err), map[string]flow.Requirement{digest: want.Requirement})
		first, err := w.Pending(w.ctx, flow.PendingKey{}, 1)
		w.equal(must(w, first, err), pending[:1])
		rest, err := w.Pending(w.ctx, first[0].Key(), 10)
		w.equal(must(w, rest, err), pending[1:])
		rest, err = w.Pending(w.ctx, pending[1].Key(), 10)
		w.equal(len(must(w, rest, err)), 0)
	}},
	{"a placement has a first epoch, an assignment and a decision", func(w *world) {
		sender := w.member("east")
		e := w.place(w.create("a"), "east")
		w.equal([]any{e.Cluster, e.Phase, e.Epoch, e.Revision}, []any{"east", flow.ExecutionQueued, flow.Epoch{Era: w.fence.Epoch.Era, N: 1}, uint64(1)})
		loads, err := w.Loads(w.ctx)
		w.equal(must(w, loads, err), []flow.Load{{Cluster: "east", Tenant: e.ID.Tenant(), Executions: 1, Reservation: e.Requirement.Reservation}})
		decisions, err := w.ListDecisions(w.ctx, e.ID)
		w.equal(must(w, decisions, err), []flow.Decision{{Execution: e.ID, Epoch: e.Epoch, Cluster: "east", Scheduler: w.fence.Epoch,
			Reasons: []flow.Reason{{Cluster: "east", Message: "fits", Chosen: true}}, At: began.Add(time.Minute)}})
		w.equal(len(w.due(sender)), 1)
	}},
	{"only what still waits, at the epoch that was read, is placed", func(w *world) {
		w.lead()
		w.create("placed")
		w.place(w.id("placed"), "east")
		w.create("aborted")
		_, err := w.AbortExecution(w.ctx, w.id("aborted"), "", "", began)
		w.ok(err)
		w.create("moved")
		w.create("good")
		w.create("nowhere")
		w.registered("west")
		next, placed, err := w.CommitPlan(w.ctx, w.fence, flow.Batch{At: began, Placements: []flow.Placement{
			{Execution: w.id("nowhere"), Cluster: "unregistered"},
			{Execution: w.id("placed"), Prior: w.get(w.id("placed")).Epoch, Cluster: "west"}, {Execution: w.id("aborted"), Cluster: "west"},
			{Execution: w.id("moved"), Prior: flow.Epoch{Era: 1, N: 7}, Cluster: "west"}, {Execution: w.id("absent"), Cluster: "west"},
			{Execution: w.id("good"), Cluster: "west"}}})
		w.ok(err)
		w.equal(placed, []flow.ExecutionID{w.id("good")})
		w.equal(next, flow.Fence{Epoch: w.fence.Epoch, Beat: w.fence.Beat + 1})
		w.equal(w.get(w.id("placed")).Cluster, "east")
	}},
	{"five hundred placements are one batch", func(w *world) {
		w.lead()
		var placements []flow.Placement
		for i := range 7 {
			w.registered(fmt.Sprintf("c%d", i))
		}
		for i := range 500 {
			id := w.create(fmt.Sprintf("e%03d", i))
			placements = append(placements, flow.Placement{Execution: id, Cluster: fmt.Sprintf("c%d", i%7), Reasons: []flow.Reason{{Message: id.Name}}})
		}
		_, placed, err := w.CommitPlan(w.ctx, w.fence, flow.Batch{Placements: placements, At: began})
		w.ok(err)
		w.equal(len(placed), 500)
		decisions, err := w.ListDecisions(w.ctx, w.id("e123"))
		w.equal(must(w, decisions, err)[0].Reasons[0].Message, "e123")
		w.equal(decisions[0].Cluster, "c4")
	}},
	{"the newest wait is kept, and rewritten only if it says something new", func(w *world) {
		w.lead()
		id := w.create("a")
		for i, message := range []string{"full", "full", "no GPU"} {
			w.commit(flow.Batch{Waits: []flow.Wait{{Execution: id, Reasons: []flow.Reason{{Message: message}}}},
				At: began.Add(time.Duration(i) * time.Second)})
			decisions, err := w.ListDecisions(w.ctx, id)
			w.equal(len(must(w, decisions, err)), 1)
			w.equal(decisions[0].Reasons[0].Message, message)
			w.equal(decisions[0].At, began.Add(time.Duration(i/2*2)*time.Second))
		}
	}},
	{"an old leader is refused", func(w *world) {
		w.lead()
		id := w.create("a")
		old := w.fence
		w.lead()
		w.equal(old.Epoch.Less(w.fence.Epoch), true)
		_, _, err := w.CommitPlan(w.ctx, old, onto("east", id))
		w.fails(err, fault.Stale)
		_, err = w.SetHealth(w.ctx, old, nil)
		w.fails(err, fault.Stale)
		_, _, err = w.RecordLeases(w.ctx, old, nil, time.Second, began)
		w.fails(err, fault.Stale)
		w.equal(w.get(id).Cluster, "")
	}},
	{"a leader whose beat has moved is refused", func(w *world) {
		w.lead()
		w.registered("east")
		id := w.create("a")
		next, err := w.SetHealth(w.ctx, w.fence, nil)
		w.ok(err)
		_, _, err = w.CommitPlan(w.ctx, w.fence, onto("east", id))
		w.fails(err, fault.Stale)
		found, err := w.ReadFence(w.ctx)
		w.equal(must(w, found, err), next)
		_, _, err = w.CommitPlan(w.ctx, next, onto("east", id))
		w.ok(err)
	}},
	{"health is stored with the time of its change", func(w *world) {
		w.cluster("east")
		w.lead()
		for i, health := range []flow.Health{flow.HealthHealthy, flow.HealthHealthy, flow.HealthSuspect} {
			next, err := w.SetHealth(w.ctx, w.fence, []flow.HealthChange{{Cluster: "east", Health: health, At: began.Add(time.Duration(i) * time.Hour)}})
			w.fence = must(w, next, err)
			c, err := w.GetCluster(w.ctx, "east")
			w.ok(err)
			w.equal([]any{c.Health, c.HealthSince}, []any{health, began.Add(time.Duration(i/2*2) * time.Hour)})
		}
	}},
	{"leases go to the newest sessions only", leaseCase},
}

func leaseCase(w *world) {
	newest, closed := w.member("east"), w.member("west")
	old := w.member("south")
	w.session("south")
	w.ok(w.CloseSession(w.ctx, closed))
	w.lead()
	request := func(s flow.Sender, nonce uint64) flow.LeaseRequest { return flow.LeaseRequest{Sender: s, Nonce: nonce} }
	next, leases, err := w.RecordLeases(w.ctx, w.fence,
		[]flow.LeaseRequest{request(newest, 1<<63), request(old, 2), request(closed, 3)}, 30*time.Second, began)
	w.ok(err)
	w.equal(next.Beat, w.fence.Beat+1)
	w.equal(leases, []flow.Lease{{Sender: newest, Nonce: 1 << 63, Duration: 30 * time.Second, OwnershipRevision: 1}})
	members, err := w.ListMembers(w.ctx, "east")
	m := must(w, members, err)[0]
	w.equal([]any{m.LeaseGeneration, m.LeaseExpiresAt, m.LeaseDuration}, []any{newest.Generation, began.Add(30 * time.Second), 30 * time.Second})
	members, err = w.ListMembers(w.ctx, "")
	w.equal(len(must(w, members, err)), 3)
}
