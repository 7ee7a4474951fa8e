package service_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/core"
)

// lists are the list calls of contract section 8, each as a function from the
// part of a request that all have to the names of what it lists.
var lists = map[string]func(r *rig, t *testing.T, p pageOf) ([]string, string, error){
	"tasks": func(r *rig, t *testing.T, p pageOf) ([]string, string, error) {
		l, err := r.ListTasks(t.Context(), p.resources())
		return each(l.GetTasks(), func(e *admin.Task) string { return e.GetId().GetName() + ":" + e.GetId().GetVersion() }), l.GetToken(), err
	},
	"workflows": func(r *rig, t *testing.T, p pageOf) ([]string, string, error) {
		l, err := r.ListWorkflows(t.Context(), p.resources())
		return each(l.GetWorkflows(), func(e *admin.Workflow) string { return e.GetId().GetName() }), l.GetToken(), err
	},
	"plans": func(r *rig, t *testing.T, p pageOf) ([]string, string, error) {
		l, err := r.ListLaunchPlans(t.Context(), p.resources())
		return each(l.GetLaunchPlans(), func(e *admin.LaunchPlan) string { return e.GetId().GetName() }), l.GetToken(), err
	},
	"active plans": func(r *rig, t *testing.T, p pageOf) ([]string, string, error) {
		l, err := r.ListActiveLaunchPlans(t.Context(), &admin.ActiveLaunchPlanListRequest{Project: "flytesnacks", Domain: "development",
			Limit: p.limit, Token: p.token, SortBy: p.sort()})
		return each(l.GetLaunchPlans(), func(e *admin.LaunchPlan) string { return e.GetId().GetName() }), l.GetToken(), err
	},
	"task ids": func(r *rig, t *testing.T, p pageOf) ([]string, string, error) {
		l, err := r.ListTaskIds(t.Context(), &admin.NamedEntityIdentifierListRequest{Project: "flytesnacks", Domain: "development",
			Limit: p.limit, Token: p.token, Filters: p.filters, SortBy: p.sort()})
		return each(l.GetEntities(), func(e *admin.NamedEntityIdentifier) string { return e.GetName() }), l.GetToken(), err
	},
	"names": func(r *rig, t *testing.T, p pageOf) ([]string, string, error) {
		l, err := r.ListNamedEntities(t.Context(), &admin.NamedEntityListRequest{ResourceType: core.ResourceType_WORKFLOW, Project: "flytesnacks",
			Domain: "development", Limit: p.limit, Token: p.token, Filters: p.filters, SortBy: p.sort()})
		return each(l.GetEntities(), func(e *admin.NamedEntity) string { return e.GetId().GetName() }), l.GetToken(), err
	},
	"executions": func(r *rig, t *testing.T, p pageOf) ([]string, string, error) {
		l, err := r.ListExecutions(t.Context(), p.resources())
		return each(l.GetExecutions(), func(e *admin.Execution) string { return e.GetId().GetName() }), l.GetToken(), err
	},
	"nodes": func(r *rig, t *testing.T, p pageOf) ([]string, string, error) {
		l, err := r.ListNodeExecutions(t.Context(), &admin.NodeExecutionListRequest{WorkflowExecutionId: execID("e1"),
			Limit: p.limit, Token: p.token, Filters: p.filters, SortBy: p.sort()})
		return each(l.GetNodeExecutions(), func(e *admin.NodeExecution) string { return e.GetId().GetNodeId() }), l.GetToken(), err
	},
	"attempts": func(r *rig, t *testing.T, p pageOf) ([]string, string, error) {
		l, err := r.ListTaskExecutions(t.Context(), &admin.TaskExecutionListRequest{NodeExecutionId: &core.NodeExecutionIdentifier{
			NodeId: "n0", ExecutionId: execID("e1")}, Limit: p.limit, Token: p.token, Filters: p.filters, SortBy: p.sort()})
		return each(l.GetTaskExecutions(), func(e *admin.TaskExecution) string { return fmt.Sprint(e.GetId().GetRetryAttempt()) }), l.GetToken(), err
	},
	"projects": func(r *rig, t *testing.T, p pageOf) ([]string, string, error) {
		l, err := r.ListProjects(t.Context(), &admin.ProjectListRequest{Limit: p.limit, Token: p.token, Filters: p.filters, SortBy: p.sort()})
		return each(l.GetProjects(), func(e *admin.Project) string { return e.GetId() }), l.GetToken(), err
	},
}

type pageOf struct {
	limit               uint32
	token, filters, key string
	ascend              bool
}

func (p pageOf) resources() *admin.ResourceListRequest {
	return &admin.ResourceListRequest{Id: &admin.NamedEntityIdentifier{Project: "flytesnacks", Domain: "development"},
		Limit: p.limit, Token: p.token, Filters: p.filters, SortBy: p.sort()}
}

func (p pageOf) sort() *admin.Sort {
	if p.key == "" {
		return nil
	}
	s := &admin.Sort{Key: p.key}
	if p.ascend {
		s.Direction = admin.Sort_ASCENDING
	}
	return s
}

func each[T any](list []T, name func(T) string) []string {
	var names []string
	for _, e := range list {
		names = append(names, name(e))
	}
	return names
}

// listed is a rig with something of everything: e1 has run, e4 is archived, the
// single task's workflow has a generated name.
func listed(t *testing.T) *rig {
	t.Helper()
	r := newRig(t)
	r.register(t)
	ctx := t.Context()
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	other := task("pkg.u")
	other.Id.Version, other.Spec.Template.Id.Version, other.Spec.Template.Type = "v2", "v2", "raw-container"
	must(r.CreateTask(ctx, other))
	must(r.CreateWorkflow(ctx, workflow("other.wf", "pkg.t")))
	must(r.CreateLaunchPlan(ctx, plan("other.plan", "other.wf")))
	must(r.UpdateLaunchPlan(ctx, &admin.LaunchPlanUpdateRequest{Id: ident(core.ResourceType_LAUNCH_PLAN, "other.plan"), State: admin.LaunchPlanState_ACTIVE}))
	must(nil, r.store.CreateCluster(ctx, flow.Cluster{Name: "east", Health: flow.HealthUnknown}))
	for _, name := range []string{"e1", "e2", "e4"} {
		must(r.CreateExecution(ctx, execution(name, "pkg.wf")))
	}
	must(r.CreateExecution(ctx, execution("e3", "other.plan")))
	alone := execution("e5", "")
	alone.Spec.LaunchPlan = ident(core.ResourceType_TASK, "pkg.t")
	must(r.CreateExecution(ctx, alone))
	must(r.UpdateExecution(ctx, &admin.ExecutionUpdateRequest{Id: execID("e4"), State: admin.ExecutionState_EXECUTION_ARCHIVED}))
	r.place(t, "e1", "east")
	r.run(t, "e1")
	return r
}

// TestLists is contract section 8, a line for each thing that it says.
func TestLists(t *testing.T) {
	r := listed(t)
	for _, c := range []struct{ list, filters, want string }{
		{"executions", "", "e1 e2 e3 e5"}, // archived ones are hidden
		{"executions", "eq(state,1)", "e4"},
		{"executions", "value_in(state,0;1)", "e1 e2 e3 e4 e5"},
		{"executions", "eq(execution.state,1)", "e4"},
		{"executions", "eq(phase,SUCCEEDED)", "e1"},
		{"executions", "ne(phase,SUCCEEDED)", "e2 e3 e5"},
		{"executions", "value_in(execution.phase,FAILED;SUCCEEDED)+lt(execution.duration,200)", "e1"},
		{"executions", "value_not_in(phase,SUCCEEDED;FAILED)", "e2 e3 e5"},
		{"executions", "gt(execution_name,e2)", "e3 e5"},
		{"executions", "gte(execution.name,e2)", "e2 e3 e5"},
		{"executions", "lt(name,e2)", "e1"},
		{"executions", "lte(name, e2)", "e1 e2"}, // a space after the comma
		{"executions", "contains(name,2)", "e2"},
		{"executions", "not_like(name,e%)", ""},
		{"executions", "eq(project,flytesnacks)+eq(execution_domain,development)+eq(name,e2)", "e2"},
		{"executions", "gte(started_at,2020-01-01T00:00:00Z)", "e1"},
		{"executions", "lt(execution_created_at,2020-01-01T00:00:00.000000001Z)", ""},
		{"executions", "gt(created_at,2020-01-01T00:00:00 02:00)+eq(name,e3)", "e3"}, // a + that a URL has lost
		{"executions", "gt(duration,1h)", ""},
		{"executions", "lt(duration,1h30m)", "e1"},
		{"executions", "eq(workflow.name,other.wf)", "e3"},
		{"executions", "eq(launch_plan.name,other.plan)", "e3"},
		{"executions", "eq(task.name,pkg.t)", "e5"},
		{"executions", "eq(launch_entity,TASK)", "e5"},
		{"executions", "eq(cluster,east)", "e1"},
		{"executions", "eq(mode,0)+eq(name,e2)", "e2"},
		{"tasks", "eq(version,v2)", "pkg.u:v2"},
		{"tasks", "eq(task.type,raw-container)", "pkg.u:v2"},
		{"tasks", "contains(short_description,adds)+eq(name,pkg.t)", "pkg.t:v1"},
		{"workflows", "value_in(workflow.name,pkg.wf;x)", "pkg.wf"},
		{"plans", "eq(state,1)", "other.plan"},
		{"plans", "eq(workflow.name,other.wf)+eq(launch_plan.version,v1)", "other.plan"},
		{"plans", "eq(schedule_type,NONE)+contains(name,other)", "other.plan"},
		{"active plans", "", "other.plan"},
		{"task ids", "", "pkg.t pkg.u"},
		{"task ids", "contains(name,u)", "pkg.u"},
		{"names", "", "other.wf pkg.wf"}, // .flytegen is hidden
		{"names", "contains(entities.name,other)", "other.wf"},
		{"names", "eq(named_entity_metadata.state,1)", ""},
		{"names", "eq(state,0)", "other.wf pkg.wf"},
		{"nodes", "eq(phase,SUCCEEDED)", "n0"},
		{"nodes", "eq(node_execution.phase,FAILED)", ""},
		{"nodes", "eq(node_id,n0)+lt(duration,60)", "n0"},
		{"nodes", "eq(execution.name,e1)", "n0"},
		{"nodes", "ne(execution.phase,SUCCEEDED)", ""},
		{"nodes", "eq(execution.project,flytesnacks)+eq(execution.phase,SUCCEEDED)", "n0"},
		{"attempts", "eq(retry_attempt,0)", "0"},
		{"attempts", "eq(task.name,pkg.t)+eq(phase,SUCCEEDED)", "0"},
		{"attempts", "eq(node_execution.node_id,n0)+eq(execution.name,e1)", "0"},
		{"attempts", "value_not_in(phase,SUCCEEDED)", ""},
		{"projects", "", "flytesnacks"}, // archived ones are hidden
		{"projects", "eq(state,1)", "old"},
		{"projects", "value_in(project.identifier,old;flytesnacks)+gte(state,0)", "flytesnacks old"},
		{"projects", "contains(name,fly)", "flytesnacks"},
	} {
		names, token, err := lists[c.list](r, t, pageOf{limit: 100, filters: c.filters})
		slices.Sort(names)
		if got := strings.Join(names, " "); err != nil || got != c.want || token != "" {
			t.Errorf("%s %q: %q, token %q, %v; want %q", c.list, c.filters, got, token, err, c.want)
		}
	}
}

// TestListsPage sorts each list both ways, and turns its pages to the end.
func TestListsPage(t *testing.T) {
	r := listed(t)
	for list, key := range map[string]string{"tasks": "name", "workflows": "name", "plans": "name", "active plans": "name", "task ids": "name", "names": "name",
		"executions": "execution_name", "nodes": "node_id", "attempts": "retry_attempt", "projects": "identifier"} {
		var runs [2][]string
		for i, ascend := range []bool{true, false} {
			page := pageOf{limit: 1, key: key, ascend: ascend}
			for n := 0; ; n++ {
				names, token, err := lists[list](r, t, page)
				if err != nil || n > 20 {
					t.Fatalf("%s page %d: %v", list, n, err)
				}
				runs[i] = append(runs[i], names...)
				if page.token = token; token == "" {
					break
				}
			}
		}
		slices.Reverse(runs[1])
		all, _, err := lists[list](r, t, pageOf{limit: 5000, key: key, ascend: true})
		if err != nil || len(all) == 0 || !slices.Equal(runs[0], all) || !slices.Equal(runs[1], all) {
			t.Errorf("%s: ascending %v, descending from behind %v, at once %v, %v", list, runs[0], runs[1], all, err)
		}
	}
}

// TestListsRefuse has what no list may be asked.
func TestListsRefuse(t *testing.T) {
	r := listed(t)
	for _, name := range slices.Sorted(maps.Keys(lists)) {
		for what, p := range map[string]pageOf{
			"no limit": {}, "token": {limit: 1, token: "next"}, "negative token": {limit: 1, token: "-1"}, "key": {limit: 1, key: "nonsense"},
			"field": {limit: 1, filters: "eq(nonsense,1)"}, "foreign field": {limit: 1, filters: "eq(signal.name,1)"}, "function": {limit: 1, filters: "like(name,x)"},
			"form": {limit: 1, filters: "eq(name)"}, "time": {limit: 1, filters: "gt(created_at,yesterday)"},
		} {
			if what == "no limit" && name == "projects" || p.filters != "" && name == "active plans" {
				continue
			}
			if _, _, err := lists[name](r, t, p); code(err) != codes.InvalidArgument {
				t.Errorf("%s with a wrong %s: %v", name, what, err)
			}
		}
	}
	for list, filters := range map[string]string{"executions": "eq(phase,BUSY)", "plans": "eq(state,active)", "projects": "eq(state,x)", "attempts": "gt(duration,long)"} {
		if _, _, err := lists[list](r, t, pageOf{limit: 1, filters: filters}); code(err) != codes.InvalidArgument {
			t.Errorf("%s %s: %v", list, filters, err)
		}
	}
}
