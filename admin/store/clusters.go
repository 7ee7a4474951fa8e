package store

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

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
// get what a new cluster has: incarnation 1, health Unknown.
func (s *Store) CreateCluster(ctx context.Context, c flow.Cluster) error {
	fillCluster(&c)
	nonce := uuid.NewString()
	columns := append(clusterColumns(&c), column{"nonce", &nonce})
	err := s.write(ctx, change{
		op: "CreateCluster",
		run: func(ctx context.Context) error {
			return s.once(ctx, "CreateCluster", insertInto("clusters", columns), places(columns)...)
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
	if c.Taints == nil {
		c.Taints = []flow.Taint{}
	}
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

// UpdateCluster sets labels and taints, and nothing else; NotFound.
func (s *Store) UpdateCluster(ctx context.Context, c flow.Cluster) error {
	fillCluster(&c)
	return s.change(ctx, "UpdateCluster", func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, "UPDATE clusters SET labels = $2, taints = $3, updated_at = $4 WHERE name = $1",
			c.Name, c.Labels, c.Taints, now())
		if err == nil && tag.RowsAffected() == 0 {
			return fault.E(fault.NotFound, "cluster %q does not exist", c.Name)
		}
		return err
	}, nil)
}

// memberRow is a member as it is read: its lease may be missing.
type memberRow struct {
	flow.MemberState
	milliseconds int64
}

// ListMembers lists the members of a cluster, or all if cluster is empty.
func (s *Store) ListMembers(ctx context.Context, cluster string) ([]flow.MemberState, error) {
	rows, err := query(ctx, s, "ListMembers", func(m *memberRow) []column {
		return []column{
			{"", &m.Cluster}, {"", &m.Instance}, {"", &m.Generation}, {"", &m.Hub}, {"", &m.OwnershipRevision},
			{"", &m.LeaseGeneration}, {"", at(&m.LeaseExpiresAt)}, {"", &m.milliseconds}, {"", at(&m.LeaseRecordedAt)},
			{"", at(&m.LastSeenAt)}, {"", &m.Revoked}, {"", &m.Version}, {"", &m.ReportedEra},
		}
	}, `SELECT m.cluster, m.instance, m.generation, m.hub, m.ownership_revision, COALESCE(l.generation, 0),
		l.expires_at, COALESCE(l.duration_ms, 0), l.recorded_at, COALESCE(GREATEST(l.recorded_at, m.last_seen_at), m.last_seen_at),
		m.revoked, m.version, m.reported_era
		FROM members m LEFT JOIN leases l ON l.cluster = m.cluster AND l.instance = m.instance
		WHERE $1::TEXT = '' OR m.cluster = $1 ORDER BY m.cluster, m.instance`, cluster)
	members := make([]flow.MemberState, len(rows))
	for i, row := range rows {
		row.LeaseDuration = milliseconds(row.milliseconds)
		members[i] = row.MemberState
	}
	return members, err
}
