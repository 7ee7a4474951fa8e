package gateway_test

import (
	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/core"
)

func identifier(kind core.ResourceType, name, version string) *core.Identifier {
	return &core.Identifier{ResourceType: kind, Project: "flytesnacks", Domain: "development", Name: name, Version: version}
}

func executionID(name string) *core.WorkflowExecutionIdentifier {
	return &core.WorkflowExecutionIdentifier{Project: "flytesnacks", Domain: "development", Name: name}
}

func variables(name string) *core.VariableMap {
	return &core.VariableMap{Variables: map[string]*core.Variable{
		name: {Type: &core.LiteralType{Type: &core.LiteralType_Simple{Simple: core.SimpleType_INTEGER}}}}}
}

func integers(name string, n int64) *core.LiteralMap {
	return &core.LiteralMap{Literals: map[string]*core.Literal{name: {Value: &core.Literal_Scalar{Scalar: &core.Scalar{
		Value: &core.Scalar_Primitive{Primitive: &core.Primitive{Value: &core.Primitive_Integer{Integer: n}}}}}}}}
}

func task(name, version string) *admin.TaskCreateRequest {
	id := identifier(core.ResourceType_TASK, name, version)
	return &admin.TaskCreateRequest{Id: id, Spec: &admin.TaskSpec{
		Description: &admin.DescriptionEntity{ShortDescription: "adds one, in " + version},
		Template: &core.TaskTemplate{
			Id: id, Type: "python-task", Metadata: &core.TaskMetadata{},
			Interface: &core.TypedInterface{Inputs: variables("x"), Outputs: variables("o0")},
			Target:    &core.TaskTemplate_Container{Container: &core.Container{Image: "img", Args: []string{"pyflyte-execute"}}},
		},
	}}
}

func promise(name, node, from string) *core.Binding {
	return &core.Binding{Var: name, Binding: &core.BindingData{Value: &core.BindingData_Promise{
		Promise: &core.OutputReference{NodeId: node, Var: from}}}}
}

func workflow(name, version, of string) *admin.WorkflowCreateRequest {
	id := identifier(core.ResourceType_WORKFLOW, name, version)
	return &admin.WorkflowCreateRequest{Id: id, Spec: &admin.WorkflowSpec{Template: &core.WorkflowTemplate{
		Id: id, Metadata: &core.WorkflowMetadata{}, MetadataDefaults: &core.WorkflowMetadataDefaults{},
		Interface: &core.TypedInterface{Inputs: variables("x"), Outputs: variables("o0")},
		Nodes: []*core.Node{{Id: "n0", Metadata: &core.NodeMetadata{Name: of}, Inputs: []*core.Binding{promise("x", "", "x")},
			Target: &core.Node_TaskNode{TaskNode: &core.TaskNode{Reference: &core.TaskNode_ReferenceId{
				ReferenceId: identifier(core.ResourceType_TASK, of, "v1")}}}}},
		Outputs: []*core.Binding{promise("o0", "n0", "o0")},
	}}}
}

func plan(name, version string) *admin.LaunchPlanCreateRequest {
	return &admin.LaunchPlanCreateRequest{Id: identifier(core.ResourceType_LAUNCH_PLAN, name, version), Spec: &admin.LaunchPlanSpec{
		WorkflowId: identifier(core.ResourceType_WORKFLOW, "pkg.wf", "v1"), EntityMetadata: &admin.LaunchPlanMetadata{}}}
}

func activate(name, version string) *admin.LaunchPlanUpdateRequest {
	return &admin.LaunchPlanUpdateRequest{Id: identifier(core.ResourceType_LAUNCH_PLAN, name, version), State: admin.LaunchPlanState_ACTIVE}
}

func execution(name string) *admin.ExecutionCreateRequest {
	return &admin.ExecutionCreateRequest{Project: "flytesnacks", Domain: "development", Name: name, Inputs: integers("x", 1),
		Spec: &admin.ExecutionSpec{LaunchPlan: identifier(core.ResourceType_LAUNCH_PLAN, "pkg.wf", "v1"), Metadata: &admin.ExecutionMetadata{}}}
}
