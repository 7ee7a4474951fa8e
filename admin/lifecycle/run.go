package lifecycle

import (
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/event"
)

// nodeRank orders the phases of a node as they can follow each other.
func nodeRank(p flow.NodePhase) int {
	switch p {
	case flow.NodeQueued:
		return 1
	case flow.NodeRunning, flow.NodeDynamicRunning:
		return 2
	case flow.NodeFailing:
		return 3
	}
	if p.Terminal() {
		return 4
	}
	return 0
}

// stands reports whether a node's end is what a resumed epoch goes on from.
func stands(p flow.NodePhase) bool {
	return p == flow.NodeSucceeded || p == flow.NodeSkipped || p == flow.NodeRecovered
}

// inherited reports whether a row was taken over from an earlier epoch. What
// such a row closed as lost begins anew; what stands, stands.
func inherited(x flow.Execution, row, now flow.Epoch) bool { return x.Resumed && row.Less(now) }

// knownNode answers an event that changes nothing about its node: what is known
// already, what comes too late, and what an earlier epoch has settled.
func knownNode(r flow.Recorded, e flow.Event, to flow.NodePhase) (res flow.EventResult, known bool) {
	old := r.Node
	switch {
	case old == nil:
	case e.Epoch == old.Epoch && e.Sequence <= old.Sequence:
		return accept(), true
	case e.Epoch == old.Epoch && old.Phase.Terminal():
		return refuse("node %s is %s already, %s comes too late", e.Node, old.Phase, to), true
	case e.Epoch == old.Epoch && nodeRank(to) < nodeRank(old.Phase):
		return refuse("node %s cannot go back from %s to %s", e.Node, old.Phase, to), true
	}
	if res := open(r.Execution); !res.Accepted {
		return res, true
	}
	if old == nil || !inherited(r.Execution, old.Epoch, e.Epoch) || !stands(old.Phase) {
		return flow.EventResult{}, false
	}
	if stands(to) {
		return accept(), true
	}
	return refuse("node %s is %s since epoch %s, and a resumed epoch does not reopen it", e.Node, old.Phase, old.Epoch), true
}

// applyNode records the newest state of one node. Records are whole states, so
// that coalesced phases need no order between nodes.
func applyNode(r flow.Recorded, e flow.Event) (flow.Recorded, flow.EventResult) {
	to := flow.NodePhase(e.Phase)
	if nodeRank(to) == 0 || e.Node == "" {
		return r, refuse("node event of phase %s for node %q cannot be recorded", to, e.Node)
	}
	if res, known := knownNode(r, e, to); known {
		return r, res
	}
	old := r.Node
	if proto.Unmarshal(e.Detail, &event.NodeExecutionEvent{}) != nil {
		return r, refuse("detail of a node event cannot be read")
	}
	n := flow.NodeExecution{ID: flow.NodeID{Execution: e.Execution, Node: e.Node}}
	if old != nil {
		n = *old
	}
	if n.Epoch != e.Epoch { // a node that a lost cluster closed begins anew
		n.StartedAt, n.EndedAt, n.Reason = time.Time{}, time.Time{}, ""
	}
	n.Parent, n.Epoch, n.Phase, n.Sequence, n.Detail = e.Parent, e.Epoch, to, e.Sequence, e.Detail
	n.CreatedAt = first(n.CreatedAt, e.QueuedAt, e.OccurredAt)
	n.UpdatedAt = e.OccurredAt
	n.StartedAt = from(n.CreatedAt, first(n.StartedAt, e.StartedAt))
	n.EndedAt = from(n.StartedAt, first(n.EndedAt, e.EndedAt))
	if to.Terminal() {
		n.EndedAt = first(n.EndedAt, e.OccurredAt)
	}
	r.Node = &n
	return r, accept()
}

// applyTask records the newest state of one attempt.
func applyTask(r flow.Recorded, e flow.Event) (flow.Recorded, flow.EventResult) {
	to := flow.TaskPhase(e.Phase)
	if to.Rank() == 0 || e.Node == "" {
		return r, refuse("task event of phase %s for node %q cannot be recorded", to, e.Node)
	}
	old := r.Task
	if old != nil && e.Epoch == old.Epoch {
		switch {
		case e.Sequence <= old.Sequence:
			return r, accept()
		case old.Phase.Terminal():
			return r, refuse("attempt %d of node %s is %s already, %s comes too late", e.Attempt, e.Node, old.Phase, to)
		case to.Rank() < old.Phase.Rank():
			return r, refuse("attempt %d of node %s cannot go back from %s to %s", e.Attempt, e.Node, old.Phase, to)
		}
	}
	if res := open(r.Execution); !res.Accepted {
		return r, res
	}
	if old != nil && inherited(r.Execution, old.Epoch, e.Epoch) && old.Phase == flow.TaskSucceeded {
		if to == flow.TaskSucceeded {
			return r, accept()
		}
		return r, refuse("attempt %d of node %s is %s since epoch %s, and a resumed epoch does not reopen it", e.Attempt, e.Node, old.Phase, old.Epoch)
	}
	var detail event.TaskExecutionEvent
	if proto.Unmarshal(e.Detail, &detail) != nil {
		return r, refuse("detail of a task event cannot be read")
	}
	r.Task = foldTask(old, e, &detail)
	return r, accept()
}

func foldTask(old *flow.TaskExecution, e flow.Event, detail *event.TaskExecutionEvent) *flow.TaskExecution {
	t := flow.TaskExecution{
		Node:    flow.NodeID{Execution: e.Execution, Node: e.Node},
		Attempt: e.Attempt,
		Task: flow.EntityID{
			Project: detail.GetTaskId().GetProject(), Domain: detail.GetTaskId().GetDomain(),
			Name: detail.GetTaskId().GetName(), Version: detail.GetTaskId().GetVersion(),
		},
	}
	if old != nil {
		t = *old
	}
	if t.Epoch != e.Epoch {
		t.StartedAt, t.EndedAt, t.Reason = time.Time{}, time.Time{}, ""
	}
	t.Epoch, t.Phase, t.Version, t.Sequence, t.Detail = e.Epoch, flow.TaskPhase(e.Phase), e.Version, e.Sequence, e.Detail
	t.CreatedAt = first(t.CreatedAt, e.QueuedAt, e.OccurredAt)
	t.UpdatedAt = e.OccurredAt
	t.StartedAt = from(t.CreatedAt, first(t.StartedAt, e.StartedAt))
	t.EndedAt = from(t.StartedAt, first(t.EndedAt, e.EndedAt))
	if t.Phase.Terminal() {
		t.EndedAt = first(t.EndedAt, e.OccurredAt)
	}
	return &t
}

// open reports whether the execution still takes news of its nodes.
func open(x flow.Execution) flow.EventResult {
	if x.Phase.Terminal() {
		return refuse("execution is %s already", x.Phase)
	}
	return accept()
}
