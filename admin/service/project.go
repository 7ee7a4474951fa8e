package service

import (
	"context"
	"slices"

	"google.golang.org/grpc/codes"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/admin"
)

// The bounds of a project's texts (contract section 3).
const (
	maxProjectName        = 64
	maxProjectDescription = 300
	maxProjectLabels      = 16
)

// checkScope checks that a project exists and is active, and that the domain
// is one of ours, and that a namespace can be named after both.
func (s *Service) checkScope(ctx context.Context, project, domain string) error {
	if err := s.checkDomain(domain); err != nil {
		return err
	}
	p, err := s.deps.Projects.GetProject(ctx, project)
	if fault.Is(err, fault.NotFound) {
		return fault.Field("project", "%q does not exist; register it first", project)
	}
	if err != nil {
		return err
	}
	switch admin.Project_ProjectState(p.State) {
	case admin.Project_ARCHIVED, admin.Project_SYSTEM_ARCHIVED:
		return withDetail(codes.InvalidArgument, "project: \""+project+"\" is archived; activate it first",
			&admin.InactiveProject{Id: project})
	}
	return s.checkNamespace(project, domain)
}

func (s *Service) checkDomain(domain string) error {
	if !slices.Contains(s.cfg.Domains, domain) {
		return fault.Field("domain", "%q is not one of the domains %v", domain, s.cfg.Domains)
	}
	return nil
}

// checkNamespace checks what can be checked without asking for the project.
func (s *Service) checkNamespace(project, domain string) error {
	if err := s.checkDomain(domain); err != nil {
		return err
	}
	// Nothing of a longer one could ever be placed: it becomes a namespace.
	if n := (flow.ExecutionID{Project: project, Domain: domain}).Namespace(); len(n) > validation.DNS1123LabelMaxLength {
		return fault.Field("project", "%q with domain %q makes the namespace %q, which Kubernetes does not take: it has %d characters, at most %d fit",
			project, domain, n, len(n), validation.DNS1123LabelMaxLength)
	}
	return nil
}

// RegisterProject makes a project; every project has all domains.
func (s *Service) RegisterProject(ctx context.Context, req *admin.ProjectRegisterRequest) (*admin.ProjectRegisterResponse, error) {
	p := req.GetProject()
	if p == nil {
		return nil, fault.Field("project", "must be set")
	}
	if len(p.GetDomains()) > 0 {
		return nil, fault.Field("project.domains", "must be empty: every project has all domains")
	}
	if p.GetName() == "" {
		return nil, fault.Field("project.name", "must be set")
	}
	if err := checkProject("project.", p); err != nil {
		return nil, err
	}
	row := fromProject(p)
	row.CreatedAt = s.now()
	err := s.deps.Projects.CreateProject(ctx, row)
	if fault.Is(err, fault.Conflict) {
		err = fault.E(fault.Conflict, "project %s exists already; UpdateProject changes it", row.ID)
	}
	return &admin.ProjectRegisterResponse{}, err
}

// UpdateProject sets name, description, labels and state; fields that are not
// given stay as they are.
func (s *Service) UpdateProject(ctx context.Context, req *admin.Project) (*admin.ProjectUpdateResponse, error) {
	if err := checkProject("", req); err != nil {
		return nil, err
	}
	row, err := s.deps.Projects.GetProject(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	wanted := fromProject(req)
	row.State = wanted.State
	if wanted.Name != "" {
		row.Name = wanted.Name
	}
	if wanted.Description != "" {
		row.Description = wanted.Description
	}
	if wanted.Labels != nil {
		row.Labels = wanted.Labels
	}
	return &admin.ProjectUpdateResponse{}, s.deps.Projects.UpdateProject(ctx, row)
}

// GetProject reads one project.
func (s *Service) GetProject(ctx context.Context, req *admin.ProjectGetRequest) (*admin.Project, error) {
	if err := text("id", req.GetId()); err != nil {
		return nil, err
	}
	p, err := s.deps.Projects.GetProject(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	return s.toProject(p), nil
}

// ListProjects lists projects by id; archived ones only if the filters speak
// of the state.
func (s *Service) ListProjects(ctx context.Context, req *admin.ProjectListRequest) (*admin.Projects, error) {
	limited := clone(req)
	if limited.GetLimit() == 0 {
		limited.Limit = MaxPageSize // the one list without a compulsory limit
	}
	q, err := query(limited, "project")
	if err != nil {
		return nil, err
	}
	if q.SortBy == "" {
		q.SortBy, q.Ascend = "identifier", true
	}
	if !hasField(q, "state") {
		q.Filters = append(q.Filters, flow.Filter{Field: "state", Op: flow.OpEqual, Values: []string{"0"}})
	}
	list, err := s.deps.Projects.ListProjects(ctx, q)
	if err != nil {
		return nil, err
	}
	out := &admin.Projects{Token: nextToken(q, len(list))}
	for _, p := range list {
		out.Projects = append(out.Projects, s.toProject(p))
	}
	return out, nil
}

// GetDomains lists the domains of every project.
func (s *Service) GetDomains(context.Context, *admin.GetDomainRequest) (*admin.GetDomainsResponse, error) {
	return &admin.GetDomainsResponse{Domains: s.domains()}, nil
}

func (s *Service) domains() []*admin.Domain {
	var list []*admin.Domain
	for _, d := range s.cfg.Domains {
		list = append(list, &admin.Domain{Id: d, Name: d})
	}
	return list
}

func checkProject(at string, p *admin.Project) error {
	switch {
	case !dnsLabel.MatchString(p.GetId()):
		return fault.Field(at+"id", "%s is not a DNS label (lower-case letters, digits and -, at most 63)", fault.Quote(p.GetId()))
	case len([]rune(p.GetName())) > maxProjectName:
		return fault.Field(at+"name", "is longer than %d characters", maxProjectName)
	case len([]rune(p.GetDescription())) > maxProjectDescription:
		return fault.Field(at+"description", "is longer than %d characters", maxProjectDescription)
	case len(p.GetLabels().GetValues()) > maxProjectLabels:
		return fault.Field(at+"labels", "are more than %d", maxProjectLabels)
	}
	for field, value := range map[string]string{"name": p.GetName(), "description": p.GetDescription()} {
		if err := prose(at+field, value); err != nil {
			return err
		}
	}
	if _, ok := admin.Project_ProjectState_name[int32(p.GetState())]; !ok {
		return fault.Field(at+"state", "%d is not a state", p.GetState())
	}
	return checkLabels(at+"labels", p.GetLabels().GetValues())
}

// checkLabels checks that Kubernetes would take the labels.
func checkLabels(field string, labels map[string]string) error {
	for k, v := range labels {
		if problems := validation.IsQualifiedName(k); len(problems) > 0 {
			return fault.Field(field, "key %s: %s", fault.Quote(k), problems[0])
		}
		if problems := validation.IsValidLabelValue(v); len(problems) > 0 {
			return fault.Field(field, "value %s of %s: %s", fault.Quote(v), fault.Quote(k), problems[0])
		}
	}
	return nil
}

func fromProject(p *admin.Project) flow.Project {
	return flow.Project{ID: p.GetId(), Name: p.GetName(), Description: p.GetDescription(),
		Labels: p.GetLabels().GetValues(), State: int32(p.GetState())}
}

func (s *Service) toProject(p flow.Project) *admin.Project {
	return &admin.Project{Id: p.ID, Name: p.Name, Description: p.Description, Domains: s.domains(),
		Labels: &admin.Labels{Values: p.Labels}, State: admin.Project_ProjectState(p.State)}
}
