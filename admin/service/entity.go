package service

import (
	"context"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/core"
)

func clone[M proto.Message](m M) M { return proto.Clone(m).(M) }

func each[T, M any](ctx context.Context, list []T, convert func(context.Context, T) (M, error)) ([]M, error) {
	out := make([]M, 0, len(list))
	for _, item := range list {
		m, err := convert(ctx, item)
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

var nouns = map[flow.EntityKind]string{
	flow.KindTask: "task", flow.KindWorkflow: "workflow", flow.KindLaunchPlan: "launch_plan",
}

func (s *Service) get(ctx context.Context, req *admin.ObjectGetRequest, kind flow.EntityKind) (flow.Entity, error) {
	wanted := req.GetId()
	if wanted != nil && wanted.GetResourceType() == core.ResourceType_UNSPECIFIED {
		wanted = clone(wanted)
		wanted.ResourceType = core.ResourceType(kind) // paths of the REST API have none
	}
	id, err := entityID("id", wanted, kind)
	if err != nil {
		return flow.Entity{}, err
	}
	return s.deps.Entities.GetEntity(ctx, kind, id)
}

func (s *Service) list(ctx context.Context, req *admin.ResourceListRequest, kind flow.EntityKind) ([]flow.Entity, string, error) {
	id := req.GetId()
	if err := texts("id.project", id.GetProject(), "id.domain", id.GetDomain()); err != nil {
		return nil, "", err
	}
	q, err := query(req, nouns[kind])
	if err != nil {
		return nil, "", err
	}
	list, err := s.deps.Entities.ListEntities(ctx, kind, id.GetProject(), id.GetDomain(), id.GetName(), q)
	return list, nextToken(q, len(list)), err
}

func (s *Service) listIDs(ctx context.Context, req *admin.NamedEntityIdentifierListRequest, kind flow.EntityKind) (*admin.NamedEntityIdentifierList, error) {
	if err := texts("project", req.GetProject(), "domain", req.GetDomain()); err != nil {
		return nil, err
	}
	q, err := query(req, nouns[kind])
	if err != nil {
		return nil, err
	}
	list, err := s.deps.Entities.ListEntityIDs(ctx, kind, req.GetProject(), req.GetDomain(), q)
	if err != nil {
		return nil, err
	}
	out := &admin.NamedEntityIdentifierList{Token: nextToken(q, len(list))}
	for _, e := range list {
		out.Entities = append(out.Entities, toNamedID(e))
	}
	return out, nil
}

// GetNamedEntity reads what all versions of an entity share.
func (s *Service) GetNamedEntity(ctx context.Context, req *admin.NamedEntityGetRequest) (*admin.NamedEntity, error) {
	e, err := namedEntity(req)
	if err != nil {
		return nil, err
	}
	if e, err = s.deps.Named.GetNamedEntity(ctx, e.Kind, e.Project, e.Domain, e.Name); err != nil {
		return nil, err
	}
	return toNamedEntity(e), nil
}

// UpdateNamedEntity sets the description and the state.
func (s *Service) UpdateNamedEntity(ctx context.Context, req *admin.NamedEntityUpdateRequest) (*admin.NamedEntityUpdateResponse, error) {
	e, err := namedEntity(req)
	if err != nil {
		return nil, err
	}
	state := req.GetMetadata().GetState()
	if _, ok := admin.NamedEntityState_name[int32(state)]; !ok {
		return nil, fault.Field("metadata.state", "%d is not a state", state)
	}
	if len(req.GetMetadata().GetDescription()) > MaxCause {
		return nil, fault.Field("metadata.description", "is longer than %d bytes", MaxCause)
	}
	if err := prose("metadata.description", req.GetMetadata().GetDescription()); err != nil {
		return nil, err
	}
	e.Description, e.State = req.GetMetadata().GetDescription(), int32(state)
	return &admin.NamedEntityUpdateResponse{}, s.deps.Named.UpdateNamedEntity(ctx, e)
}

// ListNamedEntities lists names with their metadata.
func (s *Service) ListNamedEntities(ctx context.Context, req *admin.NamedEntityListRequest) (*admin.NamedEntityList, error) {
	kind, err := entityKind("resource_type", req.GetResourceType())
	if err != nil {
		return nil, err
	}
	if err := texts("project", req.GetProject(), "domain", req.GetDomain()); err != nil {
		return nil, err
	}
	q, err := query(req, "entities")
	if err != nil {
		return nil, err
	}
	for i := range q.Filters {
		q.Filters[i].Field = strings.TrimPrefix(q.Filters[i].Field, "named_entity_metadata.")
	}
	if !hasField(q, "name") {
		q.Filters = append(q.Filters, flow.Filter{Field: "name", Op: flow.OpNotLike, Values: []string{generatedPrefix + "%"}})
	}
	list, err := s.deps.Entities.ListEntityIDs(ctx, kind, req.GetProject(), req.GetDomain(), q)
	if err != nil {
		return nil, err
	}
	out := &admin.NamedEntityList{Token: nextToken(q, len(list))}
	for _, e := range list {
		out.Entities = append(out.Entities, toNamedEntity(e))
	}
	return out, nil
}

type namedRequest interface {
	GetResourceType() core.ResourceType
	GetId() *admin.NamedEntityIdentifier
}

func namedEntity(req namedRequest) (flow.NamedEntity, error) {
	kind, err := entityKind("resource_type", req.GetResourceType())
	if err != nil {
		return flow.NamedEntity{}, err
	}
	id := req.GetId()
	e := flow.NamedEntity{Kind: kind, Project: id.GetProject(), Domain: id.GetDomain(), Name: id.GetName()}
	return e, texts("id.project", e.Project, "id.domain", e.Domain, "id.name", e.Name)
}

func toNamedEntity(e flow.NamedEntity) *admin.NamedEntity {
	return &admin.NamedEntity{
		ResourceType: core.ResourceType(e.Kind),
		Id:           toNamedID(e),
		Metadata:     &admin.NamedEntityMetadata{Description: e.Description, State: admin.NamedEntityState(e.State)},
	}
}
