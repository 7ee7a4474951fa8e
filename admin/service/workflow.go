package service

import (
	"context"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-project/skein/admin/compile"
	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/core"
)

// CreateWorkflow compiles and registers one version of a workflow. Node kinds
// that no propeller runs yet are refused here, before anyone waits for them.
func (s *Service) CreateWorkflow(ctx context.Context, req *admin.WorkflowCreateRequest) (*admin.WorkflowCreateResponse, error) {
	id, err := entityID("id", req.GetId(), flow.KindWorkflow)
	if err != nil {
		return nil, err
	}
	if err := s.checkScope(ctx, id.Project, id.Domain); err != nil {
		return nil, err
	}
	if req.GetSpec().GetTemplate() == nil {
		return nil, fault.Field("spec.template", "must be set")
	}
	template := inOrder(req.GetSpec().GetTemplate())
	template.Id = toIdentifier(flow.KindWorkflow, id)
	var subs []*core.WorkflowTemplate
	for _, sub := range req.GetSpec().GetSubWorkflows() {
		subs = append(subs, inOrder(sub))
	}
	closure, err := s.compile(ctx, id, template, subs)
	if err != nil {
		return nil, err
	}
	e := flow.Entity{Kind: flow.KindWorkflow, ID: id}
	if e.Interface, err = canonical(template.GetInterface()); err != nil {
		return nil, err
	}
	if err := describe(&e, req.GetSpec().GetDescription()); err != nil {
		return nil, err
	}
	return &admin.WorkflowCreateResponse{}, s.register(ctx, e, closure)
}

// inOrder copies a template with its upstream ids sorted. They are a set, and
// flytekit sends them in another order each time; the digest must not see it.
func inOrder(template *core.WorkflowTemplate) *core.WorkflowTemplate {
	template = clone(template)
	compile.Walk(template, func(n *core.Node) { slices.Sort(n.GetUpstreamNodeIds()) })
	return template
}

// compile gathers what the templates refer to and compiles them. What is
// missing is left out: the compiler lists all that is missing at once.
func (s *Service) compile(ctx context.Context, id flow.EntityID, template *core.WorkflowTemplate, subs []*core.WorkflowTemplate) (*core.CompiledWorkflowClosure, error) {
	if err := compile.UnsupportedTemplate(template, subs); err != nil {
		return nil, err
	}
	refs := compile.References(template, subs)
	in := compile.Input{
		ID:           toIdentifier(flow.KindWorkflow, id),
		Template:     template,
		SubWorkflows: subs,
		Tasks:        map[string]*core.CompiledTask{},
		LaunchPlans:  map[string]compile.Interface{},
	}
	for _, ref := range refs.Tasks {
		key := fromIdentifier(ref)
		task := &core.CompiledTask{}
		found, err := s.find(ctx, flow.KindTask, key, task)
		if err != nil {
			return nil, err
		}
		if found {
			in.Tasks[key.String()] = task
		}
	}
	for _, ref := range refs.LaunchPlans {
		key := fromIdentifier(ref)
		plan := &admin.LaunchPlan{}
		found, err := s.find(ctx, flow.KindLaunchPlan, key, plan)
		if err != nil {
			return nil, err
		}
		if found {
			in.LaunchPlans[key.String()] = compile.Interface{
				Inputs: plan.GetClosure().GetExpectedInputs(), Outputs: plan.GetClosure().GetExpectedOutputs(),
			}
		}
	}
	return compile.Workflow(in)
}

// find reads an entity's body; false if there is no such entity.
func (s *Service) find(ctx context.Context, kind flow.EntityKind, id flow.EntityID, into proto.Message) (bool, error) {
	e, err := s.deps.Entities.GetEntity(ctx, kind, id)
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, s.body(ctx, e, into)
}

// GetWorkflow reads one version of a workflow with its whole closure.
func (s *Service) GetWorkflow(ctx context.Context, req *admin.ObjectGetRequest) (*admin.Workflow, error) {
	e, err := s.get(ctx, req, flow.KindWorkflow)
	if err != nil {
		return nil, err
	}
	closure := &core.CompiledWorkflowClosure{}
	if err := s.body(ctx, e, closure); err != nil {
		return nil, err
	}
	return toWorkflow(e, closure), nil
}

// ListWorkflows lists versions of workflows, each with its interface only.
func (s *Service) ListWorkflows(ctx context.Context, req *admin.ResourceListRequest) (*admin.WorkflowList, error) {
	list, token, err := s.list(ctx, req, flow.KindWorkflow)
	if err != nil {
		return nil, err
	}
	out := &admin.WorkflowList{Token: token}
	for _, e := range list {
		template := &core.WorkflowTemplate{Id: toIdentifier(e.Kind, e.ID), Interface: &core.TypedInterface{}}
		if err := decode(e.Interface, template.Interface); err != nil {
			return nil, err
		}
		out.Workflows = append(out.Workflows, toWorkflow(e, &core.CompiledWorkflowClosure{
			Primary: &core.CompiledWorkflow{Template: template},
		}))
	}
	return out, nil
}

// ListWorkflowIds lists the names of workflows.
func (s *Service) ListWorkflowIds(ctx context.Context, req *admin.NamedEntityIdentifierListRequest) (*admin.NamedEntityIdentifierList, error) {
	return s.listIDs(ctx, req, flow.KindWorkflow)
}

func toWorkflow(e flow.Entity, closure *core.CompiledWorkflowClosure) *admin.Workflow {
	return &admin.Workflow{
		Id:               toIdentifier(e.Kind, e.ID),
		Closure:          &admin.WorkflowClosure{CompiledWorkflow: closure, CreatedAt: timestamppb.New(e.CreatedAt)},
		ShortDescription: e.ShortDescription,
	}
}
