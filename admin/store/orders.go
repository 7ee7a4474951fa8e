package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

func subjectOf(cluster string) string { return "cluster/" + cluster }

func readCluster(ctx context.Context, tx pgx.Tx, name string) (flow.Cluster, error) {
	var c flow.Cluster
	columns := clusterColumns(&c)
	err := tx.QueryRow(ctx, "SELECT "+names("", columns)+" FROM clusters WHERE name = $1", name).Scan(places(columns)...)
	if errors.Is(err, pgx.ErrNoRows) {
		return c, fault.E(fault.NotFound, "cluster %q does not exist", name)
	}
	return c, err
}

// UpdateCluster lets change alter a cluster's labels, taints, cordon and drain,
// and gives the cluster as it is then; what else it alters is dropped. The line
// of the audit is written in the same transaction. change may be called more
// than once; its error is returned, and nothing is stored. A taint that was
// not there before is dated. NotFound.
func (s *Store) UpdateCluster(ctx context.Context, name string, change func(*flow.Cluster) error, a flow.Audit) (flow.Cluster, error) {
	a = written(a, subjectOf(name))
	var done flow.Cluster
	err := s.audited(ctx, "UpdateCluster", a, func(ctx context.Context, tx pgx.Tx) error {
		c, err := readCluster(ctx, tx, name)
		if err != nil {
			return err
		}
		before := c.Taints
		asked := c
		if err := change(&asked); err != nil {
			return err
		}
		c.Labels, c.Taints, c.Cordoned, c.Drain = asked.Labels, dated(asked.Taints, before, a.At), asked.Cordoned, asked.Drain
		c.UpdatedAt = a.At
		fillCluster(&c)
		_, err = tx.Exec(ctx, "UPDATE clusters SET labels = $2, taints = $3, cordoned = $4, drain = $5, updated_at = $6 WHERE name = $1",
			c.Name, c.Labels, c.Taints, c.Cordoned, c.Drain, at(&c.UpdatedAt))
		if err == nil {
			done = c
		}
		return err
	})
	return done, err
}

// dated gives taints that have no date that of the same taint before, or now's.
func dated(taints, before []flow.Taint, when time.Time) []flow.Taint {
	list := make([]flow.Taint, 0, len(taints))
	for _, t := range taints {
		if t.AddedAt.IsZero() {
			t.AddedAt = when
			for _, old := range before {
				if old.Key == t.Key && old.Value == t.Value && old.Effect == t.Effect && !old.AddedAt.IsZero() {
					t.AddedAt = old.AddedAt
				}
			}
		}
		list = append(list, t)
	}
	return list
}

// EndDrain ends a cluster's drain: it is empty and stays cordoned; or the drain
// has expired, says so, and moves nothing any more. Nothing happens if it is
// not being drained, or has not expired at that time: an operator may have given
// it longer since it was read. Stale if the fence is over.
func (s *Store) EndDrain(ctx context.Context, fence flow.Fence, cluster string, expired bool, when time.Time) (flow.Fence, error) {
	a := flow.Audit{At: when, Actor: "skein", Action: "cluster.drained", Subject: subjectOf(cluster), Detail: "nothing is left on it; it stays cordoned"}
	if expired {
		a.Action, a.Detail = "cluster.drain-expired", "its deadline has passed; what is left stays where it is"
	}
	a = written(a, "")
	return s.fenced(ctx, "EndDrain", fence, 0, func(ctx context.Context, tx pgx.Tx) error {
		c, err := readCluster(ctx, tx, cluster)
		if fault.Is(err, fault.NotFound) || (err == nil && (c.Drain == nil || c.Drain.Expired)) {
			return nil
		}
		if err != nil {
			return err
		}
		if expired && (c.Drain.Deadline.IsZero() || c.Drain.Deadline.After(when)) {
			return nil
		}
		if c.Drain.Expired = true; !expired {
			c.Drain = nil
		}
		_, err = tx.Exec(ctx, "UPDATE clusters SET cordoned = TRUE, drain = $2, updated_at = $3 WHERE name = $1", cluster, c.Drain, at(&a.At))
		if err != nil {
			return err
		}
		return insertAudit(ctx, tx, a)
	})
}

// RemoveCluster forgets a cluster: its tokens, leases and outbox go with it, and
// its members' sessions end. Precondition while it holds executions; NotFound.
// A cluster that is registered under its name again begins at a higher
// incarnation, no certificate that was made up to now is good for it (Admits),
// and members that were revoked stay revoked.
func (s *Store) RemoveCluster(ctx context.Context, name string, a flow.Audit) error {
	return s.audited(ctx, "RemoveCluster", written(a, subjectOf(name)), func(ctx context.Context, tx pgx.Tx) error {
		c, err := readCluster(ctx, tx, name)
		if err != nil {
			return err
		}
		var held int64
		if err := tx.QueryRow(ctx, "SELECT count(*) FROM executions WHERE cluster = $1 AND "+isPlaced, name).Scan(&held); err != nil {
			return err
		}
		if held > 0 {
			return fault.E(fault.Precondition, "cluster %q holds %d executions: drain it, or declare it lost, until it holds none", name, held)
		}
		batch := &pgx.Batch{}
		for _, table := range []string{"leases", "outbox", "join_tokens"} {
			batch.Queue("DELETE FROM "+table+" WHERE cluster = $1", name)
		}
		batch.Queue("UPDATE members SET hub = '' WHERE cluster = $1", name)
		batch.Queue("DELETE FROM clusters WHERE name = $1", name)
		batch.Queue(`INSERT INTO removed_clusters (name, incarnation, barred) VALUES ($1, $2, $2)
			ON CONFLICT (name) DO UPDATE SET incarnation = excluded.incarnation, barred = excluded.barred`, name, c.Incarnation)
		return send(ctx, tx, batch)
	})
}
