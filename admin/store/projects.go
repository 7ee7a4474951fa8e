package store

import (
	"context"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

var projectList = listing{
	noun: "project", newest: "id", tie: nil, ascend: true,
	fields: map[string]field{
		"identifier": text("id"), "name": text("name"), "state": integer("state"),
		"created_at": instant("created_at"), "updated_at": instant("updated_at"),
	},
}

func projectColumns(p *flow.Project) []column {
	return []column{
		{"id", &p.ID}, {"name", &p.Name}, {"description", &p.Description}, {"labels", &p.Labels},
		{"state", &p.State}, {"created_at", at(&p.CreatedAt)},
	}
}

func withUpdate(columns []column, t *time.Time) []column {
	return append(columns, column{"updated_at", at(t)})
}

// CreateProject adds a project; Conflict if its id exists.
func (s *Store) CreateProject(ctx context.Context, p flow.Project) error {
	fillProject(&p)
	columns := withUpdate(projectColumns(&p), &p.CreatedAt)
	return s.write(ctx, change{
		op: "CreateProject",
		run: func(ctx context.Context) error {
			return s.once(ctx, "CreateProject", insertInto("projects", columns), places(columns)...)
		},
		landed: func(ctx context.Context) (bool, error) {
			var same bool
			err := s.pool.QueryRow(ctx, "SELECT count(*) > 0 FROM projects WHERE id = $1 AND name = $2 AND created_at = $3",
				p.ID, p.Name, at(&p.CreatedAt)).Scan(&same)
			return same, err
		},
	})
}

func fillProject(p *flow.Project) {
	if p.CreatedAt.IsZero() {
		p.CreatedAt = now()
	}
	if p.Labels == nil {
		p.Labels = map[string]string{}
	}
}

// GetProject reads a project; NotFound.
func (s *Store) GetProject(ctx context.Context, id string) (flow.Project, error) {
	var p flow.Project
	columns := projectColumns(&p)
	err := s.read(ctx, "GetProject", func(ctx context.Context) error {
		return s.pool.QueryRow(ctx, "SELECT "+names("", columns)+" FROM projects WHERE id = $1", id).Scan(places(columns)...)
	})
	return p, named(err, "project %q", id)
}

// UpdateProject sets name, description, labels and state; NotFound.
func (s *Store) UpdateProject(ctx context.Context, p flow.Project) error {
	fillProject(&p)
	return s.change(ctx, "UpdateProject", func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, "UPDATE projects SET name = $2, description = $3, labels = $4, state = $5, updated_at = $6 WHERE id = $1",
			p.ID, p.Name, p.Description, p.Labels, p.State, now())
		if err == nil && tag.RowsAffected() == 0 {
			return fault.E(fault.NotFound, "project %q does not exist", p.ID)
		}
		return err
	}, nil)
}

// ListProjects lists projects by identifier. Unlike elsewhere a limit of zero
// means all, as Flyte has it.
func (s *Store) ListProjects(ctx context.Context, q flow.Query) ([]flow.Project, error) {
	if q.Limit == 0 {
		q.Limit = math.MaxInt32
	}
	return list(ctx, s, "ListProjects", "projects", projectList, &selection{}, q, projectColumns)
}

// Seed adds those projects that do not exist yet.
func (s *Store) Seed(ctx context.Context, projects []flow.Project) error {
	return s.change(ctx, "Seed", func(ctx context.Context, tx pgx.Tx) error {
		for _, p := range projects {
			fillProject(&p)
			columns := withUpdate(projectColumns(&p), &p.CreatedAt)
			_, err := tx.Exec(ctx, insertInto("projects", columns)+" ON CONFLICT (id) DO NOTHING", places(columns)...)
			if err != nil {
				return err
			}
		}
		return nil
	}, nil)
}

// list runs one listing.
func list[T any](ctx context.Context, s *Store, op, table string, l listing, where *selection, q flow.Query,
	columns func(*T) []column) ([]T, error) {
	tail, err := l.tail(where, q)
	if err != nil {
		return nil, err
	}
	sql := "SELECT " + names("", columns(new(T))) + " FROM " + table + tail
	var found []T
	err = s.read(ctx, op, func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, sql, where.args...)
		if err != nil {
			return err
		}
		found, err = collect(rows, columns)
		return err
	})
	return found, err
}

// named gives a NotFound the name of what was not found.
func named(err error, format string, args ...any) error {
	if fault.Is(err, fault.NotFound) {
		return fault.E(fault.NotFound, format+" does not exist", args...)
	}
	return err
}
