package service

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-project/skein/admin/compile"
	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/core"
)

// CreateTask registers one version of a task.
func (s *Service) CreateTask(ctx context.Context, req *admin.TaskCreateRequest) (*admin.TaskCreateResponse, error) {
	id, err := entityID("id", req.GetId(), flow.KindTask)
	if err != nil {
		return nil, err
	}
	if err := s.checkScope(ctx, id.Project, id.Domain); err != nil {
		return nil, err
	}
	if req.GetSpec().GetTemplate() == nil {
		return nil, fault.Field("spec.template", "must be set")
	}
	if err := prose("spec.template.type", req.GetSpec().GetTemplate().GetType()); err != nil {
		return nil, err
	}
	template := clone(req.GetSpec().GetTemplate())
	template.Id = toIdentifier(flow.KindTask, id)
	compiled, err := compile.Task(template)
	if err != nil {
		return nil, err
	}
	if err := s.checkLimits("spec.template.container.resources", template.GetContainer().GetResources()); err != nil {
		return nil, err
	}
	e := flow.Entity{Kind: flow.KindTask, ID: id, TaskType: template.GetType()}
	if e.Interface, err = canonical(template.GetInterface()); err != nil {
		return nil, err
	}
	if err := describe(&e, req.GetSpec().GetDescription()); err != nil {
		return nil, err
	}
	return &admin.TaskCreateResponse{}, s.register(ctx, e, compiled)
}

// GetTask reads one version of a task.
func (s *Service) GetTask(ctx context.Context, req *admin.ObjectGetRequest) (*admin.Task, error) {
	e, err := s.get(ctx, req, flow.KindTask)
	if err != nil {
		return nil, err
	}
	return s.toTask(ctx, e)
}

// ListTasks lists versions of tasks, with their templates.
func (s *Service) ListTasks(ctx context.Context, req *admin.ResourceListRequest) (*admin.TaskList, error) {
	list, token, err := s.list(ctx, req, flow.KindTask)
	if err != nil {
		return nil, err
	}
	tasks, err := each(ctx, list, s.toTask)
	return &admin.TaskList{Tasks: tasks, Token: token}, err
}

// ListTaskIds lists the names of tasks.
func (s *Service) ListTaskIds(ctx context.Context, req *admin.NamedEntityIdentifierListRequest) (*admin.NamedEntityIdentifierList, error) {
	return s.listIDs(ctx, req, flow.KindTask)
}

func (s *Service) toTask(ctx context.Context, e flow.Entity) (*admin.Task, error) {
	compiled := &core.CompiledTask{}
	if err := s.body(ctx, e, compiled); err != nil {
		return nil, err
	}
	return &admin.Task{
		Id:               toIdentifier(e.Kind, e.ID),
		Closure:          &admin.TaskClosure{CompiledTask: compiled, CreatedAt: timestamppb.New(e.CreatedAt)},
		ShortDescription: e.ShortDescription,
	}, nil
}
