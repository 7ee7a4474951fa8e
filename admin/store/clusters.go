package store

import (
	"context"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

func clusterColumns(c *flow.Cluster) []column {
	return []column{
		{"name", &c.Name}, {"labels", &c.Labels}, {"taints", &c.Taints}, {"incarnation", &c.Incarnation},
		{"health", &c.Health}, {"health_since", at(&c.HealthSince)}, {"capacity", &c.Capacity},
		{"largest_node", &c.LargestNode}, {"task_types", &c.TaskTypes}, {"version", &c.Version},
		{"created_at", at(&c.CreatedAt)}, {"updated_at", at(&c.UpdatedAt)}, {"cordoned", &c.Cordoned}, {"lost", &c.Lost},
		{"drain", &c.Drain}, {"architectures", &c.Architectures}, {"accelerators", &c.Accelerators}, {"store", &c.Store},
	}
}

// CreateCluster registers a cluster; Conflict if its name exists. Zero fields
// get what a new cluster has: incarnation 1, or one above that of a cluster of
// this name that was removed, and health Unknown.
func (s *Store) CreateCluster(ctx context.Context, c flow.Cluster) error {
	fillCluster(&c)
	nonce := uuid.NewString()
	columns := append(clusterColumns(&c), column{"nonce", &nonce})
	err := s.write(ctx, change{
		op: "CreateCluster",
		run: func(ctx context.Context) error {
			return s.once(ctx, "CreateCluster", insertCluster(columns), places(columns)...)
		},
		landed: func(ctx context.Context) (bool, error) {
			return s.holds(ctx, "SELECT count(*) > 0 FROM clusters WHERE name = $1 AND nonce = $2", c.Name, nonce)
		},
	})
	if fault.Is(err, fault.Conflict) {
		return fault.Wrap(fault.Conflict, err, "cluster %q exists already", c.Name)
	}
	return err
}

func insertCluster(columns []column) string {
	marks := make([]string, len(columns))
	for i, c := range columns {
		marks[i] = "$" + strconv.Itoa(i+1)
		if c.name == "incarnation" {
			marks[i] = "GREATEST(" + marks[i] + ", (SELECT MAX(incarnation) + 1 FROM removed_clusters WHERE name = $1))"
		}
	}
	return "INSERT INTO clusters (" + names("", columns) + ") VALUES (" + strings.Join(marks, ", ") + ")"
}

func fillCluster(c *flow.Cluster) {
	if c.CreatedAt.IsZero() {
		c.CreatedAt = now()
	}
	if c.UpdatedAt.IsZero() {
		c.UpdatedAt = c.CreatedAt
	}
	if c.Incarnation == 0 {
		c.Incarnation = 1
	}
	if c.Health == "" {
		c.Health = flow.HealthUnknown
	}
	if c.HealthSince.IsZero() {
		c.HealthSince = c.CreatedAt
	}
	if c.Labels == nil {
		c.Labels = map[string]string{}
	}
	c.Taints = dated(c.Taints, nil, c.CreatedAt)
	for _, list := range []*[]string{&c.TaskTypes, &c.Architectures, &c.Accelerators} {
		if *list == nil {
			*list = []string{}
		}
	}
}

// GetCluster reads a cluster; NotFound.
func (s *Store) GetCluster(ctx context.Context, name string) (flow.Cluster, error) {
	var c flow.Cluster
	columns := clusterColumns(&c)
	err := s.read(ctx, "GetCluster", func(ctx context.Context) error {
		return s.pool.QueryRow(ctx, "SELECT "+names("", columns)+" FROM clusters WHERE name = $1", name).Scan(places(columns)...)
	})
	return c, named(err, "cluster %q", name)
}

// ListClusters lists all clusters by name.
func (s *Store) ListClusters(ctx context.Context) ([]flow.Cluster, error) {
	return query(ctx, s, "ListClusters", clusterColumns,
		"SELECT "+names("", clusterColumns(new(flow.Cluster)))+" FROM clusters ORDER BY name")
}

// query runs a fixed SELECT of the columns.
func query[T any](ctx context.Context, s *Store, op string, columns func(*T) []column, sql string, args ...any) ([]T, error) {
	var found []T
	err := s.read(ctx, op, func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		found, err = collect(rows, columns)
		return err
	})
	return found, err
}
