package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/skein-project/skein/api/flow"
)

// held names one holding: the same execution may be held at two epochs.
type held struct {
	id    flow.ExecutionID
	epoch flow.Epoch
}

// owned is what the verdicts need of an execution's row.
type owned struct {
	id       flow.ExecutionID
	epoch    flow.Epoch
	cluster  string
	phase    flow.ExecutionPhase
	sequence uint64
}

// Verdicts answers a member's inventory: what to keep, to stop and to report
// again. In the same transaction it takes from the cluster what it had acked
// and no longer holds, so that it is placed again; that raises the ownership
// revision of the cluster's members. Stale if the session is not the newest.
func (s *Store) Verdicts(ctx context.Context, sender flow.Sender, inventory []flow.Held) (flow.Verdicts, error) {
	var verdicts flow.Verdicts
	err := s.change(ctx, "Verdicts", func(ctx context.Context, tx pgx.Tx) error {
		verdicts = flow.Verdicts{}
		var rows map[flow.ExecutionID]owned
		if err := loadOwned(ctx, tx, sender, inventory, &verdicts.OwnershipRevision, &rows); err != nil {
			return err
		}
		here := map[held]bool{}
		for _, h := range inventory {
			here[held{h.Execution, h.Epoch}] = true
			verdicts.List = append(verdicts.List, verdict(sender.Cluster, h, rows))
		}
		lost, err := lostBy(ctx, tx, sender.Cluster, here)
		if err != nil || len(lost) == 0 {
			return err
		}
		verdicts.OwnershipRevision++
		return release(ctx, tx, sender.Cluster, lost, now())
	}, nil)
	return verdicts, err
}

func verdict(cluster string, h flow.Held, rows map[flow.ExecutionID]owned) flow.Verdict {
	v := flow.Verdict{Execution: h.Execution, Epoch: h.Epoch, Order: flow.OrderStop}
	row, exists := rows[h.Execution]
	if !exists || row.cluster != cluster || row.epoch != h.Epoch {
		return v
	}
	v.Acked = row.sequence
	switch {
	case !row.phase.Terminal() && h.Terminal:
		v.Order = flow.OrderReport
	case !row.phase.Terminal(), h.Terminal:
		v.Order = flow.OrderKeep
	}
	return v
}

func loadOwned(ctx context.Context, tx pgx.Tx, sender flow.Sender, inventory []flow.Held,
	ownership *uint64, rows *map[flow.ExecutionID]owned) error {
	var ids keys
	for _, h := range inventory {
		ids.add(h.Execution)
	}
	found := map[flow.ExecutionID]owned{}
	batch := &pgx.Batch{}
	queueSession(batch, sender, ownership)
	batch.Queue(`SELECT e.name, e.project, e.domain, e.epoch_era, e.epoch_n, e.cluster, e.phase, e.sequence FROM executions e
		JOIN unnest($1::TEXT[], $2::TEXT[], $3::TEXT[]) AS k (name, project, domain)
		ON e.name = k.name AND e.project = k.project AND e.domain = k.domain`,
		ids.names, ids.projects, ids.domains).Query(into(ownedColumns, func(o *owned) { found[o.id] = *o }))
	if err := send(ctx, tx, batch); err != nil {
		return err
	}
	*rows = found
	return nil
}

func ownedColumns(o *owned) []column {
	return append(append(executionKey(&o.id), epochColumns(&o.epoch)...),
		column{"cluster", &o.cluster}, column{"phase", &o.phase}, column{"sequence", &o.sequence})
}

// lostBy finds what the cluster had acked at the recorded epoch, and has not.
func lostBy(ctx context.Context, tx pgx.Tx, cluster string, here map[held]bool) ([]flow.ExecutionID, error) {
	rows, err := tx.Query(ctx, `SELECT e.name, e.project, e.domain, e.epoch_era, e.epoch_n FROM executions e
		JOIN outbox o ON o.cluster = e.cluster AND o.name = e.name AND o.project = e.project AND o.domain = e.domain
		AND o.epoch_era = e.epoch_era AND o.epoch_n = e.epoch_n
		WHERE e.cluster = $1 AND e.`+isPlacedE+` AND o.acked > 0`, cluster)
	if err != nil {
		return nil, err
	}
	placed, err := collect(rows, func(h *held) []column { return append(executionKey(&h.id), epochColumns(&h.epoch)...) })
	var lost []flow.ExecutionID
	for _, h := range placed {
		if !here[h] {
			lost = append(lost, h.id)
		}
	}
	return lost, err
}

// isPlacedE is isPlaced behind the prefix "e.".
const isPlacedE = "cluster <> '' AND e.phase NOT IN (4, 6, 7, 8)"

const ofKeys = `FROM unnest($1::TEXT[], $2::TEXT[], $3::TEXT[]) AS k (name, project, domain)
	WHERE t.name = k.name AND t.project = k.project AND t.domain = k.domain`

// release takes executions from a cluster. The epoch stays, so that the next
// placement's is higher; what ran is closed as lost, charged to nobody; what
// was being aborted has ended.
func release(ctx context.Context, tx pgx.Tx, cluster string, ids []flow.ExecutionID, when time.Time) error {
	k := keysOf(ids)
	batch := &pgx.Batch{}
	batch.Queue(`UPDATE executions AS t SET cluster = '', revision = t.revision + 1, version = t.version + 1, updated_at = $4,
		sequence = 0, phase = CASE WHEN t.desired = 'abort' THEN 7 ELSE 1 END,
		ended_at = CASE WHEN t.desired = 'abort' THEN $4 ELSE t.ended_at END `+ofKeys, k.names, k.projects, k.domains, when)
	batch.Queue("UPDATE nodes AS t SET phase = 6, reason = $4, updated_at = $5, ended_at = $5 "+ofKeys+
		" AND t.phase NOT IN (3, 5, 6, 7, 8, 10)", k.names, k.projects, k.domains, flow.ReasonClusterLost, when)
	batch.Queue("UPDATE tasks AS t SET phase = 4, reason = $4, updated_at = $5, ended_at = $5 "+ofKeys+
		" AND t.phase NOT IN (3, 4, 5, 8)", k.names, k.projects, k.domains, flow.ReasonClusterLost, when)
	batch.Queue("DELETE FROM outbox AS t USING unnest($1::TEXT[], $2::TEXT[], $3::TEXT[]) AS k (name, project, domain)"+
		" WHERE t.name = k.name AND t.project = k.project AND t.domain = k.domain AND t.cluster = $4",
		k.names, k.projects, k.domains, cluster)
	batch.Queue("UPDATE members SET ownership_revision = ownership_revision + 1 WHERE cluster = $1", cluster)
	return send(ctx, tx, batch)
}
