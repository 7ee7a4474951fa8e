package member

import (
	"cmp"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

// Events turns what a FlyteWorkflow's status says above the acked sequence into
// events: the workflow's running, then nodes by sequence with parents before
// their children and each with its attempts, and the workflow's end last.
// Phases are coalesced, within one attempt only; an event carries the times of
// those that were left out. Of what leaves this cluster by a planned move, what
// its work came to is told, and not that the move aborted the rest: that is the
// control plane's to say, once it has our ack. It is pure.
func Events(fw *v1alpha1.FlyteWorkflow, acked uint64) ([]flow.Event, error) {
	nodes, err := v1alpha1.Nodes(&fw.Status)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "FlyteWorkflow %s", fw.Name)
	}
	b := &builder{fw: fw, acked: int64(acked), nodes: nodes, done: map[string]bool{}, leaving: leaving(fw)}
	phase := phaseOf(fw)
	told := fw.Status.PhaseSequence > b.acked
	if told && !phase.Terminal() && phase > flow.ExecutionQueued && phase != flow.ExecutionAborting {
		b.workflow(phase, fw.Status.StartedAt)
	}
	ids := make([]string, 0, len(nodes))
	for id := range nodes {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(x, y string) int {
		return cmp.Or(cmp.Compare(nodes[x].Sequence, nodes[y].Sequence), cmp.Compare(x, y))
	})
	for _, id := range ids {
		b.node(id, 0)
	}
	if told && phase.Terminal() {
		b.workflow(phase, fw.Status.EndedAt)
	}
	return b.events, b.err
}

type builder struct {
	fw     *v1alpha1.FlyteWorkflow
	acked  int64
	nodes  map[string]v1alpha1.NodeStatus
	done   map[string]bool
	events []flow.Event
	err    error

	leaving bool // aborts are not told
}

func (b *builder) event(kind flow.EventKind, sequence int64) flow.Event {
	return flow.Event{
		Execution: executionOf(b.fw), Epoch: epochOf(b.fw), Kind: kind,
		Sequence: uint64(sequence), Revision: uint64(b.fw.Status.ObservedRevision),
	}
}

func (b *builder) workflow(phase flow.ExecutionPhase, at *metav1.MicroTime) {
	if b.leaving && phase == flow.ExecutionAborted {
		return
	}
	e := b.event(flow.EventWorkflow, b.fw.Status.PhaseSequence)
	e.Phase, e.OccurredAt = int32(phase), b.when(at, b.fw.Status.EndedAt, b.fw.Status.StartedAt)
	_, e.StartedAt, e.EndedAt = at3(nil, b.fw.Status.StartedAt, b.fw.Status.EndedAt)
	detail, err := workflowDetail(b.fw, e)
	b.add(e, detail, err)
}

// node tells a node and its attempts, after its parents.
func (b *builder) node(id string, depth int) {
	n, ok := b.nodes[id]
	if !ok || b.done[id] || depth > len(b.nodes) {
		return
	}
	b.done[id] = true
	spec := cmp.Or(n.SpecID, id)
	if spec == "start-node" || spec == "end-node" || n.Phase == int32(flow.NodeUndefined) {
		return // clients skip them
	}
	if n.Parent != "" {
		b.node(n.Parent, depth+1)
	}
	phase := flow.NodePhase(n.Phase)
	if b.leaving && phase == flow.NodeAborted && n.StartedAt != nil {
		phase = flow.NodeRunning // as it was before: what is told below it hangs on it
	}
	if n.Sequence > b.acked && !(b.leaving && phase == flow.NodeAborted) {
		b.nodeEvent(id, n, phase, pick(phase.Terminal(), phase != flow.NodeQueued, n.EndedAt, n.StartedAt, n.QueuedAt))
	}
	for i := range n.Attempts {
		b.attempt(id, n, uint32(i))
	}
}

func (b *builder) nodeEvent(id string, n v1alpha1.NodeStatus, phase flow.NodePhase, at *metav1.MicroTime) {
	e := b.event(flow.EventNode, n.Sequence)
	e.Node, e.Parent, e.Phase = id, n.Parent, int32(phase)
	e.QueuedAt, e.StartedAt, e.EndedAt = at3(n.QueuedAt, n.StartedAt, n.EndedAt)
	e.OccurredAt = b.when(at, n.EndedAt, n.StartedAt, n.QueuedAt)
	detail, err := nodeDetail(n, e)
	b.add(e, detail, err)
}

func (b *builder) attempt(id string, n v1alpha1.NodeStatus, i uint32) {
	a := n.Attempts[i]
	phase := flow.TaskPhase(a.Phase)
	if a.Sequence <= b.acked || phase == flow.TaskUndefined || b.leaving && phase == flow.TaskAborted {
		return
	}
	if phase == flow.TaskRetryableFailed {
		phase = flow.TaskFailed // on the wire both are FAILED
	}
	b.taskEvent(id, n, i, phase, pick(phase.Terminal(), phase == flow.TaskRunning, a.EndedAt, a.StartedAt, a.QueuedAt))
}

func (b *builder) taskEvent(id string, n v1alpha1.NodeStatus, i uint32, phase flow.TaskPhase, at *metav1.MicroTime) {
	a := n.Attempts[i]
	e := b.event(flow.EventTask, a.Sequence)
	e.Node, e.Parent, e.Attempt, e.Phase = id, n.Parent, i, int32(phase)
	e.Version = uint32(a.Version)
	e.QueuedAt, e.StartedAt, e.EndedAt = at3(a.QueuedAt, a.StartedAt, a.EndedAt)
	e.OccurredAt = b.when(at, a.EndedAt, a.StartedAt, a.QueuedAt)
	detail, err := taskDetail(n, a, e)
	b.add(e, detail, err)
}

func (b *builder) add(e flow.Event, detail []byte, err error) {
	if err != nil {
		b.err = err
		return
	}
	e.Detail = detail
	b.events = append(b.events, e)
}

// pick chooses the time that belongs to a phase.
func pick(ended, started bool, end, start, queued *metav1.MicroTime) *metav1.MicroTime {
	switch {
	case ended:
		return end
	case started:
		return start
	}
	return queued
}

// when is the first time that is known; at last, the object's creation.
func (b *builder) when(times ...*metav1.MicroTime) time.Time {
	for _, t := range times {
		if t != nil && !t.IsZero() {
			return t.UTC()
		}
	}
	return b.fw.CreationTimestamp.UTC()
}

// at3 reads three times; one that is not set is zero.
func at3(queued, started, ended *metav1.MicroTime) (q, s, e time.Time) {
	read := func(t *metav1.MicroTime) time.Time {
		if t == nil || t.IsZero() {
			return time.Time{}
		}
		return t.UTC()
	}
	return read(queued), read(started), read(ended)
}
