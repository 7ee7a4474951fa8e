package service_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/skein-project/skein/admin/service"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/core"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
)

// TestARebuildIsFinished forces a REBUILD, which the leader then ends.
func TestARebuildIsFinished(t *testing.T) {
	o, ctx := newOperators(t), metadata.AppendToOutgoingContext(t.Context(), service.OperatorHeader, "ada")
	o.registerCluster(t, "east")
	if _, err := o.store.OpenSession(ctx, flow.Member{Cluster: "east", Instance: "i"}, "hub", flow.ClusterReport{}); err != nil {
		t.Fatal(err)
	}
	_, err := o.plane.FinishRebuild(ctx, &skeinv1.FinishRebuildRequest{})
	wantStatus(t, "without a REBUILD", err, codes.FailedPrecondition, "no REBUILD")
	if _, err := o.store.EnterRebuild(ctx, flow.Fence{}, "a test says so"); err != nil {
		t.Fatal(err)
	}
	plane, err := o.plane.GetControlPlane(ctx, &skeinv1.GetControlPlaneRequest{})
	if r := plane.GetRebuild(); err != nil || cmp.Diff(r.GetWaiting(), []string{"east"}) != "" || r.GetWhy() != "a test says so" || r.GetForced() {
		t.Fatalf("shown as %v: %v", plane.GetRebuild(), err)
	}
	short, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if _, err := o.plane.FinishRebuild(short, &skeinv1.FinishRebuildRequest{}); err == nil {
		t.Fatal("the REBUILD has ended, and nobody had ended it")
	}
	plane, err = o.plane.GetControlPlane(ctx, &skeinv1.GetControlPlaneRequest{})
	if err != nil || !plane.GetRebuild().GetForced() {
		t.Fatalf("after being forced it is %v: %v", plane.GetRebuild(), err)
	}
	fence, err := o.store.BeginTerm(ctx, "r")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := o.store.EndRebuild(ctx, fence, time.Now()); err != nil {
		t.Fatal(err)
	}
	_, err = o.plane.FinishRebuild(ctx, &skeinv1.FinishRebuildRequest{})
	wantStatus(t, "after its end", err, codes.FailedPrecondition, "no REBUILD")
	if o.audited(t, "rebuild.finish") != 1 {
		t.Error("the call that forced it was not audited once")
	}
}

// TestWhatIsMadeAgainIsAsItWasCreated lets a backup forget an execution, of which
// a member tells, and compares the rows.
func TestWhatIsMadeAgainIsAsItWasCreated(t *testing.T) {
	r, again, ctx := newRig(t), newRig(t), t.Context()
	r.register(t)
	created, err := r.CreateExecution(ctx, &admin.ExecutionCreateRequest{Project: "flytesnacks", Domain: "development", Name: "aforgotten",
		Inputs: literals("x", integer(3)), Spec: &admin.ExecutionSpec{
			LaunchPlan:            ident(core.ResourceType_LAUNCH_PLAN, "pkg.wf"),
			Metadata:              &admin.ExecutionMetadata{Principal: "ann", Mode: admin.ExecutionMetadata_SCHEDULED},
			ExecutionClusterLabel: &admin.ExecutionClusterLabel{Value: "region=eu"},
		}})
	if err != nil {
		t.Fatal(err)
	}
	id := flow.ExecutionID{Project: "flytesnacks", Domain: "development", Name: created.GetId().GetName()}
	want, err := r.store.GetExecution(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	entity, err := r.store.GetEntity(ctx, flow.KindWorkflow, want.Workflow)
	if err != nil {
		t.Fatal(err)
	}
	again.objects.data = r.objects.data // one object store
	sender := again.rebuilding(t)
	h := flow.Holding{Held: flow.Held{Execution: id, Epoch: flow.Epoch{Era: 1, N: 1}, Revision: 1, Desired: flow.DesiredRun},
		Assignment: flow.Assignment{Execution: id, Desired: flow.DesiredRun, Run: &flow.Run{Workflow: want.Workflow, LaunchPlan: want.LaunchPlan,
			Closure: entity.Body, ClosureURI: entity.BodyURI, ClosureDigest: entity.BodyDigest, Inputs: want.Inputs, InputsURI: want.InputsURI,
			Spec: want.Spec, DataPrefix: want.DataPrefix, RawPrefix: want.RawPrefix, CreatedAt: want.CreatedAt, Trace: want.Trace, Failover: want.Failover}}}
	broken := h
	run := *h.Assignment.Run
	run.Spec = []byte{0xff}
	broken.Held.Execution.Name, broken.Assignment.Run = "broken", &run
	if err := again.TakeHoldings(ctx, sender, []flow.Holding{h, broken}, true); err != nil {
		t.Fatal(err)
	}
	got, err := again.store.GetExecution(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	want.Cluster, want.Epoch, want.Revision = "east", h.Held.Epoch, 1
	want.UpdatedAt, want.Version = got.UpdatedAt, got.Version
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("made again otherwise than created (-created +again):\n%s", d)
	}
	broken.Held.Execution.Name = "broken"
	if e, err := again.store.GetExecution(ctx, broken.Held.Execution); err != nil || e.Cluster != "east" {
		t.Errorf("what cannot be read was not stored: %+v, %v", e, err)
	}
	closure := &core.CompiledWorkflowClosure{}
	if stored, err := again.store.GetEntity(ctx, flow.KindWorkflow, want.Workflow); err != nil || proto.Unmarshal(stored.Body, closure) != nil {
		t.Errorf("its workflow was not stored: %v", err)
	}
}

// rebuilding is a member's session in REBUILD whose inventory was taken.
func (r *rig) rebuilding(t *testing.T) flow.Sender {
	t.Helper()
	ctx := t.Context()
	if err := r.store.CreateCluster(ctx, flow.Cluster{Name: "east"}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.store.EnterRebuild(ctx, flow.Fence{}, "a test says so"); err != nil {
		t.Fatal(err)
	}
	session, err := r.store.OpenSession(ctx, flow.Member{Cluster: "east", Instance: "i"}, "hub", flow.ClusterReport{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.store.TakeInventory(ctx, session.Sender, nil); err != nil {
		t.Fatal(err)
	}
	return session.Sender
}
