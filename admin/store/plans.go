package store

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

// plan is a batch of placements, column by column, for unnest.
type plan struct {
	keys
	list              []flow.Placement
	clusters, sources []string
	reasons           []string
	eras, ns          []int64 // the epochs that the scheduler read
	forced            []int64 // 1 for a move that counts against the limit
	restart           []bool
	lines             []int64
}

func newPlan(placements []flow.Placement) (plan, error) {
	p := plan{list: placements}
	for i, one := range placements {
		reasons, err := reasonsText(one.Reasons)
		if err != nil {
			return p, err
		}
		p.add(one.Execution)
		p.reasons = append(p.reasons, reasons)
		p.clusters, p.sources = append(p.clusters, one.Cluster), append(p.sources, one.From)
		p.eras, p.ns = append(p.eras, int64(one.Prior.Era)), append(p.ns, int64(one.Prior.N))
		forced := int64(0)
		if one.From != "" {
			forced = 1
		}
		p.forced, p.restart, p.lines = append(p.forced, forced), append(p.restart, one.Restart), append(p.lines, int64(i))
	}
	return p, nil
}

// CommitPlan makes a batch true in one fenced transaction, and returns the next
// fence and what was placed. Stale, and nothing stored, if the fence is over.
//
// A placement is made if its execution is to run, has the epoch that the
// scheduler read, and is where the scheduler read it: nowhere, or on From; and
// if the chosen cluster is registered and not lost. One with From needs a
// forced Kind, and a Takeover of that cluster whose marks are what the lease rows
// hold now. What is taken from a cluster is closed there as lost, and the
// ownership revision of the cluster's members rises. At a restart, nodes of
// earlier epochs are archived. A batch is a handful of statements, whatever its
// size.
func (s *Store) CommitPlan(ctx context.Context, fence flow.Fence, b flow.Batch) (flow.Fence, []flow.ExecutionID, error) {
	b.At = b.At.UTC().Truncate(time.Microsecond)
	var placed []flow.ExecutionID
	next, err := s.fenced(ctx, "CommitPlan", fence, 0, func(ctx context.Context, tx pgx.Tx) error {
		free, err := untouched(ctx, tx, b.Takeovers)
		if err != nil {
			return err
		}
		p, err := newPlan(admitted(b.Placements, free))
		if err != nil {
			return err
		}
		done, err := place(ctx, tx, fence, p, b)
		if err != nil {
			return err
		}
		if err := writeExplanations(ctx, tx, fence, b); err != nil {
			return err
		}
		placed = done
		return nil
	})
	if err != nil {
		return next, nil, err
	}
	return next, placed, nil
}

// admitted leaves out what would be taken from a cluster that is not free to be
// taken from, and what would be taken as if its owner had been asked.
func admitted(placements []flow.Placement, free map[string]bool) []flow.Placement {
	var list []flow.Placement
	for _, p := range placements {
		if p.From == "" || (free[p.From] && p.Kind.Forced()) {
			list = append(list, p)
		}
	}
	return list
}

// placedRow is an execution that was placed, with the place of its line in the
// plan.
type placedRow struct {
	id       flow.ExecutionID
	line     int64
	epoch    flow.Epoch
	revision int64
}

func place(ctx context.Context, tx pgx.Tx, fence flow.Fence, p plan, b flow.Batch) ([]flow.ExecutionID, error) {
	if len(p.names) == 0 {
		return nil, nil
	}
	rows, err := tx.Query(ctx, `UPDATE executions AS e SET cluster = k.cluster, epoch_era = $11, epoch_n = k.n + 1, phase = 1, sequence = 0,
		revision = e.revision + 1, version = e.version + 1, updated_at = $12, placed_at = $12, not_before = NULL,
		moves = e.moves + k.forced, revoking = '', revoked_at = NULL, revoke_reason = '', resumed = (k.n > 0 AND NOT k.restart)
		FROM unnest($1::TEXT[], $2::TEXT[], $3::TEXT[], $4::TEXT[], $5::TEXT[], $6::INT8[], $7::INT8[], $8::INT8[], $9::BOOL[], $10::INT8[])
		AS k (name, project, domain, cluster, source, era, n, forced, restart, line)
		JOIN clusters c ON c.name = k.cluster AND NOT c.lost
		WHERE e.name = k.name AND e.project = k.project AND e.domain = k.domain AND e.cluster = k.source AND e.phase NOT IN (4, 6, 7, 8, 9)
		AND e.desired = 'run' AND e.epoch_era = k.era AND e.epoch_n = k.n
		RETURNING e.name, e.project, e.domain, k.line, e.epoch_era, e.epoch_n, e.revision`,
		p.names, p.projects, p.domains, p.clusters, p.sources, p.eras, p.ns, p.forced, p.restart, p.lines, fence.Epoch.Era, b.At)
	if err != nil {
		return nil, err
	}
	done, err := collect(rows, func(r *placedRow) []column {
		return append(append(append(executionKey(&r.id), column{"", &r.line}), epochColumns(&r.epoch)...), column{"", &r.revision})
	})
	if err != nil || len(done) == 0 {
		return nil, err
	}
	return writePlaced(ctx, tx, fence, p, done, b)
}

// writePlaced clears what was placed away from where it was, and stores its
// outbox rows and decisions.
func writePlaced(ctx context.Context, tx pgx.Tx, fence flow.Fence, p plan, done []placedRow, b flow.Batch) ([]flow.ExecutionID, error) {
	var ids []flow.ExecutionID
	var left []departure
	var anew []placedRow
	d := newDecided(fence, b)
	for _, row := range done {
		one := p.list[row.line]
		ids = append(ids, row.id)
		d.add(row, one, p.reasons[row.line])
		if one.From != "" {
			left = append(left, departure{id: row.id, cluster: one.From, epoch: one.Prior, kind: one.Kind, reason: why(one.Kind, one.From)})
		}
		if one.Restart && one.Prior.N > 0 {
			anew = append(anew, row)
		}
	}
	batch := &pgx.Batch{}
	queueDepartures(batch, left, b.At)
	queueArchive(batch, anew)
	d.queue(batch)
	return ids, send(ctx, tx, batch)
}

// decided is what is stored of placements beside the executions' own rows.
type decided struct {
	keys
	fence              flow.Fence
	round              string
	when               time.Time
	clusters, reasons  []string
	trails, fallbacks  []string
	scores             []float64
	eras, ns, revision []int64
}

func newDecided(fence flow.Fence, b flow.Batch) *decided {
	return &decided{fence: fence, round: roundOf(b), when: b.At}
}

func (d *decided) add(row placedRow, p flow.Placement, reasons string) {
	d.keys.add(row.id)
	d.clusters, d.reasons = append(d.clusters, p.Cluster), append(d.reasons, reasons)
	d.trails, d.fallbacks, d.scores = append(d.trails, p.Trail), append(d.fallbacks, p.Fallback), append(d.scores, p.Score)
	d.eras, d.ns = append(d.eras, int64(row.epoch.Era)), append(d.ns, int64(row.epoch.N))
	d.revision = append(d.revision, row.revision)
}

func (d *decided) queue(batch *pgx.Batch) {
	batch.Queue(`INSERT INTO outbox (name, project, domain, cluster, epoch_era, epoch_n, wanted, acked, updated_at)
		SELECT k.name, k.project, k.domain, k.cluster, k.era, k.n, k.revision, 0, $8::TIMESTAMPTZ
		FROM unnest($1::TEXT[], $2::TEXT[], $3::TEXT[], $4::TEXT[], $5::INT8[], $6::INT8[], $7::INT8[])
		AS k (name, project, domain, cluster, era, n, revision)
		ON CONFLICT (cluster, name, project, domain) DO UPDATE SET epoch_era = excluded.epoch_era, epoch_n = excluded.epoch_n,
		wanted = excluded.wanted, acked = 0, updated_at = excluded.updated_at`,
		d.names, d.projects, d.domains, d.clusters, d.eras, d.ns, d.revision, d.when)
	batch.Queue(`INSERT INTO decisions (name, project, domain, cluster, epoch_era, epoch_n, reasons, trail, fallback, score,
		scheduler_era, scheduler_epoch, beat, decided_at, round)
		SELECT k.name, k.project, k.domain, k.cluster, k.era, k.n, k.reasons::JSONB, k.trail, k.fallback, k.score,
		$11::INT8, $12::INT8, $13::INT8, $14::TIMESTAMPTZ, $15::TEXT
		FROM unnest($1::TEXT[], $2::TEXT[], $3::TEXT[], $4::TEXT[], $5::INT8[], $6::INT8[], $7::TEXT[], $8::TEXT[], $9::TEXT[], $10::FLOAT8[])
		AS k (name, project, domain, cluster, era, n, reasons, trail, fallback, score)`,
		d.names, d.projects, d.domains, d.clusters, d.eras, d.ns, d.reasons, d.trails, d.fallbacks, d.scores,
		d.fence.Epoch.Era, d.fence.Epoch.N, d.fence.Beat+1, d.when, d.round)
}

// reasonsText is JSON; a nil list is an empty one.
func reasonsText(reasons []flow.Reason) (string, error) {
	if reasons == nil {
		reasons = []flow.Reason{}
	}
	text, err := json.Marshal(reasons)
	return string(text), fault.Wrap(fault.Internal, err, "cannot store the reasons of a decision")
}
