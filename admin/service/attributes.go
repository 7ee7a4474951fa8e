package service

import (
	"context"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flyteidl/admin"
)

// Matchable attributes are not stored yet: none exists, so that reading one is
// NOT_FOUND and setting one is UNIMPLEMENTED. The one exception is Flyte's: a
// project's execution config falls back to what the operator configured.

func noAttributes(resource admin.MatchableResource, scope string) error {
	return fault.E(fault.NotFound, "no %s attributes are set for %s", resource, scope)
}

func unsetAttributes(what string) error {
	return fault.E(fault.Unsupported, "%s attributes cannot be set yet; set the launch plan's or the execution's own fields, or skein-admin.yaml", what)
}

// GetProjectAttributes answers execution config with the configured defaults.
func (s *Service) GetProjectAttributes(_ context.Context, req *admin.ProjectAttributesGetRequest) (*admin.ProjectAttributesGetResponse, error) {
	if err := text("project", req.GetProject()); err != nil {
		return nil, err
	}
	if req.GetResourceType() != admin.MatchableResource_WORKFLOW_EXECUTION_CONFIG {
		return nil, noAttributes(req.GetResourceType(), req.GetProject())
	}
	return &admin.ProjectAttributesGetResponse{Attributes: &admin.ProjectAttributes{
		Project: req.GetProject(),
		MatchingAttributes: &admin.MatchingAttributes{Target: &admin.MatchingAttributes_WorkflowExecutionConfig{
			WorkflowExecutionConfig: &admin.WorkflowExecutionConfig{MaxParallelism: s.cfg.MaxParallelism},
		}},
	}}, nil
}

// UpdateProjectAttributes is not built yet.
func (s *Service) UpdateProjectAttributes(context.Context, *admin.ProjectAttributesUpdateRequest) (*admin.ProjectAttributesUpdateResponse, error) {
	return nil, unsetAttributes("project")
}

// DeleteProjectAttributes finds nothing to delete.
func (s *Service) DeleteProjectAttributes(_ context.Context, req *admin.ProjectAttributesDeleteRequest) (*admin.ProjectAttributesDeleteResponse, error) {
	return nil, noAttributes(req.GetResourceType(), req.GetProject())
}

// GetProjectDomainAttributes finds none.
func (s *Service) GetProjectDomainAttributes(_ context.Context, req *admin.ProjectDomainAttributesGetRequest) (*admin.ProjectDomainAttributesGetResponse, error) {
	if err := texts("project", req.GetProject(), "domain", req.GetDomain()); err != nil {
		return nil, err
	}
	return nil, noAttributes(req.GetResourceType(), req.GetProject()+"-"+req.GetDomain())
}

// UpdateProjectDomainAttributes is not built yet.
func (s *Service) UpdateProjectDomainAttributes(context.Context, *admin.ProjectDomainAttributesUpdateRequest) (*admin.ProjectDomainAttributesUpdateResponse, error) {
	return nil, unsetAttributes("project-domain")
}

// DeleteProjectDomainAttributes finds nothing to delete.
func (s *Service) DeleteProjectDomainAttributes(_ context.Context, req *admin.ProjectDomainAttributesDeleteRequest) (*admin.ProjectDomainAttributesDeleteResponse, error) {
	return nil, noAttributes(req.GetResourceType(), req.GetProject()+"-"+req.GetDomain())
}

// GetWorkflowAttributes finds none.
func (s *Service) GetWorkflowAttributes(_ context.Context, req *admin.WorkflowAttributesGetRequest) (*admin.WorkflowAttributesGetResponse, error) {
	if err := texts("project", req.GetProject(), "domain", req.GetDomain(), "workflow", req.GetWorkflow()); err != nil {
		return nil, err
	}
	return nil, noAttributes(req.GetResourceType(), req.GetProject()+"-"+req.GetDomain()+"-"+req.GetWorkflow())
}

// UpdateWorkflowAttributes is not built yet.
func (s *Service) UpdateWorkflowAttributes(context.Context, *admin.WorkflowAttributesUpdateRequest) (*admin.WorkflowAttributesUpdateResponse, error) {
	return nil, unsetAttributes("workflow")
}

// DeleteWorkflowAttributes finds nothing to delete.
func (s *Service) DeleteWorkflowAttributes(_ context.Context, req *admin.WorkflowAttributesDeleteRequest) (*admin.WorkflowAttributesDeleteResponse, error) {
	return nil, noAttributes(req.GetResourceType(), req.GetProject()+"-"+req.GetDomain()+"-"+req.GetWorkflow())
}

// ListMatchableAttributes lists none.
func (s *Service) ListMatchableAttributes(context.Context, *admin.ListMatchableAttributesRequest) (*admin.ListMatchableAttributesResponse, error) {
	return &admin.ListMatchableAttributesResponse{}, nil
}
