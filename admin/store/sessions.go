package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

func milliseconds(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

const selectSession = `SELECT m.generation, m.ownership_revision, m.revoked, c.incarnation
	FROM members m JOIN clusters c ON c.name = m.cluster WHERE m.cluster = $1 AND m.instance = $2`

// checkSession refuses who is not the member's newest session, and gives the
// member's ownership revision.
func checkSession(row pgx.Row, sender flow.Sender) (ownership uint64, err error) {
	var generation, incarnation uint64
	var revoked bool
	err = row.Scan(&generation, &ownership, &revoked, &incarnation)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return 0, fault.E(fault.Stale, "member %s has no session", sender.Member)
	case err != nil:
		return 0, err
	case revoked:
		return 0, fault.E(fault.Forbidden, "member %s is revoked", sender.Member)
	case generation != sender.Generation:
		return 0, fault.E(fault.Stale, "session %d of member %s is over: the newest is %d", sender.Generation, sender.Member, generation)
	case incarnation != sender.Incarnation:
		return 0, fault.E(fault.Stale, "session %d of member %s belongs to incarnation %d of its cluster, which is at %d",
			sender.Generation, sender.Member, sender.Incarnation, incarnation)
	}
	return ownership, nil
}

// queueSession puts the check before the rest of a batch. It stores the
// ownership revision if the caller wants it.
func queueSession(batch *pgx.Batch, sender flow.Sender, ownership *uint64) {
	batch.Queue(selectSession, sender.Cluster, sender.Instance).QueryRow(func(row pgx.Row) error {
		found, err := checkSession(row, sender)
		if ownership != nil {
			*ownership = found
		}
		return err
	})
}

// OpenSession makes a member's next session, which ends all earlier ones.
// NotFound if the cluster is not registered; Precondition if it was declared
// lost, and Forbidden if the member is revoked, both audited. Repeating it makes
// another session.
func (s *Store) OpenSession(ctx context.Context, member flow.Member, hub string, report flow.ClusterReport) (flow.Session, error) {
	var session flow.Session
	err := s.change(ctx, "OpenSession", func(ctx context.Context, tx pgx.Tx) error {
		session = flow.Session{Sender: flow.Sender{Member: member}}
		if err := mayJoin(ctx, tx, &session); err != nil {
			return err
		}
		var revoked bool
		err := tx.QueryRow(ctx, `INSERT INTO members (cluster, instance, generation, hub, ownership_revision, revoked, last_seen_at)
			VALUES ($1, $2, 1, $3, 1, FALSE, $4) ON CONFLICT (cluster, instance) DO UPDATE
			SET generation = members.generation + 1, hub = excluded.hub, last_seen_at = excluded.last_seen_at
			RETURNING generation, ownership_revision, revoked`, member.Cluster, member.Instance, hub, now()).
			Scan(&session.Generation, &session.OwnershipRevision, &revoked)
		if err != nil {
			return uniqueRace(err)
		}
		if revoked {
			return fault.E(fault.Forbidden, "member %s is revoked", member)
		}
		if _, err := tx.Exec(ctx, "UPDATE members SET opened_in = ("+sessionsSoFar+") WHERE cluster = $1 AND instance = $2",
			member.Cluster, member.Instance); err != nil {
			return err
		}
		return writeReport(ctx, tx, member, report)
	}, nil)
	if fault.Is(err, fault.Forbidden) || fault.Is(err, fault.Precondition) {
		if auditErr := s.refused(ctx, member, "session.open", err); auditErr != nil {
			return flow.Session{}, auditErr
		}
	}
	if err != nil {
		return flow.Session{}, err
	}
	return session, nil
}

// mayJoin refuses members of clusters that own nothing.
func mayJoin(ctx context.Context, tx pgx.Tx, session *flow.Session) error {
	var lost bool
	err := tx.QueryRow(ctx, "SELECT c.incarnation, c.lost, s.era FROM clusters c, scheduler s WHERE c.name = $1 AND s.one = 1", session.Cluster).
		Scan(&session.Incarnation, &lost, &session.Era)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return fault.E(fault.NotFound, "cluster %q is not registered", session.Cluster)
	case err == nil && lost:
		return fault.E(fault.Precondition, "cluster %q was declared lost: declare it found (skein cluster declare-found %s) before its members join",
			session.Cluster, session.Cluster)
	}
	return err
}

// writeReport stores what is new in a report.
func writeReport(ctx context.Context, tx pgx.Tx, member flow.Member, report flow.ClusterReport) error {
	for _, list := range []*[]string{&report.TaskTypes, &report.Architectures, &report.Accelerators} {
		if *list == nil {
			*list = []string{}
		}
	}
	batch := &pgx.Batch{}
	batch.Queue(`UPDATE clusters SET capacity = $2, largest_node = $3, task_types = $4, version = $5, architectures = $6, accelerators = $7,
		store = $8, updated_at = $9 WHERE name = $1 AND (capacity <> $2 OR largest_node <> $3 OR task_types <> $4 OR version <> $5
		OR architectures <> $6 OR accelerators <> $7 OR store <> $8)`,
		member.Cluster, report.Capacity, report.LargestNode, report.TaskTypes, report.Version, report.Architectures, report.Accelerators,
		report.Store, now())
	batch.Queue("UPDATE members SET version = $3 WHERE cluster = $1 AND instance = $2 AND version <> $3",
		member.Cluster, member.Instance, report.Version)
	return send(ctx, tx, batch)
}

// Report stores what a member says of its cluster; Stale if the session is not
// the newest.
func (s *Store) Report(ctx context.Context, sender flow.Sender, report flow.ClusterReport) error {
	return s.change(ctx, "Report", func(ctx context.Context, tx pgx.Tx) error {
		if _, err := checkSession(tx.QueryRow(ctx, selectSession, sender.Cluster, sender.Instance), sender); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "UPDATE members SET last_seen_at = $3 WHERE cluster = $1 AND instance = $2",
			sender.Cluster, sender.Instance, now())
		if err != nil {
			return err
		}
		return writeReport(ctx, tx, sender.Member, report)
	}, nil)
}

// CloseSession notes that a session's stream has ended. Closing a session that
// is not the newest does nothing.
func (s *Store) CloseSession(ctx context.Context, sender flow.Sender) error {
	return s.change(ctx, "CloseSession", func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "UPDATE members SET hub = '', last_seen_at = $4 WHERE cluster = $1 AND instance = $2 AND generation = $3",
			sender.Cluster, sender.Instance, sender.Generation, now())
		return err
	}, nil)
}
