package workflow

import (
	"cmp"
	"maps"
	"slices"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/api/flow"
)

// ledger keeps the rows that the control plane keeps of one execution: what
// events said, the newest epoch's over those before it.
type ledger struct {
	epoch flow.Epoch
	nodes map[string]nodeRow
	tasks map[Attempt]taskRow
	acked int64
}

type nodeRow struct {
	epoch flow.Epoch
	v1alpha1.NodeStatus
}

type taskRow struct {
	epoch flow.Epoch
	v1alpha1.AttemptStatus
}

func newLedger() *ledger {
	return &ledger{epoch: flow.Epoch{Era: 1, N: 1}, nodes: map[string]nodeRow{}, tasks: map[Attempt]taskRow{}}
}

// record takes the events that a status has above the acked sequence, in the
// order in which a member sends them; of those the first few if most is not
// negative, the rest being lost with the cluster.
func (l *ledger) record(s v1alpha1.FlyteWorkflowStatus, most int) {
	done := map[string]bool{}
	var events []func()
	var tell func(id string)
	tell = func(id string) {
		n, there := s.Nodes[id]
		spec := cmp.Or(n.SpecID, id)
		if !there || done[id] || n.Phase == nodeUndefined || spec == StartNode || spec == EndNode {
			return
		}
		done[id] = true
		tell(n.Parent)
		if n.Sequence > l.acked {
			events = append(events, func() { l.nodes[id] = nodeRow{l.epoch, n} })
		}
		for k, at := range n.Attempts {
			if at.Sequence > l.acked {
				events = append(events, func() { l.tasks[Attempt{id, k}] = taskRow{l.epoch, at} })
			}
		}
	}
	ids := slices.SortedFunc(maps.Keys(s.Nodes), func(x, y string) int {
		return cmp.Or(cmp.Compare(s.Nodes[x].Sequence, s.Nodes[y].Sequence), cmp.Compare(x, y))
	})
	for _, id := range ids {
		tell(id)
	}
	for i, e := range events {
		if most < 0 || i < most {
			e()
		}
	}
	l.acked = s.Sequence
}

// move closes what is open, as a forced move does, and reads what the next
// epoch is to know.
func (l *ledger) move() []v1alpha1.RecoveredNode {
	l.epoch, l.acked = l.epoch.Next(), 0
	var left []v1alpha1.RecoveredNode
	for id, n := range l.nodes {
		r := v1alpha1.RecoveredNode{Node: id, Parent: n.Parent, StartedAt: n.StartedAt, Checkpoint: n.Checkpoint}
		if stands(n.Phase) {
			r.Phase, r.OutputURI, r.Error = n.Phase, n.OutputURI, n.Error
		} else if !flow.NodePhase(n.Phase).Terminal() {
			n.Phase = nodeAborted
			l.nodes[id] = n
		}
		left = append(left, r)
	}
	slices.SortFunc(left, func(x, y v1alpha1.RecoveredNode) int { return cmp.Compare(x.Node, y.Node) })
	for at, row := range l.tasks {
		if !ended(row.AttemptStatus) {
			row.Phase = taskAborted
			l.tasks[at] = row
		}
		i := slices.IndexFunc(left, func(r v1alpha1.RecoveredNode) bool { return r.Node == at.Node })
		r := &left[i]
		r.NextAttempt = max(r.NextAttempt, int32(at.Number)+1)
		if p := flow.TaskPhase(row.Phase); p == flow.TaskFailed || p == flow.TaskRetryableFailed {
			r.Charged++
		}
	}
	return left
}
