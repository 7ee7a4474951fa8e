package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/mutant"
)

// load checks all senders and reads all rows that the events name, in one round
// trip. It answers the batches of senders that may not speak.
func (r *records) load(ctx context.Context, tx pgx.Tx, batches []flow.EventBatch, answers []flow.BatchResult) error {
	batch := &pgx.Batch{}
	for i, b := range batches {
		if len(b.Events) > 0 {
			r.queueSpeaker(batch, b.From, &answers[i].Err)
		}
	}
	ids := keysOf(r.executionIDs)
	batch.Queue("SELECT "+names("e.", eventColumns(new(flow.Execution)))+` FROM executions e
		JOIN unnest($1::TEXT[], $2::TEXT[], $3::TEXT[]) AS k (name, project, domain)
		ON e.name = k.name AND e.project = k.project AND e.domain = k.domain`,
		ids.names, ids.projects, ids.domains).Query(into(eventColumns, func(e *flow.Execution) {
		r.executions[e.ID].value = e
	}))
	r.queueNodes(batch)
	r.queueTasks(batch)
	return send(ctx, tx, batch)
}

// queueSpeaker puts a check of a sender before the rest of a batch. What the
// check says is an answer to that sender, not an error of the others.
func (r *records) queueSpeaker(batch *pgx.Batch, sender flow.Sender, answer *error) {
	batch.Queue(selectSession, sender.Cluster, sender.Instance).QueryRow(func(row pgx.Row) error {
		member, err := checkSession(row, sender)
		r.speakers[sender.Member] = member
		var said *fault.Error
		if errors.As(err, &said) && !mutant.On("one-stale-session-fails-all") {
			*answer, err = err, nil
		}
		return err
	})
}

// eventColumns are what an event may look at and change.
func eventColumns(e *flow.Execution) []column { return append(executionKey(&e.ID), stateColumns(e)...) }

// met finds an event of an epoch that the database has not given yet.
func (r *records) met(b flow.EventBatch) error {
	for _, e := range b.Events {
		row, era := r.executions[e.Execution].value, r.speakers[b.From.Member].era
		if row != nil && era > 0 && forgotten(e.Epoch, era, row.Epoch) {
			return restored(&sign{why: fmt.Sprintf("member %s sent an event of execution %s at epoch %s, and the database has it at %s",
				b.From.Member, e.Execution, e.Epoch, row.Epoch)})
		}
	}
	return nil
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

// save writes what has changed, and the acks, in one round trip and with one
// statement for each table.
func (r *records) save(ctx context.Context, tx pgx.Tx) error {
	batch := &pgx.Batch{}
	var executions, nodes, tasks [][]column
	for _, id := range r.executionIDs {
		if e := r.executions[id]; e.changed {
			e.value.Version++
			executions = append(executions, eventColumns(e.value))
		}
	}
	for _, id := range r.nodeIDs {
		if n := r.nodes[id]; n.changed {
			nodes = append(nodes, nodeColumns(n.value))
		}
	}
	for _, a := range r.attempts {
		if t := r.tasks[a]; t.changed {
			tasks = append(tasks, taskColumns(t.value))
		}
	}
	queueStates(batch, executions)
	queueUpserts(batch, "nodes", "name, project, domain, node", nodes)
	queueUpserts(batch, "tasks", "name, project, domain, node, attempt, task_project, task_domain, task_name, task_version", tasks)
	r.queueAcks(batch)
	if err := send(ctx, tx, batch); err != nil || len(r.unasked) == 0 {
		return err
	}
	return releaseUnasked(ctx, tx, r.unasked)
}

// releaseUnasked takes from their clusters what has ended there by aborts that
// nobody asked for.
func releaseUnasked(ctx context.Context, tx pgx.Tx, ids []flow.ExecutionID) error {
	k := keysOf(ids)
	rows, err := tx.Query(ctx, "SELECT "+names("e.", stayColumns(new(stay)))+` FROM executions e
		JOIN unnest($1::TEXT[], $2::TEXT[], $3::TEXT[]) AS k (name, project, domain)
		ON e.name = k.name AND e.project = k.project AND e.domain = k.domain WHERE e.`+isPlacedE, k.names, k.projects, k.domains)
	if err != nil {
		return err
	}
	list, err := collect(rows, stayColumns)
	if err == nil {
		_, err = release(ctx, tx, list, now())
	}
	return err
}

// queueStates writes the state columns of executions.
func queueStates(batch *pgx.Batch, rows [][]column) {
	if len(rows) == 0 {
		return
	}
	from, args := unnested(rows)
	batch.Queue("UPDATE executions AS e SET "+setFrom("k", rows[0][len(executionKey(new(flow.ExecutionID))):])+" FROM "+from+
		" AS k ("+names("", rows[0])+") WHERE e.name = k.name AND e.project = k.project AND e.domain = k.domain", args...)
}

// queueUpserts writes node or task rows unless newer ones are there.
func queueUpserts(batch *pgx.Batch, table, key string, rows [][]column) {
	if len(rows) == 0 {
		return
	}
	from, args := unnested(rows)
	batch.Queue("INSERT INTO "+table+" ("+names("", rows[0])+") SELECT * FROM "+from+
		" ON CONFLICT ("+key+") DO UPDATE SET "+setFrom("excluded", rows[0])+
		" WHERE ("+table+".epoch_era, "+table+".epoch_n, "+table+".sequence) <= (excluded.epoch_era, excluded.epoch_n, excluded.sequence)", args...)
}

func (r *records) queueAcks(batch *pgx.Batch) {
	var acks []memberAck
	for _, id := range r.executionIDs {
		if a := r.acked(id); a.Revision > 0 {
			acks = append(acks, a)
		}
	}
	upTo := "LEAST(a.revision, o.wanted)"
	if mutant.On("event-acks-newest-revision") {
		upTo = "o.wanted"
	}
	queueAcks(batch, acks, upTo)
}

// acked is what events show of one execution: the highest revision, and the
// first member that shows one.
func (r *records) acked(id flow.ExecutionID) (ack memberAck) {
	e := r.executions[id].value
	for _, a := range r.acks[id] {
		if e.Revoking != "" { // its workers may drain still: only an Ack says that it is gone
			a.revision = min(a.revision, e.Revision-1)
		}
		if ack.Revision == 0 {
			ack = memberAck{a.by, flow.Ack{Execution: id, Epoch: e.Epoch}}
		}
		ack.Revision = max(ack.Revision, a.revision)
	}
	return ack
}

// memberAck is an ack and whose it is.
type memberAck struct {
	by flow.Member
	flow.Ack
}

// queueAcks raises acked of the rows that still have the acked epoch, never
// above what the ack names: a late ack must not swallow a pending abort. There
// is at most one ack for a row.
func queueAcks(batch *pgx.Batch, acks []memberAck, upTo string) {
	if len(acks) == 0 {
		return
	}
	var ids keys
	var clusters, instances []string
	var eras, ns, revisions []int64
	for _, a := range acks {
		ids.add(a.Execution)
		clusters, instances = append(clusters, a.by.Cluster), append(instances, a.by.Instance)
		eras, ns = append(eras, int64(a.Epoch.Era)), append(ns, int64(a.Epoch.N))
		revisions = append(revisions, int64(a.Revision))
	}
	batch.Queue("UPDATE outbox AS o SET acked = "+upTo+`,
		acked_by = CASE WHEN o.acked = 0 THEN a.instance ELSE o.acked_by END,
		acked_in = CASE WHEN o.acked = 0 THEN (`+sessionsOf+`o.cluster) ELSE o.acked_in END
		FROM unnest($1::TEXT[], $2::TEXT[], $3::TEXT[], $4::TEXT[], $5::TEXT[], $6::INT8[], $7::INT8[], $8::INT8[])
		AS a (cluster, instance, name, project, domain, era, n, revision)
		WHERE o.cluster = a.cluster AND o.name = a.name AND o.project = a.project AND o.domain = a.domain
		AND o.epoch_era = a.era AND o.epoch_n = a.n AND o.acked < `+upTo,
		clusters, instances, ids.names, ids.projects, ids.domains, eras, ns, revisions)
}

// sessionsSoFar counts the sessions that a cluster's members ever opened.
const (
	sessionsOf    = "SELECT COALESCE(SUM(m.generation), 0)::INT8 FROM members m WHERE m.cluster = "
	sessionsSoFar = sessionsOf + "$1"
)
