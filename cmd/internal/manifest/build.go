package manifest

import (
	"maps"
	"slices"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/core"
)

// Where a container finds its inputs and leaves its outputs.
const (
	InputPath  = "/var/flyte/inputs"
	OutputPath = "/var/flyte/outputs"
)

var resourceNames = map[string]core.Resources_ResourceName{
	"cpu": core.Resources_CPU, "memory": core.Resources_MEMORY, "gpu": core.Resources_GPU,
	"ephemeral-storage": core.Resources_EPHEMERAL_STORAGE,
}

var failurePolicies = map[string]core.WorkflowMetadata_OnFailurePolicy{
	"":                 core.WorkflowMetadata_FAIL_IMMEDIATELY,
	"fail-immediately": core.WorkflowMetadata_FAIL_IMMEDIATELY,
	"finish-running":   core.WorkflowMetadata_FAIL_AFTER_EXECUTABLE_NODES_COMPLETE,
}

// Target is where a manifest is registered.
type Target struct{ Project, Domain, Version string }

func (t Target) id(kind core.ResourceType, name string) *core.Identifier {
	return &core.Identifier{ResourceType: kind, Project: t.Project, Domain: t.Domain, Name: name, Version: t.Version}
}

// Requests are the messages that register a manifest, in their order.
type Requests struct {
	Tasks      []*admin.TaskCreateRequest
	Workflow   *admin.WorkflowCreateRequest   // nil without a workflow
	LaunchPlan *admin.LaunchPlanCreateRequest // the default one: named as the workflow
}

// Build turns a parsed manifest into Flyte's messages.
func (m *Manifest) Build(to Target) (Requests, error) {
	var out Requests
	for _, t := range m.Tasks {
		template, err := t.template(to)
		if err != nil {
			return Requests{}, err
		}
		out.Tasks = append(out.Tasks, &admin.TaskCreateRequest{Id: template.Id, Spec: &admin.TaskSpec{Template: template}})
	}
	if m.Workflow == nil {
		return out, nil
	}
	template, err := m.workflow(to)
	if err != nil {
		return Requests{}, err
	}
	out.Workflow = &admin.WorkflowCreateRequest{Id: template.Id, Spec: &admin.WorkflowSpec{Template: template}}
	defaults, err := m.Workflow.parameters()
	if err != nil {
		return Requests{}, err
	}
	out.LaunchPlan = &admin.LaunchPlanCreateRequest{
		Id: to.id(core.ResourceType_LAUNCH_PLAN, m.Workflow.Name),
		Spec: &admin.LaunchPlanSpec{
			WorkflowId: template.Id, EntityMetadata: &admin.LaunchPlanMetadata{},
			DefaultInputs: defaults, FixedInputs: &core.LiteralMap{},
		},
	}
	return out, nil
}

func (t Task) template(to Target) (*core.TaskTemplate, error) {
	iface, err := typedInterface(t.Inputs, t.Outputs)
	if err != nil {
		return nil, err
	}
	metadata := &core.TaskMetadata{
		Runtime: &core.RuntimeMetadata{Type: core.RuntimeMetadata_OTHER, Version: "1", Flavor: "container"},
		Retries: &core.RetryStrategy{Retries: t.Retries},
	}
	if t.Timeout != "" {
		d, err := parseDuration(t.Timeout)
		if err != nil {
			return nil, err
		}
		metadata.Timeout = durationpb.New(d)
	}
	container := &core.Container{
		Image: t.Image, Command: t.Command, Args: t.Args, Resources: &core.Resources{},
		DataConfig: &core.DataLoadingConfig{Enabled: true, InputPath: InputPath, OutputPath: OutputPath, Format: core.DataLoadingConfig_JSON},
	}
	for _, name := range slices.Sorted(maps.Keys(t.Env)) {
		container.Env = append(container.Env, &core.KeyValuePair{Key: name, Value: t.Env[name]})
	}
	for _, name := range slices.Sorted(maps.Keys(t.Resources)) {
		container.Resources.Requests = append(container.Resources.Requests,
			&core.Resources_ResourceEntry{Name: resourceNames[name], Value: t.Resources[name]})
	}
	return &core.TaskTemplate{
		Id: to.id(core.ResourceType_TASK, t.Name), Type: "raw-container", Metadata: metadata, Interface: iface,
		Target: &core.TaskTemplate_Container{Container: container},
	}, nil
}

func typedInterface(inputs, outputs map[string]string) (*core.TypedInterface, error) {
	in, err := variables(inputs)
	if err != nil {
		return nil, err
	}
	out, err := variables(outputs)
	if err != nil {
		return nil, err
	}
	return &core.TypedInterface{Inputs: in, Outputs: out}, nil
}

func variables(vars map[string]string) (*core.VariableMap, error) {
	out := &core.VariableMap{Variables: map[string]*core.Variable{}}
	for name, typ := range vars {
		t, err := parseType(typ)
		if err != nil {
			return nil, err
		}
		out.Variables[name] = &core.Variable{Type: t, Description: name}
	}
	return out, nil
}

func (w *Workflow) parameters() (*core.ParameterMap, error) {
	out := &core.ParameterMap{Parameters: map[string]*core.Parameter{}}
	for name, in := range w.Inputs {
		t, err := parseType(in.Type)
		if err != nil {
			return nil, err
		}
		p := &core.Parameter{Var: &core.Variable{Type: t, Description: name}, Behavior: &core.Parameter_Required{Required: true}}
		if in.Default != nil {
			l, err := Literal(t, in.Default)
			if err != nil {
				return nil, err
			}
			p.Behavior = &core.Parameter_Default{Default: l}
		}
		out.Parameters[name] = p
	}
	return out, nil
}

func (m *Manifest) workflow(to Target) (*core.WorkflowTemplate, error) {
	w := m.Workflow
	tasks := map[string]Task{}
	for _, t := range m.Tasks {
		tasks[t.Name] = t
	}
	iface, err := w.iface(tasks)
	if err != nil {
		return nil, err
	}
	template := &core.WorkflowTemplate{
		Id: to.id(core.ResourceType_WORKFLOW, w.Name), Interface: iface,
		Metadata:         &core.WorkflowMetadata{OnFailure: failurePolicies[w.FailurePolicy]},
		MetadataDefaults: &core.WorkflowMetadataDefaults{},
	}
	for _, n := range w.Nodes {
		node := &core.Node{
			Id: n.ID, UpstreamNodeIds: n.After, Metadata: &core.NodeMetadata{Name: n.Task},
			Target: &core.Node_TaskNode{TaskNode: &core.TaskNode{
				Reference: &core.TaskNode_ReferenceId{ReferenceId: to.id(core.ResourceType_TASK, n.Task)}}},
		}
		for _, name := range slices.Sorted(maps.Keys(n.Inputs)) {
			data, err := binding(tasks[n.Task].Inputs[name], n.Inputs[name])
			if err != nil {
				return nil, err
			}
			node.Inputs = append(node.Inputs, &core.Binding{Var: name, Binding: data})
		}
		template.Nodes = append(template.Nodes, node)
	}
	for _, name := range slices.Sorted(maps.Keys(w.Outputs)) {
		node, output, _ := reference(w.Outputs[name])
		template.Outputs = append(template.Outputs, &core.Binding{Var: name, Binding: &core.BindingData{
			Value: &core.BindingData_Promise{Promise: &core.OutputReference{NodeId: node, Var: output}}}})
	}
	return template, nil
}

// iface derives the workflow's interface: outputs have the types of what they
// refer to, which check has found.
func (w *Workflow) iface(tasks map[string]Task) (*core.TypedInterface, error) {
	inputs, outputs := map[string]string{}, map[string]string{}
	for name, in := range w.Inputs {
		inputs[name] = in.Type
	}
	byNode := map[string]Task{}
	for _, n := range w.Nodes {
		byNode[n.ID] = tasks[n.Task]
	}
	for name, value := range w.Outputs {
		node, output, _ := reference(value)
		typ := byNode[node].Outputs[output]
		if node == "" {
			typ = inputs[output]
		}
		if typ == "" {
			typ = "string"
		}
		outputs[name] = typ
	}
	return typedInterface(inputs, outputs)
}
