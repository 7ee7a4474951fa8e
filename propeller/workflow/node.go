package workflow

import (
	"fmt"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/api/flow"
)

// startNode starts a node whose upstream has succeeded, if it may.
func (a *advance) startNode(c scope, n *Node) {
	if !a.v.MayStart {
		a.Held++
		return
	}
	switch n.Kind {
	case KindTask:
		a.startTask(c, n)
	case KindSubWorkflow:
		a.record(c, n, nodeQueued)
		a.acting[c.id(n.ID)] = true
		a.Enters = append(a.Enters, Enter{Node: c.id(n.ID), Inputs: a.inputs(c, n)})
	case KindBranch:
		a.startBranch(c, n)
	case KindEnd:
		a.startEnd(c, n)
	default:
		st := a.record(c, n, nodeFailed)
		st.EndedAt = &a.now
		st.Error = (&Failure{Code: "UnsupportedNode",
			Message: fmt.Sprintf("node %s is of a kind that this propeller does not run", n.ID)}).err()
	}
}

// continueNode does what a node that has begun waits for.
func (a *advance) continueNode(c scope, n *Node, st v1alpha1.NodeStatus) {
	switch n.Kind {
	case KindTask:
		a.continueTask(c, n, st)
	case KindBranch:
		a.continueBranch(c, n, st)
	}
}

// decideInner lets what runs inside a node go on, and ends the node with it.
func (a *advance) decideInner(c scope, n *Node) {
	switch n.Kind {
	case KindSubWorkflow:
		a.decideSub(c, n)
	case KindBranch:
		a.decideBranch(c, n)
	}
}

func (a *advance) startEnd(c scope, n *Node) {
	if !declaresOutputs(c.Interface) && len(n.Spec.GetInputs()) == 0 {
		a.record(c, n, nodeSucceeded)
		return
	}
	uris := []string{c.outputs(EndNode, 0) + "/outputs.pb"}
	if c.parent != "" {
		uris = []string{c.dir + "/outputs.pb", uris[0]}
	}
	a.record(c, n, nodeQueued)
	in := a.inputs(c, n)
	in.Declared = c.Interface.GetOutputs().GetVariables()
	a.acting[c.id(n.ID)] = true
	a.Ends = append(a.Ends, End{Node: c.id(n.ID), Inputs: in, URIs: uris})
}

// decideSub lets the sub-workflow of a running node go on, and ends the node
// with it.
func (a *advance) decideSub(c scope, n *Node) {
	id := c.id(n.ID)
	st, there := a.node(id)
	if there && st.Phase == nodeFailing {
		a.end(id, nodeFailed, st.Error)
		return
	}
	if !there || st.Phase != nodeRunning {
		return
	}
	o := a.decide(a.child(c, n))
	switch {
	case !o.done:
	case o.err == nil:
		a.end(id, nodeSucceeded, nil).OutputURI = o.uri
	case a.runs[id] < int(n.Spec.GetMetadata().GetRetries().GetRetries()):
		if !a.v.MayStart {
			a.Held++
			return
		}
		a.runs[id]++
		a.decide(a.child(c, n))
	default:
		a.end(id, nodeFailed, a.exhausted(a.runs[id]+1, n.Spec.GetMetadata().GetRetries().GetRetries() > 0, o.err))
	}
}

func (a *advance) exhausted(tries int, retried bool, err *v1alpha1.Error) *v1alpha1.Error {
	if !retried {
		return err
	}
	e := *err
	e.Code = "RetriesExhausted|" + err.Code
	e.Message = fmt.Sprintf("[%d/%d] currentAttempt done. Last Error: %s::%s", tries, tries, err.Kind, err.Message)
	return &e
}

// finishFailing ends a node whose inputs or outputs could not be resolved.
func (a *advance) finishFailing(id string) {
	if st, _ := a.node(id); st.Phase == nodeFailing {
		a.end(id, nodeFailed, st.Error)
	}
}

// fail stops what runs in a scope, then runs its failure node, then fails.
func (a *advance) fail(c scope, failed *Node) outcome {
	st, _ := a.node(c.id(failed.ID))
	o := outcome{failing: true, err: st.Error, node: c.id(failed.ID)}
	if a.stop(c) > 0 {
		a.look(a.v.Now.Add(a.v.Policy.Aborting))
		return o
	}
	o.done = c.Failure == nil || a.handled(c, failed, st.Error)
	return o
}

// stop aborts what runs in a scope, and counts what is not stopped yet.
func (a *advance) stop(c scope) (live int) {
	for _, n := range c.Nodes {
		live += a.stopNode(c, n)
	}
	return live
}

func (a *advance) stopNode(c scope, n *Node) int {
	id := c.id(n.ID)
	st, there := a.node(id)
	if !there || flow.NodePhase(st.Phase).Terminal() {
		return 0
	}
	if a.acting[id] { // what this very step starts is stopped by the next
		return 1
	}
	err := (&Failure{Code: "NodeAborted", Message: a.reason()}).err()
	if n.Kind == KindSubWorkflow && st.Phase == nodeRunning {
		child := a.child(c, n)
		live := a.stop(child)
		if child.Failure != nil {
			live += a.stopNode(child, child.Failure)
		}
		if live > 0 {
			return live
		}
	}
	if n.Kind == KindBranch {
		if live := a.stop(a.cases(c, n)); live > 0 {
			return live
		}
	}
	if k := len(st.Attempts) - 1; k >= 0 && !ended(st.Attempts[k]) {
		a.Aborts = append(a.Aborts, Abort{Attempt: Attempt{id, k}, phase: taskAborted, err: err, endNode: true})
		return 1
	}
	a.end(id, nodeAborted, err)
	return 0
}

func (a *advance) reason() string {
	if a.v.Abort {
		return a.v.Cause
	}
	return "aborted because another node failed"
}

// abort ends the execution as it was asked to.
func (a *advance) abort(root scope) {
	a.finish(root)
	live := a.stop(root)
	if root.Failure != nil {
		live += a.stopNode(root, root.Failure)
	}
	if live > 0 {
		a.look(a.v.Now.Add(a.v.Policy.Aborting))
		if a.Status.Phase != flow.ExecutionAborting.String() {
			a.enter(flow.ExecutionAborting)
		}
		return
	}
	a.close(flow.ExecutionAborted, (&Failure{Code: "Aborted", Message: a.v.Cause}).err())
}
