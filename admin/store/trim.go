package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/skein-project/skein/api/fault"
)

// One call of Trim looks at so many rows of each kind, and takes so long for it,
// at most. All kinds together take less than the minute after which it is called
// again.
const (
	trimmed       = 5000 // rows in one transaction
	trimmedRounds = 500  // which may have a megabyte each
	trimTimes     = 20   // transactions
	trimTime      = 8 * time.Second
)

// Trim forgets what nobody will read any more, and gives how many rows that
// were: acked outbox rows of executions that have ended, waits of what does not
// wait, rounds that are older than before or beyond the newest ones, and trails
// without a round that no decision and no wait refers to, and that were stored
// last before before. Decisions are not forgotten, nor are the trails that they
// refer to. What it looks at does not grow with history; of each kind it goes on
// while there is more, up to a bound, and a kind that fails or takes too long
// keeps no other from being trimmed. Errors of several kinds are joined.
func (s *Store) Trim(ctx context.Context, before time.Time, rounds int) (int64, error) {
	return s.trim(ctx, trimTime, trims(before, rounds))
}

// trim trims each kind in its own time.
func (s *Store) trim(ctx context.Context, each time.Duration, kinds []trim) (total int64, err error) {
	for _, kind := range kinds {
		gone, failed := s.trimOne(ctx, each, kind)
		total += gone
		if failed != nil {
			err = errors.Join(err, fault.Wrap(fault.Of(failed), failed, "%s were not trimmed", kind.of))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return total, err
}

func (s *Store) trimOne(ctx context.Context, within time.Duration, kind trim) (total int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for range trimTimes {
		var looked, gone int64
		err := s.change(ctx, "Trim", func(ctx context.Context, tx pgx.Tx) (err error) {
			looked, gone, err = kind.run(ctx, tx)
			return err
		}, nil)
		if err != nil {
			return total, err
		}
		if total += gone; looked < kind.most {
			break
		}
	}
	return total, nil
}

// trim is one kind of rows that are trimmed. run looks at most so many rows, and
// gives how many these were, and how many of them are gone.
type trim struct {
	of   string
	most int64
	run  func(context.Context, pgx.Tx) (looked, gone int64, err error)
}

func trims(before time.Time, rounds int) []trim {
	return []trim{
		{"outbox", trimmed, removes(trimOutbox, at(&before), trimmed)},
		{"waits", trimmed, removes(trimWaits, trimmed)},
		{"rounds", trimmedRounds, removes(trimRounds, at(&before), trimmedRounds)},
		{"surplus rounds", trimmedRounds, removes(trimSurplus, rounds, trimmedRounds)},
		{"trails", trimmed, trimTrails(before)},
	}
}

// The executions are read one by one by their keys: begun with them, a join would
// look through all that ever ran.
const (
	trimOutbox = `DELETE FROM outbox WHERE (cluster, name, project, domain) IN (SELECT o.cluster, o.name, o.project, o.domain
		FROM outbox o WHERE o.updated_at < $1 AND o.acked >= o.wanted AND (SELECT e.phase FROM executions e
			WHERE e.name = o.name AND e.project = o.project AND e.domain = o.domain) IN (4, 6, 7, 8)
		ORDER BY o.updated_at LIMIT $2)`
	trimWaits = `DELETE FROM waits WHERE (name, project, domain) IN (SELECT w.name, w.project, w.domain
		FROM waits w WHERE (SELECT e.phase IN (4, 6, 7, 8) OR e.placed_at > w.decided_at FROM executions e
			WHERE e.name = w.name AND e.project = w.project AND e.domain = w.domain)
		ORDER BY w.name, w.project, w.domain LIMIT $1)`
	trimRounds  = `DELETE FROM rounds WHERE id IN (SELECT id FROM rounds WHERE decided_at < $1 ORDER BY decided_at LIMIT $2)`
	trimSurplus = `DELETE FROM rounds WHERE id IN (SELECT id FROM rounds ORDER BY decided_at DESC, id DESC LIMIT $2 OFFSET $1)`
	// The decisions too are looked up one by one. What a round or a wait still
	// refers to is passed over each time; there is no more of that than there are
	// rounds and waits.
	looseTrails = `SELECT t.digest, COALESCE((SELECT TRUE FROM decisions d WHERE d.trail = t.digest AND d.trail <> '' LIMIT 1), FALSE)
		FROM trails t WHERE NOT t.kept AND t.stored_at < $1
		AND NOT EXISTS (SELECT 1 FROM rounds r WHERE r.id = t.round)
		AND NOT EXISTS (SELECT 1 FROM waits w WHERE w.trail = t.digest AND w.trail <> '')
		ORDER BY t.stored_at LIMIT $2`
)

func removes(sql string, args ...any) func(context.Context, pgx.Tx) (looked, gone int64, err error) {
	return func(ctx context.Context, tx pgx.Tx) (int64, int64, error) {
		tag, err := tx.Exec(ctx, sql, args...)
		return tag.RowsAffected(), tag.RowsAffected(), err
	}
}

// trimTrails looks at each trail once: one that a decision refers to is marked, and
// then no loose one any more.
func trimTrails(before time.Time) func(context.Context, pgx.Tx) (looked, gone int64, err error) {
	type loose struct {
		digest string
		used   bool
	}
	return func(ctx context.Context, tx pgx.Tx) (int64, int64, error) {
		rows, err := tx.Query(ctx, looseTrails, at(&before), trimmed)
		if err != nil {
			return 0, 0, err
		}
		list, err := collect(rows, func(l *loose) []column { return []column{{"", &l.digest}, {"", &l.used}} })
		if err != nil || len(list) == 0 {
			return 0, 0, err
		}
		var kept, gone []string
		for _, l := range list {
			if l.used {
				kept = append(kept, l.digest)
			} else {
				gone = append(gone, l.digest)
			}
		}
		batch := &pgx.Batch{}
		batch.Queue("UPDATE trails SET kept = TRUE WHERE digest = ANY($1::TEXT[])", kept)
		batch.Queue("DELETE FROM trails WHERE digest = ANY($1::TEXT[])", gone)
		return int64(len(list)), int64(len(gone)), send(ctx, tx, batch)
	}
}
