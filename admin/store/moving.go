package store

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/mutant"
)

// Reap ends what was being aborted on a lapsed or lost cluster, without it: the
// executions are ABORTED, and the ownership revision of the cluster's members
// rises. It leaves out what is not there any more, or is not to be aborted; and
// does nothing if a lease row of the cluster is not what the takeover marks. It
// gives what it ended. Stale if the fence is over.
func (s *Store) Reap(ctx context.Context, fence flow.Fence, t flow.Takeover, ids []flow.ExecutionID, when time.Time) (flow.Fence, []flow.ExecutionID, error) {
	when = when.UTC().Truncate(time.Microsecond)
	var reaped []flow.ExecutionID
	next, err := s.fenced(ctx, "Reap", fence, 0, func(ctx context.Context, tx pgx.Tx) error {
		reaped = nil
		free, err := untouched(ctx, tx, []flow.Takeover{t})
		if err != nil || !free[t.Cluster] || len(ids) == 0 {
			return err
		}
		done, err := reap(ctx, tx, t.Cluster, ids, when)
		if err == nil {
			reaped = done
		}
		return err
	})
	if err != nil {
		return next, nil, err
	}
	return next, reaped, nil
}

func reap(ctx context.Context, tx pgx.Tx, cluster string, ids []flow.ExecutionID, when time.Time) ([]flow.ExecutionID, error) {
	k := keysOf(ids)
	rows, err := tx.Query(ctx, "SELECT "+names("e.", stayColumns(new(stay)))+`, COALESCE(c.lost, FALSE) FROM executions e
		JOIN unnest($1::TEXT[], $2::TEXT[], $3::TEXT[]) AS k (name, project, domain)
		ON e.name = k.name AND e.project = k.project AND e.domain = k.domain
		LEFT JOIN clusters c ON c.name = e.cluster
		WHERE e.cluster = $4 AND e.`+isPlacedE+` AND e.desired = 'abort'`, k.names, k.projects, k.domains, cluster)
	if err != nil {
		return nil, err
	}
	type aborting struct {
		stay
		lost bool
	}
	found, err := collect(rows, func(a *aborting) []column { return append(stayColumns(&a.stay), column{"", &a.lost}) })
	if err != nil {
		return nil, err
	}
	var ended ends
	var left []departure
	var done []flow.ExecutionID
	for _, a := range found {
		a.kind = flow.MoveLapse
		if a.lost {
			a.kind = flow.MoveLost
		}
		a.reason = why(a.kind, cluster)
		if mutant.On("ownership-revision-not-raised-by-aborted-at-lease-end") {
			a.kind = flow.MoveDrain // which asks the owner, and raises nothing
		}
		ended.add(a.id, flow.ExecutionAborted, nil)
		left, done = append(left, a.departure), append(done, a.id)
	}
	batch := &pgx.Batch{}
	if err := ended.queue(batch, when); err != nil {
		return nil, err
	}
	queueDepartures(batch, left, when)
	return done, send(ctx, tx, batch)
}

// Revoke asks clusters to give executions up, by planned moves: each that is at
// the epoch that was read, is to run, and is not being revoked already. Its
// cluster is told that it is gone, and its Ack of that releases it. Kinds that
// are forced are no revocations, and are left out. It gives what is being
// revoked by this call. Stale if the fence is over.
func (s *Store) Revoke(ctx context.Context, fence flow.Fence, list []flow.Revocation, when time.Time) (flow.Fence, []flow.ExecutionID, error) {
	when = when.UTC().Truncate(time.Microsecond)
	var revoked []flow.ExecutionID
	planned := slices.DeleteFunc(slices.Clone(list), func(r flow.Revocation) bool { return r.Kind == "" || r.Kind.Forced() })
	next, err := s.fenced(ctx, "Revoke", fence, 0, func(ctx context.Context, tx pgx.Tx) error {
		done, err := revoke(ctx, tx, planned, when)
		if err == nil {
			revoked = done
		}
		return err
	})
	if err != nil {
		return next, nil, err
	}
	return next, revoked, nil
}

// revoke asks for executions of any kind of move.
func revoke(ctx context.Context, tx pgx.Tx, list []flow.Revocation, when time.Time) ([]flow.ExecutionID, error) {
	var k keys
	var kinds, reasons []string
	var eras, ns []int64
	for _, r := range list {
		k.add(r.Execution)
		kinds, reasons = append(kinds, string(r.Kind)), append(reasons, r.Reason)
		eras, ns = append(eras, int64(r.Epoch.Era)), append(ns, int64(r.Epoch.N))
	}
	if len(k.names) == 0 {
		return nil, nil
	}
	rows, err := tx.Query(ctx, `UPDATE executions AS e SET revoking = k.kind, revoke_reason = k.reason, revoked_at = $8, updated_at = $8,
		revision = e.revision + 1, version = e.version + 1
		FROM unnest($1::TEXT[], $2::TEXT[], $3::TEXT[], $4::TEXT[], $5::TEXT[], $6::INT8[], $7::INT8[])
		AS k (name, project, domain, kind, reason, era, n)
		WHERE e.name = k.name AND e.project = k.project AND e.domain = k.domain AND e.epoch_era = k.era AND e.epoch_n = k.n
		AND length(e.cluster) > 0 AND e.phase NOT IN (4, 6, 7, 8, 9) AND e.desired = 'run' AND e.revoking = ''
		RETURNING e.name, e.project, e.domain`, k.names, k.projects, k.domains, kinds, reasons, eras, ns, when)
	if err != nil {
		return nil, err
	}
	done, err := collect(rows, executionKey)
	if err != nil || len(done) == 0 {
		return nil, err
	}
	told := keysOf(done)
	_, err = tx.Exec(ctx, `INSERT INTO outbox (cluster, name, project, domain, epoch_era, epoch_n, wanted, acked, updated_at)
		SELECT e.cluster, e.name, e.project, e.domain, e.epoch_era, e.epoch_n, e.revision, 0, $4::TIMESTAMPTZ FROM executions e
		JOIN unnest($1::TEXT[], $2::TEXT[], $3::TEXT[]) AS k (name, project, domain)
		ON e.name = k.name AND e.project = k.project AND e.domain = k.domain
		ON CONFLICT (cluster, name, project, domain) DO UPDATE SET wanted = excluded.wanted, updated_at = excluded.updated_at`,
		told.names, told.projects, told.domains, when)
	return done, err
}

// queueRevoked finds which of the acked executions their cluster has now given
// up: acked is the whole of what is wanted, which is their revocation.
func queueRevoked(batch *pgx.Batch, cluster string, acks []flow.Ack, keep func(*stay)) {
	var ids keys
	for _, a := range acks {
		ids.add(a.Execution)
	}
	batch.Queue("SELECT "+names("e.", stayColumns(new(stay)))+` FROM executions e
		JOIN unnest($2::TEXT[], $3::TEXT[], $4::TEXT[]) AS k (name, project, domain)
		ON e.name = k.name AND e.project = k.project AND e.domain = k.domain
		JOIN outbox o ON o.cluster = e.cluster AND o.name = e.name AND o.project = e.project AND o.domain = e.domain
		AND o.epoch_era = e.epoch_era AND o.epoch_n = e.epoch_n
		WHERE e.cluster = $1 AND e.revoking <> '' AND e.desired = 'run' AND e.phase NOT IN (4, 6, 7, 8, 9) AND o.acked >= e.revision`,
		cluster, ids.names, ids.projects, ids.domains).Query(into(stayColumns, keep))
}
