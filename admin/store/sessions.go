package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

func milliseconds(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

const selectSession = `SELECT m.generation, m.ownership_revision, m.revoked, c.incarnation, m.rebuild, m.reported_era
	FROM members m JOIN clusters c ON c.name = m.cluster WHERE m.cluster = $1 AND m.instance = $2`

// found is what a session's check reads of its member.
type found struct {
	ownership uint64
	rebuild   int
	era       uint64 // of its newest verdicts
}

// readSession refuses who is not the member's newest session.
func readSession(row pgx.Row, sender flow.Sender) (found, error) {
	var f found
	var generation, incarnation uint64
	var revoked bool
	err := row.Scan(&generation, &f.ownership, &revoked, &incarnation, &f.rebuild, &f.era)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return f, fault.E(fault.Stale, "member %s has no session", sender.Member)
	case err != nil:
		return f, err
	case revoked:
		return f, fault.E(fault.Forbidden, "member %s is revoked", sender.Member)
	case generation != sender.Generation:
		return f, fault.E(fault.Stale, "session %d of member %s is over: the newest is %d", sender.Generation, sender.Member, generation)
	case incarnation != sender.Incarnation:
		return f, fault.E(fault.Stale, "session %d of member %s belongs to incarnation %d of its cluster, which is at %d",
			sender.Generation, sender.Member, sender.Incarnation, incarnation)
	}
	return f, nil
}

// checkSession refuses who is not the member's newest session, and who was
// opened in REBUILD: such a session reports, and nothing else.
func checkSession(row pgx.Row, sender flow.Sender) (found, error) {
	f, err := readSession(row, sender)
	if err == nil && f.rebuild != sessionNormal {
		err = rebuilding()
	}
	return f, err
}

// queueSession puts the check before the rest of a batch. It stores what it has
// read if the caller wants it.
func queueSession(batch *pgx.Batch, sender flow.Sender, into *found) {
	batch.Queue(selectSession, sender.Cluster, sender.Instance).QueryRow(func(row pgx.Row) error {
		f, err := checkSession(row, sender)
		if into != nil {
			*into = f
		}
		return err
	})
}

// OpenSession makes a member's next session, which ends all earlier ones. While
// a REBUILD lasts it is one that only reports, and the cluster's incarnation
// rises to the highest that the member has seen. A member that has seen more
// than the database has met a restored backup: REBUILD is entered first.
// NotFound if the cluster is not registered; Precondition if it was declared
// lost, and Forbidden if the member is revoked, both audited. Repeating it makes
// another session.
func (s *Store) OpenSession(ctx context.Context, member flow.Member, hub string, report flow.ClusterReport) (flow.Session, error) {
	session, err := s.openSession(ctx, member, hub, report)
	var seen *sign
	if errors.As(err, &seen) { // by now the database is in REBUILD
		session, err = s.openSession(ctx, member, hub, report)
	}
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

func (s *Store) openSession(ctx context.Context, member flow.Member, hub string, report flow.ClusterReport) (flow.Session, error) {
	var session flow.Session
	err := s.served(ctx, "OpenSession", func(ctx context.Context, tx pgx.Tx) error {
		session = flow.Session{Sender: flow.Sender{Member: member}}
		if err := mayJoin(ctx, tx, &session, report, s.known()); err != nil {
			return err
		}
		stage := sessionNormal
		if session.Rebuild {
			stage = sessionOpened
		}
		var revoked bool
		err := tx.QueryRow(ctx, `INSERT INTO members (cluster, instance, generation, hub, ownership_revision, revoked, last_seen_at, rebuild)
			VALUES ($1, $2, $6, $3, 1, FALSE, $4, $5) ON CONFLICT (cluster, instance) DO UPDATE
			SET generation = GREATEST(members.generation + 1, excluded.generation), hub = excluded.hub, last_seen_at = excluded.last_seen_at, rebuild = excluded.rebuild
			RETURNING generation, ownership_revision, revoked`, member.Cluster, member.Instance, hub, now(), stage,
			int64(firstGeneration(session.Era, session.Rebuild))).
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
	})
	return session, err
}

// What is believed of what the database does not hold: no control plane has had
// so many eras, and no cluster so many incarnations. Higher ones would be stored,
// and one that nothing can be added to could never be left again. What the
// database holds itself is always believed.
const (
	mostEras = 1 << 20 // by a member's word
	// lastEra is what EnterRebuild stores at most. Members get it to mostEras, and
	// each REBUILD adds one, so no replica has ever seen it.
	lastEra = 2 * mostEras
)

// mayJoin refuses members of clusters that own nothing, and compares what the
// member and this replica have seen with what the database holds.
func mayJoin(ctx context.Context, tx pgx.Tx, session *flow.Session, report flow.ClusterReport, known flow.Fence) error {
	var lost bool
	var fence flow.Fence
	err := tx.QueryRow(ctx, `SELECT c.incarnation, c.lost, s.era, s.epoch, s.beat, s.rebuild_since IS NOT NULL
		FROM clusters c, scheduler s WHERE c.name = $1 AND s.one = 1`, session.Cluster).
		Scan(&session.Incarnation, &lost, &fence.Epoch.Era, &fence.Epoch.N, &fence.Beat, &session.Rebuild)
	session.Era = fence.Epoch.Era
	seen := older(known, fence)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return fault.E(fault.NotFound, "cluster %q is not registered", session.Cluster)
	case err != nil:
		return err
	case seen != nil:
		return restored(seen)
	case lost:
		return fault.E(fault.Precondition, "cluster %q was declared lost: declare it found (skein cluster declare-found %s) before its members join",
			session.Cluster, session.Cluster)
	case report.Era > max(session.Era, mostEras):
		return fault.E(fault.Forbidden, "member %s says that it has seen era %d, which cannot be", session.Member, report.Era)
	case report.Incarnation > max(session.Incarnation, mostEras):
		return fault.E(fault.Forbidden, "member %s says that it has seen incarnation %d of its cluster, which cannot be",
			session.Member, report.Incarnation)
	case report.Era > session.Era:
		return restored(&sign{known: flow.Fence{Epoch: flow.Epoch{Era: report.Era}},
			why: fmt.Sprintf("member %s has seen era %d, and the database is at era %d", session.Member, report.Era, session.Era)})
	case report.Incarnation <= session.Incarnation:
		return nil
	case !session.Rebuild && report.Era == session.Era:
		return restored(&sign{why: fmt.Sprintf("member %s has seen its cluster at incarnation %d, and the database has it at %d",
			session.Member, report.Incarnation, session.Incarnation)})
	}
	// In REBUILD, or back after one that did not wait for it: its data plane admits
	// nothing below what it has seen.
	session.Incarnation = report.Incarnation
	_, err = tx.Exec(ctx, "UPDATE clusters SET incarnation = $2 WHERE name = $1", session.Cluster, session.Incarnation)
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
	return s.served(ctx, "Report", func(ctx context.Context, tx pgx.Tx) error {
		if _, err := readSession(tx.QueryRow(ctx, selectSession, sender.Cluster, sender.Instance), sender); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "UPDATE members SET last_seen_at = $3 WHERE cluster = $1 AND instance = $2",
			sender.Cluster, sender.Instance, now())
		if err != nil {
			return err
		}
		return writeReport(ctx, tx, sender.Member, report)
	})
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
