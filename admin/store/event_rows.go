package store

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/mutant"
)

// load reads all rows that the events name, in one round trip.
func (r *records) load(ctx context.Context, tx pgx.Tx, sender flow.Sender) error {
	batch := &pgx.Batch{}
	queueSession(batch, sender, nil)
	ids := keysOf(r.executionIDs)
	batch.Queue("SELECT "+names("e.", lightColumns(new(flow.Execution)))+` FROM executions e
		JOIN unnest($1::TEXT[], $2::TEXT[], $3::TEXT[]) AS k (name, project, domain)
		ON e.name = k.name AND e.project = k.project AND e.domain = k.domain`,
		ids.names, ids.projects, ids.domains).Query(into(lightColumns, func(e *flow.Execution) {
		r.executions[e.ID].value = e
	}))
	r.queueNodes(batch)
	r.queueTasks(batch)
	return send(ctx, tx, batch)
}

func (r *records) queueNodes(batch *pgx.Batch) {
	if len(r.nodeIDs) == 0 {
		return
	}
	var ids keys
	var nodes []string
	for _, id := range r.nodeIDs {
		ids.add(id.Execution)
		nodes = append(nodes, id.Node)
	}
	batch.Queue("SELECT "+names("n.", nodeColumns(new(flow.NodeExecution)))+` FROM nodes n
		JOIN unnest($1::TEXT[], $2::TEXT[], $3::TEXT[], $4::TEXT[]) AS k (name, project, domain, node)
		ON n.name = k.name AND n.project = k.project AND n.domain = k.domain AND n.node = k.node`,
		ids.names, ids.projects, ids.domains, nodes).Query(into(nodeColumns, func(n *flow.NodeExecution) {
		r.nodes[n.ID].value = n
	}))
}

func (r *records) queueTasks(batch *pgx.Batch) {
	if len(r.attempts) == 0 {
		return
	}
	var ids keys
	var nodes []string
	var attempts []int64
	for _, a := range r.attempts {
		ids.add(a.node.Execution)
		nodes = append(nodes, a.node.Node)
		attempts = append(attempts, int64(a.n))
	}
	batch.Queue("SELECT "+names("t.", taskColumns(new(flow.TaskExecution)))+` FROM tasks t
		JOIN unnest($1::TEXT[], $2::TEXT[], $3::TEXT[], $4::TEXT[], $5::INT8[]) AS k (name, project, domain, node, attempt)
		ON t.name = k.name AND t.project = k.project AND t.domain = k.domain AND t.node = k.node AND t.attempt = k.attempt
		ORDER BY t.updated_at`,
		ids.names, ids.projects, ids.domains, nodes, attempts).Query(into(taskColumns, func(t *flow.TaskExecution) {
		r.tasks[attempt{t.Node, t.Attempt}].value = t
	}))
}

// into gives each row that a queued query finds to keep.
func into[T any](columns func(*T) []column, keep func(*T)) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		found, err := collect(rows, columns)
		for i := range found {
			keep(&found[i])
		}
		return err
	}
}

// send runs a batch and gives the first error.
func send(ctx context.Context, tx pgx.Tx, batch *pgx.Batch) error {
	if batch.Len() == 0 {
		return nil
	}
	return tx.SendBatch(ctx, batch).Close()
}

// save writes what has changed, and the acks, in one round trip.
func (r *records) save(ctx context.Context, tx pgx.Tx, sender flow.Sender) error {
	batch := &pgx.Batch{}
	for _, id := range r.executionIDs {
		if e := r.executions[id]; e.changed {
			e.value.Version++
			columns := stateColumns(e.value)
			batch.Queue("UPDATE executions SET "+setAll(columns, 4)+ofExecution,
				append([]any{id.Name, id.Project, id.Domain}, places(columns)...)...)
		}
	}
	for _, id := range r.nodeIDs {
		if n := r.nodes[id]; n.changed {
			queueUpsert(batch, "nodes", "name, project, domain, node", nodeColumns(n.value))
		}
	}
	for _, a := range r.attempts {
		if t := r.tasks[a]; t.changed {
			queueUpsert(batch, "tasks", "name, project, domain, node, attempt, task_project, task_domain, task_name, task_version",
				taskColumns(t.value))
		}
	}
	r.queueAcks(batch, sender)
	return send(ctx, tx, batch)
}

// queueUpsert writes a node or task row unless a newer one is there.
func queueUpsert(batch *pgx.Batch, table, key string, columns []column) {
	batch.Queue(insertInto(table, columns)+" ON CONFLICT ("+key+") DO UPDATE SET "+setExcluded(columns)+
		" WHERE ("+table+".epoch_era, "+table+".epoch_n, "+table+".sequence) <= (excluded.epoch_era, excluded.epoch_n, excluded.sequence)",
		places(columns)...)
}

func (r *records) queueAcks(batch *pgx.Batch, sender flow.Sender) {
	var acks []flow.Ack
	for _, id := range r.executionIDs {
		revision, ok := r.acks[id]
		if !ok {
			continue
		}
		e := r.executions[id].value
		if e.Revoking != "" { // its workers may drain still: only an Ack says that it is gone
			revision = min(revision, e.Revision-1)
		}
		acks = append(acks, flow.Ack{Execution: id, Epoch: e.Epoch, Revision: revision})
	}
	upTo := "LEAST(a.revision, o.wanted)"
	if mutant.On("event-acks-newest-revision") {
		upTo = "o.wanted"
	}
	queueAcks(batch, sender.Member, acks, upTo)
}

// queueAcks raises acked of the rows that still have the acked epoch, never
// above what the ack names: a late ack must not swallow a pending abort.
func queueAcks(batch *pgx.Batch, member flow.Member, acks []flow.Ack, upTo string) {
	if len(acks) == 0 {
		return
	}
	var ids keys
	var eras, ns, revisions []int64
	for _, a := range acks {
		ids.add(a.Execution)
		eras, ns = append(eras, int64(a.Epoch.Era)), append(ns, int64(a.Epoch.N))
		revisions = append(revisions, int64(a.Revision))
	}
	batch.Queue("UPDATE outbox AS o SET acked = "+upTo+`,
		acked_by = CASE WHEN o.acked = 0 THEN $8::TEXT ELSE o.acked_by END,
		acked_in = CASE WHEN o.acked = 0 THEN (`+sessionsSoFar+`) ELSE o.acked_in END
		FROM unnest($2::TEXT[], $3::TEXT[], $4::TEXT[], $5::INT8[], $6::INT8[], $7::INT8[]) AS a (name, project, domain, era, n, revision)
		WHERE o.cluster = $1 AND o.name = a.name AND o.project = a.project AND o.domain = a.domain
		AND o.epoch_era = a.era AND o.epoch_n = a.n AND o.acked < `+upTo,
		member.Cluster, ids.names, ids.projects, ids.domains, eras, ns, revisions, member.Instance)
}

// sessionsSoFar counts the sessions that a cluster's members ever opened.
const sessionsSoFar = "SELECT COALESCE(SUM(m.generation), 0)::INT8 FROM members m WHERE m.cluster = $1"
