package memstore

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/mutant"
)

// RecordEvents is as admin/store's.
func (s *Store) RecordEvents(ctx context.Context, sender flow.Sender, events []flow.Event, apply flow.Apply) ([]flow.EventResult, error) {
	answers, err := s.RecordBatches(ctx, []flow.EventBatch{{From: sender, Events: events}}, apply)
	if err != nil {
		return nil, err
	}
	return answers[0].Results, answers[0].Err
}

// RecordBatches is as admin/store's.
func (s *Store) RecordBatches(ctx context.Context, batches []flow.EventBatch, apply flow.Apply) (out []flow.BatchResult, err error) {
	if !slices.ContainsFunc(batches, func(b flow.EventBatch) bool { return len(b.Events) > 0 }) {
		return make([]flow.BatchResult, len(batches)), nil
	}
	err = s.served(ctx, "RecordEvents", func(t *tables) error {
		answers := make([]flow.BatchResult, len(batches))
		for _, b := range batches {
			if err := t.met(b); err != nil {
				return err
			}
		}
		for i, b := range batches {
			if len(b.Events) > 0 {
				answers[i] = t.recordAll(b, apply)
			}
		}
		t.releaseUnasked(batches, answers, s.o.Now())
		out = answers
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (t *tables) recordAll(b flow.EventBatch, apply flow.Apply) (answer flow.BatchResult) {
	if _, answer.Err = t.session(b.From); answer.Err != nil {
		return answer
	}
	answer.Results = make([]flow.EventResult, len(b.Events))
	for i, e := range b.Events {
		answer.Results[i] = t.record(b.From, e, apply)
	}
	return answer
}

// releaseUnasked takes from their clusters what has ended there by aborts that
// nobody asked for.
func (t *tables) releaseUnasked(batches []flow.EventBatch, answers []flow.BatchResult, now time.Time) {
	for i, b := range batches {
		for j, result := range answers[i].Results {
			if r := t.runs[b.Events[j].Execution]; result.Unasked && r.e.Cluster == b.From.Cluster {
				t.release(r, false, now)
			}
		}
	}
}

// record folds one event, and acks what it shows to have been applied.
func (t *tables) record(sender flow.Sender, e flow.Event, apply flow.Apply) flow.EventResult {
	r := t.runs[e.Execution]
	if why := refusal(sender, e, r); why != "" {
		result := flow.EventResult{Reason: why}
		t.events = append(t.events, Recorded{Sender: sender, Event: e, Result: result})
		return result
	}
	ack := flow.Ack{Execution: e.Execution, Epoch: e.Epoch, Revision: e.Revision}
	if r.e.Revoking != "" { // its workers may drain still: only an Ack says that it is gone
		ack.Revision = min(ack.Revision, r.e.Revision-1)
	}
	t.ackRow(sender.Member, ack, true)
	in := flow.Recorded{Execution: light(r.e)}
	key := attempt{e.Node, e.Attempt}
	if n, ok := r.nodes[e.Node]; ok && e.Kind != flow.EventWorkflow {
		in.Node = &n
	}
	if k, ok := r.tasks[key]; ok && e.Kind == flow.EventTask {
		in.Task = &k
	}
	seen := in.Execution
	got, result := apply(in, e)
	t.events = append(t.events, Recorded{sender, e, result, in, got})
	if !result.Accepted {
		return result
	}
	if !sameState(got.Execution, seen) {
		t.touch(r)
		got.Execution.Version++
		got.Execution.Inputs, got.Execution.UserInputs = r.e.Inputs, r.e.UserInputs
		r.e = got.Execution
	}
	if e.Kind != flow.EventWorkflow && got.Node != nil {
		t.putNode(r, *got.Node)
	}
	if e.Kind == flow.EventTask && got.Task != nil {
		t.putTask(r, *got.Task)
	}
	return result
}

// refusal says why a sender may not speak for an execution; empty if it may.
func refusal(sender flow.Sender, e flow.Event, r *run) string {
	switch {
	case r == nil:
		return fmt.Sprintf("execution %s does not exist", e.Execution)
	case r.e.Cluster != sender.Cluster || r.e.Epoch != e.Epoch:
		if r.e.Cluster != "" && (mutant.On("no-epoch-check") || mutant.On("fence-by-name-only") && r.e.Cluster == sender.Cluster) {
			return ""
		}
		return fmt.Sprintf("stale epoch %s of cluster %q: recorded are %s and %q", e.Epoch, sender.Cluster, r.e.Epoch, r.e.Cluster)
	}
	return ""
}

// sameState compares what an apply may change.
func sameState(a, b flow.Execution) bool {
	return a.Phase == b.Phase && a.Sequence == b.Sequence && a.OutputURI == b.OutputURI && a.ErrorCode == b.ErrorCode &&
		a.UpdatedAt.Equal(b.UpdatedAt) && a.StartedAt.Equal(b.StartedAt) && a.EndedAt.Equal(b.EndedAt) && a.Desired == b.Desired
}

// putNode keeps the newer of two states of a node. What an event says takes the
// place of what the control plane itself said.
func (t *tables) putNode(r *run, n flow.NodeExecution) {
	old, known := r.nodes[n.ID.Node]
	if known && old.Epoch == n.Epoch && old.Sequence == n.Sequence && old.Phase == n.Phase {
		return
	}
	if known && newer(old.Epoch, old.Sequence, n.Epoch, n.Sequence) {
		return
	}
	n.Reason = ""
	r.nodes[n.ID.Node] = n
}

func (t *tables) putTask(r *run, n flow.TaskExecution) {
	key := attempt{n.Node.Node, n.Attempt}
	old, known := r.tasks[key]
	if known && old.Epoch == n.Epoch && old.Sequence == n.Sequence && old.Phase == n.Phase {
		return
	}
	if known && newer(old.Epoch, old.Sequence, n.Epoch, n.Sequence) {
		return
	}
	n.Reason = ""
	r.tasks[key] = n
}

func newer(e flow.Epoch, sequence uint64, than flow.Epoch, other uint64) bool {
	if c := e.Compare(than); c != 0 {
		return c > 0
	}
	return sequence > other
}

// Assignments is as admin/store's.
func (s *Store) Assignments(ctx context.Context, sender flow.Sender, limit int) (out []flow.Assignment, err error) {
	err = s.read(ctx, "Assignments", func(t *tables) error {
		m, err := t.session(sender)
		if err != nil {
			return err
		}
		rows := t.outbox[sender.Cluster]
		var ids []flow.ExecutionID
		for id, row := range rows {
			if row.wanted > row.acked {
				ids = append(ids, id)
			}
		}
		slices.SortFunc(ids, func(a, b flow.ExecutionID) int { return int(rows[a].at) - int(rows[b].at) })
		for _, id := range ids[:min(limit, len(ids))] {
			out = append(out, t.assignment(sender, rows[id], t.runs[id], m.OwnershipRevision))
		}
		return nil
	})
	return out, err
}

// Due is as admin/store's.
func (s *Store) Due(ctx context.Context, senders []flow.Sender) (due []flow.Sender, err error) {
	err = s.read(ctx, "Due", func(t *tables) error {
		for _, who := range senders {
			_, over := t.session(who)
			waits := over != nil
			for _, row := range t.outbox[who.Cluster] {
				waits = waits || row.wanted > row.acked
			}
			if waits {
				due = append(due, who)
			}
		}
		return nil
	})
	return due, err
}

func (t *tables) assignment(sender flow.Sender, row *due, r *run, ownership uint64) flow.Assignment {
	e := &r.e
	a := flow.Assignment{Execution: e.ID, Cluster: sender.Cluster, Epoch: row.epoch, Incarnation: sender.Incarnation,
		Revision: row.wanted, OwnershipRevision: ownership, Desired: flow.DesiredGone}
	if e.Cluster != sender.Cluster || e.Epoch != row.epoch || e.Revoking != "" && e.Desired == flow.DesiredRun {
		return a
	}
	closure := t.entities[entityKey{flow.KindWorkflow, e.Workflow}]
	a.Desired, a.Cause = e.Desired, e.AbortCause
	a.Run = &flow.Run{Workflow: e.Workflow, LaunchPlan: e.LaunchPlan,
		Closure: closure.Body, ClosureURI: closure.BodyURI, ClosureDigest: closure.BodyDigest,
		Inputs: e.Inputs, InputsURI: e.InputsURI, Spec: e.Spec, DataPrefix: e.DataPrefix, RawPrefix: e.RawPrefix,
		CreatedAt: e.CreatedAt, Trace: e.Trace, Failover: e.Failover}
	if e.Resumed {
		a.Run.Recovery = r.recovery()
	}
	return a
}

// Ack is as admin/store's.
func (s *Store) Ack(ctx context.Context, sender flow.Sender, acks []flow.Ack) error {
	if len(acks) == 0 {
		return nil
	}
	return s.served(ctx, "Ack", func(t *tables) error {
		if _, err := t.session(sender); err != nil {
			return err
		}
		for _, a := range acks {
			t.ackRow(sender.Member, a, false)
			t.released(sender.Cluster, a, s.o.Now())
		}
		return nil
	})
}

// ackRow raises acked of a row of the acked epoch, never above what the ack
// names: a late ack must not swallow a pending abort.
func (t *tables) ackRow(m flow.Member, a flow.Ack, event bool) {
	row := t.outbox[m.Cluster][a.Execution]
	if row == nil || row.epoch != a.Epoch {
		return
	}
	up := min(a.Revision, row.wanted)
	if event && mutant.On("event-acks-newest-revision") {
		up = row.wanted
	}
	if up > row.acked {
		if row.acked == 0 {
			row.by, row.in = m.Instance, t.sessions(m.Cluster)
		}
		row.acked = up
		t.acks = append(t.acks, Acked{m.Cluster, a.Execution, a.Epoch, up})
	}
}

// released ends a planned move: the cluster has acked that it gave the
// execution up. No lease can cover it any more, so no revision is raised.
func (t *tables) released(cluster string, a flow.Ack, at time.Time) {
	r, row := t.runs[a.Execution], t.outbox[cluster][a.Execution]
	if r == nil || row == nil || r.e.Cluster != cluster || r.e.Epoch != a.Epoch || row.epoch != a.Epoch ||
		r.e.Revoking == "" || r.e.Desired != flow.DesiredRun || r.e.Phase.Terminal() ||
		r.e.Phase == flow.ExecutionAborting || row.acked < r.e.Revision {
		return
	}
	t.release(r, true, at)
}

// sessions counts the sessions that a cluster's members ever opened.
func (t *tables) sessions(cluster string) (n uint64) {
	for m, row := range t.members {
		if m.Cluster == cluster {
			n += row.Generation
		}
	}
	return n
}
