package service_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/skein-project/skein/admin/lifecycle"
	"github.com/skein-project/skein/admin/service"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/api/flyteidl/event"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
)

// run does what a member does: it reports that node n0 and its one attempt
// have succeeded, and with them the execution.
func (r *rig) run(t *testing.T, name string) {
	t.Helper()
	ctx := t.Context()
	id := flow.ExecutionID{Project: "flytesnacks", Domain: "development", Name: name}
	session, err := r.store.OpenSession(ctx, flow.Member{Cluster: "east", Instance: "m0"}, "hub", flow.ClusterReport{})
	if err != nil {
		t.Fatal(err)
	}
	row, err := r.store.GetExecution(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Now().UTC().Truncate(time.Microsecond)
	wire := &core.WorkflowExecutionIdentifier{Project: id.Project, Domain: id.Domain, Name: id.Name}
	node := &core.NodeExecutionIdentifier{NodeId: "n0", ExecutionId: wire}
	results, err := r.store.RecordEvents(ctx, session.Sender, []flow.Event{
		ev(row, 1, flow.EventWorkflow, int32(flow.ExecutionRunning), at, &event.WorkflowExecutionEvent{ExecutionId: wire}),
		ev(row, 2, flow.EventNode, int32(flow.NodeSucceeded), at, &event.NodeExecutionEvent{Id: node, SpecNodeId: "n0",
			InputValue:   &event.NodeExecutionEvent_InputUri{InputUri: "/store/in"},
			OutputResult: &event.NodeExecutionEvent_OutputUri{OutputUri: "/store/out"}, DeckUri: "/store/deck.html"}),
		ev(row, 3, flow.EventTask, int32(flow.TaskSucceeded), at, &event.TaskExecutionEvent{
			TaskId: ident(core.ResourceType_TASK, "pkg.t"), ParentNodeExecutionId: node, TaskType: "python-task",
			InputValue:   &event.TaskExecutionEvent_InputUri{InputUri: "/store/in"},
			OutputResult: &event.TaskExecutionEvent_OutputUri{OutputUri: "/store/nothing"},
			Metadata:     &event.TaskExecutionMetadata{GeneratedName: name + "-n0-0"}}),
		ev(row, 4, flow.EventWorkflow, int32(flow.ExecutionSucceeded), at.Add(time.Second), &event.WorkflowExecutionEvent{ExecutionId: wire,
			OutputResult: &event.WorkflowExecutionEvent_OutputUri{OutputUri: "/store/out"}}),
	}, lifecycle.Apply)
	if err != nil {
		t.Fatal(err)
	}
	for i, result := range results {
		if !result.Accepted {
			t.Fatalf("event %d was refused: %s", i, result.Reason)
		}
	}
}

func ev(row flow.Execution, sequence uint64, kind flow.EventKind, phase int32, at time.Time, detail proto.Message) flow.Event {
	e := flow.Event{Execution: row.ID, Epoch: row.Epoch, Kind: kind, Phase: phase, Sequence: sequence, Revision: row.Revision,
		OccurredAt: at, QueuedAt: at, StartedAt: at}
	if kind != flow.EventWorkflow {
		e.Node = "n0"
		e.EndedAt = at.Add(time.Second)
	} else if flow.ExecutionPhase(phase).Terminal() {
		e.EndedAt = at
	}
	e.Detail, _ = proto.Marshal(detail) // a message of ours
	return e
}

// TestSync reads what FlyteRemote.sync reads of an execution that has ended.
func TestSync(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	r.register(t)
	if err := r.store.CreateCluster(ctx, flow.Cluster{Name: "east", Health: flow.HealthUnknown}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.CreateExecution(ctx, execution("e1", "pkg.wf")); err != nil {
		t.Fatal(err)
	}
	r.place(t, "e1", "east")
	r.run(t, "e1")
	for uri, m := range map[string]*core.LiteralMap{"/store/in": literals("x", integer(1)), "/store/out": literals("o0", integer(2))} {
		r.objects.data[uri], _ = proto.Marshal(m)
	}
	e, err := r.GetExecution(ctx, &admin.WorkflowExecutionGetRequest{Id: execID("e1")})
	if err != nil || e.GetClosure().GetPhase() != core.WorkflowExecution_SUCCEEDED || e.GetClosure().GetOutputs().GetUri() != "/store/out" ||
		e.GetClosure().GetStartedAt() == nil || e.GetClosure().GetDuration().AsDuration() != time.Second {
		t.Errorf("execution = %v, %v", e.GetClosure(), err)
	}
	data, err := r.GetExecutionData(ctx, &admin.WorkflowExecutionGetDataRequest{Id: execID("e1")})
	if err != nil || !proto.Equal(data.GetFullOutputs(), literals("o0", integer(2))) {
		t.Errorf("outputs = %v, %v", data, err)
	}
	nodes, err := r.ListNodeExecutions(ctx, &admin.NodeExecutionListRequest{WorkflowExecutionId: execID("e1"), Limit: 100})
	if err != nil || len(nodes.GetNodeExecutions()) != 1 || nodes.GetNodeExecutions()[0].GetMetadata().GetSpecNodeId() != "n0" {
		t.Fatalf("nodes = %v, %v", nodes, err)
	}
	id := nodes.GetNodeExecutions()[0].GetId()
	nd, err := r.GetNodeExecutionData(ctx, &admin.NodeExecutionGetDataRequest{Id: id})
	if err != nil || !proto.Equal(nd.GetFullInputs(), literals("x", integer(1))) || nd.GetFlyteUrls().GetDeck() != "flyte://v1/flytesnacks/development/e1/n0/d" {
		t.Errorf("node data = %v, %v", nd, err)
	}
	tasks, err := r.ListTaskExecutions(ctx, &admin.TaskExecutionListRequest{NodeExecutionId: id, Limit: 100})
	if err != nil || len(tasks.GetTaskExecutions()) != 1 {
		t.Fatalf("tasks = %v, %v", tasks, err)
	}
	one, err := r.GetTaskExecution(ctx, &admin.TaskExecutionGetRequest{Id: tasks.GetTaskExecutions()[0].GetId()})
	if err != nil || !proto.Equal(one, tasks.GetTaskExecutions()[0]) || one.GetClosure().GetTaskType() != "python-task" {
		t.Errorf("task = %v, %v", one, err)
	}
	td, err := r.GetTaskExecutionData(ctx, &admin.TaskExecutionGetDataRequest{Id: one.GetId()})
	if err != nil || td.GetFullOutputs() == nil || len(td.GetFullOutputs().GetLiterals()) != 0 {
		t.Errorf("a missing blob is no empty map: %v, %v", td, err)
	}
	children, err := r.ListNodeExecutionsForTask(ctx, &admin.NodeExecutionForTaskListRequest{TaskExecutionId: one.GetId(), Limit: 1})
	if err != nil || len(children.GetNodeExecutions()) != 0 {
		t.Errorf("children = %v, %v", children, err)
	}
}

func TestLogs(t *testing.T) {
	var asked service.LogQuery
	r := newRigWith(t, func(d *service.Deps) {
		d.Logs = func(_ context.Context, q service.LogQuery, send func([]byte) error) error {
			asked = q
			return send([]byte("hello"))
		}
	})
	r.register(t)
	if err := r.store.CreateCluster(t.Context(), flow.Cluster{Name: "east", Health: flow.HealthUnknown}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.CreateExecution(t.Context(), execution("e1", "pkg.wf")); err != nil {
		t.Fatal(err)
	}
	ref := &skeinv1.ExecutionRef{Project: "flytesnacks", Domain: "development", Name: "e1"}
	client := skeinv1.NewPlacementServiceClient(r.dial(t))
	if text, err := readLog(t, client, &skeinv1.GetLogsRequest{Execution: ref}); err == nil || !strings.Contains(err.Error(), "on no cluster yet") {
		t.Errorf("before a placement: %q, %v", text, err)
	}
	r.place(t, "e1", "east")
	r.run(t, "e1")
	text, err := readLog(t, client, &skeinv1.GetLogsRequest{Execution: ref, TailLines: 7})
	if err != nil || text != "hello" {
		t.Errorf("log = %q, %v", text, err)
	}
	if asked.Cluster != "east" || asked.Pod != "e1-n0-0" || asked.TailLines != 7 || asked.Epoch.Zero() {
		t.Errorf("asked for %+v", asked)
	}
	three := uint32(3)
	if _, err := readLog(t, client, &skeinv1.GetLogsRequest{Execution: ref, Node: "n0", Attempt: &three}); status.Code(err) != codes.NotFound {
		t.Errorf("an attempt that is not there: %v", err)
	}
}

func readLog(t *testing.T, client skeinv1.PlacementServiceClient, req *skeinv1.GetLogsRequest) (string, error) {
	t.Helper()
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer secret")
	var stream grpc.ServerStreamingClient[skeinv1.GetLogsResponse]
	stream, err := client.GetLogs(ctx, req)
	if err != nil {
		return "", err
	}
	part, err := stream.Recv()
	return string(part.GetData()), err
}
