package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/mutant"
)

// BeginTerm makes a replica the scheduler: it raises the scheduler's epoch, so
// that whatever an earlier leader still sends is refused. Repeating it begins
// another term.
func (s *Store) BeginTerm(ctx context.Context, replica string) (flow.Fence, error) {
	var fence flow.Fence
	err := s.change(ctx, "BeginTerm", func(ctx context.Context, tx pgx.Tx) error {
		return scanFence(tx.QueryRow(ctx, `UPDATE scheduler SET epoch = epoch + 1, beat = 0, leader = $1 WHERE one = 1
			RETURNING era, epoch, beat`, replica), &fence)
	}, nil)
	return fence, err
}

func scanFence(row pgx.Row, fence *flow.Fence) error {
	return row.Scan(&fence.Epoch.Era, &fence.Epoch.N, &fence.Beat)
}

// ReadFence reads the newest fence.
func (s *Store) ReadFence(ctx context.Context) (flow.Fence, error) {
	var fence flow.Fence
	err := s.read(ctx, "ReadFence", func(ctx context.Context) error {
		return scanFence(s.pool.QueryRow(ctx, "SELECT era, epoch, beat FROM scheduler WHERE one = 1"), &fence)
	})
	return fence, err
}

// LongestLease is the longest lease that was ever granted: what a new leader
// waits before it takes work from a member that does not renew.
func (s *Store) LongestLease(ctx context.Context) (time.Duration, error) {
	var longest int64
	err := s.read(ctx, "LongestLease", func(ctx context.Context) error {
		return s.pool.QueryRow(ctx, "SELECT longest_lease_ms FROM scheduler WHERE one = 1").Scan(&longest)
	})
	return milliseconds(longest), err
}

// fenced runs a scheduling transaction: its first statement raises the beat
// that the leader expects, by an UPDATE, because a transaction that only
// selects its epoch commits after its successor's term has begun. Stale if the
// epoch or the beat is another; Unavailable while a REBUILD lasts. If a COMMIT's answer is lost, the beat tells
// whether it landed: only this leader, one transaction after another, raises it
// within its epoch. fn must set its results last: those of the run that landed
// are then the ones that stay.
func (s *Store) fenced(ctx context.Context, op string, fence flow.Fence, lease time.Duration,
	fn func(context.Context, pgx.Tx) error) (flow.Fence, error) {
	next := flow.Fence{Epoch: fence.Epoch, Beat: fence.Beat + 1}
	err := s.change(ctx, op, func(ctx context.Context, tx pgx.Tx) error {
		if err := s.unrestored(); err != nil {
			return err
		}
		if err := raiseBeat(ctx, tx, fence, lease); err != nil {
			return err
		}
		return fn(ctx, tx)
	}, func(ctx context.Context) (bool, error) {
		var found flow.Fence
		err := s.again(ctx, op, func(ctx context.Context) error {
			return before(scanFence(s.pool.QueryRow(ctx, "SELECT era, epoch, beat FROM scheduler WHERE one = 1"), &found))
		})
		return found == next, err
	})
	if err != nil {
		return fence, err
	}
	return next, nil
}

func raiseBeat(ctx context.Context, tx pgx.Tx, fence flow.Fence, lease time.Duration) error {
	const mine = " WHERE one = 1 AND era = $1 AND epoch = $2 AND beat = $3 AND rebuild_since IS NULL"
	args := []any{fence.Epoch.Era, fence.Epoch.N, fence.Beat}
	sql := "UPDATE scheduler SET beat = beat + 1, longest_lease_ms = GREATEST(longest_lease_ms, $4)" + mine
	if mutant.On("epoch-by-select") {
		sql = "SELECT beat, $4::INT8 FROM scheduler" + mine
	}
	tag, err := tx.Exec(ctx, sql, append(args, lease.Milliseconds())...)
	if err == nil && tag.RowsAffected() != 1 {
		return fenceLost(ctx, tx, fence)
	}
	return err
}

// fenceLost says why a scheduling transaction is refused.
func fenceLost(ctx context.Context, tx pgx.Tx, fence flow.Fence) error {
	var lasting bool
	err := tx.QueryRow(ctx, "SELECT rebuild_since IS NOT NULL FROM scheduler WHERE one = 1 AND era = $1 AND epoch = $2 AND beat = $3",
		fence.Epoch.Era, fence.Epoch.N, fence.Beat).Scan(&lasting)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return fault.E(fault.Stale, "fence %s is over", fence)
	case err != nil:
		return err
	}
	return rebuilding()
}

// RecordLeases records leases before they are granted. It leaves out members
// whose session is not the newest, is closed, or belongs to another incarnation
// of the cluster, and those that are revoked or whose cluster is lost. Stale if
// the fence is over.
func (s *Store) RecordLeases(ctx context.Context, fence flow.Fence, requests []flow.LeaseRequest, duration time.Duration,
	when time.Time) (flow.Fence, []flow.Lease, error) {
	var leases []flow.Lease
	next, err := s.fenced(ctx, "RecordLeases", fence, duration, func(ctx context.Context, tx pgx.Tx) error {
		asked := map[flow.Member]flow.LeaseRequest{}
		for _, r := range requests {
			if known, ok := asked[r.Member]; !ok || known.Generation <= r.Generation {
				asked[r.Member] = r
			}
		}
		granted, err := writeLeases(ctx, tx, asked, duration, when)
		if err == nil {
			leases = granted
		}
		return err
	})
	if err != nil {
		return next, nil, err
	}
	return next, leases, nil
}

func writeLeases(ctx context.Context, tx pgx.Tx, asked map[flow.Member]flow.LeaseRequest, duration time.Duration,
	when time.Time) ([]flow.Lease, error) {
	var clusters, instances []string
	var generations, incarnations []int64
	for member, r := range asked {
		clusters, instances = append(clusters, member.Cluster), append(instances, member.Instance)
		generations, incarnations = append(generations, int64(r.Generation)), append(incarnations, int64(r.Incarnation))
	}
	rows, err := tx.Query(ctx, `SELECT m.cluster, m.instance, m.ownership_revision FROM members m
		JOIN unnest($1::TEXT[], $2::TEXT[], $3::INT8[], $4::INT8[]) AS k (cluster, instance, generation, incarnation)
		ON m.cluster = k.cluster AND m.instance = k.instance AND m.generation = k.generation
		JOIN clusters c ON c.name = m.cluster AND c.incarnation = k.incarnation AND NOT c.lost
		WHERE m.hub <> '' AND NOT m.revoked AND m.rebuild = 0 ORDER BY m.cluster, m.instance`, clusters, instances, generations, incarnations)
	if err != nil {
		return nil, err
	}
	leases, err := collect(rows, func(l *flow.Lease) []column {
		return []column{{"", &l.Cluster}, {"", &l.Instance}, {"", &l.OwnershipRevision}}
	})
	if err != nil {
		return nil, err
	}
	clusters, instances, generations = nil, nil, nil
	for i := range leases {
		request := asked[leases[i].Member]
		leases[i].Sender, leases[i].Nonce, leases[i].Duration = request.Sender, request.Nonce, duration
		clusters, instances = append(clusters, request.Cluster), append(instances, request.Instance)
		generations = append(generations, int64(request.Generation))
	}
	expires := when.Add(duration)
	_, err = tx.Exec(ctx, `INSERT INTO leases (cluster, instance, generation, expires_at, duration_ms, recorded_at)
		SELECT k.cluster, k.instance, k.generation, $4::TIMESTAMPTZ, $5::INT8, $6::TIMESTAMPTZ
		FROM unnest($1::TEXT[], $2::TEXT[], $3::INT8[]) AS k (cluster, instance, generation)
		ON CONFLICT (cluster, instance) DO UPDATE SET generation = excluded.generation, expires_at = excluded.expires_at,
		duration_ms = excluded.duration_ms, recorded_at = excluded.recorded_at`,
		clusters, instances, generations, at(&expires), duration.Milliseconds(), at(&when))
	return leases, err
}

// SetHealth stores changes of clusters' health; Stale if the fence is over.
// Clusters that do not exist are passed over, and so is what is not Lost of one
// that was declared lost.
func (s *Store) SetHealth(ctx context.Context, fence flow.Fence, changes []flow.HealthChange) (flow.Fence, error) {
	return s.fenced(ctx, "SetHealth", fence, 0, func(ctx context.Context, tx pgx.Tx) error {
		batch := &pgx.Batch{}
		for _, c := range changes {
			batch.Queue("UPDATE clusters SET health = $2, health_since = $3, updated_at = $3 "+
				"WHERE name = $1 AND health <> $2 AND (NOT lost OR $2 = 'Lost')",
				c.Cluster, c.Health, at(&c.At))
		}
		return send(ctx, tx, batch)
	})
}
