package badinput

import (
	"math"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/core"
)

// launch is a launch that would be accepted but for what is spoiled.
func launch(spoil func(*admin.ExecutionCreateRequest)) *admin.ExecutionCreateRequest {
	q := &admin.ExecutionCreateRequest{Project: project, Domain: domain, Name: "new", Inputs: seconds(1),
		Spec: &admin.ExecutionSpec{LaunchPlan: identifier(core.ResourceType_LAUNCH_PLAN, plan), Metadata: &admin.ExecutionMetadata{}}}
	spoil(q)
	return q
}

func labels(key, value string) *admin.Labels {
	return &admin.Labels{Values: map[string]string{key: value}}
}

func env(key, value string) *admin.Envs {
	return &admin.Envs{Values: []*core.KeyValuePair{{Key: key, Value: value}}}
}

func (r *rig) launches(*testing.T) []row {
	bad := func(name, want, says string, spoil func(*admin.ExecutionCreateRequest)) row {
		return row{"launch: " + name, want, says, call(r.admin.CreateExecution, launch(spoil))}
	}
	deep := literal(1)
	for range 2000 {
		deep = &core.Literal{Value: &core.Literal_Collection{Collection: &core.LiteralCollection{Literals: []*core.Literal{deep}}}}
	}
	many := make([]*core.KeyValuePair, 50_000)
	for i := range many {
		many[i] = &core.KeyValuePair{Key: "A", Value: "b"}
	}
	return []row{
		bad("no project", invalid, "^project: must be set", func(q *admin.ExecutionCreateRequest) { q.Project = "" }),
		bad("a project that is unknown", invalid, `^project: "nobody" does not exist; register it`, func(q *admin.ExecutionCreateRequest) { q.Project = "nobody" }),
		bad("a project that is archived", invalid, `^project: "old" is archived; activate it`, func(q *admin.ExecutionCreateRequest) { q.Project = archived }),
		bad("a project that makes no namespace", invalid, "^project: .* at most 63 fit", func(q *admin.ExecutionCreateRequest) { q.Project = longProject }),
		bad("a domain that is unknown", invalid, `^domain: "moon" is not one of`, func(q *admin.ExecutionCreateRequest) { q.Domain = "moon" }),
		bad("an upper-case name", invalid, "^name: .* lower-case", func(q *admin.ExecutionCreateRequest) { q.Name = "New" }),
		bad("a name of 64 characters", invalid, "^name: .* at most 63", func(q *admin.ExecutionCreateRequest) { q.Name = strings.Repeat("n", 64) }),
		bad("a name of a megabyte", invalid, "^name: .* at most 63", func(q *admin.ExecutionCreateRequest) { q.Name = strings.Repeat("n", 1<<20) }),
		bad("a name with a NUL", invalid, "^name: .* lower-case", func(q *admin.ExecutionCreateRequest) { q.Name = "n\x00w" }),
		bad("a name that is taken", codes.AlreadyExists.String(), "ended", func(q *admin.ExecutionCreateRequest) { q.Name = ended }),
		bad("no spec", invalid, "^spec: must be set", func(q *admin.ExecutionCreateRequest) { q.Spec = nil }),
		bad("no launch plan", invalid, "^spec.launch_plan", func(q *admin.ExecutionCreateRequest) { q.Spec.LaunchPlan = nil }),
		bad("a workflow for a launch plan", invalid, "^spec.launch_plan.resource_type: must be LAUNCH_PLAN or TASK", func(q *admin.ExecutionCreateRequest) {
			q.Spec.LaunchPlan.ResourceType = core.ResourceType_WORKFLOW
		}),
		bad("a launch plan without version", invalid, "^spec.launch_plan.version: must be set", func(q *admin.ExecutionCreateRequest) { q.Spec.LaunchPlan.Version = "" }),
		bad("a launch plan that is unknown", notFound, "bad.nowhere", func(q *admin.ExecutionCreateRequest) { q.Spec.LaunchPlan.Name = "bad.nowhere" }),
		bad("a task that is unknown", notFound, "bad.nowhere", func(q *admin.ExecutionCreateRequest) {
			q.Spec.LaunchPlan = identifier(core.ResourceType_TASK, "bad.nowhere")
		}),
		bad("an input that is unknown", invalid, `^inputs.minutes: there is no input`, func(q *admin.ExecutionCreateRequest) { q.Inputs.Literals["minutes"] = literal(1) }),
		bad("an input of another type", invalid, `^inputs.seconds: invalid seconds input wrong type`, func(q *admin.ExecutionCreateRequest) { q.Inputs = seconds("many") }),
		bad("an input without a value", invalid, `^inputs.seconds`, func(q *admin.ExecutionCreateRequest) { q.Inputs.Literals["seconds"] = &core.Literal{} }),
		bad("an input that is missing", invalid, `^inputs.seconds: is required`, func(q *admin.ExecutionCreateRequest) { q.Inputs = nil }),
		bad("an input of 2,000 nested lists", invalid, `^inputs.seconds`, func(q *admin.ExecutionCreateRequest) { q.Inputs.Literals["seconds"] = deep }),
		bad("a label with an odd key", invalid, `^spec.labels: key "a b"`, func(q *admin.ExecutionCreateRequest) { q.Spec.Labels = labels("a b", "c") }),
		bad("a label with a long value", invalid, `^spec.labels: value .*63`, func(q *admin.ExecutionCreateRequest) {
			q.Spec.Labels = labels("a", strings.Repeat("x", 300_000))
		}),
		bad("an annotation with an odd key", invalid, `^spec.annotations: key "/a"`, func(q *admin.ExecutionCreateRequest) {
			q.Spec.Annotations = &admin.Annotations{Values: map[string]string{"/a": "b"}}
		}),
		bad("a variable without a name", invalid, `^spec.envs`, func(q *admin.ExecutionCreateRequest) { q.Spec.Envs = env("", "b") }),
		bad("a variable with = in its name", invalid, `^spec.envs: .*"A=B"`, func(q *admin.ExecutionCreateRequest) { q.Spec.Envs = env("A=B", "c") }),
		bad("a variable with a NUL in its value", invalid, `^spec.envs.A: .*NUL`, func(q *admin.ExecutionCreateRequest) { q.Spec.Envs = env("A", "b\x00c") }),
		bad("50,000 variables", invalid, `^spec: .*shorten`, func(q *admin.ExecutionCreateRequest) { q.Spec.Envs = &admin.Envs{Values: many} }),
		bad("a selector that is none", invalid, `^spec.execution_cluster_label.value`, func(q *admin.ExecutionCreateRequest) {
			q.Spec.ExecutionClusterLabel = &admin.ExecutionClusterLabel{Value: "region in (eu"}
		}),
		bad("a pool", invalid, `^spec.cluster_assignment.cluster_pool_name: no pool "gpus" holds .*label selector`, func(q *admin.ExecutionCreateRequest) {
			q.Spec.ClusterAssignment = &admin.ClusterAssignment{ClusterPoolName: "gpus"}
		}),
		bad("a negative parallelism", invalid, `^spec.max_parallelism: must lie between`, func(q *admin.ExecutionCreateRequest) { q.Spec.MaxParallelism = -1 }),
		bad("a parallelism of two billion", invalid, `^spec.max_parallelism: must lie between`, func(q *admin.ExecutionCreateRequest) { q.Spec.MaxParallelism = math.MaxInt32 }),
		bad("a mode that is none", invalid, `^spec.metadata.mode`, func(q *admin.ExecutionCreateRequest) { q.Spec.Metadata.Mode = 77 }),
		bad("a principal with a NUL", invalid, `^spec.metadata.principal`, func(q *admin.ExecutionCreateRequest) { q.Spec.Metadata.Principal = "a\x00b" }),
		bad("a relative place for raw output", invalid, `^spec.raw_output_data_config.output_location_prefix: "here" is neither`, func(q *admin.ExecutionCreateRequest) {
			q.Spec.RawOutputDataConfig = &admin.RawOutputDataConfig{OutputLocationPrefix: "here"}
		}),
		bad("a place for raw output with a NUL", invalid, `^spec.raw_output_data_config.output_location_prefix`, func(q *admin.ExecutionCreateRequest) {
			q.Spec.RawOutputDataConfig = &admin.RawOutputDataConfig{OutputLocationPrefix: "/a\x00b"}
		}),
		bad("a service account that is no name", invalid, `^spec.security_context.run_as.k8s_service_account: "No Name"`, func(q *admin.ExecutionCreateRequest) {
			q.Spec.SecurityContext = &core.SecurityContext{RunAs: &core.Identity{K8SServiceAccount: "No Name"}}
		}),
		bad("a notification to nobody", invalid, `^spec.notifications: .*recipients`, func(q *admin.ExecutionCreateRequest) {
			q.Spec.NotificationOverrides = &admin.ExecutionSpec_Notifications{Notifications: &admin.NotificationList{Notifications: []*admin.Notification{{}}}}
		}),
		bad("a message above the limit", codes.ResourceExhausted.String(), `larger than max`, func(q *admin.ExecutionCreateRequest) {
			q.Spec.Envs = env("A", strings.Repeat("x", 21<<20))
		}),
	}
}

// runs are what is done to executions that exist, or do not.
func (r *rig) runs(*testing.T) []row {
	id := executionID("nowhere")
	return []row{
		{"relaunch: an execution that is unknown", notFound, "nowhere", call(r.admin.RelaunchExecution, &admin.ExecutionRelaunchRequest{Id: id})},
		{"relaunch: an odd name", invalid, "^name", call(r.admin.RelaunchExecution, &admin.ExecutionRelaunchRequest{Id: executionID(ended), Name: "Odd Name"})},
		{"recover", unbuilt, "relaunch", call(r.admin.RecoverExecution, &admin.ExecutionRecoverRequest{Id: executionID(ended)})},
		{"terminate: no id", invalid, "^id: must be set", call(r.admin.TerminateExecution, &admin.ExecutionTerminateRequest{})},
		{"terminate: an execution that is unknown", notFound, "nowhere", call(r.admin.TerminateExecution, &admin.ExecutionTerminateRequest{Id: id})},
		{"terminate: one that has ended", codes.FailedPrecondition.String(), "ended", call(r.admin.TerminateExecution, &admin.ExecutionTerminateRequest{Id: executionID(ended)})},
		{"terminate: a cause with a NUL", invalid, "^cause", call(r.admin.TerminateExecution, &admin.ExecutionTerminateRequest{Id: executionID(ended), Cause: "a\x00b"})},
		{"archive: a state that is none", invalid, "^state: 7", call(r.admin.UpdateExecution, &admin.ExecutionUpdateRequest{Id: executionID(ended), State: 7})},
		{"archive: an execution that is unknown", notFound, "nowhere", call(r.admin.UpdateExecution, &admin.ExecutionUpdateRequest{Id: id})},
		{"report a workflow's event", unbuilt, "DataPlaneService", call(r.admin.CreateWorkflowEvent, &admin.WorkflowExecutionEventRequest{})},
		{"report a node's event", unbuilt, "DataPlaneService", call(r.admin.CreateNodeEvent, &admin.NodeExecutionEventRequest{})},
		{"report a task's event", unbuilt, "DataPlaneService", call(r.admin.CreateTaskEvent, &admin.TaskExecutionEventRequest{})},
		{"get or make a signal", unbuilt, "gate nodes", call(r.signals.GetOrCreateSignal, &admin.SignalGetOrCreateRequest{})},
		{"list signals", unbuilt, "gate nodes", call(r.signals.ListSignals, &admin.SignalListRequest{})},
		{"set a signal", unbuilt, "gate nodes", call(r.signals.SetSignal, &admin.SignalSetRequest{})},
	}
}
