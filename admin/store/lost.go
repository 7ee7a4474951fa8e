package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

// DeclareLost takes a cluster's right to own anything, on an operator's word:
// its incarnation and its members' ownership revision rise, so that every
// session that is open is over, and none is opened until it is declared found.
// What was being aborted there is ABORTED; what may move stays for the scheduler
// to place elsewhere; what may not stays too, or has FAILED if failPinned.
// Declaring a lost cluster lost again only ends what it is asked to. NotFound.
func (s *Store) DeclareLost(ctx context.Context, name string, failPinned bool, a flow.Audit) (flow.LossReport, error) {
	a = written(a, subjectOf(name))
	var report flow.LossReport
	err := s.audited(ctx, "DeclareLost", a, func(ctx context.Context, tx pgx.Tx) error {
		c, err := readCluster(ctx, tx, name)
		if err != nil {
			return err
		}
		if !c.Lost {
			if err := lose(ctx, tx, &c, a.At); err != nil {
				return err
			}
		}
		r := flow.LossReport{Cluster: c}
		if err := endLost(ctx, tx, &r, failPinned, a.At); err != nil {
			return err
		}
		err = tx.QueryRow(ctx, "SELECT MAX(expires_at) FROM leases WHERE cluster = $1 AND expires_at > $2", name, at(&a.At)).
			Scan(at(&r.LeaseUntil))
		if err == nil {
			report = r
		}
		return err
	})
	return report, err
}

func lose(ctx context.Context, tx pgx.Tx, c *flow.Cluster, when time.Time) error {
	c.Lost, c.Drain, c.Health, c.HealthSince, c.UpdatedAt = true, nil, flow.HealthLost, when, when
	c.Incarnation++
	batch := &pgx.Batch{}
	batch.Queue("UPDATE clusters SET lost = TRUE, drain = NULL, health = $2, health_since = $3, updated_at = $3, incarnation = $4 WHERE name = $1",
		c.Name, c.Health, at(&when), c.Incarnation)
	batch.Queue("UPDATE members SET ownership_revision = ownership_revision + 1, hub = '' WHERE cluster = $1", c.Name)
	return send(ctx, tx, batch)
}

// endLost counts what a lost cluster holds, and ends what cannot go on.
func endLost(ctx context.Context, tx pgx.Tx, r *flow.LossReport, failPinned bool, when time.Time) error {
	rows, err := tx.Query(ctx, "SELECT "+names("", stayColumns(new(stay)))+" FROM executions WHERE cluster = $1 AND "+isPlaced, r.Cluster.Name)
	if err != nil {
		return err
	}
	held, err := collect(rows, stayColumns)
	if err != nil {
		return err
	}
	var ended ends
	var left []departure
	for _, s := range held {
		s.kind, s.reason = flow.MoveLost, why(flow.MoveLost, s.cluster)
		switch {
		case s.desired == flow.DesiredAbort:
			r.Aborting++
			ended.add(s.id, flow.ExecutionAborted, nil)
		case s.failover.Moves(s.moves):
			r.Movable++
			continue
		default:
			r.Pinned++
			if !failPinned {
				continue
			}
			ended.add(s.id, flow.ExecutionFailed, stuck(s, s.reason))
		}
		left = append(left, s.departure)
	}
	batch := &pgx.Batch{}
	if err := ended.queue(batch, when); err != nil {
		return err
	}
	queueDepartures(batch, left, when)
	return send(ctx, tx, batch)
}

// DeclareFound lets a lost cluster's members join again, at a higher
// incarnation: what they held before is stopped by their verdicts. NotFound;
// Precondition if it is not lost.
func (s *Store) DeclareFound(ctx context.Context, name string, a flow.Audit) (flow.Cluster, error) {
	a = written(a, subjectOf(name))
	var done flow.Cluster
	err := s.audited(ctx, "DeclareFound", a, func(ctx context.Context, tx pgx.Tx) error {
		c, err := readCluster(ctx, tx, name)
		if err != nil {
			return err
		}
		if !c.Lost {
			return fault.E(fault.Precondition, "cluster %q is not declared lost", name)
		}
		c.Lost, c.Health, c.HealthSince, c.UpdatedAt = false, flow.HealthUnknown, a.At, a.At
		c.Incarnation++
		_, err = tx.Exec(ctx, "UPDATE clusters SET lost = FALSE, health = $2, health_since = $3, updated_at = $3, incarnation = $4 WHERE name = $1",
			c.Name, c.Health, at(&a.At), c.Incarnation)
		if err == nil {
			done = c
		}
		return err
	})
	return done, err
}
