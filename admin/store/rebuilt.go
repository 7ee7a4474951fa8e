package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

// endRebuild moves the fence to the next era first: a leader whose term is over
// ends nothing.
func endRebuild(ctx context.Context, tx pgx.Tx, f, next flow.Fence, line flow.Audit) (flow.Rebuilt, error) {
	tag, err := tx.Exec(ctx, "UPDATE scheduler SET era = $4, beat = $5 WHERE one = 1 AND era = $1 AND epoch = $2 AND beat = $3",
		f.Epoch.Era, f.Epoch.N, f.Beat, next.Epoch.Era, next.Beat)
	if err == nil && tag.RowsAffected() != 1 {
		err = fault.E(fault.Stale, "fence %s is over", f)
	}
	if err != nil {
		return flow.Rebuilt{}, err
	}
	r, err := readRebuild(ctx, tx)
	switch {
	case err != nil:
		return flow.Rebuilt{}, err
	case r.Since.IsZero():
		return flow.Rebuilt{}, noRebuild()
	case len(r.Waiting) > 0 && !r.Forced:
		return flow.Rebuilt{}, fault.E(fault.Precondition, "not all members of %s have reported what they hold", strings.Join(r.Waiting, ", "))
	}
	done, err := countRebuilt(ctx, tx)
	if err != nil {
		return done, err
	}
	done.Era, done.EndedAt = next.Epoch.Era, line.At
	line.Detail = fmt.Sprintf("era %d begins; kept %d, moved %d, made again %d, not reported %d",
		done.Era, done.Kept, done.Moved, done.Created, done.Released)
	if r.Forced {
		line.Detail += "; forced, without " + strings.Join(r.Waiting, ", ")
	}
	batch := &pgx.Batch{}
	batch.Queue("UPDATE scheduler SET rebuild_since = NULL, rebuild_why = '', rebuild_forced = FALSE, rebuilt = $1 WHERE one = 1", &done)
	batch.Queue("UPDATE members SET generation = generation + 1, ownership_revision = ownership_revision + 1, hub = '', rebuild = 0")
	batch.Queue("DELETE FROM rebuild_held")
	if err := send(ctx, tx, batch); err != nil {
		return done, err
	}
	return done, insertAudit(ctx, tx, line)
}

// countRebuilt counts what members have reported, and what nobody has.
func countRebuilt(ctx context.Context, tx pgx.Tx) (flow.Rebuilt, error) {
	var r flow.Rebuilt
	err := tx.QueryRow(ctx, `SELECT COALESCE(SUM(CASE WHEN outcome = 'kept' THEN 1 ELSE 0 END), 0)::INT8,
		COALESCE(SUM(CASE WHEN outcome = 'moved' THEN 1 ELSE 0 END), 0)::INT8,
		COALESCE(SUM(CASE WHEN outcome = 'created' THEN 1 ELSE 0 END), 0)::INT8 FROM rebuild_held`).Scan(&r.Kept, &r.Moved, &r.Created)
	if err != nil {
		return r, err
	}
	err = tx.QueryRow(ctx, `SELECT count(*) FROM executions e WHERE e.`+isPlacedE+` AND NOT EXISTS (SELECT 1 FROM rebuild_held h
		WHERE h.name = e.name AND h.project = e.project AND h.domain = e.domain
		AND h.cluster = e.cluster AND h.epoch_era = e.epoch_era AND h.epoch_n = e.epoch_n)`).Scan(&r.Released)
	return r, err
}
