package service

import (
	"context"
	"regexp"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/skein-project/skein/admin/compile"
	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/core"
)

// generatedPrefix begins the names of workflows and launch plans that wrap a
// task so that it can be run alone (contract 6.6).
const generatedPrefix = ".flytegen."

var notNodeID = regexp.MustCompile(`[^a-zA-Z0-9-]`)

// wrapTask makes the workflow and the launch plan that run one task alone, or
// finds them, and gives their id.
func (s *Service) wrapTask(ctx context.Context, task flow.EntityID) (flow.EntityID, error) {
	id := task
	id.Name = generatedPrefix + task.Name
	_, err := s.deps.Entities.GetEntity(ctx, flow.KindLaunchPlan, id)
	if err == nil || !fault.Is(err, fault.NotFound) {
		return id, err
	}
	e, err := s.deps.Entities.GetEntity(ctx, flow.KindTask, task)
	if err != nil {
		return id, err
	}
	compiled := &core.CompiledTask{}
	if err := s.body(ctx, e, compiled); err != nil {
		return id, err
	}
	template := wrap(id, compiled.GetTemplate())
	closure, err := compile.Workflow(compile.Input{
		ID: toIdentifier(flow.KindWorkflow, id), Template: template,
		Tasks: map[string]*core.CompiledTask{task.String(): compiled},
	})
	if err != nil {
		return id, err
	}
	wf := flow.Entity{Kind: flow.KindWorkflow, ID: id, SystemGenerated: true}
	if wf.Interface, err = canonical(template.GetInterface()); err != nil {
		return id, err
	}
	if err := repeated(s.register(ctx, wf, closure)); err != nil {
		return id, err
	}
	spec := &admin.LaunchPlanSpec{WorkflowId: toIdentifier(flow.KindWorkflow, id)}
	if err := repeated(s.registerPlan(ctx, id, spec, template.GetInterface(), true)); err != nil {
		return id, err
	}
	for _, kind := range []flow.EntityKind{flow.KindWorkflow, flow.KindLaunchPlan} {
		if err := s.deps.Named.UpdateNamedEntity(ctx, flow.NamedEntity{Kind: kind, Project: id.Project, Domain: id.Domain,
			Name: id.Name, State: int32(admin.NamedEntityState_SYSTEM_GENERATED)}); err != nil {
			return id, err
		}
	}
	return id, nil
}

// repeated takes an identical registration for a success: another call has
// wrapped the task at the same time.
func repeated(err error) error {
	if fault.Is(err, fault.Conflict) || status.Code(err) == codes.AlreadyExists {
		return nil
	}
	return err
}

// wrap is a workflow of one node that has the task's interface.
func wrap(id flow.EntityID, task *core.TaskTemplate) *core.WorkflowTemplate {
	name := notNodeID.ReplaceAllString(task.GetId().GetName(), "")
	if len(name) > 63 {
		name = name[len(name)-63:]
	}
	if name == "" {
		name = "task" // a name of foreign letters only
	}
	node := &core.Node{
		Id:       name,
		Metadata: &core.NodeMetadata{Name: name, Retries: task.GetMetadata().GetRetries()},
		Target: &core.Node_TaskNode{TaskNode: &core.TaskNode{
			Reference: &core.TaskNode_ReferenceId{ReferenceId: task.GetId()},
		}},
	}
	if node.Metadata.Retries == nil {
		node.Metadata.Retries = &core.RetryStrategy{Retries: 3}
	}
	for _, input := range sortedKeys(task.GetInterface().GetInputs().GetVariables()) {
		node.Inputs = append(node.Inputs, bind(input, "", input))
	}
	template := &core.WorkflowTemplate{
		Id:               toIdentifier(flow.KindWorkflow, id),
		Interface:        task.GetInterface(),
		Metadata:         &core.WorkflowMetadata{},
		MetadataDefaults: &core.WorkflowMetadataDefaults{},
		Nodes:            []*core.Node{node},
	}
	for _, output := range sortedKeys(task.GetInterface().GetOutputs().GetVariables()) {
		template.Outputs = append(template.Outputs, bind(output, name, output))
	}
	return template
}

// bind binds a variable to an output of a node; to an input of the workflow
// if the node is empty.
func bind(name, node, from string) *core.Binding {
	return &core.Binding{Var: name, Binding: &core.BindingData{Value: &core.BindingData_Promise{
		Promise: &core.OutputReference{NodeId: node, Var: from},
	}}}
}
