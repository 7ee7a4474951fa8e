package workflow

import (
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/api/mutant"
)

// Fail is the step that ends an execution of which nothing can be run; as
// aborted, if that is asked of one that has not begun.
func Fail(v View, f *Failure) Step {
	s := Step{Nodes: map[string]*v1alpha1.NodeStatus{}, Status: v.Status, now: metav1.NewMicroTime(v.Now), seq: v.Status.Sequence + 1}
	s.Status.Nodes, s.Status.CompressedNodes, s.Status.Sequence = nil, nil, s.seq
	s.Status.ObservedRevision = v.Revision
	end := flow.ExecutionFailed
	if v.Abort && v.Status.Phase == "" {
		end, f = flow.ExecutionAborted, &Failure{Code: "Aborted", Message: v.Cause}
	}
	(&advance{Step: &s, v: &v}).close(end, f.err())
	return s
}

// advance is one decision on its way.
type advance struct {
	*Step
	v      *View
	runs   map[string]int  // attempt of each sub-workflow's node that has begun
	acting map[string]bool // nodes that this step starts something for

	recovered map[string]v1alpha1.RecoveredNode // of View.Recovery, by node; see left

	busy int // task nodes that are executing
}

// outcome is how a scope is.
type outcome struct {
	done    bool
	failing bool
	err     *v1alpha1.Error // set: it failed
	node    string          // unique id of the node that failed
	uri     string          // of its outputs
}

// Advance decides all that can move now. It is deterministic, and a View that
// has its Step's changes, and nothing new observed, gives in the end an empty
// Step.
func Advance(v View) Step {
	s := Step{base: v.Status.Nodes, Nodes: map[string]*v1alpha1.NodeStatus{}, Status: v.Status,
		now: metav1.NewMicroTime(v.Now), seq: v.Status.Sequence + 1}
	s.Status.Nodes, s.Status.CompressedNodes, s.Status.Sequence = nil, nil, s.seq
	s.Status.ObservedRevision = v.Revision
	s.Changed = v.Revision != v.Status.ObservedRevision
	if v.lapses() && !mutant.On("started-while-lease-ending") {
		v.MayStart = false
	}
	if phase := Phase(v.Status.Phase); !phase.Terminal() {
		a := &advance{Step: &s, v: &v, runs: map[string]int{}, acting: map[string]bool{}}
		a.count()
		a.run(scope{Template: v.Graph.root, dir: v.Data}, phase)
	}
	s.Changed = s.Changed || len(s.Nodes) > 0
	return s
}

// count finds what the status says only in sum.
func (a *advance) count() {
	for _, n := range a.base {
		if n.TaskType != "" && n.Phase != nodeUndefined && !flow.NodePhase(n.Phase).Terminal() {
			a.busy++
		}
		if n.Parent == "" {
			continue
		}
		if k, err := strconv.Atoi(n.RetryGroup); err == nil && k >= a.runs[n.Parent] {
			a.runs[n.Parent] = k
		}
	}
}

func (a *advance) run(root scope, phase flow.ExecutionPhase) {
	if a.v.Abort {
		a.abort(root)
		return
	}
	if phase < flow.ExecutionRunning {
		if !a.v.MayStart {
			a.Held++
			a.Changed = false // what has not begun says nothing
			return
		}
		a.begin(root)
	}
	a.finish(root)
	o := a.decide(root)
	switch {
	case o.done && o.err != nil:
		a.close(flow.ExecutionFailed, o.err)
	case o.done:
		a.close(flow.ExecutionSucceeded, nil)
		a.Status.OutputURI = o.uri
	case o.failing && a.Status.Phase != flow.ExecutionFailing.String():
		a.enter(flow.ExecutionFailing)
		a.Status.Error = o.err
	}
}

func (a *advance) begin(root scope) {
	a.Begin = &Begin{URI: root.outputs(StartNode, 0) + "/outputs.pb"}
	a.enter(flow.ExecutionRunning)
	a.Status.StartedAt = &a.now
	a.seeds = map[string]v1alpha1.NodeStatus{}
	a.resume(root)
}

// enter records a new phase of the execution.
func (a *advance) enter(p flow.ExecutionPhase) {
	a.Status.Phase, a.Status.PhaseSequence, a.Changed = p.String(), a.seq, true
}

func (a *advance) close(p flow.ExecutionPhase, err *v1alpha1.Error) {
	a.enter(p)
	a.Status.Error, a.Status.EndedAt = err, &a.now
	a.Next = time.Time{}
}

// finish records what was observed, in every scope, before anything is decided.
func (a *advance) finish(c scope) {
	for _, n := range nodesOf(c) {
		id := c.id(n.ID)
		st, ok := a.node(id)
		if !ok || flow.NodePhase(st.Phase).Terminal() {
			continue
		}
		switch n.Kind {
		case KindTask:
			a.finishTask(c, n, id)
		case KindSubWorkflow:
			if st.Phase == nodeRunning {
				a.finish(a.child(c, n))
			}
		case KindBranch:
			a.finish(a.cases(c, n))
		case KindEnd:
			a.finishFailing(id)
		}
	}
}

// nodesOf gives the nodes with the failure node last.
func nodesOf(c scope) []*Node {
	if c.Failure == nil {
		return c.Nodes
	}
	return append(c.Nodes[:len(c.Nodes):len(c.Nodes)], c.Failure)
}

// decide lets one scope go as far as it can.
func (a *advance) decide(c scope) outcome {
	a.open(c)
	for _, n := range c.Nodes {
		a.decideInner(c, n)
	}
	failed := a.firstFailed(c)
	if failed != nil && c.FailAtOnce {
		return a.fail(c, failed)
	}
	open := a.startReady(c)
	if failed = a.firstFailed(c); failed != nil && (open == 0 || c.FailAtOnce) {
		return a.fail(c, failed)
	}
	end, _ := a.node(c.id(EndNode))
	if end.Phase == nodeSucceeded {
		return outcome{done: true, uri: end.OutputURI}
	}
	return outcome{}
}

// open puts the start node of a scope that has begun.
func (a *advance) open(c scope) {
	id := c.id(StartNode)
	if _, there := a.node(id); there {
		return
	}
	start := a.record(c, &Node{ID: StartNode, Kind: KindStart, Spec: &core.Node{Id: StartNode}}, nodeSucceeded)
	if c.parent == "" {
		start.OutputURI = c.outputs(StartNode, 0) + "/outputs.pb"
		return
	}
	parent, _ := a.node(c.parent)
	start.OutputURI = parent.InputURI
}

func (a *advance) firstFailed(c scope) *Node {
	for _, n := range c.Nodes {
		st, _ := a.node(c.id(n.ID))
		if st.Phase == nodeFailed || st.Phase == int32(flow.NodeTimedOut) {
			return n
		}
	}
	return nil
}

// startReady starts, skips or enters each node whose turn it is, and counts
// those that are not decided yet.
func (a *advance) startReady(c scope) (open int) {
	for _, n := range c.Nodes {
		st, there := a.node(c.id(n.ID))
		switch {
		case there && flow.NodePhase(st.Phase).Terminal():
		case there:
			open++
			a.continueNode(c, n, st)
		default:
			switch a.ready(c, n) {
			case yes:
				open++
				a.startNode(c, n)
			case never:
				a.record(c, n, nodeSkipped)
			case notYet:
				open++
			}
		}
	}
	return open
}

type readiness int

const (
	notYet readiness = iota
	yes
	never
)

func (a *advance) ready(c scope, n *Node) readiness {
	r := yes
	for _, up := range n.Up {
		st, there := a.node(c.id(up.ID))
		switch p := flow.NodePhase(st.Phase); {
		case !there || !p.Terminal():
			r = notYet
		case p != flow.NodeSucceeded && p != flow.NodeRecovered:
			return never
		}
	}
	return r
}
