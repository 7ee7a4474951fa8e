package store

import (
	"context"
	"crypto/sha256"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

func entityFields(e *flow.Entity) []column {
	columns := append([]column{{"kind", &e.Kind}}, entityColumns("", &e.ID)...)
	columns = append(columns,
		column{"digest", &e.Digest}, column{"body", &e.Body}, column{"body_uri", &e.BodyURI},
		column{"body_digest", &e.BodyDigest}, column{"interface", &e.Interface}, column{"task_type", &e.TaskType})
	columns = append(columns, entityColumns("workflow_", &e.Workflow)...)
	return append(columns,
		column{"active", (*slot)(&e.Active)}, column{"schedule_type", &e.ScheduleType},
		column{"system_generated", &e.SystemGenerated}, column{"short_description", &e.ShortDescription},
		column{"description", &e.Description}, column{"created_at", at(&e.CreatedAt)}, column{"updated_at", at(&e.UpdatedAt)})
}

// entityLists holds what each kind may be listed by (contract section 8).
var entityLists = map[flow.EntityKind]listing{
	flow.KindTask:       entityList("task", map[string]field{"type": text("task_type"), "short_description": text("short_description")}),
	flow.KindWorkflow:   entityList("workflow", map[string]field{"short_description": text("short_description")}),
	flow.KindLaunchPlan: entityList("launch_plan", launchPlanFields()),
}

func launchPlanFields() map[string]field {
	active := "COALESCE(active, FALSE)"
	return map[string]field{
		"schedule_type": text("schedule_type"), "state": boolean(active), "active": boolean(active),
		"workflow.project": text("workflow_project"), "workflow.domain": text("workflow_domain"),
		"workflow.name": text("workflow_name"), "workflow.version": text("workflow_version"),
	}
}

func entityList(noun string, more map[string]field) listing {
	more["project"], more["domain"] = text("project"), text("domain")
	more["name"], more["version"] = text("name"), text("version")
	more["created_at"], more["updated_at"] = instant("created_at"), instant("updated_at")
	return listing{noun: noun, fields: more, newest: "created_at", tie: []string{"name", "version"}}
}

// CreateEntity registers one version; Conflict if the id exists, whatever its
// digest (the caller reads it and compares).
func (s *Store) CreateEntity(ctx context.Context, e flow.Entity) error {
	if e.CreatedAt.IsZero() {
		e.CreatedAt = now()
	}
	if e.UpdatedAt.IsZero() {
		e.UpdatedAt = e.CreatedAt
	}
	if len(e.BodyDigest) == 0 && len(e.Body) > 0 {
		sum := sha256.Sum256(e.Body)
		e.BodyDigest = sum[:]
	}
	nonce := uuid.NewString()
	columns := append(entityFields(&e), column{"nonce", &nonce})
	err := s.change(ctx, "CreateEntity", func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, insertInto("entities", columns), places(columns)...); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO named_entities (kind, project, domain, name, description, state, created_at, updated_at)
			VALUES ($1, $2, $3, $4, '', 0, $5, $5) ON CONFLICT (kind, project, domain, name) DO NOTHING`,
			e.Kind, e.ID.Project, e.ID.Domain, e.ID.Name, at(&e.CreatedAt))
		return err
	}, func(ctx context.Context) (bool, error) {
		return s.holds(ctx, "SELECT count(*) > 0 FROM entities WHERE kind = $1 AND project = $2 AND domain = $3 AND name = $4 AND version = $5 AND nonce = $6",
			e.Kind, e.ID.Project, e.ID.Domain, e.ID.Name, e.ID.Version, nonce)
	})
	if fault.Is(err, fault.Conflict) {
		return fault.Wrap(fault.Conflict, err, "%s %s exists already", e.Kind, e.ID)
	}
	return err
}

// holds runs a query that answers yes or no, for reading back.
func (s *Store) holds(ctx context.Context, sql string, args ...any) (bool, error) {
	var yes bool
	err := s.again(ctx, "ReadBack", func(ctx context.Context) error {
		return before(s.pool.QueryRow(ctx, sql, args...).Scan(&yes))
	})
	return yes, err
}

// GetEntity reads one version; NotFound.
func (s *Store) GetEntity(ctx context.Context, kind flow.EntityKind, id flow.EntityID) (flow.Entity, error) {
	var e flow.Entity
	columns := entityFields(&e)
	err := s.read(ctx, "GetEntity", func(ctx context.Context) error {
		return s.pool.QueryRow(ctx, "SELECT "+names("", columns)+` FROM entities
			WHERE kind = $1 AND project = $2 AND domain = $3 AND name = $4 AND version = $5`,
			kind, id.Project, id.Domain, id.Name, id.Version).Scan(places(columns)...)
	})
	return e, named(err, "%s %s", kind, id)
}

// ListEntities lists versions, newest first; an empty name lists those of all
// names.
func (s *Store) ListEntities(ctx context.Context, kind flow.EntityKind, project, domain, name string, q flow.Query) ([]flow.Entity, error) {
	l, ok := entityLists[kind]
	if !ok {
		return nil, fault.Field("resource_type", "%s cannot be listed", kind)
	}
	where := &selection{}
	where.and("kind = ?", int64(kind))
	where.and("project = ?", project)
	where.and("domain = ?", domain)
	if name != "" {
		where.and("name = ?", name)
	}
	return list(ctx, s, "ListEntities", "entities", l, where, q, entityFields)
}

// SetActive makes one version of a launch plan the active one of its name, or
// makes it inactive; NotFound. Repeating it changes nothing.
func (s *Store) SetActive(ctx context.Context, id flow.EntityID, active bool) error {
	const version = " WHERE kind = 3 AND project = $1 AND domain = $2 AND name = $3 AND version "
	set := slot(active)
	return s.change(ctx, "SetActive", func(ctx context.Context, tx pgx.Tx) error {
		key := []any{id.Project, id.Domain, id.Name, id.Version}
		when := now()
		if active {
			_, err := tx.Exec(ctx, "UPDATE entities SET active = NULL, updated_at = $5"+version+"<> $4 AND active", append(key, when)...)
			if err != nil {
				return err
			}
		}
		tag, err := tx.Exec(ctx, "UPDATE entities SET active = $6, updated_at = $5"+version+"= $4", append(key, when, set)...)
		if err == nil && tag.RowsAffected() == 0 {
			return fault.E(fault.NotFound, "launch plan %s does not exist", id)
		}
		return uniqueRace(err)
	}, nil)
}
