package service

import (
	"context"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/admin"
)

// describe keeps a description beside an entity; it is not part of the
// digest.
func describe(e *flow.Entity, d *admin.DescriptionEntity) error {
	if d == nil {
		return nil
	}
	data, err := canonical(d)
	e.Description, e.ShortDescription = data, d.GetShortDescription()
	return err
}

// GetDescriptionEntity reads the description registered with an entity.
func (s *Service) GetDescriptionEntity(ctx context.Context, req *admin.ObjectGetRequest) (*admin.DescriptionEntity, error) {
	kind, err := entityKind("id.resource_type", req.GetId().GetResourceType())
	if err != nil {
		return nil, err
	}
	e, err := s.get(ctx, req, kind)
	if err != nil {
		return nil, err
	}
	if len(e.Description) == 0 {
		return nil, fault.E(fault.NotFound, "%s %s has no description", kind, e.ID)
	}
	return toDescription(e)
}

// ListDescriptionEntities lists the descriptions of an entity's versions.
// Versions without one are left out of their page.
func (s *Service) ListDescriptionEntities(ctx context.Context, req *admin.DescriptionEntityListRequest) (*admin.DescriptionEntityList, error) {
	kind, err := entityKind("resource_type", req.GetResourceType())
	if err != nil {
		return nil, err
	}
	list, token, err := s.list(ctx, &admin.ResourceListRequest{Id: req.GetId(), Limit: req.GetLimit(),
		Token: req.GetToken(), Filters: req.GetFilters(), SortBy: req.GetSortBy()}, kind)
	if err != nil {
		return nil, err
	}
	out := &admin.DescriptionEntityList{Token: token}
	for _, e := range list {
		if len(e.Description) == 0 {
			continue
		}
		d, err := toDescription(e)
		if err != nil {
			return nil, err
		}
		out.DescriptionEntities = append(out.DescriptionEntities, d)
	}
	return out, nil
}

func toDescription(e flow.Entity) (*admin.DescriptionEntity, error) {
	d := &admin.DescriptionEntity{}
	err := decode(e.Description, d)
	d.Id = toIdentifier(e.Kind, e.ID)
	return d, err
}
