package workflow

import (
	"fmt"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/api/flyteidl/core"
)

// Ids of the two nodes that a compiler adds to each workflow.
const (
	StartNode = "start-node"
	EndNode   = "end-node"
)

// Kind is what a node runs.
type Kind int

// The kinds of nodes. KindUnsupported fails when its turn comes.
const (
	KindUnsupported Kind = iota
	KindStart
	KindEnd
	KindTask
	KindSubWorkflow
	KindBranch
)

// Graph indexes a compiled workflow with all that it runs. It is immutable and
// may be shared.
type Graph struct {
	root      *Template
	tasks     map[v1alpha1.EntityRef]*core.TaskTemplate
	compiled  map[v1alpha1.EntityRef]*core.CompiledWorkflow
	templates map[v1alpha1.EntityRef]*Template
	pods      bool // see Pods
}

// Template is one workflow of a Graph.
type Template struct {
	ID            v1alpha1.EntityRef
	Interface     *core.TypedInterface
	FailAtOnce    bool // false: nodes that can still run do so first
	Interruptible bool
	Nodes         []*Node // in topological order; of a branch node, its cases
	Failure       *Node   // runs after a failure; may be nil
}

// Node is one node of a Template.
type Node struct {
	ID      string
	Kind    Kind
	Spec    *core.Node
	Task    *core.TaskTemplate // of KindTask
	Sub     *Template          // of KindSubWorkflow
	Cases   *Template          // of KindBranch: one of its nodes runs
	Up      []*Node            // of the same Template; for a case, nodes around the branch node
	aliases map[string]string  // alias → output variable

	operands map[string]*core.Variable // of KindBranch: inputs that are compared with constants
}

// NewGraph indexes a closure. It refuses one that names what it does not hold,
// or that runs in circles.
func NewGraph(closure *core.CompiledWorkflowClosure) (*Graph, error) {
	g := &Graph{
		tasks:     map[v1alpha1.EntityRef]*core.TaskTemplate{},
		compiled:  map[v1alpha1.EntityRef]*core.CompiledWorkflow{},
		templates: map[v1alpha1.EntityRef]*Template{},
	}
	for _, t := range closure.GetTasks() {
		g.tasks[Ref(t.GetTemplate().GetId())] = t.GetTemplate()
	}
	for _, w := range closure.GetSubWorkflows() {
		g.compiled[Ref(w.GetTemplate().GetId())] = w
	}
	if closure.GetPrimary().GetTemplate() == nil {
		return nil, fmt.Errorf("the closure has no primary workflow")
	}
	root, err := g.build(closure.GetPrimary())
	g.root = root
	return g, err
}

// Root is the workflow that the execution runs.
func (g *Graph) Root() *Template { return g.root }

// Task is the task of that id, or nil.
func (g *Graph) Task(id v1alpha1.EntityRef) *core.TaskTemplate { return g.tasks[id] }

// Ref is an identifier without its kind.
func Ref(id *core.Identifier) v1alpha1.EntityRef {
	return v1alpha1.EntityRef{Project: id.GetProject(), Domain: id.GetDomain(), Name: id.GetName(), Version: id.GetVersion()}
}

// Inputs are the declared inputs of what the node runs or compares; nil for a
// start node.
func (n *Node) Inputs() map[string]*core.Variable {
	switch n.Kind {
	case KindTask:
		return n.Task.GetInterface().GetInputs().GetVariables()
	case KindSubWorkflow:
		return n.Sub.Interface.GetInputs().GetVariables()
	case KindBranch:
		return n.operands
	}
	return nil
}

// Retries is how often a failed attempt of the node is tried again.
func (n *Node) Retries() int {
	if r := n.Spec.GetMetadata().GetRetries(); r != nil {
		return int(r.GetRetries())
	}
	return int(n.Task.GetMetadata().GetRetries().GetRetries())
}

func (g *Graph) build(w *core.CompiledWorkflow) (*Template, error) {
	spec := w.GetTemplate()
	t := &Template{
		ID:            Ref(spec.GetId()),
		Interface:     spec.GetInterface(),
		FailAtOnce:    spec.GetMetadata().GetOnFailure() == core.WorkflowMetadata_FAIL_IMMEDIATELY,
		Interruptible: spec.GetMetadataDefaults().GetInterruptible(),
	}
	g.templates[t.ID] = nil // being built: met again, it is a circle
	byID := map[string]*Node{}
	for _, n := range withEnds(spec) {
		node, err := g.node(t, n)
		if err != nil {
			return nil, fmt.Errorf("workflow %s: node %s: %w", t.ID.Name, n.GetId(), err)
		}
		byID[node.ID] = node
		t.Nodes = append(t.Nodes, node)
	}
	if f := spec.GetFailureNode(); f != nil {
		node, err := g.node(t, f)
		if err != nil {
			return nil, fmt.Errorf("workflow %s: failure node: %w", t.ID.Name, err)
		}
		t.Failure = node
	}
	if err := connect(t, byID, w.GetConnections()); err != nil {
		return nil, fmt.Errorf("workflow %s: %w", t.ID.Name, err)
	}
	g.templates[t.ID] = t
	return t, nil
}

// withEnds gives the nodes with a start and an end, should they be missing.
func withEnds(spec *core.WorkflowTemplate) []*core.Node {
	nodes := spec.GetNodes()
	var start, end bool
	for _, n := range nodes {
		start = start || n.GetId() == StartNode
		end = end || n.GetId() == EndNode
	}
	if !start {
		nodes = append([]*core.Node{{Id: StartNode}}, nodes...)
	}
	if !end {
		ids := make([]string, 0, len(nodes))
		for _, n := range nodes {
			ids = append(ids, n.GetId())
		}
		nodes = append(nodes[:len(nodes):len(nodes)], &core.Node{Id: EndNode, Inputs: spec.GetOutputs(), UpstreamNodeIds: ids})
	}
	return nodes
}

func (g *Graph) node(t *Template, spec *core.Node) (*Node, error) {
	n := &Node{ID: spec.GetId(), Spec: spec}
	for _, a := range spec.GetOutputAliases() {
		if n.aliases == nil {
			n.aliases = map[string]string{}
		}
		n.aliases[a.GetAlias()] = a.GetVar()
	}
	switch {
	case n.ID == StartNode:
		n.Kind = KindStart
	case n.ID == EndNode:
		n.Kind = KindEnd
	case spec.GetTaskNode() != nil:
		n.Kind = KindTask
		ref := Ref(spec.GetTaskNode().GetReferenceId())
		if n.Task = g.tasks[ref]; n.Task == nil {
			return nil, fmt.Errorf("the closure has no task %s", ref.Name)
		}
		g.pods = g.pods || bringsPod(n.Task, spec)
	case spec.GetWorkflowNode().GetSubWorkflowRef() != nil:
		n.Kind = KindSubWorkflow
		sub, err := g.subWorkflow(Ref(spec.GetWorkflowNode().GetSubWorkflowRef()))
		if err != nil {
			return nil, err
		}
		n.Sub = sub
	case spec.GetBranchNode() != nil:
		n.Kind = KindBranch
		if err := g.branch(t, n); err != nil {
			return nil, err
		}
	}
	return n, nil
}

func (g *Graph) subWorkflow(ref v1alpha1.EntityRef) (*Template, error) {
	if t, met := g.templates[ref]; met {
		if t == nil {
			return nil, fmt.Errorf("workflow %s runs itself", ref.Name)
		}
		return t, nil
	}
	w := g.compiled[ref]
	if w == nil {
		return nil, fmt.Errorf("the closure has no workflow %s", ref.Name)
	}
	return g.build(w)
}
