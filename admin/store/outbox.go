package store

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/skein-project/skein/api/flow"
)

// due is one outbox row with the execution that it is about.
type due struct {
	outbox    flow.Assignment // key, epoch and revision of the outbox row
	execution flow.Execution
}

// dueColumns are COALESCEd where they may be missing: a row may outlive its
// execution's stay on the cluster, but never its execution.
func dueColumns(d *due) []column {
	columns := []column{{"o.epoch_era", &d.outbox.Epoch.Era}, {"o.epoch_n", &d.outbox.Epoch.N}, {"o.wanted", &d.outbox.Revision}}
	for _, c := range append(lightColumns(&d.execution), column{"inputs", &d.execution.Inputs}) {
		columns = append(columns, column{"e." + c.name, c.at})
	}
	return columns
}

// Assignments reads what a member has not acked, oldest first: the whole
// desired state, as it is now. What is being revoked is to be gone, though its
// epoch is the recorded one still. Stale if the session is not the newest.
func (s *Store) Assignments(ctx context.Context, sender flow.Sender, limit int) ([]flow.Assignment, error) {
	var list []flow.Assignment
	err := s.readTx(ctx, "Assignments", func(ctx context.Context, tx pgx.Tx) error {
		if err := s.unrestored(); err != nil {
			return err
		}
		list = nil
		var member found
		var rows []due
		batch := &pgx.Batch{}
		queueSession(batch, sender, &member)
		batch.Queue("SELECT "+names("", dueColumns(new(due)))+` FROM outbox o
			JOIN executions e ON e.name = o.name AND e.project = o.project AND e.domain = o.domain
			WHERE o.cluster = $1 AND o.wanted > o.acked ORDER BY o.updated_at, o.name LIMIT $2`,
			sender.Cluster, limit).Query(into(dueColumns, func(d *due) { rows = append(rows, *d) }))
		if err := send(ctx, tx, batch); err != nil {
			return err
		}
		closures, err := loadClosures(ctx, tx, sender.Cluster, rows)
		if err != nil {
			return err
		}
		recoveries, err := loadRecoveries(ctx, tx, sender.Cluster, rows)
		for _, d := range rows {
			list = append(list, d.assignment(sender, member.ownership, closures, recoveries))
		}
		return err
	})
	return list, s.entering(ctx, err)
}

// Due gives, in their order, those of the senders for whom Assignments has
// something to say: rows that wait, or that the session is not the newest. It is
// one statement, however many senders.
func (s *Store) Due(ctx context.Context, senders []flow.Sender) ([]flow.Sender, error) {
	if len(senders) == 0 {
		return nil, nil
	}
	var clusters, instances []string
	var generations, incarnations []int64
	for _, who := range senders {
		clusters, instances = append(clusters, who.Cluster), append(instances, who.Instance)
		generations, incarnations = append(generations, int64(who.Generation)), append(incarnations, int64(who.Incarnation))
	}
	var found []int64
	err := s.read(ctx, "Due", func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, `SELECT k.i FROM unnest($1::TEXT[], $2::TEXT[], $3::INT8[], $4::INT8[])
			WITH ORDINALITY AS k (cluster, instance, generation, incarnation, i)
			LEFT JOIN members m ON m.cluster = k.cluster AND m.instance = k.instance
			LEFT JOIN clusters c ON c.name = k.cluster
			WHERE m.generation IS NULL OR m.generation <> k.generation OR m.revoked OR c.name IS NULL OR c.incarnation <> k.incarnation
			OR EXISTS (SELECT 1 FROM outbox o WHERE o.cluster = k.cluster AND o.wanted > o.acked) ORDER BY k.i`,
			clusters, instances, generations, incarnations)
		if err != nil {
			return err
		}
		found, err = pgx.CollectRows(rows, pgx.RowTo[int64])
		return err
	})
	var list []flow.Sender
	for _, i := range found {
		list = append(list, senders[i-1])
	}
	return list, err
}

func (d due) here(cluster string) bool {
	return d.execution.Cluster == cluster && d.execution.Epoch == d.outbox.Epoch
}

// desired is what is wanted of the row on the cluster. An abort goes before a
// revocation. A revocation stays after the end: an object that was gone before
// its end was known must not be made again.
func (d due) desired(cluster string) flow.Desired {
	e := d.execution
	if !d.here(cluster) || (e.Revoking != "" && e.Desired == flow.DesiredRun) {
		return flow.DesiredGone
	}
	return e.Desired
}

func (d due) assignment(sender flow.Sender, ownership uint64, closures map[flow.EntityID]flow.Entity,
	recoveries map[flow.ExecutionID]flow.Recovery) flow.Assignment {
	e := d.execution
	a := flow.Assignment{
		Execution: e.ID, Cluster: sender.Cluster, Epoch: d.outbox.Epoch, Incarnation: sender.Incarnation,
		Revision: d.outbox.Revision, OwnershipRevision: ownership, Desired: d.desired(sender.Cluster),
	}
	if a.Desired == flow.DesiredGone {
		return a
	}
	closure := closures[e.Workflow]
	a.Cause = e.AbortCause
	a.Run = &flow.Run{
		Workflow: e.Workflow, LaunchPlan: e.LaunchPlan,
		Closure: closure.Body, ClosureURI: closure.BodyURI, ClosureDigest: closure.BodyDigest,
		Inputs: e.Inputs, InputsURI: e.InputsURI, Spec: e.Spec, DataPrefix: e.DataPrefix, RawPrefix: e.RawPrefix,
		CreatedAt: e.CreatedAt, Trace: e.Trace, Failover: e.Failover, Recovery: recoveries[e.ID],
	}
	return a
}

// loadClosures reads each workflow of the rows once: many executions share one.
func loadClosures(ctx context.Context, tx pgx.Tx, cluster string, rows []due) (map[flow.EntityID]flow.Entity, error) {
	closures := map[flow.EntityID]flow.Entity{}
	var projects, domains, workflows, versions []string
	for _, d := range rows {
		id := d.execution.Workflow
		if _, seen := closures[id]; seen || d.desired(cluster) == flow.DesiredGone {
			continue
		}
		closures[id] = flow.Entity{}
		projects, domains = append(projects, id.Project), append(domains, id.Domain)
		workflows, versions = append(workflows, id.Name), append(versions, id.Version)
	}
	if len(projects) == 0 {
		return closures, nil
	}
	found, err := tx.Query(ctx, `SELECT e.project, e.domain, e.name, e.version, e.body, e.body_uri, e.body_digest FROM entities e
		JOIN unnest($1::TEXT[], $2::TEXT[], $3::TEXT[], $4::TEXT[]) AS k (project, domain, name, version)
		ON e.kind = 2 AND e.project = k.project AND e.domain = k.domain AND e.name = k.name AND e.version = k.version`,
		projects, domains, workflows, versions)
	if err != nil {
		return nil, err
	}
	entities, err := collect(found, func(e *flow.Entity) []column {
		return append(entityColumns("", &e.ID), column{"", &e.Body}, column{"", &e.BodyURI}, column{"", &e.BodyDigest})
	})
	for _, e := range entities {
		closures[e.ID] = e
	}
	return closures, err
}

// Ack records what a member has durably applied. An ack raises a row of its own
// epoch to its own revision, and never lowers it. What was being revoked, and is
// acked as gone, is released: it waits to be placed again, and the ownership
// revision stays, since its owner has agreed. Stale if the session is not the
// newest.
func (s *Store) Ack(ctx context.Context, sender flow.Sender, acks []flow.Ack) error {
	if len(acks) == 0 {
		return nil
	}
	newest := map[held]flow.Ack{}
	for _, a := range acks {
		key := held{a.Execution, a.Epoch}
		if known, ok := newest[key]; !ok || known.Revision < a.Revision {
			newest[key] = a
		}
	}
	once, mine := make([]flow.Ack, 0, len(newest)), make([]memberAck, 0, len(newest))
	for _, a := range newest {
		once, mine = append(once, a), append(mine, memberAck{sender.Member, a})
	}
	return s.served(ctx, "Ack", func(ctx context.Context, tx pgx.Tx) error {
		batch := &pgx.Batch{}
		queueSession(batch, sender, nil)
		queueAcks(batch, mine, "LEAST(a.revision, o.wanted)")
		var given []stay
		queueRevoked(batch, sender.Cluster, once, func(s *stay) {
			given = append(given, *s)
			given[len(given)-1].agreed = true
		})
		if err := send(ctx, tx, batch); err != nil || len(given) == 0 {
			return err
		}
		_, err := release(ctx, tx, given, now())
		return err
	})
}
