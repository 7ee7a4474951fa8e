package store

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

// Pending lists executions that wait for a cluster, oldest first.
func (s *Store) Pending(ctx context.Context, limit int) ([]flow.Pending, error) {
	return query(ctx, s, "Pending", func(p *flow.Pending) []column {
		return append(append(executionKey(&p.Execution), epochColumns(&p.Epoch)...),
			column{"", &p.Requirement}, column{"", at(&p.CreatedAt)}, column{"", &p.Trace})
	}, `SELECT name, project, domain, epoch_era, epoch_n, requirement, created_at, trace FROM executions
		WHERE `+isPending+` AND desired = 'run' ORDER BY created_at, name LIMIT $1`, limit)
}

// Reserved lists the capacity that placed executions hold.
func (s *Store) Reserved(ctx context.Context) ([]flow.Reserved, error) {
	return query(ctx, s, "Reserved", func(r *flow.Reserved) []column {
		return append(executionKey(&r.Execution), column{"", &r.Cluster}, column{"", &r.Reservation})
	}, "SELECT name, project, domain, cluster, requirement->'reservation' FROM executions WHERE "+isPlaced+" ORDER BY cluster, name")
}

// plan is a batch of placements, column by column, for unnest.
type plan struct {
	keys
	clusters, reasons []string
	eras, ns          []int64 // the epochs that the scheduler read
}

// reasonsText is JSON; a nil list is an empty one.
func reasonsText(reasons []flow.Reason) (string, error) {
	if reasons == nil {
		reasons = []flow.Reason{}
	}
	text, err := json.Marshal(reasons)
	return string(text), fault.Wrap(fault.Internal, err, "cannot store the reasons of a decision")
}

func newPlan(placements []flow.Placement) (plan, error) {
	var p plan
	for _, one := range placements {
		reasons, err := reasonsText(one.Reasons)
		if err != nil {
			return p, err
		}
		p.add(one.Execution)
		p.clusters, p.reasons = append(p.clusters, one.Cluster), append(p.reasons, reasons)
		p.eras, p.ns = append(p.eras, int64(one.Prior.Era)), append(p.ns, int64(one.Prior.N))
	}
	return p, nil
}

// CommitPlan makes placements true, each if its execution still waits at the
// epoch that the scheduler read, and stores why others wait. It returns the
// next fence and what was placed. Stale, and nothing stored, if the fence is
// over. A batch is a handful of statements, whatever its size.
func (s *Store) CommitPlan(ctx context.Context, fence flow.Fence, placements []flow.Placement, waits []flow.Wait,
	when time.Time) (flow.Fence, []flow.ExecutionID, error) {
	p, err := newPlan(placements)
	if err != nil {
		return fence, nil, err
	}
	var placed []flow.ExecutionID
	when = when.UTC().Truncate(time.Microsecond)
	next, err := s.fenced(ctx, "CommitPlan", fence, 0, func(ctx context.Context, tx pgx.Tx) error {
		done, err := place(ctx, tx, fence, p, when)
		if err != nil {
			return err
		}
		if err := writeWaits(ctx, tx, fence, waits, when); err != nil {
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

// placedRow is an execution that was placed, with the place of its line in the
// plan.
type placedRow struct {
	id       flow.ExecutionID
	line     int64
	epoch    flow.Epoch
	revision int64
}

func place(ctx context.Context, tx pgx.Tx, fence flow.Fence, p plan, when time.Time) ([]flow.ExecutionID, error) {
	if len(p.names) == 0 {
		return nil, nil
	}
	// length(cluster), so that rows are looked up by their keys: cluster = ''
	// invites a scan of all that is pending.
	rows, err := tx.Query(ctx, `UPDATE executions AS e SET cluster = k.cluster, epoch_era = $7, epoch_n = k.n + 1, phase = 1, sequence = 0,
		revision = e.revision + 1, version = e.version + 1, updated_at = $8
		FROM unnest($1::TEXT[], $2::TEXT[], $3::TEXT[], $4::TEXT[], $5::INT8[], $6::INT8[], $9::INT8[])
		AS k (name, project, domain, cluster, era, n, line)
		WHERE e.name = k.name AND e.project = k.project AND e.domain = k.domain AND length(e.cluster) = 0 AND e.phase IN (0, 1)
		AND e.desired = 'run' AND e.epoch_era = k.era AND e.epoch_n = k.n
		RETURNING e.name, e.project, e.domain, k.line, e.epoch_era, e.epoch_n, e.revision`,
		p.names, p.projects, p.domains, p.clusters, p.eras, p.ns, fence.Epoch.Era, when, lines(len(p.names)))
	if err != nil {
		return nil, err
	}
	done, err := collect(rows, func(r *placedRow) []column {
		return append(append(append(executionKey(&r.id), column{"", &r.line}), epochColumns(&r.epoch)...), column{"", &r.revision})
	})
	if err != nil || len(done) == 0 {
		return nil, err
	}
	return writePlaced(ctx, tx, fence, p, done, when)
}

func lines(n int) []int64 {
	list := make([]int64, n)
	for i := range list {
		list[i] = int64(i)
	}
	return list
}

// writePlaced stores outbox rows and decisions of what was placed.
func writePlaced(ctx context.Context, tx pgx.Tx, fence flow.Fence, p plan, done []placedRow, when time.Time) ([]flow.ExecutionID, error) {
	var ids []flow.ExecutionID
	var clusters, reasons []string
	var eras, ns, revisions []int64
	for _, row := range done {
		ids = append(ids, row.id)
		clusters, reasons = append(clusters, p.clusters[row.line]), append(reasons, p.reasons[row.line])
		eras, ns = append(eras, int64(row.epoch.Era)), append(ns, int64(row.epoch.N))
		revisions = append(revisions, row.revision)
	}
	k := keysOf(ids)
	batch := &pgx.Batch{}
	batch.Queue(`INSERT INTO outbox (name, project, domain, cluster, epoch_era, epoch_n, wanted, acked, updated_at)
		SELECT k.name, k.project, k.domain, k.cluster, k.era, k.n, k.revision, 0, $8::TIMESTAMPTZ
		FROM unnest($1::TEXT[], $2::TEXT[], $3::TEXT[], $4::TEXT[], $5::INT8[], $6::INT8[], $7::INT8[])
		AS k (name, project, domain, cluster, era, n, revision)
		ON CONFLICT (cluster, name, project, domain) DO UPDATE SET epoch_era = excluded.epoch_era, epoch_n = excluded.epoch_n,
		wanted = excluded.wanted, acked = 0, updated_at = excluded.updated_at`,
		k.names, k.projects, k.domains, clusters, eras, ns, revisions, when)
	batch.Queue(`INSERT INTO decisions (name, project, domain, cluster, epoch_era, epoch_n, reasons, scheduler_era, scheduler_epoch, beat, decided_at)
		SELECT k.name, k.project, k.domain, k.cluster, k.era, k.n, k.reasons::JSONB, $8::INT8, $9::INT8, $10::INT8, $11::TIMESTAMPTZ
		FROM unnest($1::TEXT[], $2::TEXT[], $3::TEXT[], $4::TEXT[], $5::INT8[], $6::INT8[], $7::TEXT[])
		AS k (name, project, domain, cluster, era, n, reasons)`,
		k.names, k.projects, k.domains, clusters, eras, ns, reasons, fence.Epoch.Era, fence.Epoch.N, fence.Beat+1, when)
	return ids, send(ctx, tx, batch)
}

// writeWaits keeps the newest reasons of each wait, and writes only new ones.
func writeWaits(ctx context.Context, tx pgx.Tx, fence flow.Fence, waits []flow.Wait, when time.Time) error {
	newest := map[flow.ExecutionID]string{}
	for _, w := range waits {
		text, err := reasonsText(w.Reasons)
		if err != nil {
			return err
		}
		newest[w.Execution] = text
	}
	if len(newest) == 0 {
		return nil
	}
	var k keys
	var reasons []string
	for id, text := range newest {
		k.add(id)
		reasons = append(reasons, text)
	}
	_, err := tx.Exec(ctx, `INSERT INTO waits (name, project, domain, reasons, scheduler_era, scheduler_epoch, decided_at)
		SELECT k.name, k.project, k.domain, k.reasons::JSONB, $5::INT8, $6::INT8, $7::TIMESTAMPTZ
		FROM unnest($1::TEXT[], $2::TEXT[], $3::TEXT[], $4::TEXT[]) AS k (name, project, domain, reasons)
		ON CONFLICT (name, project, domain) DO UPDATE SET reasons = excluded.reasons, scheduler_era = excluded.scheduler_era,
		scheduler_epoch = excluded.scheduler_epoch, decided_at = excluded.decided_at WHERE waits.reasons <> excluded.reasons`,
		k.names, k.projects, k.domains, reasons, fence.Epoch.Era, fence.Epoch.N, when)
	return err
}
