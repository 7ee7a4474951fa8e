package workflow

import (
	"slices"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/core"
)

// A branch node begins like a sub-workflow's: its inputs, which are what its
// conditions compare, are written. In the same step they choose the case: the
// nodes of all others are recorded as skipped, and the one that is left runs
// from the next step on. A skipped node stays so for ever, and so does the
// choice, whatever restarts meanwhile.

// cases is the scope of a branch node's cases. A branch node is never tried
// again, only what it runs is: its attempt is the first and only one.
func (a *advance) cases(c scope, n *Node) scope {
	return scope{Template: n.Cases, parent: c.id(n.ID), dir: c.outputs(n.ID, 0), around: &c}
}

func (a *advance) startBranch(c scope, n *Node) {
	id := c.id(n.ID)
	a.record(c, n, nodeQueued)
	a.acting[id] = true
	cases := a.cases(c, n)
	a.Enters = append(a.Enters, Enter{Node: id, Inputs: a.inputs(c, n), choice: n, cases: cases, taken: a.begun(cases)})
}

// settleChoice skips the cases that are not taken, as far as they were not
// skipped at an earlier epoch.
func (s *Step) settleChoice(e Enter, values map[string]*core.Literal) {
	taken := slices.Index(e.cases.Nodes, e.taken)
	if taken < 0 {
		var failure *Failure
		if taken, failure = choose(e.choice.Spec.GetBranchNode().GetIfElse(), values); failure == nil {
			taken, failure = s.kept(e.cases, taken)
		}
		if failure != nil {
			s.failing(s.Nodes[e.Node], failure)
		}
	}
	for i, n := range e.cases.Nodes {
		if _, skipped := s.node(e.cases.id(n.ID)); i != taken && !skipped {
			s.record(e.cases, n, nodeSkipped)
		}
	}
}

// kept holds a choice to what an earlier epoch skipped, which never runs. The
// two differ only if what the conditions compare was overwritten since; then
// the case that is left runs.
func (s *Step) kept(cases scope, taken int) (int, *Failure) {
	open := func(n *Node) bool {
		_, skipped := s.node(cases.id(n.ID))
		return !skipped
	}
	if open(cases.Nodes[taken]) {
		return taken, nil
	}
	if taken = slices.IndexFunc(cases.Nodes, open); taken < 0 {
		return taken, &Failure{Code: codeMalformed, Message: "every case was skipped on another cluster, and now one holds"}
	}
	return taken, nil
}

// taken is the case that was chosen: the one that was not skipped.
func (a *advance) taken(cases scope) *Node {
	for _, n := range cases.Nodes {
		if st, there := a.node(cases.id(n.ID)); !there || st.Phase != nodeSkipped {
			return n
		}
	}
	return nil
}

// decideBranch ends a branch node with the case that it runs, whose outputs
// are its own.
func (a *advance) decideBranch(c scope, n *Node) {
	id := c.id(n.ID)
	a.finishFailing(id)
	if st, _ := a.node(id); st.Phase != nodeRunning {
		return
	}
	cases := a.cases(c, n)
	taken := a.taken(cases)
	a.decideInner(cases, taken)
	st, _ := a.node(cases.id(taken.ID))
	switch p := flow.NodePhase(st.Phase); {
	case !p.Terminal():
	case p == flow.NodeSucceeded || p == flow.NodeRecovered:
		a.end(id, nodeSucceeded, nil).OutputURI = st.OutputURI
	case p == flow.NodeAborted:
		a.end(id, nodeAborted, st.Error)
	default:
		a.end(id, nodeFailed, st.Error)
	}
}

// continueBranch starts the case that was chosen, or lets it go on.
func (a *advance) continueBranch(c scope, n *Node, st v1alpha1.NodeStatus) {
	if st.Phase != nodeRunning {
		return
	}
	cases := a.cases(c, n)
	taken := a.taken(cases)
	if inner, there := a.node(cases.id(taken.ID)); there {
		a.continueNode(cases, taken, inner)
		return
	}
	a.startNode(cases, taken)
}
