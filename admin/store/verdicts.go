package store

import (
	"context"
	"fmt"
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
// and no longer holds, or holds in another object than the one that has reported
// (lostBy); that raises the ownership revision of the cluster's
// members; and so it is with what was stopped there to its end, though nobody
// has asked for its abort. What may be moved by force waits to be placed again;
// what may not has FAILED, since its state is gone and it may run nowhere else;
// what was being aborted is ABORTED; and what was being revoked has left as it
// was told to. What is not there at all is asked for first if the cluster has another
// member, which may be about to make it (ask). Stale if the session is not the newest. An inventory that holds
// what the database cannot know enters REBUILD: Unavailable.
func (s *Store) Verdicts(ctx context.Context, sender flow.Sender, inventory []flow.Held) (flow.Verdicts, error) {
	var verdicts flow.Verdicts
	err := s.served(ctx, "Verdicts", func(ctx context.Context, tx pgx.Tx) error {
		verdicts = flow.Verdicts{}
		var rows map[flow.ExecutionID]owned
		if err := loadOwned(ctx, tx, sender, inventory, &verdicts.OwnershipRevision, &rows); err != nil {
			return err
		}
		here := map[held]flow.Held{}
		for _, h := range inventory {
			here[held{h.Execution, h.Epoch}] = h
			verdicts.List = append(verdicts.List, verdict(sender.Cluster, h, rows))
		}
		_, err := tx.Exec(ctx, `UPDATE members SET reported_era = (SELECT era FROM scheduler WHERE one = 1)
			WHERE cluster = $1 AND instance = $2 AND reported_era <> (SELECT era FROM scheduler WHERE one = 1)`, sender.Cluster, sender.Instance)
		if err != nil {
			return err
		}
		lost, shared, err := lostBy(ctx, tx, sender.Member, here)
		if err != nil {
			return err
		}
		if err := ask(ctx, tx, shared, now()); err != nil || len(lost) == 0 {
			return err
		}
		forced, err := release(ctx, tx, lost, now())
		if forced {
			verdicts.OwnershipRevision++
		}
		return err
	})
	return verdicts, err
}

func verdict(cluster string, h flow.Held, rows map[flow.ExecutionID]owned) flow.Verdict {
	v := flow.Verdict{Execution: h.Execution, Epoch: h.Epoch, Order: flow.OrderStop}
	row, exists := rows[h.Execution]
	if !exists || row.cluster != cluster || row.epoch != h.Epoch || renewed(h, row.sequence) {
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
	rowsFound := map[flow.ExecutionID]owned{}
	var member found
	var era uint64
	batch := &pgx.Batch{}
	queueSession(batch, sender, &member)
	batch.Queue("SELECT era FROM scheduler WHERE one = 1").QueryRow(func(row pgx.Row) error { return row.Scan(&era) })
	batch.Queue(`SELECT e.name, e.project, e.domain, e.epoch_era, e.epoch_n, e.cluster, e.phase, e.sequence FROM executions e
		JOIN unnest($1::TEXT[], $2::TEXT[], $3::TEXT[]) AS k (name, project, domain)
		ON e.name = k.name AND e.project = k.project AND e.domain = k.domain`,
		ids.names, ids.projects, ids.domains).Query(into(ownedColumns, func(o *owned) { rowsFound[o.id] = *o }))
	if err := send(ctx, tx, batch); err != nil {
		return err
	}
	*ownership, *rows = member.ownership, rowsFound
	for _, h := range inventory {
		if row := rowsFound[h.Execution]; forgotten(h.Epoch, era, row.epoch) {
			return restored(&sign{why: fmt.Sprintf("member %s holds execution %s at epoch %s, and the database has it at %s",
				sender.Member, h.Execution, h.Epoch, row.epoch)})
		}
	}
	return nil
}

// forgotten reports whether an epoch is one that the database has not given yet.
// What is of an earlier era was given up by the REBUILD that has begun this one.
func forgotten(epoch flow.Epoch, era uint64, row flow.Epoch) bool {
	return epoch.Era >= era && row.Less(epoch)
}

func ownedColumns(o *owned) []column {
	return append(append(executionKey(&o.id), epochColumns(&o.epoch)...),
		column{"cluster", &o.cluster}, column{"phase", &o.phase}, column{"sequence", &o.sequence})
}

// renewed reports whether what has ended in a cluster is not what has reported up
// to that sequence from there: nothing is written after an end. The object that
// did was deleted, and this one made again of an assignment that was not acked;
// its end would pass for something known, and never be told. No status that has
// ended is at sequence 0: that is not said.
func renewed(h flow.Held, reported uint64) bool {
	return h.Terminal && h.Sequence > 0 && h.Sequence < reported
}

// lostBy finds what the cluster had acked at the recorded epoch, and has not; what
// it has only as stopped, by no order of a user, or as made again. What another
// member of it has acked since this session opened may have been made after the
// inventory was taken: that is no loss. Shared is what is not there at all, of a
// cluster that has other members.
func lostBy(ctx context.Context, tx pgx.Tx, member flow.Member, here map[held]flow.Held) (lost, shared []stay, err error) {
	type placed struct {
		stay
		known    bool
		sequence uint64
		others   bool
	}
	rows, err := tx.Query(ctx, "SELECT "+names("e.", stayColumns(new(stay)))+`,
		COALESCE(o.acked > 0 AND (o.acked_in < me.opened_in OR o.acked_by = me.instance), FALSE), e.sequence,
		EXISTS (SELECT 1 FROM members x WHERE x.cluster = $1 AND x.instance <> $2) FROM executions e
		JOIN members me ON me.cluster = $1 AND me.instance = $2
		LEFT JOIN outbox o ON o.cluster = e.cluster AND o.name = e.name AND o.project = e.project AND o.domain = e.domain
		AND o.epoch_era = e.epoch_era AND o.epoch_n = e.epoch_n
		WHERE e.cluster = $1 AND e.`+isPlacedE, member.Cluster, member.Instance)
	if err != nil {
		return nil, nil, err
	}
	list, err := collect(rows, func(p *placed) []column {
		return append(stayColumns(&p.stay), column{"", &p.known}, column{"", &p.sequence}, column{"", &p.others})
	})
	for _, p := range list {
		h, there := here[held{p.id, p.epoch}]
		stopped := there && h.Terminal && h.Desired == flow.DesiredGone && p.desired == flow.DesiredRun && p.revoking == ""
		switch {
		case p.known && !there && p.others:
			shared = append(shared, p.stay)
		case stopped || there && renewed(h, p.sequence) || p.known && !there:
			lost = append(lost, p.stay)
		}
	}
	return lost, shared, err
}

// ask has a cluster of several members give up what one of them does not find:
// another one may be about to make it, by an assignment that was sent before it
// was acked. Whoever is told leaves a tombstone in its place, so that it is not
// made after its Ack, which releases it. An abort is told again for the same
// reason, and what is being revoked is being told anyway.
func ask(ctx context.Context, tx pgx.Tx, shared []stay, when time.Time) error {
	var missing []flow.Revocation
	var again keys
	for _, s := range shared {
		switch {
		case s.desired == flow.DesiredAbort:
			again.add(s.id)
		case s.revoking == "":
			missing = append(missing, flow.Revocation{Execution: s.id, Epoch: s.epoch, Kind: flow.MoveReleased, Reason: why(flow.MoveReleased, s.cluster)})
		}
	}
	if _, err := revoke(ctx, tx, missing, when.UTC().Truncate(time.Microsecond)); err != nil || len(again.names) == 0 {
		return err
	}
	_, err := tx.Exec(ctx, "UPDATE outbox AS t SET acked = 0, acked_by = '', acked_in = 0 "+ofKeys+" AND t.cluster = $4",
		again.names, again.projects, again.domains, shared[0].cluster)
	return err
}

// isPlacedE is isPlaced behind the prefix "e.".
const isPlacedE = "cluster <> '' AND e.phase NOT IN (4, 6, 7, 8)"
