package workflow

import (
	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/core"
)

// handled runs the failure node of a scope, once all else has ended, and
// reports whether it has ended too. Its own end changes nothing: the workflow
// fails with the error that it had.
func (a *advance) handled(c scope, failed *Node, err *v1alpha1.Error) bool {
	n := c.Failure
	st, there := a.node(c.id(n.ID))
	if there {
		a.decideInner(c, n)
		st, _ = a.node(c.id(n.ID))
	}
	switch {
	case there && flow.NodePhase(st.Phase).Terminal():
		return true
	case there:
		a.continueNode(c, n, st)
		return false
	}
	a.startNode(c, n)
	cause := &core.Error{FailedNodeId: c.id(failed.ID), Message: err.Message}
	a.because(c.id(n.ID), cause)
	st, there = a.node(c.id(n.ID))
	return there && flow.NodePhase(st.Phase).Terminal()
}

// because tells a failure node's inputs why the workflow failed.
func (a *advance) because(id string, cause *core.Error) {
	for i := range a.Starts {
		if a.Starts[i].Node == id {
			a.Starts[i].Inputs.Err = cause
		}
	}
	for i := range a.Enters {
		if a.Enters[i].Node == id {
			a.Enters[i].Inputs.Err = cause
		}
	}
}
