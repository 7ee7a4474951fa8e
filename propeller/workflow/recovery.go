package workflow

import (
	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/mutant"
)

// A resumed execution begins with what earlier epochs left. What has ended
// stands: it is put into the first status at sequence 0, which nobody reports,
// since the control plane has it. What was open is put there with phase 0 and
// one ended attempt for each that was ever stored, and counts as not begun: its
// turn comes as it does for any node, and its next attempt has the next number.
// Inputs are resolved anew, under the new epoch's folder; outputs are read where
// they lie. Nothing of it is decided here a second time.

// Lapsed is the code of an attempt that was stopped because its lease ended. It
// is charged to no retries.
const Lapsed = "LeaseLapsed"

// resume puts what View.Recovery tells of a scope's nodes into the status.
func (a *advance) resume(c scope) {
	for _, n := range nodesOf(c) {
		id := c.id(n.ID)
		r, known := a.left(id)
		if !known {
			continue
		}
		st := a.leave(c, n, r)
		if flow.NodePhase(st.Phase).Terminal() {
			continue // nothing inside it can follow
		}
		switch n.Kind {
		case KindSubWorkflow:
			a.resumeSub(c, n)
		case KindBranch:
			a.resume(a.cases(c, n))
		}
	}
}

// resumeSub goes on with the last attempt of a sub-workflow's node of which
// anything is known.
func (a *advance) resumeSub(c scope, n *Node) {
	id := c.id(n.ID)
	for k := int(n.Spec.GetMetadata().GetRetries().GetRetries()); k >= 0; k-- {
		a.runs[id] = k
		child := a.child(c, n)
		for _, inner := range nodesOf(child) {
			if _, known := a.left(child.id(inner.ID)); known {
				a.resume(child)
				return
			}
		}
	}
}

// leave writes down what is known of one node.
func (a *advance) leave(c scope, n *Node, r v1alpha1.RecoveredNode) v1alpha1.NodeStatus {
	if mutant.On("succeeded-node-runs-again") {
		r.Phase = nodeUndefined
	}
	if mutant.On("attempts-begin-anew") {
		r.NextAttempt, r.Charged = 0, 0
	}
	if mutant.On("lost-attempt-charged") {
		r.Charged = r.NextAttempt
	}
	phase := int32(flow.NodeUndefined)
	if stands(r.Phase) {
		phase = r.Phase
	}
	st := a.record(c, n, phase)
	st.Sequence, st.QueuedAt, st.StartedAt, st.EndedAt = 0, r.StartedAt, r.StartedAt, nil
	if stands(r.Phase) {
		st.OutputURI, st.Error = r.OutputURI, r.Error
		if failed(r.Phase) && st.Error == nil {
			st.Error = (&Failure{Code: "Unknown", Message: "the node failed on another cluster", System: true}).err()
		}
	} else {
		st.Checkpoint, st.Uncharged = r.Checkpoint, r.NextAttempt-r.Charged
		for range r.NextAttempt {
			st.Attempts = append(st.Attempts, v1alpha1.AttemptStatus{Phase: taskAborted})
		}
	}
	a.seeds[c.id(n.ID)] = clone(*st)
	return *st
}

// left is what earlier epochs left of a node.
func (a *advance) left(id string) (v1alpha1.RecoveredNode, bool) {
	if a.recovered == nil {
		a.recovered = make(map[string]v1alpha1.RecoveredNode, len(a.v.Recovery))
		for _, r := range a.v.Recovery {
			a.recovered[r.Node] = r
		}
	}
	r, known := a.recovered[id]
	return r, known
}

// stands reports whether a node that earlier epochs left in a phase has ended.
// What was aborted has not: its run ended, not its work.
func stands(phase int32) bool {
	switch flow.NodePhase(phase) {
	case flow.NodeSucceeded, flow.NodeSkipped, flow.NodeRecovered:
		return true
	}
	return failed(phase)
}

func failed(phase int32) bool {
	return phase == nodeFailed || phase == int32(flow.NodeTimedOut)
}

// earlier reports whether an attempt was made at an earlier epoch.
func earlier(at v1alpha1.AttemptStatus) bool { return at.Object == "" }

// begun is the case of a branch node of which an earlier epoch ran something, or
// nil. Without it the choice is made again, from the same inputs: that some
// cases were skipped does not say that the last one was not, for of the records
// of one step some may have been lost with the cluster.
func (a *advance) begun(cases scope) *Node {
	for _, n := range cases.Nodes {
		if st, seeded := a.seeded(cases.id(n.ID)); seeded && st.Phase != nodeSkipped {
			return n
		}
	}
	return nil
}

// seeded reads a node as an earlier epoch left it.
func (a *advance) seeded(id string) (v1alpha1.NodeStatus, bool) {
	if n, ok := a.Nodes[id]; ok && n.Sequence == 0 {
		return *n, true
	}
	n, ok := a.base[id]
	return n, ok && n.Sequence == 0
}

// spent reports whether a node that was open has no retries left.
func spent(n *Node, st *v1alpha1.NodeStatus) bool { return charged(*st) > n.Retries() }

// charged counts the attempts that were charged to the node's retries.
func charged(st v1alpha1.NodeStatus) int {
	k := len(st.Attempts) - int(st.SystemFailures) - int(st.Uncharged)
	for _, at := range st.Attempts {
		if lapsed(at) && !mutant.On("stopped-attempt-charged") {
			k--
		}
	}
	return k
}

// lapsed reports whether an attempt was stopped because its lease ended.
func lapsed(at v1alpha1.AttemptStatus) bool { return at.Lapsed && at.Phase == taskAborted }
