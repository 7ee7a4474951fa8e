package compile

import (
	"strings"
	"unicode"

	"google.golang.org/protobuf/proto"

	"github.com/skein-project/skein/api/flyteidl/core"
)

// indexSubWorkflows keys the sub-workflows by id.
func (c *compiler) indexSubWorkflows() {
	for _, t := range c.in.SubWorkflows {
		key := Key(t.GetId())
		known, twice := c.subs[key]
		switch {
		case t.GetId() == nil:
			c.found.add(place{}, ValueRequired, "a sub-workflow has no id")
		case !twice:
			c.subs[key] = t
		case !proto.Equal(known, t):
			c.found.add(place{}, DuplicateID, "sub-workflow %s is given twice, with different content", key)
		}
	}
	c.order = sortedKeys(c.subs)
}

// recursive reports whether a workflow contains itself, and records each way
// in which it does. Interfaces of such workflows cannot be relied on, so
// nothing else is checked then.
func (c *compiler) recursive() bool {
	names := []string{c.in.Template.GetId().GetName()}
	index := map[string]int{Key(c.in.Template.GetId()): 0, Key(c.in.ID): 0}
	all := []*core.WorkflowTemplate{c.in.Template}
	for _, key := range c.order {
		if _, primary := index[key]; !primary {
			index[key] = len(all)
			all = append(all, c.subs[key])
			names = append(names, c.subs[key].GetId().GetName())
		}
	}
	contains := make([][]int, len(all))
	for i, t := range all {
		for _, ref := range References(t, nil).Workflows {
			if j, ok := index[Key(ref)]; ok {
				contains[i] = append(contains[i], j)
			}
		}
	}
	cycles, _ := findCycles(contains)
	for _, cycle := range cycles {
		path := make([]string, len(cycle))
		for i, at := range cycle {
			path[len(cycle)-1-i] = names[at] // what contains comes before what it contains
		}
		c.found.add(place{}, CycleDetected, "a workflow contains itself: %s", strings.Join(path, " → "))
	}
	return len(cycles) > 0
}

// scope is one workflow under compilation. Its template is our own copy.
type scope struct {
	*compiler
	at      place
	t       *core.WorkflowTemplate
	inputs  map[string]*core.LiteralType
	nodes   map[string]*node // every node by id; those in branches by their full id
	order   []*node
	failure *node
}

// node is one node under compilation.
type node struct {
	*core.Node
	at       place
	parent   *node // the branch node it is in
	depth    int   // of branch nodes around it
	iface    *iface
	upstream map[string]bool
	aliases  map[string]string // of its outputs, by alias

	// What outputs found where there is no interface, so as to look once.
	inferred   bool
	given      map[string]*core.LiteralType
	givenKnown bool
}

func (c *compiler) compileWorkflow(t *core.WorkflowTemplate, rank int) *core.CompiledWorkflow {
	s := &scope{
		compiler: c,
		at:       place{rank: rank},
		t:        proto.Clone(t).(*core.WorkflowTemplate),
		nodes:    map[string]*node{},
	}
	if rank > 0 {
		s.at.workflow = t.GetId().GetName()
	}
	if t.GetId() == nil && c.in.ID == nil {
		c.found.add(s.at, ValueRequired, "the workflow has no id")
	}
	checkVariables(&c.found, s.at, "input", t.GetInterface().GetInputs())
	checkVariables(&c.found, s.at, "output", t.GetInterface().GetOutputs())
	s.inputs = types(t.GetInterface().GetInputs())
	s.collectAll()
	for _, n := range s.all() {
		s.checkNode(n)
	}
	for _, n := range s.all() {
		s.bindNode(n)
	}
	end := s.bindOutputs()
	return &core.CompiledWorkflow{Template: s.t, Connections: s.connect(end)}
}

// all lists the nodes in order, the failure node last.
func (s *scope) all() []*node {
	if s.failure == nil {
		return s.order
	}
	return append(s.order[:len(s.order):len(s.order)], s.failure)
}

func (s *scope) collectAll() {
	if len(s.t.GetNodes()) == 0 && len(s.t.GetOutputs()) == 0 {
		s.found.add(s.at, NoNodesFound, "the workflow has no nodes and passes no input through")
	}
	for _, n := range s.t.GetNodes() {
		s.collect(n, nil)
	}
	if f := s.t.GetFailureNode(); f != nil {
		n := s.newNode(f, nil)
		s.checkID(n)
		s.failure = n
		if n.GetTaskNode() == nil && n.GetWorkflowNode() == nil {
			s.found.add(n.at, WorkflowBuildError, "a failure node runs a task, a workflow or a launch plan")
		}
	}
}

// collect adds a node and those in its branches. The nodes of a branch live
// beside the branch node, and their ids are unique in the branch only, so they
// are named after it, as Flyte's compiler does: "n1-n0".
func (s *scope) collect(p *core.Node, parent *node) {
	if parent != nil {
		p.Id = parent.GetId() + "-" + p.GetId()
	}
	n := s.newNode(p, parent)
	if s.checkID(n) {
		s.nodes[p.GetId()] = n
		s.order = append(s.order, n)
	}
	if n.depth == maxNesting && n.GetBranchNode() != nil {
		s.found.add(n.at, WorkflowBuildError, "conditionals are nested deeper than %d: put this one into a sub-workflow", maxNesting)
		return
	}
	for _, inner := range Cases(p) {
		if inner != nil {
			s.collect(inner, n)
		}
	}
}

func (s *scope) newNode(p *core.Node, parent *node) *node {
	at := s.at
	at.position, at.node = len(s.order)+1, p.GetId()
	n := &node{Node: p, at: at, parent: parent, upstream: map[string]bool{}, aliases: map[string]string{}}
	if parent != nil {
		n.depth = parent.depth + 1
	}
	for _, a := range p.GetOutputAliases() {
		n.aliases[a.GetAlias()] = a.GetVar()
	}
	return n
}

// maxNodeID bounds the id of a node, in bytes: it is part of keys.
const maxNodeID = 255

func (s *scope) checkID(n *node) bool {
	switch id := n.GetId(); {
	case id == "":
		s.found.add(n.at, ValueRequired, "node %d has no id", n.at.position)
	case id == StartNode || id == EndNode:
		s.found.add(n.at, DuplicateID, "%s is added by the compiler: rename the node", id)
	case len(id) > maxNodeID || strings.ContainsFunc(id, unicode.IsControl):
		s.found.add(n.at, InvalidValue, "a node's id has at most %d bytes and no control characters", maxNodeID)
	case s.nodes[id] != nil:
		s.found.add(n.at, DuplicateID, "another node has this id")
	default:
		return true
	}
	return false
}

// bindOutputs checks the outputs of the workflow and gives the end node, which
// takes them as its inputs.
func (s *scope) bindOutputs() *node {
	end := s.newNode(&core.Node{Id: EndNode, Inputs: s.t.GetOutputs()}, nil)
	end.at.position++ // after the failure node
	s.bind(end, types(s.t.GetInterface().GetOutputs()), func(string, *core.LiteralType) bool { return false })
	end.Inputs = make([]*core.Binding, len(s.t.GetOutputs()))
	for i, b := range s.t.GetOutputs() {
		end.Inputs[i] = proto.Clone(b).(*core.Binding)
	}
	return end
}
