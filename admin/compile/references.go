package compile

import (
	"fmt"
	"sort"
	"strings"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flyteidl/core"
)

// Refs are the identifiers that a workflow's nodes refer to: each once, sorted
// by Key.
type Refs struct {
	Tasks       []*core.Identifier
	Workflows   []*core.Identifier
	LaunchPlans []*core.Identifier
}

// References lists what the nodes of a template and of the given sub-workflows
// refer to, nested and failure nodes included. The identifiers are those of
// the templates, not copies. Workflows may name more than subs hold: fetch
// those, add them to subs, and ask again until nothing is missing.
func References(template *core.WorkflowTemplate, subs []*core.WorkflowTemplate) Refs {
	tasks, workflows, plans := refSet{}, refSet{}, refSet{}
	collect := func(_ *core.WorkflowTemplate, n *core.Node) {
		tasks.add(n.GetTaskNode().GetReferenceId())
		workflows.add(n.GetWorkflowNode().GetSubWorkflowRef())
		plans.add(n.GetWorkflowNode().GetLaunchplanRef())
	}
	walkAll(template, subs, collect)
	return Refs{Tasks: tasks.sorted(), Workflows: workflows.sorted(), LaunchPlans: plans.sorted()}
}

type refSet map[string]*core.Identifier

func (s refSet) add(id *core.Identifier) {
	if id == nil {
		return
	}
	if key := Key(id); s[key] == nil {
		s[key] = id
	}
}

func (s refSet) sorted() []*core.Identifier {
	keys := make([]string, 0, len(s))
	for key := range s {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	ids := make([]*core.Identifier, len(keys))
	for i, key := range keys {
		ids[i] = s[key]
	}
	return ids
}

// walkAll visits every node of every template, nested ones after their parent.
func walkAll(template *core.WorkflowTemplate, subs []*core.WorkflowTemplate, visit func(*core.WorkflowTemplate, *core.Node)) {
	all := append([]*core.WorkflowTemplate{template}, subs...)
	for _, t := range all {
		Walk(t, func(n *core.Node) { visit(t, n) })
	}
}

func walk(n *core.Node, visit func(*core.Node)) {
	if n == nil {
		return
	}
	visit(n)
	walk(n.GetArrayNode().GetNode(), visit)
	for _, inner := range Cases(n) {
		walk(inner, visit)
	}
}

// Walk visits every node of a template, nested ones after their parent, and
// the failure node last.
func Walk(t *core.WorkflowTemplate, visit func(*core.Node)) {
	for _, n := range t.GetNodes() {
		walk(n, visit)
	}
	walk(t.GetFailureNode(), visit)
}

// Cases lists the nodes that a branch node chooses from, in order, the else
// last; those that are missing are nil. Other nodes have none.
func Cases(n *core.Node) []*core.Node {
	ifElse := n.GetBranchNode().GetIfElse()
	if ifElse == nil {
		return nil
	}
	nodes := []*core.Node{ifElse.GetCase().GetThenNode()}
	for _, block := range ifElse.GetOther() {
		nodes = append(nodes, block.GetThenNode())
	}
	if _, ok := ifElse.GetDefault().(*core.IfElseBlock_ElseNode); ok {
		nodes = append(nodes, ifElse.GetElseNode())
	}
	return nodes
}

func countNodes(t *core.WorkflowTemplate) int {
	n := 0
	walkAll(t, nil, func(*core.WorkflowTemplate, *core.Node) { n++ })
	return n
}

// Unsupported names each node of a closure that is of a kind the propeller
// does not run yet, in one error of kind fault.Unsupported; nil if there is
// none.
func Unsupported(closure *core.CompiledWorkflowClosure) error {
	subs := make([]*core.WorkflowTemplate, 0, len(closure.GetSubWorkflows()))
	for _, w := range closure.GetSubWorkflows() {
		subs = append(subs, w.GetTemplate())
	}
	return UnsupportedTemplate(closure.GetPrimary().GetTemplate(), subs)
}

// UnsupportedTemplate is Unsupported for templates that are not compiled yet.
func UnsupportedTemplate(template *core.WorkflowTemplate, subs []*core.WorkflowTemplate) error {
	var lines []string
	size := 0
	around := map[*core.Node]string{} // what says that a node is in a case
	report := func(t *core.WorkflowTemplate, n *core.Node, kind string) {
		line := fmt.Sprintf("node %q%s of workflow %q is %s", n.GetId(), around[n], t.GetId().GetName(), kind)
		if size += len(line); size <= maxMessage {
			lines = append(lines, line)
		}
	}
	walkAll(template, subs, func(t *core.WorkflowTemplate, n *core.Node) {
		for _, inner := range Cases(n) {
			around[inner] = fmt.Sprintf(" in a case of node %q", n.GetId())
		}
		if kind := unsupportedKind(n); kind != "" {
			report(t, n, kind)
		}
	})
	if len(lines) == 0 {
		return nil
	}
	return fault.E(fault.Unsupported, "this release does not run these nodes yet: %s", strings.Join(lines, "; "))
}

func unsupportedKind(n *core.Node) string {
	switch target := n.GetTarget().(type) {
	case *core.Node_GateNode:
		return "a gate node"
	case *core.Node_ArrayNode:
		return "an array node"
	case *core.Node_WorkflowNode:
		if _, ok := target.WorkflowNode.GetReference().(*core.WorkflowNode_LaunchplanRef); ok {
			return "a launch-plan node"
		}
	}
	return ""
}
