package badinput

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/core"
)

// tasks are registrations of tasks that are refused, each the good one but for
// what is spoiled.
func (r *rig) tasks(t *testing.T) []row {
	bad := func(name, want, says string, spoil func(*admin.TaskCreateRequest)) row {
		q := r.manifest(t, sleep).Tasks[0]
		q.Id.Version = "v2"
		spoil(q)
		return row{"task: " + name, want, says, call(r.admin.CreateTask, q)}
	}
	request := func(name core.Resources_ResourceName, value string) *core.Resources {
		return &core.Resources{Requests: []*core.Resources_ResourceEntry{{Name: name, Value: value}}}
	}
	container := func(q *admin.TaskCreateRequest) *core.Container { return q.Spec.Template.GetContainer() }
	return []row{
		bad("no id", invalid, "^id: must be set", func(q *admin.TaskCreateRequest) { q.Id = nil }),
		bad("the id of a workflow", invalid, "^id.resource_type: must be TASK", func(q *admin.TaskCreateRequest) { q.Id.ResourceType = core.ResourceType_WORKFLOW }),
		bad("no version", invalid, "^id.version: must be set", func(q *admin.TaskCreateRequest) { q.Id.Version = "" }),
		bad("a name of 256 bytes", invalid, "^id.name: .*at most 255", func(q *admin.TaskCreateRequest) { q.Id.Name = strings.Repeat("x", 256) }),
		bad("a name with a NUL", invalid, "^id.name: .*control", func(q *admin.TaskCreateRequest) { q.Id.Name = "a\x00b" }),
		bad("an archived project", invalid, "^project: .*activate it", func(q *admin.TaskCreateRequest) { q.Id.Project = archived }),
		bad("no template", invalid, "^spec.template: must be set", func(q *admin.TaskCreateRequest) { q.Spec = nil }),
		bad("no type", invalid, "no type", func(q *admin.TaskCreateRequest) { q.Spec.Template.Type = "" }),
		bad("no image", invalid, "no image", func(q *admin.TaskCreateRequest) { container(q).Image = "" }),
		bad("no interface", invalid, "no interface", func(q *admin.TaskCreateRequest) { q.Spec.Template.Interface = nil }),
		bad("an input without a type", invalid, "seconds.*type is missing", func(q *admin.TaskCreateRequest) {
			q.Spec.Template.Interface.Inputs.Variables["seconds"].Type = nil
		}),
		bad("a cpu that is no quantity", invalid, `cpu "much" is not a quantity`, func(q *admin.TaskCreateRequest) { container(q).Resources = request(core.Resources_CPU, "much") }),
		bad("a negative memory", invalid, `memory "-1Gi" is not a quantity`, func(q *admin.TaskCreateRequest) { container(q).Resources = request(core.Resources_MEMORY, "-1Gi") }),
		bad("a quantity of a megabyte", invalid, `cpu .* is not a quantity`, func(q *admin.TaskCreateRequest) {
			container(q).Resources = request(core.Resources_CPU, strings.Repeat("9", 1<<20))
		}),
		bad("half a GPU", invalid, `gpu "0.5" must be a whole number`, func(q *admin.TaskCreateRequest) { container(q).Resources = request(core.Resources_GPU, "0.5") }),
		bad("more cpu than a task may ask for", invalid, `^spec.template.container.resources.requests`, func(q *admin.TaskCreateRequest) {
			container(q).Resources = request(core.Resources_CPU, "64")
		}),
		bad("a negative timeout", invalid, "metadata.timeout is negative", func(q *admin.TaskCreateRequest) {
			q.Spec.Template.Metadata.Timeout = durationpb.New(-time.Second)
		}),
		bad("four billion retries", invalid, "metadata.retries", func(q *admin.TaskCreateRequest) {
			q.Spec.Template.Metadata.Retries = &core.RetryStrategy{Retries: 1<<32 - 1}
		}),
		bad("a variable with = in its name", invalid, `container env.*"A=B"`, func(q *admin.TaskCreateRequest) {
			container(q).Env = []*core.KeyValuePair{{Key: "A=B", Value: "c"}}
		}),
		bad("another structure under a known version", invalid, "different structure already exists; register it under another version", func(q *admin.TaskCreateRequest) {
			q.Id.Version, container(q).Image = version, "other"
		}),
		bad("what is there already", codes.AlreadyExists.String(), "identical structure", func(q *admin.TaskCreateRequest) { q.Id.Version = version }),
	}
}

func (r *rig) workflows(t *testing.T) []row {
	bad := func(name, want, says string, spoil func(*admin.WorkflowCreateRequest)) row {
		q := r.manifest(t, sleep).Workflow
		q.Id.Version = "v2"
		spoil(q)
		return row{"workflow: " + name, want, says, call(r.admin.CreateWorkflow, q)}
	}
	node := func(q *admin.WorkflowCreateRequest) *core.Node {
		for _, n := range q.Spec.Template.Nodes {
			if n.Id == "a" {
				return n
			}
		}
		panic("the manifest has no node a")
	}
	return []row{
		bad("no id", invalid, "^id: must be set", func(q *admin.WorkflowCreateRequest) { q.Id = nil }),
		bad("no template", invalid, "^spec.template: must be set", func(q *admin.WorkflowCreateRequest) { q.Spec = nil }),
		bad("a task that is unknown", invalid, "nowhere", func(q *admin.WorkflowCreateRequest) { node(q).GetTaskNode().GetReferenceId().Name = "nowhere" }),
		bad("two nodes of one name", invalid, `node "a": another node has this id`, func(q *admin.WorkflowCreateRequest) {
			q.Spec.Template.Nodes = append(q.Spec.Template.Nodes, node(q))
		}),
		bad("a node that waits for itself", invalid, "wait for one another", func(q *admin.WorkflowCreateRequest) { node(q).UpstreamNodeIds = []string{"a"} }),
		bad("a node that waits for nobody known", invalid, "ghost", func(q *admin.WorkflowCreateRequest) { node(q).UpstreamNodeIds = []string{"ghost"} }),
		bad("an input that nothing gives", invalid, "seconds", func(q *admin.WorkflowCreateRequest) { node(q).Inputs = nil }),
		bad("a negative timeout of a node", invalid, "timeout is negative", func(q *admin.WorkflowCreateRequest) {
			node(q).Metadata = &core.NodeMetadata{Timeout: durationpb.New(-time.Hour)}
		}),
		bad("four billion retries of a node", invalid, "retries", func(q *admin.WorkflowCreateRequest) {
			node(q).Metadata = &core.NodeMetadata{Retries: &core.RetryStrategy{Retries: 1<<32 - 1}}
		}),
		bad("a node's id with a NUL", invalid, `no control characters`, func(q *admin.WorkflowCreateRequest) { node(q).Id = "a\x00b" }),
		bad("a gate", unbuilt, `node "a"`, func(q *admin.WorkflowCreateRequest) { node(q).Target = &core.Node_GateNode{GateNode: &core.GateNode{}} }),
	}
}

func (r *rig) plans(t *testing.T) []row {
	bad := func(name, want, says string, spoil func(*admin.LaunchPlanCreateRequest)) row {
		q := &admin.LaunchPlanCreateRequest{Id: identifier(core.ResourceType_LAUNCH_PLAN, "bad.plan"),
			Spec: &admin.LaunchPlanSpec{WorkflowId: identifier(core.ResourceType_WORKFLOW, plan), EntityMetadata: &admin.LaunchPlanMetadata{}}}
		spoil(q)
		return row{"launch plan: " + name, want, says, call(r.admin.CreateLaunchPlan, q)}
	}
	scheduled := func(name, says string, s *admin.Schedule) row {
		return bad(name, invalid, "^spec.entity_metadata.schedule"+says, func(q *admin.LaunchPlanCreateRequest) {
			q.Spec.FixedInputs, q.Spec.EntityMetadata.Schedule = seconds(1), s
		})
	}
	state := func(name string, s admin.LaunchPlanState) *admin.LaunchPlanUpdateRequest {
		return &admin.LaunchPlanUpdateRequest{Id: identifier(core.ResourceType_LAUNCH_PLAN, name), State: s}
	}
	return []row{
		bad("no spec", invalid, "^spec: must be set", func(q *admin.LaunchPlanCreateRequest) { q.Spec = nil }),
		bad("no workflow", invalid, "^spec.workflow_id: must be set", func(q *admin.LaunchPlanCreateRequest) { q.Spec.WorkflowId = nil }),
		bad("a workflow that is unknown", notFound, "nowhere", func(q *admin.LaunchPlanCreateRequest) { q.Spec.WorkflowId.Name = "nowhere" }),
		bad("a fixed input that is unknown", invalid, "^spec.fixed_inputs.minutes", func(q *admin.LaunchPlanCreateRequest) {
			q.Spec.FixedInputs = &core.LiteralMap{Literals: map[string]*core.Literal{"minutes": literal(1)}}
		}),
		bad("a fixed input of another type", invalid, "^spec.fixed_inputs.seconds", func(q *admin.LaunchPlanCreateRequest) { q.Spec.FixedInputs = seconds("many") }),
		bad("a negative parallelism", invalid, "^spec.max_parallelism", func(q *admin.LaunchPlanCreateRequest) { q.Spec.MaxParallelism = -1 }),
		bad("an odd label", invalid, "^spec.labels", func(q *admin.LaunchPlanCreateRequest) { q.Spec.Labels = labels("a", "b c") }),
		bad("a variable without a name", invalid, "^spec.envs", func(q *admin.LaunchPlanCreateRequest) { q.Spec.Envs = env("", "b") }),
		scheduled("a rate of nothing", ".rate.value: must be above 0", &admin.Schedule{ScheduleExpression: &admin.Schedule_Rate{Rate: &admin.FixedRate{}}}),
		scheduled("a cron schedule of nothing", ".cron_schedule.schedule: must be set", cron("")),
		scheduled("a cron schedule of four fields", `.cron_schedule.schedule: .*"\* \* \* \*"`, cron("* * * *")),
		scheduled("a 61st minute", `.cron_schedule.schedule: .*60`, cron("60 * * * *")),
		scheduled("a cron alias that is none", `.cron_schedule.schedule: .*@sometimes`, cron("@sometimes")),
		{"activate: a launch plan that is unknown", notFound, "nowhere", call(r.admin.UpdateLaunchPlan, state("nowhere", admin.LaunchPlanState_ACTIVE))},
		{"activate: a state that is none", invalid, "^state: 9", call(r.admin.UpdateLaunchPlan, state(plan, 9))},
		{"activate: a schedule", unbuilt, "schedule", call(r.admin.UpdateLaunchPlan, state("bad.hourly", admin.LaunchPlanState_ACTIVE))},
	}
}

func (r *rig) projects(*testing.T) []row {
	bad := func(name, want, says string, p *admin.Project) row {
		return row{"project: " + name, want, says, call(r.admin.RegisterProject, &admin.ProjectRegisterRequest{Project: p})}
	}
	entity := &admin.NamedEntityIdentifier{Project: project, Domain: domain, Name: "bad.nap"}
	return []row{
		bad("nothing", invalid, "^project: must be set", nil),
		bad("no name", invalid, "^project.name: must be set", &admin.Project{Id: "p"}),
		bad("an odd id", invalid, "^project.id: .*DNS label", &admin.Project{Id: "P_1", Name: "p"}),
		bad("an id of a megabyte", invalid, "^project.id: .*DNS label", &admin.Project{Id: strings.Repeat("p", 1<<20), Name: "p"}),
		bad("domains of its own", invalid, "^project.domains: must be empty", &admin.Project{Id: "p", Name: "p", Domains: []*admin.Domain{{Id: "d"}}}),
		bad("a name of 65 characters", invalid, "^project.name: .*64", &admin.Project{Id: "p", Name: strings.Repeat("ü", 65)}),
		bad("a name with a NUL", invalid, "^project.name", &admin.Project{Id: "p", Name: "a\x00b"}),
		bad("a description with a NUL", invalid, "^project.description", &admin.Project{Id: "p", Name: "p", Description: "a\x00b"}),
		bad("one that exists", codes.AlreadyExists.String(), project, &admin.Project{Id: project, Name: "again"}),
		{"update a project: one that is unknown", notFound, "nobody", call(r.admin.UpdateProject, &admin.Project{Id: "nobody"})},
		{"update a project: a state that is none", invalid, "^state: 9", call(r.admin.UpdateProject, &admin.Project{Id: project, State: 9})},
		{"get a project: no id", invalid, "^id: must be set", call(r.admin.GetProject, &admin.ProjectGetRequest{})},
		{"describe: a state that is none", invalid, "^metadata.state: 9", call(r.admin.UpdateNamedEntity, &admin.NamedEntityUpdateRequest{
			ResourceType: core.ResourceType_TASK, Id: entity, Metadata: &admin.NamedEntityMetadata{State: 9}})},
		{"describe: a description with a NUL", invalid, "^metadata.description", call(r.admin.UpdateNamedEntity, &admin.NamedEntityUpdateRequest{
			ResourceType: core.ResourceType_TASK, Id: entity, Metadata: &admin.NamedEntityMetadata{Description: "a\x00b"}})},
		{"describe: a dataset", invalid, "^resource_type: must be TASK, WORKFLOW or LAUNCH_PLAN", call(r.admin.GetNamedEntity, &admin.NamedEntityGetRequest{
			ResourceType: core.ResourceType_DATASET, Id: entity})},
		{"set attributes of a project", unbuilt, "cannot be set yet", call(r.admin.UpdateProjectAttributes, &admin.ProjectAttributesUpdateRequest{})},
		{"set attributes of a domain", unbuilt, "cannot be set yet", call(r.admin.UpdateProjectDomainAttributes, &admin.ProjectDomainAttributesUpdateRequest{})},
		{"set attributes of a workflow", unbuilt, "cannot be set yet", call(r.admin.UpdateWorkflowAttributes, &admin.WorkflowAttributesUpdateRequest{})},
		{"delete attributes of a project", notFound, "no TASK_RESOURCE attributes", call(r.admin.DeleteProjectAttributes, &admin.ProjectAttributesDeleteRequest{Project: project})},
		{"delete attributes of a domain", notFound, "no TASK_RESOURCE attributes", call(r.admin.DeleteProjectDomainAttributes, &admin.ProjectDomainAttributesDeleteRequest{Project: project})},
		{"delete attributes of a workflow", notFound, "no TASK_RESOURCE attributes", call(r.admin.DeleteWorkflowAttributes, &admin.WorkflowAttributesDeleteRequest{Project: project})},
	}
}
