package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/mutant"
)

// The subject of REBUILD's lines in the audit.
const controlPlane = "control-plane"

// forgottenSessions is by how much the generations of sessions rise when REBUILD
// is entered: the members may have opened that many since the backup was taken,
// and none of their numbers may come again, or a stream from then would pass.
const forgottenSessions = 1 << 32

// firstGeneration is above every generation that was given before the last
// REBUILD was entered, also to members that the backup does not know: what a
// stream from then says at its end would close a session of now.
func firstGeneration(era uint64, rebuilding bool) uint64 {
	if !rebuilding {
		era-- // it rose when the REBUILD ended
	}
	return forgottenSessions*era + 1
}

// EnterRebuild ends everything that a restored backup would be wrong about: all
// sessions, all leases and the leader's term, whose fence is over; and nothing is
// placed, leased or recorded until EndRebuild. The fence becomes higher than
// known, and so does the era of the database at least known's. Repeating it while
// a REBUILD lasts raises the fence above known, if it is not, and nothing else.
//
// known is the fence that gave the backup away; if the database's is not lower
// any more, nothing happens: somebody else was faster, or was wrong. It is zero
// if the sign was another one. why is for people. Forbidden, and nothing happens,
// if known's era cannot be (lastEra).
func (s *Store) EnterRebuild(ctx context.Context, known flow.Fence, why string) (flow.Rebuild, error) {
	seen := s.noticed.Load()
	line := written(flow.Audit{Actor: "skein", Action: "rebuild.begin", Detail: why}, controlPlane)
	err := s.change(ctx, "EnterRebuild", func(ctx context.Context, tx pgx.Tx) error {
		var found flow.Fence
		var lasting bool
		err := tx.QueryRow(ctx, "SELECT era, epoch, beat, rebuild_since IS NOT NULL FROM scheduler WHERE one = 1").
			Scan(&found.Epoch.Era, &found.Epoch.N, &found.Beat, &lasting)
		behind := known.Compare(found) > 0
		switch {
		case err != nil:
			return err
		case known.Epoch.Era > max(found.Epoch.Era, lastEra):
			return fault.E(fault.Forbidden, "era %d cannot be, and no REBUILD begins for it: %s", known.Epoch.Era, why)
		case lasting && behind:
			return raiseAbove(ctx, tx, known)
		case lasting || known != (flow.Fence{}) && !behind:
			return nil
		}
		return beginRebuild(ctx, tx, known, line)
	}, nil)
	if err != nil {
		return flow.Rebuild{}, err
	}
	s.noticed.CompareAndSwap(seen, nil)
	return s.Rebuild(ctx)
}

// raiseAbove ends the term of whoever holds a fence up to known.
func raiseAbove(ctx context.Context, tx pgx.Tx, known flow.Fence) error {
	_, err := tx.Exec(ctx, "UPDATE scheduler SET era = GREATEST(era, $1), epoch = GREATEST(epoch, $2) + 1, beat = 0 WHERE one = 1",
		known.Epoch.Era, known.Epoch.N)
	return err
}

func beginRebuild(ctx context.Context, tx pgx.Tx, known flow.Fence, line flow.Audit) error {
	if err := raiseAbove(ctx, tx, known); err != nil {
		return err
	}
	jump := int64(forgottenSessions)
	if mutant.On("rebuild-counts-old-inventory") {
		jump = 0
	}
	batch := &pgx.Batch{}
	batch.Queue("UPDATE scheduler SET rebuild_since = $1, rebuild_why = $2, rebuild_forced = FALSE WHERE one = 1", at(&line.At), line.Detail)
	batch.Queue(`UPDATE members SET generation = CASE WHEN generation = 0 THEN 0
		ELSE GREATEST(generation, (SELECT era - 1 FROM scheduler WHERE one = 1) * $1) + $1 END, hub = '', rebuild = 0`, jump)
	batch.Queue("DELETE FROM leases")
	batch.Queue("DELETE FROM rebuild_held")
	if err := send(ctx, tx, batch); err != nil {
		return err
	}
	return insertAudit(ctx, tx, line)
}

// unreported says of a cluster c that a REBUILD waits for it: a member that has
// ever opened a session, and may, has not reported in one of this REBUILD.
const unreported = `NOT c.lost AND EXISTS (SELECT 1 FROM members m WHERE m.cluster = c.name
	AND m.generation > 0 AND NOT m.revoked AND m.rebuild < 3)`

// Rebuild says how far the REBUILD that lasts has come; Since is zero if none
// does.
func (s *Store) Rebuild(ctx context.Context) (flow.Rebuild, error) {
	var r flow.Rebuild
	err := s.readTx(ctx, "Rebuild", func(ctx context.Context, tx pgx.Tx) error {
		found, err := readRebuild(ctx, tx)
		r = found
		return err
	})
	return r, err
}

func readRebuild(ctx context.Context, tx pgx.Tx) (flow.Rebuild, error) {
	var r flow.Rebuild
	var longest int64
	err := tx.QueryRow(ctx, "SELECT rebuild_since, rebuild_why, rebuild_forced, longest_lease_ms FROM scheduler WHERE one = 1").
		Scan(at(&r.Since), &r.Why, &r.Forced, &longest)
	if r.Longest = milliseconds(longest); err != nil || r.Since.IsZero() {
		return flow.Rebuild{Longest: r.Longest}, err
	}
	rows, err := tx.Query(ctx, "SELECT c.name, "+unreported+" FROM clusters c ORDER BY c.name")
	if err != nil {
		return r, err
	}
	type cluster struct {
		name    string
		waiting bool
	}
	clusters, err := collect(rows, func(c *cluster) []column { return []column{{"", &c.name}, {"", &c.waiting}} })
	for _, c := range clusters {
		if c.waiting {
			r.Waiting = append(r.Waiting, c.name)
		} else {
			r.Reported = append(r.Reported, c.name)
		}
	}
	return r, err
}

// LastRebuilt says what the newest REBUILD that has ended came to; NotFound if
// there was none.
func (s *Store) LastRebuilt(ctx context.Context) (flow.Rebuilt, error) {
	var last *flow.Rebuilt
	err := s.read(ctx, "LastRebuilt", func(ctx context.Context) error {
		return s.pool.QueryRow(ctx, "SELECT rebuilt FROM scheduler WHERE one = 1").Scan(&last)
	})
	if err == nil && last == nil {
		err = fault.E(fault.NotFound, "the control plane was never rebuilt")
	}
	if err != nil {
		return flow.Rebuilt{}, err
	}
	return *last, nil
}

// ForceRebuild lets a REBUILD wait for no cluster any more. Precondition if none
// lasts.
func (s *Store) ForceRebuild(ctx context.Context, a flow.Audit) error {
	return s.audited(ctx, "ForceRebuild", written(a, controlPlane), func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, "UPDATE scheduler SET rebuild_forced = TRUE WHERE one = 1 AND rebuild_since IS NOT NULL")
		if err == nil && tag.RowsAffected() == 0 {
			return noRebuild()
		}
		return err
	})
}

func noRebuild() error {
	return fault.E(fault.Precondition, "there is no REBUILD: the database was not restored from a backup, or it was rebuilt already")
}

// EndRebuild begins the next era: what members have reported holds, all sessions
// end once more, and the ownership revision of each member rises. It gives the
// fence of the same term in the new era. Stale if the fence is over;
// Precondition if no REBUILD lasts, or clusters are waited for. That leases are
// over is the caller's to know.
func (s *Store) EndRebuild(ctx context.Context, f flow.Fence, when time.Time) (flow.Fence, flow.Rebuilt, error) {
	when = when.UTC().Truncate(time.Microsecond)
	next := flow.Fence{Epoch: flow.Epoch{Era: f.Epoch.Era + 1, N: f.Epoch.N}, Beat: f.Beat + 1}
	line := written(flow.Audit{At: when, Actor: "skein", Action: "rebuild.end"}, controlPlane)
	var done flow.Rebuilt
	err := s.change(ctx, "EndRebuild", func(ctx context.Context, tx pgx.Tx) error {
		rebuilt, err := endRebuild(ctx, tx, f, next, line)
		if err == nil {
			done = rebuilt
		}
		return err
	}, func(ctx context.Context) (bool, error) {
		found, err := s.ReadFence(ctx)
		return found == next, err
	})
	if err != nil {
		return f, flow.Rebuilt{}, err
	}
	return next, done, nil
}
