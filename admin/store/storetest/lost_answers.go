package storetest

import (
	"fmt"
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

// lostAnswerCases break the connection at a COMMIT, before and after it landed.
// Either way the call says nil, and what it says is so.
var lostAnswerCases = func() []testCase {
	var cases []testCase
	for _, c := range append([]testWrite{
		{"CreateExecution", func(w *world) (func() error, func()) {
			e := w.example("a")
			return func() error { return w.CreateExecution(w.ctx, e) }, func() { w.equal(w.get(e.ID), e) }
		}},
		{"CreateEntity", func(w *world) (func() error, func()) {
			return func() error { return w.CreateEntity(w.ctx, flow.Entity{Kind: flow.KindTask, ID: someTask}) }, func() {
				_, err := w.GetEntity(w.ctx, flow.KindTask, someTask)
				w.ok(err)
			}
		}},
		{"CreateProject", func(w *world) (func() error, func()) {
			return func() error { return w.CreateProject(w.ctx, flow.Project{ID: "x"}) }, func() {
				_, err := w.GetProject(w.ctx, "x")
				w.ok(err)
			}
		}},
		{"CreateCluster", func(w *world) (func() error, func()) {
			return func() error { return w.CreateCluster(w.ctx, flow.Cluster{Name: "x"}) }, func() {
				_, err := w.GetCluster(w.ctx, "x")
				w.ok(err)
			}
		}},
		{"ArchiveExecution", func(w *world) (func() error, func()) {
			id := w.create("a")
			return func() error { return w.ArchiveExecution(w.ctx, id, true) }, func() { w.equal(w.get(id).Archived, true) }
		}},
		{"SetActive", func(w *world) (func() error, func()) {
			w.ok(w.CreateEntity(w.ctx, flow.Entity{Kind: flow.KindLaunchPlan, ID: plan("v1")}))
			return func() error { return w.SetActive(w.ctx, plan("v1"), true) }, func() { w.equal(w.active(), []string{"v1"}) }
		}},
		{"AbortExecution that ends at once", lostAbort(false)},
		{"AbortExecution that is sent", lostAbort(true)},
		{"CommitPlan", lostPlan},
		{"RecordLeases", lostLeases},
		{"BeginTerm", func(w *world) (func() error, func()) {
			return func() (err error) { w.fence, err = w.BeginTerm(w.ctx, "r"); return err }, func() {
				found, err := w.ReadFence(w.ctx)
				w.equal(must(w, found, err), w.fence)
			}
		}},
		{"OpenSession", func(w *world) (func() error, func()) {
			w.cluster("east")
			var session flow.Session
			return func() (err error) {
				session, err = w.OpenSession(w.ctx, flow.Member{Cluster: "east", Instance: "i"}, "hub", flow.ClusterReport{})
				return err
			}, func() { w.equal(len(w.due(session.Sender)), 0) }
		}},
		{"RecordEvents", func(w *world) (func() error, func()) {
			sender := w.member("east")
			e := w.run("a", sender)
			return func() error {
				_, err := w.RecordEvents(w.ctx, sender, []flow.Event{happened(e, flow.EventWorkflow, "", int32(flow.ExecutionFailed), 1)}, apply)
				return err
			}, func() { w.equal(w.get(e.ID).Phase, flow.ExecutionFailed) }
		}},
		{"RecordBatches", func(w *world) (func() error, func()) {
			old, west := w.member("east"), w.member("west")
			a, b := w.run("a", old), w.run("b", west)
			w.session("east")
			ended := func(e flow.Execution) []flow.Event {
				return []flow.Event{happened(e, flow.EventWorkflow, "", int32(flow.ExecutionFailed), 1)}
			}
			var answers []flow.BatchResult
			return func() (err error) {
					answers, err = w.RecordBatches(w.ctx, []flow.EventBatch{{From: old, Events: ended(a)}, {From: west, Events: ended(b)}}, apply)
					return err
				}, func() {
					w.fails(answers[0].Err, fault.Stale)
					w.ok(answers[1].Err)
					w.equal([]any{w.get(a.ID).Phase, w.get(b.ID).Phase}, []any{flow.ExecutionQueued, flow.ExecutionFailed})
				}
		}},
		{"Ack", func(w *world) (func() error, func()) {
			sender := w.member("east")
			e := w.place(w.create("a"), "east")
			return func() error { return w.Ack(w.ctx, sender, []flow.Ack{{Execution: e.ID, Epoch: e.Epoch, Revision: 1}}) },
				func() { w.equal(len(w.due(sender)), 0) }
		}},
		{"Verdicts", func(w *world) (func() error, func()) {
			sender := w.member("east")
			e := w.run("a", sender)
			var verdicts flow.Verdicts
			return func() (err error) { verdicts, err = w.Verdicts(w.ctx, sender, nil); return err }, func() {
				w.equal(verdicts.OwnershipRevision, uint64(2))
				w.equal(w.get(e.ID).Cluster, "")
			}
		}},
		{"ConsumeToken", lostToken},
	}, orderWrites...) {
		for _, landed := range []bool{true, false} {
			cases = append(cases, testCase{fmt.Sprintf("%s, landed %t", c.name, landed), func(w *world) { c.check(w, landed) }})
		}
	}
	return cases
}()

type testWrite struct {
	name string
	// prepare gives the write, and a check of what must be so after it.
	prepare func(*world) (write func() error, check func())
}

func (c testWrite) check(w *world, landed bool) {
	if w.Cut == nil {
		w.Skip("the engine has no wire")
	}
	write, check := c.prepare(w)
	happened := w.Cut(landed)
	w.ok(write())
	if !happened() {
		w.Fatal("the connection was not cut: the case shows nothing")
	}
	check()
}

func lostAbort(placed bool) func(*world) (func() error, func()) {
	return func(w *world) (func() error, func()) {
		id := w.create("a")
		w.member("east")
		want := flow.ExecutionAborted
		if placed {
			w.place(id, "east")
			want = flow.ExecutionAborting
		}
		var got flow.Execution
		return func() (err error) { got, err = w.AbortExecution(w.ctx, id, "why", "who", began); return err }, func() {
			w.equal(got.Phase, want)
			got.Inputs, got.UserInputs = w.example("a").Inputs, w.example("a").UserInputs
			w.equal(w.get(id), got)
		}
	}
}

func lostPlan(w *world) (func() error, func()) {
	w.lead()
	w.registered("east")
	id := w.create("a")
	var placed []flow.ExecutionID
	return func() (err error) {
			w.fence, placed, err = w.CommitPlan(w.ctx, w.fence, onto("east", id))
			return err
		}, func() {
			w.equal(placed, []flow.ExecutionID{id})
			e := w.get(id)
			w.equal([]any{e.Cluster, e.Epoch.N}, []any{"east", uint64(1)})
			found, err := w.ReadFence(w.ctx)
			w.equal(must(w, found, err), w.fence)
		}
}

func lostLeases(w *world) (func() error, func()) {
	sender := w.member("east")
	w.lead()
	var leases []flow.Lease
	return func() (err error) {
			w.fence, leases, err = w.RecordLeases(w.ctx, w.fence, []flow.LeaseRequest{{Sender: sender, Nonce: 5}}, time.Minute, began)
			return err
		}, func() {
			w.equal(leases, []flow.Lease{{Sender: sender, Nonce: 5, Duration: time.Minute, OwnershipRevision: 1}})
		}
}

func lostToken(w *world) (func() error, func()) {
	w.cluster("east")
	w.ok(w.CreateToken(w.ctx, []byte("hash"), "east", began.Add(time.Hour)))
	var got []byte
	made := byte('0')
	consume := func() (err error) {
		_, got, err = w.ConsumeToken(w.ctx, []byte("hash"), []byte("key"), "i",
			func(string, uint64) ([]byte, error) { made++; return []byte{made}, nil }, began)
		return err
	}
	return consume, func() {
		first := got
		w.ok(consume())
		w.equal(got, first)
	}
}
