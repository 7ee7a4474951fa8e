package store

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

var namedEntityList = listing{
	noun: "named_entity_metadata", newest: "created_at", tie: []string{"name"},
	fields: map[string]field{
		"project": text("project"), "domain": text("domain"), "name": text("name"),
		"entities.project": text("project"), "entities.domain": text("domain"), "entities.name": text("name"),
		"description": text("description"), "state": integer("state"),
		"created_at": instant("created_at"), "updated_at": instant("updated_at"),
	},
}

func namedEntityColumns(n *flow.NamedEntity) []column {
	return []column{
		{"kind", &n.Kind}, {"project", &n.Project}, {"domain", &n.Domain}, {"name", &n.Name},
		{"description", &n.Description}, {"state", &n.State},
	}
}

// ListEntityIDs lists the names of a kind, each once, with what its versions
// share.
func (s *Store) ListEntityIDs(ctx context.Context, kind flow.EntityKind, project, domain string, q flow.Query) ([]flow.NamedEntity, error) {
	where := &selection{}
	where.and("kind = ?", int64(kind))
	where.and("project = ?", project)
	where.and("domain = ?", domain)
	return list(ctx, s, "ListEntityIDs", "named_entities", namedEntityList, where, q, namedEntityColumns)
}

// GetNamedEntity reads what the versions of a name share; NotFound if the name
// has no version.
func (s *Store) GetNamedEntity(ctx context.Context, kind flow.EntityKind, project, domain, name string) (flow.NamedEntity, error) {
	var n flow.NamedEntity
	columns := namedEntityColumns(&n)
	err := s.read(ctx, "GetNamedEntity", func(ctx context.Context) error {
		return s.pool.QueryRow(ctx, "SELECT "+names("", columns)+
			" FROM named_entities WHERE kind = $1 AND project = $2 AND domain = $3 AND name = $4",
			kind, project, domain, name).Scan(places(columns)...)
	})
	return n, named(err, "%s %s:%s:%s", kind, project, domain, name)
}

// UpdateNamedEntity sets description and state; NotFound if the name has no
// version.
func (s *Store) UpdateNamedEntity(ctx context.Context, n flow.NamedEntity) error {
	return s.change(ctx, "UpdateNamedEntity", func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE named_entities SET description = $5, state = $6, updated_at = $7
			WHERE kind = $1 AND project = $2 AND domain = $3 AND name = $4`,
			n.Kind, n.Project, n.Domain, n.Name, n.Description, n.State, now())
		if err == nil && tag.RowsAffected() == 0 {
			return fault.E(fault.NotFound, "%s %s:%s:%s does not exist", n.Kind, n.Project, n.Domain, n.Name)
		}
		return err
	}, nil)
}
