package storetest

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

// began is when all cases happen.
var began = time.Date(2026, 1, 31, 12, 0, 0, 123456000, time.UTC)

// world is an engine with shortcuts, so that a case shows only what matters.
type world struct {
	*testing.T
	*Opened
	ctx   context.Context
	fence flow.Fence
	names atomic.Int64
}

func newWorld(t *testing.T, o *Opened) *world {
	w := &world{T: t, Opened: o, ctx: t.Context()}
	w.ok(w.CreateProject(w.ctx, flow.Project{ID: "p", Name: "p", CreatedAt: began})) // of all executions
	return w
}

func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatalf("unexpected error: %v", err)
	}
}

func (w *world) fails(err error, kind fault.Kind) {
	w.Helper()
	if !fault.Is(err, kind) {
		w.Fatalf("got error %v, want one of kind %s", err, kind)
	}
}

func (w *world) equal(got, want any) {
	w.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		w.Fatalf("not as wanted (-want +got):\n%s", diff)
	}
}

func must[T any](w *world, value T, err error) T {
	w.Helper()
	w.ok(err)
	return value
}

func (w *world) id(name string) flow.ExecutionID {
	return flow.ExecutionID{Project: "p", Domain: "d", Name: name}
}

// example is an execution with every field set that its creator sets.
func (w *world) example(name string) flow.Execution {
	created := began.Add(time.Duration(w.names.Add(1)) * time.Second)
	return flow.Execution{
		ID: w.id(name), Spec: []byte("spec"), Inputs: []byte("inputs"), UserInputs: []byte("user"),
		Workflow:   flow.EntityID{Project: "p", Domain: "d", Name: "wf", Version: "v1"},
		LaunchPlan: flow.EntityID{Project: "p", Domain: "d", Name: "lp", Version: "v1"},
		Requirement: flow.Requirement{Selector: "gpu", TaskTypes: []string{"container"},
			Reservation: flow.Resources{MilliCPU: 500, Pods: 2}},
		DataPrefix: "/data/" + name, RawPrefix: "/raw/" + name, Principal: "ann", Mode: 1, Trace: "00-aa-bb-01",
		Phase: flow.ExecutionQueued, Desired: flow.DesiredRun, CreatedAt: created, UpdatedAt: created,
	}
}

func (w *world) create(name string) flow.ExecutionID {
	w.Helper()
	e := w.example(name)
	w.ok(w.CreateExecution(w.ctx, e))
	return e.ID
}

func (w *world) get(id flow.ExecutionID) flow.Execution {
	w.Helper()
	e, err := w.GetExecution(w.ctx, id)
	return must(w, e, err)
}

func (w *world) cluster(name string) {
	w.Helper()
	w.ok(w.CreateCluster(w.ctx, flow.Cluster{Name: name, CreatedAt: began}))
}

// registered registers a cluster unless it is there.
func (w *world) registered(cluster string) {
	w.Helper()
	if _, err := w.GetCluster(w.ctx, cluster); err != nil {
		w.cluster(cluster)
	}
}

// member registers a cluster, unless it is there, and opens a session.
func (w *world) member(cluster string) flow.Sender {
	w.Helper()
	w.registered(cluster)
	return w.session(cluster).Sender
}

func (w *world) session(cluster string) flow.Session {
	w.Helper()
	session, err := w.OpenSession(w.ctx, flow.Member{Cluster: cluster, Instance: "i"}, "hub", flow.ClusterReport{})
	return must(w, session, err)
}

func (w *world) lead() {
	w.Helper()
	fence, err := w.BeginTerm(w.ctx, "r")
	w.fence = must(w, fence, err)
}

// place puts an execution on a cluster, as its row is now.
func (w *world) place(id flow.ExecutionID, cluster string) flow.Execution {
	w.Helper()
	if w.fence.Epoch.Zero() {
		w.lead()
	}
	w.registered(cluster)
	placed := w.commit(flow.Batch{At: began.Add(time.Minute), Placements: []flow.Placement{{Execution: id, Prior: w.get(id).Epoch,
		Cluster: cluster, Reasons: []flow.Reason{{Cluster: cluster, Message: "fits", Chosen: true}}}}})
	w.equal(placed, []flow.ExecutionID{id})
	return w.get(id)
}

// commit makes a batch true in the term that w leads.
func (w *world) commit(b flow.Batch) []flow.ExecutionID {
	w.Helper()
	if b.At.IsZero() {
		b.At = began
	}
	next, placed, err := w.CommitPlan(w.ctx, w.fence, b)
	w.fence = must(w, next, err)
	return placed
}

// onto is a batch of first placements on one cluster.
func onto(cluster string, ids ...flow.ExecutionID) flow.Batch {
	b := flow.Batch{At: began}
	for _, id := range ids {
		b.Placements = append(b.Placements, flow.Placement{Execution: id, Cluster: cluster})
	}
	return b
}

// run creates and places an execution, which the member acks.
func (w *world) run(name string, sender flow.Sender) flow.Execution {
	w.Helper()
	e := w.place(w.create(name), sender.Cluster)
	w.ok(w.Ack(w.ctx, sender, []flow.Ack{{Execution: e.ID, Epoch: e.Epoch, Revision: e.Revision}}))
	return e
}

func (w *world) due(sender flow.Sender) []flow.Assignment {
	w.Helper()
	list, err := w.Assignments(w.ctx, sender, 100)
	return must(w, list, err)
}

// apply is as simple as an apply can be.
func apply(r flow.Recorded, e flow.Event) (flow.Recorded, flow.EventResult) {
	if r.Execution.Phase.Terminal() {
		return r, flow.EventResult{Reason: "terminal"}
	}
	r.Execution.Sequence = max(r.Execution.Sequence, e.Sequence)
	node := flow.NodeID{Execution: e.Execution, Node: e.Node}
	switch e.Kind {
	case flow.EventWorkflow:
		r.Execution.Phase, r.Execution.UpdatedAt = flow.ExecutionPhase(e.Phase), e.OccurredAt
		if r.Execution.Phase.Terminal() {
			r.Execution.EndedAt = e.OccurredAt
		}
	case flow.EventNode:
		if r.Node != nil && r.Node.Sequence >= e.Sequence {
			return r, flow.EventResult{Reason: "old"}
		}
		created, reason := e.OccurredAt, ""
		if r.Node != nil {
			created, reason = r.Node.CreatedAt, r.Node.Reason
		}
		r.Node = &flow.NodeExecution{ID: node, Parent: e.Parent, Epoch: e.Epoch, Phase: flow.NodePhase(e.Phase), Sequence: e.Sequence,
			Detail: e.Detail, Reason: reason, CreatedAt: created, UpdatedAt: e.OccurredAt}
	case flow.EventTask:
		if r.Node == nil {
			return r, flow.EventResult{Reason: "no node"}
		}
		r.Task = &flow.TaskExecution{Node: node, Task: someTask, Attempt: e.Attempt, Epoch: e.Epoch, Phase: flow.TaskPhase(e.Phase),
			Version: e.Version, Sequence: e.Sequence, Detail: e.Detail, CreatedAt: e.OccurredAt, UpdatedAt: e.OccurredAt}
	}
	return r, flow.EventResult{Accepted: true}
}

var someTask = flow.EntityID{Project: "p", Domain: "d", Name: "task", Version: "v1"}

// happened makes an event of an execution's current epoch.
func happened(e flow.Execution, kind flow.EventKind, node string, phase int32, sequence uint64) flow.Event {
	return flow.Event{Execution: e.ID, Epoch: e.Epoch, Kind: kind, Node: node, Phase: phase, Sequence: sequence,
		Revision: e.Revision, OccurredAt: began.Add(2*time.Minute + time.Duration(sequence)*time.Second),
		Detail: []byte(fmt.Sprintf("detail %d", sequence))}
}

func (w *world) record(sender flow.Sender, events ...flow.Event) []flow.EventResult {
	w.Helper()
	results, err := w.RecordEvents(w.ctx, sender, events, apply)
	return must(w, results, err)
}
