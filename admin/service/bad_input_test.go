package service_test

import (
	"context"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/skein-project/skein/admin/middleware"
	"github.com/skein-project/skein/admin/service"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/core"
)

// stored counts what lies in the database and in the object store.
func (r *rig) stored(t *testing.T) int {
	t.Helper()
	n := len(r.objects.data)
	q := flow.Query{Limit: 1000}
	for _, kind := range []flow.EntityKind{flow.KindTask, flow.KindWorkflow, flow.KindLaunchPlan} {
		list, err := r.store.ListEntities(t.Context(), kind, "flytesnacks", "development", "", q)
		if err != nil {
			t.Fatal(err)
		}
		n += len(list)
	}
	executions, err := r.store.ListExecutions(t.Context(), "flytesnacks", "development", q)
	if err != nil {
		t.Fatal(err)
	}
	projects, err := r.store.ListProjects(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return n + len(executions) + len(projects)
}

// badInput is a call that is refused: how, and what the message names.
type badInput struct {
	name  string
	code  codes.Code
	names string
	call  func(context.Context, *rig) error
}

func badTask(name, names string, spoil func(*admin.TaskCreateRequest)) badInput {
	return badInput{name, codes.InvalidArgument, names, func(ctx context.Context, r *rig) error {
		req := task("new")
		spoil(req)
		_, err := r.CreateTask(ctx, req)
		return err
	}}
}

func badWorkflow(name string, code codes.Code, names string, spoil func(*admin.WorkflowCreateRequest)) badInput {
	return badInput{name, code, names, func(ctx context.Context, r *rig) error {
		req := workflow("new", "pkg.t")
		spoil(req)
		_, err := r.CreateWorkflow(ctx, req)
		return err
	}}
}

func badPlan(name string, code codes.Code, names string, spoil func(*admin.LaunchPlanCreateRequest)) badInput {
	return badInput{name, code, names, func(ctx context.Context, r *rig) error {
		req := plan("new", "pkg.wf")
		spoil(req)
		_, err := r.CreateLaunchPlan(ctx, req)
		return err
	}}
}

func badLaunch(name string, code codes.Code, names string, spoil func(*admin.ExecutionCreateRequest)) badInput {
	return badInput{name, code, names, func(ctx context.Context, r *rig) error {
		req := execution("new", "pkg.wf")
		spoil(req)
		_, err := r.CreateExecution(ctx, req)
		return err
	}}
}

func badList(name, names string, spoil func(*admin.ResourceListRequest)) badInput {
	return badInput{name, codes.InvalidArgument, names, func(ctx context.Context, r *rig) error {
		req := &admin.ResourceListRequest{Id: &admin.NamedEntityIdentifier{Project: "flytesnacks", Domain: "development"}, Limit: 10}
		spoil(req)
		_, err := r.ListExecutions(ctx, req)
		return err
	}}
}

func badProject(name, names string, p *admin.Project) badInput {
	return badInput{name, codes.InvalidArgument, names, func(ctx context.Context, r *rig) error {
		_, err := r.RegisterProject(ctx, &admin.ProjectRegisterRequest{Project: p})
		return err
	}}
}

var badInputs = []badInput{
	badTask("task without id", "id", func(q *admin.TaskCreateRequest) { q.Id = nil }),
	badTask("task of another type", "id.resource_type", func(q *admin.TaskCreateRequest) { q.Id.ResourceType = core.ResourceType_WORKFLOW }),
	badTask("task without version", "id.version", func(q *admin.TaskCreateRequest) { q.Id.Version = "" }),
	badTask("task with a long name", "id.name", func(q *admin.TaskCreateRequest) { q.Id.Name = strings.Repeat("x", 256) }),
	badTask("task with a control character", "id.name", func(q *admin.TaskCreateRequest) { q.Id.Name = "a\x00b" }),
	badTask("task in an unknown project", "project", func(q *admin.TaskCreateRequest) { q.Id.Project = "nobody" }),
	badTask("task in an archived project", "project", func(q *admin.TaskCreateRequest) { q.Id.Project = "old" }),
	badTask("task in an unknown domain", "domain", func(q *admin.TaskCreateRequest) { q.Id.Domain = "moon" }),
	badTask("task without template", "spec.template", func(q *admin.TaskCreateRequest) { q.Spec = nil }),
	badTask("task without type", "no type", func(q *admin.TaskCreateRequest) { q.Spec.Template.Type = "" }),
	badTask("task without image", "no image", func(q *admin.TaskCreateRequest) { q.Spec.Template.GetContainer().Image = "" }),
	badTask("task with odd cpu", "cpu \"much\"", func(q *admin.TaskCreateRequest) {
		q.Spec.Template.GetContainer().Resources.Requests[0].Value = "much"
	}),
	badTask("task above the limit", "spec.template.container.resources.requests", func(q *admin.TaskCreateRequest) {
		q.Spec.Template.GetContainer().Resources.Requests[0].Value = "64"
	}),
	badWorkflow("workflow without template", codes.InvalidArgument, "spec.template", func(q *admin.WorkflowCreateRequest) { q.Spec = nil }),
	badWorkflow("workflow of a missing task", codes.InvalidArgument, "nowhere", func(q *admin.WorkflowCreateRequest) {
		q.Spec.Template.Nodes[0].GetTaskNode().GetReferenceId().Name = "nowhere"
	}),
	badWorkflow("workflow with a gate", codes.Unimplemented, `node "n0"`, func(q *admin.WorkflowCreateRequest) {
		q.Spec.Template.Nodes[0].Target = &core.Node_GateNode{GateNode: &core.GateNode{}}
	}),
	badWorkflow("workflow with a failure node that launches", codes.Unimplemented, `node "fn0"`, func(q *admin.WorkflowCreateRequest) {
		q.Spec.Template.FailureNode = &core.Node{Id: "fn0", Target: &core.Node_WorkflowNode{WorkflowNode: &core.WorkflowNode{
			Reference: &core.WorkflowNode_LaunchplanRef{LaunchplanRef: ident(core.ResourceType_LAUNCH_PLAN, "pkg.wf")}}}}
	}),
	badPlan("launch plan of a missing workflow", codes.NotFound, "nowhere", func(q *admin.LaunchPlanCreateRequest) { q.Spec.WorkflowId.Name = "nowhere" }),
	badPlan("launch plan with a foreign input", codes.InvalidArgument, "spec.fixed_inputs.y", func(q *admin.LaunchPlanCreateRequest) {
		q.Spec.FixedInputs = literals("y", integer(1))
	}),
	badPlan("launch plan with an input of another type", codes.InvalidArgument, "spec.fixed_inputs.x", func(q *admin.LaunchPlanCreateRequest) {
		q.Spec.FixedInputs = literals("x", str("one"))
	}),
	badPlan("launch plan with a negative parallelism", codes.InvalidArgument, "spec.max_parallelism", func(q *admin.LaunchPlanCreateRequest) { q.Spec.MaxParallelism = -1 }),
	badLaunch("launch without spec", codes.InvalidArgument, "spec", func(q *admin.ExecutionCreateRequest) { q.Spec = nil }),
	badLaunch("launch without project", codes.InvalidArgument, "project", func(q *admin.ExecutionCreateRequest) { q.Project = "" }),
	badLaunch("launch with an upper-case name", codes.InvalidArgument, "name", func(q *admin.ExecutionCreateRequest) { q.Name = "Abc" }),
	badLaunch("launch with a long name", codes.InvalidArgument, "name", func(q *admin.ExecutionCreateRequest) { q.Name = strings.Repeat("a", 64) }),
	badLaunch("launch of a workflow", codes.InvalidArgument, "spec.launch_plan.resource_type", func(q *admin.ExecutionCreateRequest) {
		q.Spec.LaunchPlan.ResourceType = core.ResourceType_WORKFLOW
	}),
	badLaunch("launch of nothing", codes.NotFound, "nowhere", func(q *admin.ExecutionCreateRequest) { q.Spec.LaunchPlan.Name = "nowhere" }),
	badLaunch("launch with an odd selector", codes.InvalidArgument, "spec.execution_cluster_label.value", func(q *admin.ExecutionCreateRequest) {
		q.Spec.ExecutionClusterLabel = &admin.ExecutionClusterLabel{Value: "a in (b"}
	}),
	badLaunch("launch with an odd label", codes.InvalidArgument, "spec.labels", func(q *admin.ExecutionCreateRequest) {
		q.Spec.Labels = &admin.Labels{Values: map[string]string{"a b": "c"}}
	}),
	badLaunch("launch with a spec that no cluster's API server takes", codes.InvalidArgument, "environment variables", func(q *admin.ExecutionCreateRequest) {
		q.Spec.Envs = &admin.Envs{Values: []*core.KeyValuePair{{Key: "LARGE", Value: strings.Repeat("x", service.MaxSpec)}}}
	}),
	badLaunch("launch with a raw prefix of no bucket", codes.InvalidArgument, "spec.raw_output_data_config.output_location_prefix", func(q *admin.ExecutionCreateRequest) {
		q.Spec.RawOutputDataConfig = &admin.RawOutputDataConfig{OutputLocationPrefix: "s3:///prefix"}
	}),
	badLaunch("launch with a relative raw prefix", codes.InvalidArgument, "spec.raw_output_data_config.output_location_prefix", func(q *admin.ExecutionCreateRequest) {
		q.Spec.RawOutputDataConfig = &admin.RawOutputDataConfig{OutputLocationPrefix: "here"}
	}),
	badLaunch("launch into a pool", codes.InvalidArgument, "spec.cluster_assignment.cluster_pool_name", func(q *admin.ExecutionCreateRequest) {
		q.Spec.ClusterAssignment = &admin.ClusterAssignment{ClusterPoolName: "p"}
	}),
	badLaunch("launch without an input", codes.InvalidArgument, "inputs.x", func(q *admin.ExecutionCreateRequest) { q.Inputs = nil }),
	badLaunch("launch with a foreign input", codes.InvalidArgument, "inputs.y", func(q *admin.ExecutionCreateRequest) { q.Inputs.Literals["y"] = integer(1) }),
	badLaunch("launch with an input of another type", codes.InvalidArgument, "invalid x input wrong type", func(q *admin.ExecutionCreateRequest) {
		q.Inputs = literals("x", str("one"))
	}),
	badList("list without limit", "limit", func(q *admin.ResourceListRequest) { q.Limit = 0 }),
	badList("list with an odd token", "token", func(q *admin.ResourceListRequest) { q.Token = "abc" }),
	badList("list with an odd filter", "filters", func(q *admin.ResourceListRequest) { q.Filters = "phase=RUNNING" }),
	badList("list by a foreign column", "color", func(q *admin.ResourceListRequest) { q.Filters = "eq(color,red)" }),
	badList("list in a foreign order", "sort_by", func(q *admin.ResourceListRequest) { q.SortBy = &admin.Sort{Key: "color"} }),
	badProject("project without name", "project.name", &admin.Project{Id: "p"}),
	badProject("project with an odd id", "project.id", &admin.Project{Id: "P_1", Name: "p"}),
	badProject("project with domains", "project.domains", &admin.Project{Id: "p", Name: "p", Domains: []*admin.Domain{{Id: "d"}}}),
}

func TestBadInput(t *testing.T) {
	r := newRig(t)
	r.register(t)
	before := r.stored(t)
	for _, c := range badInputs {
		err := c.call(t.Context(), r)
		st := middleware.Status(err)
		if st.Code() != c.code || !strings.Contains(st.Message(), c.names) {
			t.Errorf("%s: %v %q, want %v about %q", c.name, st.Code(), st.Message(), c.code, c.names)
		}
	}
	if after := r.stored(t); after != before {
		t.Errorf("refused requests stored something: %d things, then %d", before, after)
	}
	if r.nudges != 0 {
		t.Errorf("refused requests nudged the scheduler %d times", r.nudges)
	}
}

func TestUnbuilt(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	for name, c := range map[string]struct {
		want codes.Code
		call func() error
	}{
		"workflow event": {codes.Unimplemented, func() error { _, err := r.CreateWorkflowEvent(ctx, nil); return err }},
		"recover":        {codes.Unimplemented, func() error { _, err := r.RecoverExecution(ctx, nil); return err }},
		"set attributes": {codes.Unimplemented, func() error { _, err := r.UpdateWorkflowAttributes(ctx, nil); return err }},
		"missing node": {codes.NotFound, func() error {
			_, err := r.GetNodeExecution(ctx, &admin.NodeExecutionGetRequest{Id: missingNode()})
			return err
		}},
		"missing node data": {codes.NotFound, func() error {
			_, err := r.GetNodeExecutionData(ctx, &admin.NodeExecutionGetDataRequest{Id: missingNode()})
			return err
		}},
		"missing dynamic": {codes.NotFound, func() error {
			_, err := r.GetDynamicNodeWorkflow(ctx, &admin.GetDynamicNodeWorkflowRequest{Id: missingNode()})
			return err
		}},
		"project attributes": {codes.NotFound, func() error {
			_, err := r.GetProjectAttributes(ctx, &admin.ProjectAttributesGetRequest{Project: "p"})
			return err
		}},
		"version": {codes.OK, func() error { _, err := r.GetVersion(ctx, nil); return err }},
	} {
		if err := c.call(); code(err) != c.want {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func missingNode() *core.NodeExecutionIdentifier {
	return &core.NodeExecutionIdentifier{NodeId: "n0", ExecutionId: &core.WorkflowExecutionIdentifier{Project: "p", Domain: "d", Name: "e"}}
}

func execID(name string) *core.WorkflowExecutionIdentifier {
	return &core.WorkflowExecutionIdentifier{Project: "flytesnacks", Domain: "development", Name: name}
}
