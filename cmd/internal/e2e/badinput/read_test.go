package badinput

import (
	"context"
	"strings"
	"testing"

	"google.golang.org/grpc"

	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/core"
)

// lists are limits, tokens, filters and orders that no list takes.
func (r *rig) lists(*testing.T) []row {
	scope := &admin.NamedEntityIdentifier{Project: project, Domain: domain}
	bad := func(name, says string, spoil func(*admin.ResourceListRequest)) row {
		q := &admin.ResourceListRequest{Id: scope, Limit: 10}
		spoil(q)
		return row{"list executions: " + name, invalid, says, call(r.admin.ListExecutions, q)}
	}
	filter := func(name, says, filters string) row {
		return bad(name, says, func(q *admin.ResourceListRequest) { q.Filters = filters })
	}
	rows := []row{
		bad("no project", "^id.project: must be set", func(q *admin.ResourceListRequest) { q.Id = nil }),
		bad("no limit", "^limit: must be above 0", func(q *admin.ResourceListRequest) { q.Limit = 0 }),
		bad("a token that is none", `^token: "abc" is not a decimal offset`, func(q *admin.ResourceListRequest) { q.Token = "abc" }),
		bad("a negative token", `^token: "-1" is not`, func(q *admin.ResourceListRequest) { q.Token = "-1" }),
		bad("a token of a megabyte", `^token: .* is not`, func(q *admin.ResourceListRequest) { q.Token = strings.Repeat("9", 1<<20) }),
		bad("an order that is none", `^sort_by.key: "color" is not`, func(q *admin.ResourceListRequest) { q.SortBy = &admin.Sort{Key: "color"} }),
		bad("an order that is SQL", `^sort_by.key: .* is not`, func(q *admin.ResourceListRequest) { q.SortBy = &admin.Sort{Key: "name; DROP TABLE projects"} }),
		filter("a filter without a function", `^filters: .*eq\(field,value\)`, "phase=RUNNING"),
		filter("a function that is none", `^filters: .*eq\(field,value\)`, "like(name,a)"),
		filter("a filter that does not end", `^filters: .*closing parenthesis`, "eq(name,a"),
		filter("a filter without a value", `^filters: .*form eq\(field,value\)`, "eq(name)"),
		filter("a field that is none", `^color: is not a field`, "eq(color,red)"),
		filter("a phase that is none", `^phase: "DONE" is no phase`, "eq(phase,DONE)"),
		filter("a time that is none", `^created_at: "yesterday" is no time`, "gt(created_at,yesterday)"),
		filter("a number that is none", `^mode: "x" is no integer`, "eq(mode,x)"),
		filter("text asked of a phase", `^phase: contains works on text`, "contains(phase,RUN)"),
		filter("a value with a NUL", `^filters: .*control`, "eq(name,a\x00b)"),
		filter("70,000 values", `^filters: .*at most`, "value_in(name,"+strings.Repeat("a;", 70_000)+")"),
		filter("10,000 filters", `^filters: .*at most`, strings.TrimSuffix(strings.Repeat("eq(name,a)+", 10_000), "+")),
	}
	one := func(name string, send func(context.Context) (answer, error)) { // of each list that is left
		rows = append(rows, row{name + ": no limit", invalid, "^limit: must be above 0", send})
	}
	q := &admin.ResourceListRequest{Id: scope}
	ids := &admin.NamedEntityIdentifierListRequest{Project: project, Domain: domain}
	one("list tasks", call(r.admin.ListTasks, q))
	one("list workflows", call(r.admin.ListWorkflows, q))
	one("list launch plans", call(r.admin.ListLaunchPlans, q))
	one("list names of tasks", call(r.admin.ListTaskIds, ids))
	one("list names of workflows", call(r.admin.ListWorkflowIds, ids))
	one("list names of launch plans", call(r.admin.ListLaunchPlanIds, ids))
	one("list active launch plans", call(r.admin.ListActiveLaunchPlans, &admin.ActiveLaunchPlanListRequest{Project: project, Domain: domain}))
	one("list named entities", call(r.admin.ListNamedEntities, &admin.NamedEntityListRequest{ResourceType: core.ResourceType_TASK, Project: project, Domain: domain}))
	one("list descriptions", call(r.admin.ListDescriptionEntities, &admin.DescriptionEntityListRequest{ResourceType: core.ResourceType_TASK,
		Id: &admin.NamedEntityIdentifier{Project: project, Domain: domain, Name: "bad.nap"}}))
	one("list nodes", call(r.admin.ListNodeExecutions, &admin.NodeExecutionListRequest{WorkflowExecutionId: executionID(ended)}))
	one("list attempts", call(r.admin.ListTaskExecutions, &admin.TaskExecutionListRequest{NodeExecutionId: nodeID(ended, "a")}))
	return append(rows, row{"list projects: a field that is none", invalid, "^color: is not a field", call(r.admin.ListProjects, &admin.ProjectListRequest{Filters: "eq(color,red)"})})
}

// reads are of what is not there, or cannot be.
func (r *rig) reads(*testing.T) []row {
	ghost := &admin.ObjectGetRequest{Id: identifier(core.ResourceType_TASK, "ghost")}
	attempt := &core.TaskExecutionIdentifier{TaskId: identifier(core.ResourceType_TASK, "bad.nap"), NodeExecutionId: nodeID(ended, "a"), RetryAttempt: 1<<32 - 1}
	return []row{
		{"get a task: no id", invalid, "^id: must be set", call(r.admin.GetTask, &admin.ObjectGetRequest{})},
		{"get a task: one that is unknown", notFound, "ghost", call(r.admin.GetTask, ghost)},
		{"get a workflow: one that is unknown", notFound, "ghost", call(r.admin.GetWorkflow, &admin.ObjectGetRequest{Id: identifier(core.ResourceType_WORKFLOW, "ghost")})},
		{"get a launch plan: one that is unknown", notFound, "ghost", call(r.admin.GetLaunchPlan, &admin.ObjectGetRequest{Id: identifier(core.ResourceType_LAUNCH_PLAN, "ghost")})},
		{"get an active launch plan: none is", notFound, "bad.hourly has no active version", call(r.admin.GetActiveLaunchPlan, &admin.ActiveLaunchPlanRequest{
			Id: &admin.NamedEntityIdentifier{Project: project, Domain: domain, Name: "bad.hourly"}})},
		{"get a description: one that is unknown", notFound, "ghost", call(r.admin.GetDescriptionEntity, ghost)},
		{"get an execution: no name", invalid, "^id.name: must be set", call(r.admin.GetExecution, &admin.WorkflowExecutionGetRequest{Id: executionID("")})},
		{"get an execution: a NUL", invalid, "^id.name: .*control", call(r.admin.GetExecution, &admin.WorkflowExecutionGetRequest{Id: executionID("a\x00")})},
		{"get an execution: one that is unknown", notFound, "ghost", call(r.admin.GetExecution, &admin.WorkflowExecutionGetRequest{Id: executionID("ghost")})},
		{"get an execution's data: one that is unknown", notFound, "ghost", call(r.admin.GetExecutionData, &admin.WorkflowExecutionGetDataRequest{Id: executionID("ghost")})},
		{"get an execution's metrics", unbuilt, "trace", call(r.admin.GetExecutionMetrics, &admin.WorkflowExecutionGetMetricsRequest{Id: executionID(ended)})},
		{"get a node: no execution", invalid, "^id.execution_id: must be set", call(r.admin.GetNodeExecution, &admin.NodeExecutionGetRequest{Id: &core.NodeExecutionIdentifier{NodeId: "a"}})},
		{"get a node: one that is unknown", notFound, "ghost", call(r.admin.GetNodeExecution, &admin.NodeExecutionGetRequest{Id: nodeID(ended, "ghost")})},
		{"get a node's data: one that is unknown", notFound, "ghost", call(r.admin.GetNodeExecutionData, &admin.NodeExecutionGetDataRequest{Id: nodeID(ended, "ghost")})},
		{"get a node's workflow: it made none", notFound, "made no workflow", call(r.admin.GetDynamicNodeWorkflow, &admin.GetDynamicNodeWorkflowRequest{Id: nodeID(ended, "a")})},
		{"list nodes of a task: no task", invalid, "^task_execution_id: must be set", call(r.admin.ListNodeExecutionsForTask, &admin.NodeExecutionForTaskListRequest{Limit: 1})},
		{"get an attempt: one that is unknown", notFound, "4294967295", call(r.admin.GetTaskExecution, &admin.TaskExecutionGetRequest{Id: attempt})},
		{"get an attempt's data: no task", invalid, "^id.task_id: must be set", call(r.admin.GetTaskExecutionData, &admin.TaskExecutionGetDataRequest{Id: &core.TaskExecutionIdentifier{}})},
		{"get attributes: no project", invalid, "^project: must be set", call(r.admin.GetProjectAttributes, &admin.ProjectAttributesGetRequest{})},
		{"get attributes: no domain", invalid, "^domain: must be set", call(r.admin.GetProjectDomainAttributes, &admin.ProjectDomainAttributesGetRequest{Project: project})},
		{"get attributes: no workflow", invalid, "^workflow: must be set", call(r.admin.GetWorkflowAttributes, &admin.WorkflowAttributesGetRequest{Project: project, Domain: domain})},
	}
}

// asIs is a codec that sends bytes as they are.
type asIs struct{}

func (asIs) Marshal(v any) ([]byte, error)   { return v.([]byte), nil } //nolint:forcetypeassert // only bytes are sent
func (asIs) Unmarshal(_ []byte, _ any) error { return nil }
func (asIs) Name() string                    { return "proto" }

// wire are requests that no client library would send.
func (r *rig) wire(*testing.T) []row {
	bad := func(name, want, says, method string, body []byte) row {
		return row{"wire: " + name, want, says, func(ctx context.Context) (answer, error) {
			return answered(r.flyte.Invoke(ctx, method, body, new([]byte), grpc.ForceCodec(asIs{})))
		}}
	}
	const get, create = "/flyteidl.service.AdminService/GetProject", "/flyteidl.service.AdminService/CreateExecution"
	nested := []byte{0x08, 0x01}
	for range 12_000 { // a literal in a collection in a literal …
		nested = field(2, field(1, nested))
	}
	return []row{
		bad("bytes that are no message", invalid, "ProjectGetRequest", get, []byte("\xff\xff hello")),
		bad("a message that is cut off", invalid, "ProjectGetRequest", get, []byte{0x0a, 0x10, 'a'}),
		bad("text that is not UTF-8", invalid, "ProjectGetRequest.*UTF-8", get, []byte{0x0a, 0x02, 0xc3, 0x28}),
		bad("12,000 nested lists", invalid, "ExecutionCreateRequest", create, field(5, field(1, append(field(1, []byte("x")), field(2, nested)...)))),
		bad("a method that is none", unbuilt, "FlyToTheMoon", "/flyteidl.service.AdminService/FlyToTheMoon", nil),
		bad("a service that is off", unbuilt, "AuthMetadataService", "/flyteidl.service.AuthMetadataService/GetOAuth2Metadata", nil),
	}
}

// field is a length-delimited field of a message.
func field(number byte, body []byte) []byte {
	out := []byte{number<<3 | 2}
	n := len(body)
	for ; n >= 0x80; n >>= 7 {
		out = append(out, byte(n)|0x80)
	}
	return append(append(out, byte(n)), body...)
}
