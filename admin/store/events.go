package store

import (
	"context"
	"fmt"
	"reflect"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/mutant"
)

// RecordEvents folds one member's events into what is recorded; see
// RecordBatches. Stale if the session is not the member's newest.
func (s *Store) RecordEvents(ctx context.Context, sender flow.Sender, events []flow.Event, apply flow.Apply) ([]flow.EventResult, error) {
	answers, err := s.RecordBatches(ctx, []flow.EventBatch{{From: sender, Events: events}}, apply)
	if err != nil {
		return nil, err
	}
	return answers[0].Results, answers[0].Err
}

// RecordBatches folds events of several sessions into what is recorded, batch
// after batch and each in its order, in one transaction, and acks what they
// show to have been applied. Each sender is checked in that transaction: of one
// that may not speak (Stale, Forbidden) nothing is recorded, and the others'
// batches are as if it had not been there. An error means that nothing of any
// batch is known to be recorded. An event about an execution that is not its
// sender's, at the epoch that it is the sender's, is refused before apply sees
// it. apply is called again when the transaction is run again; it gets
// executions without Inputs and UserInputs. What has ended on its cluster by an
// abort that nobody asked for is taken from it, as if the cluster had lost it.
// An event of an epoch that the database has not given enters REBUILD:
// Unavailable.
//
// Repeating a batch does no harm: what landed is refused by apply as known.
func (s *Store) RecordBatches(ctx context.Context, batches []flow.EventBatch, apply flow.Apply) ([]flow.BatchResult, error) {
	var answers []flow.BatchResult
	if !slices.ContainsFunc(batches, func(b flow.EventBatch) bool { return len(b.Events) > 0 }) {
		return make([]flow.BatchResult, len(batches)), nil
	}
	err := s.served(ctx, "RecordEvents", func(ctx context.Context, tx pgx.Tx) error {
		r := newRecords(batches)
		answers = make([]flow.BatchResult, len(batches))
		if err := r.load(ctx, tx, batches, answers); err != nil {
			return err
		}
		for i, b := range batches {
			if answers[i].Err == nil {
				if err := r.met(b); err != nil {
					return err
				}
				answers[i].Results = r.applyAll(b, apply)
			}
		}
		return r.save(ctx, tx)
	})
	if err != nil {
		return nil, err
	}
	return answers, nil
}

// attempt names a task row as an event does: a node runs one task at a time.
type attempt struct {
	node flow.NodeID
	n    uint32
}

// records is the part of the database that some batches of events are about.
type records struct {
	executions map[flow.ExecutionID]*record[flow.Execution]
	nodes      map[flow.NodeID]*record[flow.NodeExecution]
	tasks      map[attempt]*record[flow.TaskExecution]
	acks       map[flow.ExecutionID][]applied
	speakers   map[flow.Member]found
	unasked    []flow.ExecutionID // what has ended by an abort that nobody asked for

	// In the order in which the events name them.
	executionIDs []flow.ExecutionID
	nodeIDs      []flow.NodeID
	attempts     []attempt
}

// record is one row; nil values stand for rows that do not exist.
type record[T any] struct {
	value   *T
	changed bool
}

func (r *record[T]) set(value *T) {
	if value != nil && (r.value == nil || !reflect.DeepEqual(*r.value, *value)) {
		r.value, r.changed = value, true
	}
}

// copied keeps a value safe from an apply that writes where it should not.
func (r *record[T]) copied() *T {
	if r.value == nil {
		return nil
	}
	value := *r.value
	return &value
}

// applied is the revision that a member shows to have applied.
type applied struct {
	by       flow.Member
	revision uint64
}

func newRecords(batches []flow.EventBatch) *records {
	r := &records{
		executions: map[flow.ExecutionID]*record[flow.Execution]{},
		nodes:      map[flow.NodeID]*record[flow.NodeExecution]{},
		tasks:      map[attempt]*record[flow.TaskExecution]{},
		acks:       map[flow.ExecutionID][]applied{},
		speakers:   map[flow.Member]found{},
	}
	for _, b := range batches {
		for _, event := range b.Events {
			r.expect(event)
		}
	}
	return r
}

func (r *records) expect(event flow.Event) {
	if _, seen := r.executions[event.Execution]; !seen {
		r.executions[event.Execution] = &record[flow.Execution]{}
		r.executionIDs = append(r.executionIDs, event.Execution)
	}
	if event.Kind == flow.EventWorkflow {
		return
	}
	node := flow.NodeID{Execution: event.Execution, Node: event.Node}
	if _, seen := r.nodes[node]; !seen {
		r.nodes[node] = &record[flow.NodeExecution]{}
		r.nodeIDs = append(r.nodeIDs, node)
	}
	if event.Kind != flow.EventTask {
		return
	}
	task := attempt{node, event.Attempt}
	if _, seen := r.tasks[task]; !seen {
		r.tasks[task] = &record[flow.TaskExecution]{}
		r.attempts = append(r.attempts, task)
	}
}

func (r *records) applyAll(b flow.EventBatch, apply flow.Apply) []flow.EventResult {
	results := make([]flow.EventResult, len(b.Events))
	for i, event := range b.Events {
		results[i] = r.apply(b.From, event, apply)
	}
	return results
}

func (r *records) apply(sender flow.Sender, event flow.Event, apply flow.Apply) flow.EventResult {
	execution := r.executions[event.Execution]
	if reason := refusal(sender, event, execution.value); reason != "" {
		return flow.EventResult{Reason: reason}
	}
	r.ack(event.Execution, applied{sender.Member, event.Revision})
	node, task := r.rows(event)
	recorded, result := apply(flow.Recorded{Execution: *execution.value, Node: node.copied(), Task: task.copied()}, event)
	if result.Unasked && !slices.Contains(r.unasked, event.Execution) {
		r.unasked = append(r.unasked, event.Execution)
	}
	if !result.Accepted {
		return result
	}
	execution.set(&recorded.Execution)
	node.set(recorded.Node)
	task.set(recorded.Task)
	if node.changed { // what an event says takes the place of what we said
		node.value.Reason = ""
	}
	if task.changed {
		task.value.Reason = ""
	}
	return result
}

// ack keeps the highest revision that each member shows to have applied. There
// is one member for an execution, but while one instance follows another.
func (r *records) ack(id flow.ExecutionID, a applied) {
	for i := range r.acks[id] {
		if known := &r.acks[id][i]; known.by == a.by {
			known.revision = max(known.revision, a.revision)
			return
		}
	}
	r.acks[id] = append(r.acks[id], a)
}

func (r *records) rows(event flow.Event) (*record[flow.NodeExecution], *record[flow.TaskExecution]) {
	id := flow.NodeID{Execution: event.Execution, Node: event.Node}
	node, task := r.nodes[id], r.tasks[attempt{id, event.Attempt}]
	if node == nil {
		node = &record[flow.NodeExecution]{}
	}
	if task == nil {
		task = &record[flow.TaskExecution]{}
	}
	return node, task
}

// refusal says why a sender may not speak for an execution; empty if it may.
func refusal(sender flow.Sender, event flow.Event, e *flow.Execution) string {
	switch {
	case e == nil:
		return fmt.Sprintf("execution %s does not exist", event.Execution)
	case e.Cluster != sender.Cluster || (e.Epoch != event.Epoch && !mutant.On("no-epoch-check")):
		return fmt.Sprintf("stale epoch %s of cluster %q: recorded are %s and %q", event.Epoch, sender.Cluster, e.Epoch, e.Cluster)
	}
	return ""
}
