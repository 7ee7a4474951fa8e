package store

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/skein-project/skein/api/flow"
)

// What a report was to an execution's row.
const (
	outcomeKept    = "kept"
	outcomeMoved   = "moved"
	outcomeCreated = "created"
)

// claim is an execution's row, and what a member's report makes of it.
type claim struct {
	owned
	desired  flow.Desired
	revision uint64
	heldBy   string     // who has reported it already; empty: nobody
	heldAt   flow.Epoch // by whom

	from    owned // the row as it was
	outcome string
	acked   uint64
}

func claimColumns(c *claim) []column {
	columns := ownedColumns(&c.owned)
	for i := range columns {
		columns[i].name = "e." + columns[i].name
	}
	return append(columns, column{"e.desired", &c.desired}, column{"e.revision", &c.revision}, column{"COALESCE(h.cluster, '')", &c.heldBy},
		column{"COALESCE(h.epoch_era, 0)", &c.heldAt.Era}, column{"COALESCE(h.epoch_n, 0)", &c.heldAt.N},
		column{"COALESCE(h.outcome, '')", &c.outcome})
}

const selectClaims = ` FROM executions e
	JOIN unnest($1::TEXT[], $2::TEXT[], $3::TEXT[]) AS k (name, project, domain)
	ON e.name = k.name AND e.project = k.project AND e.domain = k.domain
	LEFT JOIN rebuild_held h ON h.name = e.name AND h.project = e.project AND h.domain = e.domain`

// byEpoch orders an inventory so that the highest epoch of an execution is taken
// last.
func byEpoch(held []flow.Held) []flow.Held {
	return slices.SortedStableFunc(slices.Values(held), func(a, b flow.Held) int { return a.Epoch.Compare(b.Epoch) })
}

// take lets a cluster's report change the row, by the model's rule: the higher
// epoch wins, and at the same epoch who has reported it. What was stopped there
// since it was not placed there holds nothing, and what has ended stays ended.
// It says whether the report counts.
func (c *claim) take(cluster string, h flow.Held) bool {
	if c.phase.Terminal() || h.Desired == flow.DesiredGone || h.Epoch.Less(c.epoch) {
		return false
	}
	here := c.cluster == cluster && c.epoch == h.Epoch
	reported := c.heldBy != "" && c.heldBy == c.cluster && c.heldAt == c.epoch
	if !here && reported && c.epoch == h.Epoch {
		return false
	}
	switch {
	case c.outcome == outcomeCreated:
	case !here:
		c.outcome = outcomeMoved
	case c.outcome == "":
		c.outcome = outcomeKept
	}
	c.cluster, c.epoch, c.heldBy, c.heldAt = cluster, h.Epoch, cluster, h.Epoch
	c.settle(h)
	return true
}

// settle finds what the cluster is still to be told: an abort that it has not
// seen. A user's abort that the backup has forgotten is known by its object.
func (c *claim) settle(h flow.Held) {
	c.revision = max(c.revision, h.Revision, 1)
	c.acked = c.revision
	switch {
	case h.Desired == flow.DesiredAbort:
		c.desired = flow.DesiredAbort
	case c.desired == flow.DesiredAbort:
		c.acked = max(h.Revision, 1)
		c.revision++
	}
}

// left reports whether the row has another place than before.
func (c *claim) left() bool { return c.cluster != c.from.cluster || c.epoch != c.from.epoch }

// forgottenAbort is the cause of an abort that was asked for after the backup.
const forgottenAbort = "asked for before the database was restored from a backup; by whom and why is not known any more"

// queueClaims writes what the reports of a member have changed.
func queueClaims(batch *pgx.Batch, member flow.Member, list []*claim, line flow.Audit) {
	if len(list) == 0 {
		return
	}
	slices.SortFunc(list, func(a, b *claim) int { return cmp.Compare(a.id.Name, b.id.Name) })
	var k keys
	var eras, ns, revisions, acked []int64
	var moved, aborts []bool
	var outcomes []string
	var gone []departure
	for _, c := range list {
		k.add(c.id)
		eras, ns = append(eras, int64(c.epoch.Era)), append(ns, int64(c.epoch.N))
		revisions, acked = append(revisions, int64(c.revision)), append(acked, int64(c.acked))
		moved, aborts = append(moved, c.left()), append(aborts, c.desired == flow.DesiredAbort)
		outcomes = append(outcomes, c.outcome)
		if c.left() && c.from.cluster != "" {
			gone = append(gone, departure{id: c.id, cluster: c.from.cluster, epoch: c.from.epoch, kind: flow.MoveRebuild,
				reason: fmt.Sprintf("the restored backup had it at epoch %s on cluster %s; cluster %s held it at epoch %s",
					c.from.epoch, c.from.cluster, c.cluster, c.epoch)})
		}
	}
	queueDepartures(batch, gone, line.At)
	batch.Queue(`UPDATE executions AS e SET cluster = $9, epoch_era = k.era, epoch_n = k.n, revision = k.revision,
		phase = CASE WHEN k.abort THEN 9 WHEN k.moved THEN 1 ELSE e.phase END, sequence = CASE WHEN k.moved THEN 0 ELSE e.sequence END,
		placed_at = CASE WHEN k.moved THEN $10 ELSE e.placed_at END, resumed = (e.resumed AND NOT k.moved), not_before = NULL,
		abort_cause = CASE WHEN k.abort AND e.desired = 'run' THEN $11 ELSE e.abort_cause END,
		desired = CASE WHEN k.abort THEN 'abort' ELSE e.desired END,
		revoking = '', revoked_at = NULL, revoke_reason = '', updated_at = $10, version = e.version + 1
		FROM unnest($1::TEXT[], $2::TEXT[], $3::TEXT[], $4::INT8[], $5::INT8[], $6::INT8[], $7::BOOL[], $8::BOOL[])
		AS k (name, project, domain, era, n, revision, moved, abort)
		WHERE e.name = k.name AND e.project = k.project AND e.domain = k.domain`,
		k.names, k.projects, k.domains, eras, ns, revisions, moved, aborts, member.Cluster, line.At, forgottenAbort)
	batch.Queue(`INSERT INTO outbox (name, project, domain, cluster, epoch_era, epoch_n, wanted, acked, acked_by, acked_in, updated_at)
		SELECT k.name, k.project, k.domain, $1::TEXT, k.era, k.n, k.revision, k.acked, $9::TEXT, (`+sessionsSoFar+`), $10::TIMESTAMPTZ
		FROM unnest($2::TEXT[], $3::TEXT[], $4::TEXT[], $5::INT8[], $6::INT8[], $7::INT8[], $8::INT8[])
		AS k (name, project, domain, era, n, revision, acked)
		ON CONFLICT (cluster, name, project, domain) DO UPDATE SET epoch_era = excluded.epoch_era, epoch_n = excluded.epoch_n,
		wanted = excluded.wanted, acked = excluded.acked, acked_by = excluded.acked_by, acked_in = excluded.acked_in,
		updated_at = excluded.updated_at`,
		member.Cluster, k.names, k.projects, k.domains, eras, ns, revisions, acked, member.Instance, line.At)
	batch.Queue(`INSERT INTO rebuild_held (name, project, domain, cluster, epoch_era, epoch_n, outcome)
		SELECT k.name, k.project, k.domain, $7::TEXT, k.era, k.n, k.outcome
		FROM unnest($1::TEXT[], $2::TEXT[], $3::TEXT[], $4::INT8[], $5::INT8[], $6::TEXT[]) AS k (name, project, domain, era, n, outcome)
		ON CONFLICT (name, project, domain) DO UPDATE SET cluster = excluded.cluster, epoch_era = excluded.epoch_era,
		epoch_n = excluded.epoch_n, outcome = excluded.outcome`,
		k.names, k.projects, k.domains, eras, ns, outcomes, member.Cluster)
	queueFound(batch, member.Cluster, list, line)
}

// queueFound gives what was found elsewhere the decision that was forgotten.
func queueFound(batch *pgx.Batch, cluster string, list []*claim, line flow.Audit) {
	var k keys
	var eras, ns []int64
	for _, c := range list {
		if c.left() {
			k.add(c.id)
			eras, ns = append(eras, int64(c.epoch.Era)), append(ns, int64(c.epoch.N))
		}
	}
	if len(k.names) == 0 {
		return
	}
	batch.Queue(`INSERT INTO decisions (name, project, domain, epoch_era, epoch_n, cluster, scheduler_era, scheduler_epoch, beat, reasons, decided_at)
		SELECT k.name, k.project, k.domain, k.era, k.n, $6::TEXT, 0, 0, 0, $7::JSONB, $8::TIMESTAMPTZ
		FROM unnest($1::TEXT[], $2::TEXT[], $3::TEXT[], $4::INT8[], $5::INT8[]) AS k (name, project, domain, era, n)
		ON CONFLICT (name, project, domain, epoch_era, epoch_n) DO UPDATE SET cluster = excluded.cluster, reasons = excluded.reasons,
		decided_at = excluded.decided_at, trail = '', round = '', score = 0, fallback = ''`,
		k.names, k.projects, k.domains, eras, ns, cluster,
		[]flow.Reason{{Cluster: cluster, Message: "found there when a restored backup was rebuilt", Chosen: true}}, line.At)
}
