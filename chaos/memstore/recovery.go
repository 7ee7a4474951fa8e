package memstore

import (
	"google.golang.org/protobuf/proto"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/api/flyteidl/event"
)

// recovery is what earlier epochs left behind for the current one.
func (r *run) recovery() flow.Recovery {
	var out flow.Recovery
	for _, name := range sortedKeys(r.nodes) {
		if n := r.nodes[name]; n.Epoch.Less(r.e.Epoch) {
			out.Nodes = append(out.Nodes, r.recovered(name, n))
		}
	}
	return out
}

// recovered is what the next epoch has to know of a node.
func (r *run) recovered(name string, n flow.NodeExecution) flow.RecoveredNode {
	one := flow.RecoveredNode{Node: name, Parent: n.Parent, StartedAt: n.StartedAt}
	var detail event.NodeExecutionEvent
	if proto.Unmarshal(n.Detail, &detail) == nil {
		one.Checkpoint = detail.GetTaskNodeMetadata().GetCheckpointUri()
		switch n.Phase {
		case flow.NodeSucceeded, flow.NodeSkipped, flow.NodeRecovered:
			one.Phase, one.OutputURI = n.Phase, detail.GetOutputUri()
		case flow.NodeFailed, flow.NodeTimedOut:
			one.Phase = n.Phase
			if failure := detail.GetError(); failure != nil {
				one.Error, _ = proto.Marshal(failure) // what was unmarshalled a moment ago
			}
		}
	}
	for _, key := range sortedAttempts(r.tasks) {
		k := r.tasks[key]
		if key.node != name || !k.Epoch.Less(r.e.Epoch) {
			continue
		}
		one.NextAttempt = max(one.NextAttempt, key.n+1)
		if charged(k) {
			one.Charged++
		}
	}
	return one
}

// charged reports whether the retry budget paid for an attempt: it failed, and
// by an error of its own.
func charged(k flow.TaskExecution) bool {
	var detail event.TaskExecutionEvent
	if k.Phase != flow.TaskFailed && k.Phase != flow.TaskRetryableFailed {
		return false
	}
	return proto.Unmarshal(k.Detail, &detail) != nil || detail.GetError().GetKind() != core.ExecutionError_SYSTEM
}
