package service_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/skein-project/skein/admin/middleware"
	"github.com/skein-project/skein/admin/service"
	"github.com/skein-project/skein/admin/store"
	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/deploy/local/localtest"
)

func TestMain(m *testing.M) { localtest.Main(m) }

// objects is an object store in memory.
type objects struct {
	mu   sync.Mutex
	data map[string][]byte
}

func (o *objects) Root() string { return "/store" }

func (o *objects) Read(_ context.Context, uri string) ([]byte, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if data, ok := o.data[uri]; ok {
		return data, nil
	}
	return nil, fault.E(fault.NotFound, "no object %s", uri)
}

func (o *objects) Write(_ context.Context, uri string, data []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.data[uri] = data
	return nil
}

type joiner struct{}

func (joiner) NewToken(_ context.Context, cluster string, ttl time.Duration) (string, time.Time, error) {
	return "token-of-" + cluster, time.Now().Add(ttl), nil
}

func (joiner) CA() string { return "PEM" }

// rig is the service over the real store.
type rig struct {
	*service.Service
	store   *store.Store
	objects *objects
	nudges  int
}

func newRig(t *testing.T) *rig { return newRigWith(t, func(*service.Deps) {}) }

func newRigWith(t *testing.T, change func(*service.Deps)) *rig {
	t.Helper()
	return newRigOn(t, store.Config{URL: localtest.Database(t)}, change)
}

func newRigOn(t *testing.T, config store.Config, change func(*service.Deps)) *rig {
	t.Helper()
	s, err := store.Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if err := s.Migrate(t.Context(), slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	if err := s.Seed(t.Context(), []flow.Project{{ID: "flytesnacks", Name: "flytesnacks"}, {ID: "old", Name: "old", State: 1}}); err != nil {
		t.Fatal(err)
	}
	r := &rig{store: s, objects: &objects{data: map[string][]byte{}}}
	deps := service.Deps{
		Entities: s, Named: s, Projects: s, Executions: s, Runs: s, Clusters: s, Decisions: s, Reserved: s,
		Policies: s, Language: language{}, Fleet: s, Audits: s, Histories: s, Forecaster: &fortunes{}, ControlPlane: &voters{}, Rebuilds: s,
		Objects: r.objects, Joiner: joiner{}, Nudge: func() { r.nudges++ }, Log: slog.New(slog.DiscardHandler),
	}
	change(&deps)
	r.Service = service.New(service.Config{TaskLimits: flow.Resources{MilliCPU: 2000, Memory: 1 << 30}}, deps)
	return r
}

// code is what a client sees of an error.
func code(err error) codes.Code { return middleware.Status(err).Code() }

func ident(kind core.ResourceType, name string) *core.Identifier {
	return &core.Identifier{ResourceType: kind, Project: "flytesnacks", Domain: "development", Name: name, Version: "v1"}
}

func variables(names ...string) *core.VariableMap {
	m := &core.VariableMap{Variables: map[string]*core.Variable{}}
	for _, n := range names {
		m.Variables[n] = &core.Variable{Type: &core.LiteralType{Type: &core.LiteralType_Simple{Simple: core.SimpleType_INTEGER}}}
	}
	return m
}

func integer(n int64) *core.Literal {
	return &core.Literal{Value: &core.Literal_Scalar{Scalar: &core.Scalar{
		Value: &core.Scalar_Primitive{Primitive: &core.Primitive{Value: &core.Primitive_Integer{Integer: n}}},
	}}}
}

func str(s string) *core.Literal {
	return &core.Literal{Value: &core.Literal_Scalar{Scalar: &core.Scalar{
		Value: &core.Scalar_Primitive{Primitive: &core.Primitive{Value: &core.Primitive_StringValue{StringValue: s}}},
	}}}
}

func literals(name string, l *core.Literal) *core.LiteralMap {
	return &core.LiteralMap{Literals: map[string]*core.Literal{name: l}}
}

// task is as flytekit sends one: x -> o0.
func task(name string) *admin.TaskCreateRequest {
	id := ident(core.ResourceType_TASK, name)
	return &admin.TaskCreateRequest{Id: id, Spec: &admin.TaskSpec{
		Description: &admin.DescriptionEntity{ShortDescription: "adds one"},
		Template: &core.TaskTemplate{
			Id: id, Type: "python-task",
			Metadata:  &core.TaskMetadata{Runtime: &core.RuntimeMetadata{Type: core.RuntimeMetadata_FLYTE_SDK, Version: "1.16.31", Flavor: "python"}},
			Interface: &core.TypedInterface{Inputs: variables("x"), Outputs: variables("o0")},
			Target: &core.TaskTemplate_Container{Container: &core.Container{Image: "img", Args: []string{"pyflyte-execute"},
				Resources: &core.Resources{Requests: []*core.Resources_ResourceEntry{{Name: core.Resources_CPU, Value: "500m"}}}}},
		},
	}}
}

func promise(name, node, from string) *core.Binding {
	return &core.Binding{Var: name, Binding: &core.BindingData{Value: &core.BindingData_Promise{
		Promise: &core.OutputReference{NodeId: node, Var: from}}}}
}

// workflow runs the task twice side by side: x -> o0.
func workflow(name, taskName string) *admin.WorkflowCreateRequest {
	id := ident(core.ResourceType_WORKFLOW, name)
	node := func(node string) *core.Node {
		return &core.Node{Id: node, Metadata: &core.NodeMetadata{Name: taskName}, Inputs: []*core.Binding{promise("x", "", "x")},
			Target: &core.Node_TaskNode{TaskNode: &core.TaskNode{Reference: &core.TaskNode_ReferenceId{
				ReferenceId: ident(core.ResourceType_TASK, taskName)}}}}
	}
	return &admin.WorkflowCreateRequest{Id: id, Spec: &admin.WorkflowSpec{Template: &core.WorkflowTemplate{
		Id: id, Metadata: &core.WorkflowMetadata{}, MetadataDefaults: &core.WorkflowMetadataDefaults{},
		Interface: &core.TypedInterface{Inputs: variables("x"), Outputs: variables("o0")},
		Nodes:     []*core.Node{node("n0"), node("n1")},
		Outputs:   []*core.Binding{promise("o0", "n0", "o0")},
	}}}
}

func plan(name, workflowName string) *admin.LaunchPlanCreateRequest {
	return &admin.LaunchPlanCreateRequest{Id: ident(core.ResourceType_LAUNCH_PLAN, name), Spec: &admin.LaunchPlanSpec{
		WorkflowId: ident(core.ResourceType_WORKFLOW, workflowName), EntityMetadata: &admin.LaunchPlanMetadata{}}}
}

func execution(name, planName string) *admin.ExecutionCreateRequest {
	return &admin.ExecutionCreateRequest{Project: "flytesnacks", Domain: "development", Name: name,
		Inputs: literals("x", integer(1)),
		Spec: &admin.ExecutionSpec{LaunchPlan: ident(core.ResourceType_LAUNCH_PLAN, planName),
			Metadata: &admin.ExecutionMetadata{Principal: "placeholder"}}}
}

// register does what pyflyte does: task, workflow, default launch plan.
func (r *rig) register(t *testing.T) {
	t.Helper()
	_, err1 := r.CreateTask(t.Context(), task("pkg.t"))
	_, err2 := r.CreateWorkflow(t.Context(), workflow("pkg.wf", "pkg.t"))
	_, err3 := r.CreateLaunchPlan(t.Context(), plan("pkg.wf", "pkg.wf"))
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
}

func TestRegistration(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	r.register(t)

	_, err := r.CreateTask(ctx, task("pkg.t"))
	if code(err) != codes.AlreadyExists || !strings.Contains(err.Error(), "identical structure already exists") {
		t.Errorf("the same task again: %v", err)
	}
	described := task("pkg.t")
	described.Spec.Description.ShortDescription = "another text"
	if _, err = r.CreateTask(ctx, described); code(err) != codes.AlreadyExists {
		t.Errorf("the same task with another description: %v", err)
	}
	changed := task("pkg.t")
	changed.Spec.Template.GetContainer().Image = "other"
	_, err = r.CreateTask(ctx, changed)
	if code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), `/template/container/image: "img" -> "other"`) {
		t.Errorf("another task of the same id: %v", err)
	}
	_, err = r.CreateWorkflow(ctx, workflow("pkg.wf", "pkg.t"))
	if code(err) != codes.AlreadyExists || reason(t, err).GetExistsIdenticalStructure().GetId().GetName() != "pkg.wf" {
		t.Errorf("the same workflow again: %v", err)
	}
	reordered := workflow("pkg.up", "pkg.t")
	third := proto.Clone(reordered.Spec.Template.Nodes[0]).(*core.Node)
	third.Id, third.UpstreamNodeIds = "n2", []string{"n0", "n1"}
	reordered.Spec.Template.Nodes = append(reordered.Spec.Template.Nodes, third)
	if _, err = r.CreateWorkflow(ctx, reordered); err != nil {
		t.Fatal(err)
	}
	third.UpstreamNodeIds = []string{"n1", "n0"} // flytekit's order is that of a set
	if _, err = r.CreateWorkflow(ctx, reordered); code(err) != codes.AlreadyExists {
		t.Errorf("the same workflow with upstream ids in another order: %v", err)
	}
	other := workflow("pkg.wf", "pkg.t")
	other.Spec.Template.Nodes = other.Spec.Template.Nodes[:1]
	_, err = r.CreateWorkflow(ctx, other)
	if code(err) != codes.InvalidArgument || reason(t, err).GetExistsDifferentStructure() == nil {
		t.Errorf("another workflow of the same id: %v", err)
	}
	if _, err = r.CreateLaunchPlan(ctx, plan("pkg.wf", "pkg.wf")); code(err) != codes.AlreadyExists {
		t.Errorf("the same launch plan again: %v", err)
	}

	got, err := r.GetTask(ctx, &admin.ObjectGetRequest{Id: ident(core.ResourceType_TASK, "pkg.t")})
	if err != nil || !proto.Equal(got.GetClosure().GetCompiledTask().GetTemplate(), task("pkg.t").Spec.Template) || got.GetShortDescription() != "adds one" {
		t.Errorf("task = %v, %v", got, err)
	}
	wf, err := r.GetWorkflow(ctx, &admin.ObjectGetRequest{Id: ident(core.ResourceType_WORKFLOW, "pkg.wf")})
	if err != nil || len(wf.GetClosure().GetCompiledWorkflow().GetTasks()) != 1 {
		t.Errorf("workflow = %v, %v", wf, err)
	}
	list, err := r.ListWorkflows(ctx, &admin.ResourceListRequest{Id: &admin.NamedEntityIdentifier{Project: "flytesnacks", Domain: "development"},
		Limit: 1, SortBy: &admin.Sort{Key: "created_at"}, Filters: "eq(name,pkg.wf)+ne(workflow.version, v0)"})
	if err != nil || len(list.GetWorkflows()) != 1 || list.GetToken() != "1" {
		t.Errorf("workflows = %v, %v", list, err)
	}
	d, err := r.GetDescriptionEntity(ctx, &admin.ObjectGetRequest{Id: ident(core.ResourceType_TASK, "pkg.t")})
	if err != nil || d.GetShortDescription() != "adds one" {
		t.Errorf("description = %v, %v", d, err)
	}
}

func reason(t *testing.T, err error) *admin.CreateWorkflowFailureReason {
	t.Helper()
	for _, d := range middleware.Status(err).Details() {
		if r, ok := d.(*admin.CreateWorkflowFailureReason); ok {
			return r
		}
	}
	t.Errorf("%v carries no reason", err)
	return nil
}

func TestLaunchPlans(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	r.register(t)
	id := ident(core.ResourceType_LAUNCH_PLAN, "pkg.wf")
	name := &admin.NamedEntityIdentifier{Project: "flytesnacks", Domain: "development", Name: "pkg.wf"}
	if _, err := r.GetActiveLaunchPlan(ctx, &admin.ActiveLaunchPlanRequest{Id: name}); code(err) != codes.NotFound {
		t.Errorf("active before activation: %v", err)
	}
	untyped := proto.Clone(id).(*core.Identifier)
	untyped.ResourceType = core.ResourceType_UNSPECIFIED // as flytectl sends it
	if _, err := r.UpdateLaunchPlan(ctx, &admin.LaunchPlanUpdateRequest{Id: untyped, State: admin.LaunchPlanState_ACTIVE}); err != nil {
		t.Fatal(err)
	}
	active, err := r.GetActiveLaunchPlan(ctx, &admin.ActiveLaunchPlanRequest{Id: name})
	if err != nil || active.GetClosure().GetState() != admin.LaunchPlanState_ACTIVE || !active.GetClosure().GetExpectedInputs().GetParameters()["x"].GetRequired() {
		t.Errorf("active = %v, %v", active, err)
	}
	all, err := r.ListActiveLaunchPlans(ctx, &admin.ActiveLaunchPlanListRequest{Project: "flytesnacks", Domain: "development", Limit: 10})
	if err != nil || len(all.GetLaunchPlans()) != 1 || all.GetToken() != "" {
		t.Errorf("active ones = %v, %v", all, err)
	}
	fixed := plan("fixed", "pkg.wf")
	fixed.Spec.FixedInputs = literals("x", integer(3))
	if _, err := r.CreateLaunchPlan(ctx, fixed); err != nil {
		t.Fatal(err)
	}
	scheduled := plan("scheduled", "pkg.wf")
	scheduled.Spec.FixedInputs = literals("x", integer(3))
	scheduled.Spec.EntityMetadata.Schedule = &admin.Schedule{ScheduleExpression: &admin.Schedule_Rate{Rate: &admin.FixedRate{Value: 1}}}
	if _, err := r.CreateLaunchPlan(ctx, scheduled); err != nil {
		t.Fatal(err)
	}
	if _, err := r.UpdateLaunchPlan(ctx, &admin.LaunchPlanUpdateRequest{Id: scheduled.Id, State: admin.LaunchPlanState_ACTIVE}); code(err) != codes.Unimplemented {
		t.Errorf("activating a schedule: %v", err)
	}
	given := execution("", "fixed")
	if _, err := r.CreateExecution(ctx, given); code(err) != codes.InvalidArgument || !strings.HasPrefix(err.Error(), "inputs.x: ") {
		t.Errorf("a value for a fixed input: %v", err)
	}
	given.Inputs = nil
	created, err := r.CreateExecution(ctx, given)
	if err != nil {
		t.Fatal(err)
	}
	data, err := r.GetExecutionData(ctx, &admin.WorkflowExecutionGetDataRequest{Id: created.GetId()})
	if err != nil || !proto.Equal(data.GetFullInputs(), literals("x", integer(3))) {
		t.Errorf("inputs = %v, %v", data, err)
	}
}

func TestExecution(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	r.register(t)
	req := execution("", "pkg.wf")
	req.Spec.Labels = &admin.Labels{Values: map[string]string{"team": "a"}}
	req.Spec.ExecutionClusterLabel = &admin.ExecutionClusterLabel{Value: "gpu"}
	created, err := r.CreateExecution(ctx, req)
	if err != nil {
		t.Fatal(err)
	}
	id := created.GetId()
	if n := id.GetName(); len(n) != 20 || n[0] != 'a' || r.nudges != 1 {
		t.Errorf("name %q, %d nudges", n, r.nudges)
	}
	row, err := r.store.GetExecution(ctx, flow.ExecutionID{Project: id.GetProject(), Domain: id.GetDomain(), Name: id.GetName()})
	if err != nil {
		t.Fatal(err)
	}
	pod := flow.Resources{MilliCPU: 500, Memory: 512 << 20, Pods: 1}
	want := flow.Requirement{Selector: "gpu", TaskTypes: []string{"python-task"}, Largest: pod, Peak: pod.Times(2), Reservation: pod.Times(2)}
	if got := row.Requirement; got.Selector != want.Selector || got.Largest != want.Largest || got.Peak != want.Peak ||
		got.Reservation != want.Reservation || len(got.TaskTypes) != 1 {
		t.Errorf("requirement = %+v\nwant %+v", got, want)
	}
	if row.DataPrefix != "/store/metadata/propeller/flytesnacks-development-"+id.GetName() || row.RawPrefix != "/store/raw/flytesnacks-development-"+id.GetName() ||
		len(row.Trace) != 55 || row.Phase != flow.ExecutionQueued {
		t.Errorf("row = %+v", row)
	}
	got, err := r.GetExecution(ctx, &admin.WorkflowExecutionGetRequest{Id: id})
	if err != nil {
		t.Fatal(err)
	}
	if got.GetSpec().GetMaxParallelism() != 25 || got.GetSpec().GetMetadata().GetSystemMetadata().GetNamespace() != "flytesnacks-development" ||
		got.GetClosure().GetWorkflowId().GetName() != "pkg.wf" || got.GetClosure().GetPhase() != core.WorkflowExecution_QUEUED {
		t.Errorf("execution = %v", got)
	}
	if _, err := r.CreateExecution(ctx, execution(id.GetName(), "pkg.wf")); code(err) != codes.AlreadyExists {
		t.Errorf("the same name again: %v", err)
	}
	list, err := r.ListExecutions(ctx, &admin.ResourceListRequest{Id: &admin.NamedEntityIdentifier{Project: "flytesnacks", Domain: "development"},
		Limit: 5, Filters: "value_in(phase,QUEUED;RUNNING)+eq(launch_plan.name,pkg.wf)"})
	if err != nil || len(list.GetExecutions()) != 1 || list.GetToken() != "" {
		t.Errorf("list = %v, %v", list, err)
	}
	nodes, err := r.ListNodeExecutions(ctx, &admin.NodeExecutionListRequest{WorkflowExecutionId: id, Limit: 10})
	if err != nil || len(nodes.GetNodeExecutions()) != 0 {
		t.Errorf("nodes = %v, %v", nodes, err)
	}
	if _, err := r.TerminateExecution(ctx, &admin.ExecutionTerminateRequest{Id: id, Cause: "enough"}); err != nil {
		t.Fatal(err)
	}
	got, err = r.GetExecution(ctx, &admin.WorkflowExecutionGetRequest{Id: id})
	if err != nil || got.GetClosure().GetPhase() != core.WorkflowExecution_ABORTED || got.GetClosure().GetAbortMetadata().GetCause() != "enough" ||
		got.GetClosure().GetDuration() == nil {
		t.Errorf("terminated = %v, %v", got.GetClosure(), err)
	}
	_, err = r.TerminateExecution(ctx, &admin.ExecutionTerminateRequest{Id: id})
	if code(err) != codes.FailedPrecondition || len(middleware.Status(err).Details()) != 1 {
		t.Errorf("terminated twice: %v", err)
	}
	again, err := r.RelaunchExecution(ctx, &admin.ExecutionRelaunchRequest{Id: id, Name: "again"})
	if err != nil {
		t.Fatal(err)
	}
	got, err = r.GetExecution(ctx, &admin.WorkflowExecutionGetRequest{Id: again.GetId()})
	if err != nil || got.GetSpec().GetMetadata().GetMode() != admin.ExecutionMetadata_RELAUNCH || got.GetSpec().GetMetadata().GetReferenceExecution().GetName() != id.GetName() {
		t.Errorf("relaunched = %v, %v", got.GetSpec(), err)
	}
}

func TestSingleTaskAndLargeInputs(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	if _, err := r.CreateTask(ctx, task("pkg.t")); err != nil {
		t.Fatal(err)
	}
	texts := task("pkg.s")
	texts.Spec.Template.Interface.Inputs.Variables["x"].Type = &core.LiteralType{Type: &core.LiteralType_Simple{Simple: core.SimpleType_STRING}}
	if _, err := r.CreateTask(ctx, texts); err != nil {
		t.Fatal(err)
	}
	req := execution("one", "pkg.t")
	req.Spec.LaunchPlan.ResourceType = core.ResourceType_TASK
	for _, name := range []string{"one", "two"} { // the wrapper is made, then found
		req.Name = name
		if _, err := r.CreateExecution(ctx, req); err != nil {
			t.Fatal(err)
		}
	}
	got, err := r.GetExecution(ctx, &admin.WorkflowExecutionGetRequest{Id: &core.WorkflowExecutionIdentifier{Project: "flytesnacks", Domain: "development", Name: "one"}})
	if err != nil || got.GetSpec().GetLaunchPlan().GetResourceType() != core.ResourceType_TASK || got.GetClosure().GetWorkflowId().GetName() != ".flytegen.pkg.t" {
		t.Errorf("execution = %v, %v", got, err)
	}
	wf, err := r.GetWorkflow(ctx, &admin.ObjectGetRequest{Id: ident(core.ResourceType_WORKFLOW, ".flytegen.pkg.t")})
	if err != nil {
		t.Fatal(err)
	}
	retries := uint32(0)
	for _, n := range wf.GetClosure().GetCompiledWorkflow().GetPrimary().GetTemplate().GetNodes() {
		if n.GetId() == "pkgt" {
			retries = n.GetMetadata().GetRetries().GetRetries()
		}
	}
	if retries != 3 {
		t.Errorf("the wrapper's node is not there with 3 retries: %v", wf)
	}
	names, err := r.ListNamedEntities(ctx, &admin.NamedEntityListRequest{ResourceType: core.ResourceType_WORKFLOW, Project: "flytesnacks", Domain: "development", Limit: 10,
		Filters: "ne(named_entity_metadata.state,1)", SortBy: &admin.Sort{Key: "name"}})
	if err != nil || len(names.GetEntities()) != 0 {
		t.Errorf("generated names are shown: %v, %v", names, err)
	}

	large := execution("large", "pkg.s")
	large.Spec.LaunchPlan.ResourceType = core.ResourceType_TASK
	large.Inputs = literals("x", str(strings.Repeat("x", service.MaxInlineInputs)))
	created, err := r.CreateExecution(ctx, large)
	if err != nil {
		t.Fatal(err)
	}
	data, err := r.GetExecutionData(ctx, &admin.WorkflowExecutionGetDataRequest{Id: created.GetId()})
	before := len(r.objects.data)
	if _, err := r.CreateExecution(ctx, large); code(err) != codes.AlreadyExists || len(r.objects.data) != before {
		t.Errorf("the same name again: %v, %d new objects", err, len(r.objects.data)-before)
	}
	if err != nil || !proto.Equal(data.GetFullInputs(), large.Inputs) || !strings.HasPrefix(data.GetInputs().GetUrl(), "/store/metadata/flytesnacks/development/large/inputs") ||
		data.GetFullOutputs() == nil {
		t.Errorf("large inputs: %v, %v", data.GetInputs(), err)
	}
}
