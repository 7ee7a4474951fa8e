package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// trimmed is how many rows of a kind one transaction of Trim forgets.
const trimmed = 5000

// Trim forgets what nobody will read any more, and gives how many rows that
// were: acked outbox rows of executions that have ended, waits of what does not
// wait, rounds that are older than before or beyond the newest ones, and trails
// without a round that no decision and no wait refers to, and that were stored
// last before before. It forgets a few thousand rows of each kind at a time; call
// it again while it gives many.
func (s *Store) Trim(ctx context.Context, before time.Time, rounds int) (int64, error) {
	const terminal = "(4, 6, 7, 8)"
	var total int64
	for _, old := range []struct {
		sql  string
		args []any
	}{
		// The old rows first: begun with executions, the join would look through all of outbox for each.
		{`WITH old AS MATERIALIZED (SELECT cluster, name, project, domain FROM outbox WHERE updated_at < $1 AND acked >= wanted)
			DELETE FROM outbox WHERE (cluster, name, project, domain) IN (SELECT o.cluster, o.name, o.project, o.domain FROM old o
			JOIN executions e ON e.name = o.name AND e.project = o.project AND e.domain = o.domain
			WHERE e.phase IN ` + terminal + ` LIMIT $2)`, []any{at(&before), trimmed}},
		{`DELETE FROM waits WHERE (name, project, domain) IN (SELECT w.name, w.project, w.domain FROM waits w
			JOIN executions e ON e.name = w.name AND e.project = w.project AND e.domain = w.domain
			WHERE e.phase IN ` + terminal + ` OR e.placed_at > w.decided_at LIMIT $1)`, []any{trimmed}},
		{`DELETE FROM rounds WHERE id IN (SELECT id FROM rounds WHERE decided_at < $1 LIMIT $2)`, []any{at(&before), trimmed}},
		{`DELETE FROM rounds WHERE id IN (SELECT id FROM rounds ORDER BY decided_at DESC, id DESC LIMIT $2 OFFSET $1)`, []any{rounds, trimmed}},
		{`DELETE FROM trails WHERE digest IN (SELECT t.digest FROM trails t WHERE t.stored_at < $1
			AND NOT EXISTS (SELECT 1 FROM rounds r WHERE r.id = t.round)
			AND NOT EXISTS (SELECT 1 FROM decisions d WHERE d.trail = t.digest AND d.trail <> '')
			AND NOT EXISTS (SELECT 1 FROM waits w WHERE w.trail = t.digest AND w.trail <> '') LIMIT $2)`, []any{at(&before), trimmed}},
	} {
		var gone int64
		err := s.change(ctx, "Trim", func(ctx context.Context, tx pgx.Tx) error {
			tag, err := tx.Exec(ctx, old.sql, old.args...)
			gone = tag.RowsAffected()
			return err
		}, nil)
		if err != nil {
			return total, err
		}
		total += gone
	}
	return total, nil
}
