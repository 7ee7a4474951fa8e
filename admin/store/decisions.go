package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/skein-project/skein/api/flow"
)

func roundOf(b flow.Batch) string {
	if b.RoundID == "" && b.Round != nil {
		return b.Round.ID
	}
	return b.RoundID
}

// writeExplanations stores what a batch says beside its placements: trails and
// round once, waits if they say something new.
func writeExplanations(ctx context.Context, tx pgx.Tx, fence flow.Fence, b flow.Batch) error {
	batch := &pgx.Batch{}
	if err := queueTrails(batch, b); err != nil {
		return err
	}
	if r := b.Round; r != nil {
		decided := r.At
		if decided.IsZero() {
			decided = b.At
		}
		batch.Queue(`INSERT INTO rounds (id, scheduler_era, scheduler_epoch, decided_at, view, plan, decisions)
			VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO NOTHING`,
			r.ID, r.Scheduler.Era, r.Scheduler.N, at(&decided), r.View, r.Plan, r.Decisions)
	}
	if err := queueWaits(batch, fence, b); err != nil {
		return err
	}
	return send(ctx, tx, batch)
}

func queueTrails(batch *pgx.Batch, b flow.Batch) error {
	if len(b.Trails) == 0 {
		return nil
	}
	var digests, classes, rounds, reasons []string
	for _, t := range b.Trails {
		text, err := reasonsText(t.Reasons)
		if err != nil {
			return err
		}
		digests, classes, rounds = append(digests, t.Digest), append(classes, t.Class), append(rounds, t.Round)
		reasons = append(reasons, text)
	}
	batch.Queue(`INSERT INTO trails (digest, class, round, reasons, stored_at)
		SELECT k.digest, k.class, k.round, k.reasons::JSONB, $5::TIMESTAMPTZ
		FROM unnest($1::TEXT[], $2::TEXT[], $3::TEXT[], $4::TEXT[]) AS k (digest, class, round, reasons)
		ON CONFLICT (digest) DO UPDATE SET stored_at = excluded.stored_at WHERE trails.stored_at < excluded.stored_at`, digests, classes, rounds, reasons, b.At)
	return nil
}

// queueWaits keeps the newest reasons of each wait, and writes only new ones. What
// an execution said before its newest placement was another wait, also if it was
// the same: kept with its old time, it would be taken for the older one, and trimmed.
func queueWaits(batch *pgx.Batch, fence flow.Fence, b flow.Batch) error {
	newest := map[flow.ExecutionID]flow.Wait{}
	for _, w := range b.Waits {
		newest[w.Execution] = w
	}
	if len(newest) == 0 {
		return nil
	}
	var k keys
	var reasons, trails []string
	for id, w := range newest {
		text, err := reasonsText(w.Reasons)
		if err != nil {
			return err
		}
		k.add(id)
		reasons, trails = append(reasons, text), append(trails, w.Trail)
	}
	batch.Queue(`DELETE FROM waits WHERE (name, project, domain) IN (SELECT w.name, w.project, w.domain
		FROM unnest($1::TEXT[], $2::TEXT[], $3::TEXT[]) AS k (name, project, domain)
		JOIN waits w ON w.name = k.name AND w.project = k.project AND w.domain = k.domain
		JOIN executions e ON e.name = k.name AND e.project = k.project AND e.domain = k.domain
		WHERE e.placed_at >= w.decided_at)`, k.names, k.projects, k.domains)
	batch.Queue(`INSERT INTO waits (name, project, domain, reasons, trail, scheduler_era, scheduler_epoch, decided_at, round)
		SELECT k.name, k.project, k.domain, k.reasons::JSONB, k.trail, $6::INT8, $7::INT8, $8::TIMESTAMPTZ, $9::TEXT
		FROM unnest($1::TEXT[], $2::TEXT[], $3::TEXT[], $4::TEXT[], $5::TEXT[]) AS k (name, project, domain, reasons, trail)
		ON CONFLICT (name, project, domain) DO UPDATE SET reasons = excluded.reasons, trail = excluded.trail,
		scheduler_era = excluded.scheduler_era, scheduler_epoch = excluded.scheduler_epoch, decided_at = excluded.decided_at,
		round = excluded.round WHERE waits.reasons <> excluded.reasons OR waits.trail <> excluded.trail`,
		k.names, k.projects, k.domains, reasons, trails, fence.Epoch.Era, fence.Epoch.N, b.At, roundOf(b))
	return nil
}

// decisionSQL reads decisions and waits with the reasons of their trails; a row
// from before there were trails holds its own.
const decisionSQL = `SELECT d.name, d.project, d.domain, d.epoch_era, d.epoch_n, d.cluster, d.scheduler_era, d.scheduler_epoch,
	COALESCE(t.reasons, d.reasons), d.decided_at, d.trail, d.round, d.score, d.fallback FROM (
		SELECT name, project, domain, epoch_era, epoch_n, cluster, scheduler_era, scheduler_epoch, reasons, decided_at, trail, round, score, fallback
		FROM decisions WHERE %[1]s
		UNION ALL SELECT name, project, domain, 0, 0, '', scheduler_era, scheduler_epoch, reasons, decided_at, trail, round, 0, ''
		FROM waits WHERE %[1]s
	) AS d LEFT JOIN trails t ON t.digest = d.trail `

func decisionColumns(d *flow.Decision) []column {
	return append(append(executionKey(&d.Execution), epochColumns(&d.Epoch)...),
		column{"", &d.Cluster}, column{"", &d.Scheduler.Era}, column{"", &d.Scheduler.N}, column{"", &d.Reasons}, column{"", at(&d.At)},
		column{"", &d.Trail}, column{"", &d.Round}, column{"", &d.Score}, column{"", &d.Fallback})
}

// decisions reads decisions. A trail is said to a class of executions, of which
// each may go elsewhere: which cluster was chosen is the decision's own.
func (s *Store) decisions(ctx context.Context, op, sql string, args ...any) ([]flow.Decision, error) {
	list, err := query(ctx, s, op, decisionColumns, sql, args...)
	for _, d := range list {
		for i := range d.Reasons {
			if d.Trail != "" {
				d.Reasons[i].Chosen = d.Cluster != "" && d.Reasons[i].Cluster == d.Cluster
			}
		}
	}
	return list, err
}

// ListDecisions lists an execution's placements and its newest wait, newest
// first. It reads what was stored when it was decided.
func (s *Store) ListDecisions(ctx context.Context, id flow.ExecutionID) ([]flow.Decision, error) {
	return s.decisions(ctx, "ListDecisions", fmt.Sprintf(decisionSQL, "name = $1 AND project = $2 AND domain = $3")+
		"ORDER BY d.decided_at DESC, d.epoch_era DESC, d.epoch_n DESC", id.Name, id.Project, id.Domain)
}

// RoundDecisions lists what was decided in a round and is still stored: its
// placements, and those of its waits that are the newest of their executions.
func (s *Store) RoundDecisions(ctx context.Context, round string) ([]flow.Decision, error) {
	return s.decisions(ctx, "RoundDecisions", fmt.Sprintf(decisionSQL, "round = $1")+"ORDER BY d.name, d.project, d.domain, d.epoch_n DESC", round)
}

// Trails reads trails by their digests, ordered by these; what is not stored is
// left out.
func (s *Store) Trails(ctx context.Context, digests []string) ([]flow.Trail, error) {
	return query(ctx, s, "Trails", func(t *flow.Trail) []column {
		return []column{{"", &t.Digest}, {"", &t.Class}, {"", &t.Round}, {"", &t.Reasons}}
	}, "SELECT digest, class, round, reasons FROM trails WHERE digest = ANY($1::TEXT[]) ORDER BY digest", digests)
}

// Rounds lists rounds that are older than a place in their order, newest first;
// the zero place is before all.
func (s *Store) Rounds(ctx context.Context, older flow.RoundKey, limit int) ([]flow.Round, error) {
	const all = "SELECT id, scheduler_era, scheduler_epoch, decided_at, view, plan, decisions FROM rounds "
	sql, args := all, []any{limit}
	if older != (flow.RoundKey{}) {
		sql += "WHERE (decided_at, id) < ($2::TIMESTAMPTZ, $3::TEXT) "
		args = append(args, at(&older.At), older.ID)
	}
	return query(ctx, s, "Rounds", func(r *flow.Round) []column {
		return []column{{"", &r.ID}, {"", &r.Scheduler.Era}, {"", &r.Scheduler.N}, {"", at(&r.At)}, {"", &r.View}, {"", &r.Plan},
			{"", &r.Decisions}}
	}, sql+"ORDER BY decided_at DESC, id DESC LIMIT $1", args...)
}
