package workflow

import (
	"strings"
	"testing"

	"github.com/skein-project/skein/api/flyteidl/core"
)

func graphOf(block *core.IfElseBlock, nodes ...*core.Node) (*Graph, error) {
	branch := &core.Node{Id: "n9", Target: &core.Node_BranchNode{BranchNode: &core.BranchNode{IfElse: block}}}
	return NewGraph(&core.CompiledWorkflowClosure{
		Primary: &core.CompiledWorkflow{Template: &core.WorkflowTemplate{Id: ident("wf"), Nodes: append(nodes, branch)}},
		Tasks:   []*core.CompiledTask{{Template: &core.TaskTemplate{Id: ident("task"), Type: "container"}}}})
}

func reading(id, from string) *core.Node {
	n := branches{}.nodeSpec(id)
	n.Inputs = []*core.Binding{{Var: "v", Binding: &core.BindingData{Value: &core.BindingData_Promise{Promise: &core.OutputReference{NodeId: from, Var: "o0"}}}}}
	return n
}

// TestABranchWaitsForAllThatItsCasesRead: which case runs is not known before,
// and no case waits once it is chosen.
func TestABranchWaitsForAllThatItsCasesRead(t *testing.T) {
	yes := expression("x == 1")
	inner := &core.Node{Id: "n9-n1", Target: &core.Node_BranchNode{BranchNode: &core.BranchNode{IfElse: &core.IfElseBlock{
		Case: &core.IfBlock{Condition: yes, ThenNode: reading("n9-n1-n0", "n2")}}}}}
	g, err := graphOf(&core.IfElseBlock{Case: &core.IfBlock{Condition: yes, ThenNode: reading("n9-n0", "n1")},
		Default: &core.IfElseBlock_ElseNode{ElseNode: inner}}, branches{}.nodeSpec("n1"), branches{}.nodeSpec("n2"), branches{}.nodeSpec("n3"))
	if err != nil {
		t.Fatal(err)
	}
	var ups []string
	for _, n := range g.Root().Nodes {
		for _, up := range n.Up {
			if n.ID == "n9" {
				ups = append(ups, up.ID)
			}
		}
	}
	if got := strings.Join(ups, " "); got != "n1 n2" {
		t.Errorf("the branch node waits for %s, want n1 n2", got)
	}
}

func TestBranchesThatCannotBeRunAreRefused(t *testing.T) {
	yes := expression("x == 1")
	task := branches{}.nodeSpec("n0")
	when := func(n *core.Node) *core.IfElseBlock {
		return &core.IfElseBlock{Case: &core.IfBlock{Condition: yes, ThenNode: n}}
	}
	twice := when(task)
	twice.Other = []*core.IfBlock{{Condition: yes, ThenNode: task}}
	empty := when(task)
	empty.Default = &core.IfElseBlock_ElseNode{}
	unknown := branches{}.nodeSpec("n0 sub=nowhere")
	for name, c := range map[string]struct {
		block *core.IfElseBlock
		says  string
	}{
		"no conditional":         {nil, "the if has no node"},
		"no node":                {when(nil), "the if has no node"},
		"no node in the else":    {empty, "elif 1 has no node"},
		"two cases of one id":    {twice, "elif 1 has no node with an id of its own"},
		"an unknown workflow":    {when(unknown), "the if: the closure has no workflow nowhere"},
		"a node that is nowhere": {when(reading("n0", "n7")), "no upstream node n7"},
		"a node of another case": {when(reading("n0", "n9-n1")), "no upstream node n9-n1"},
		"the branch node around": {when(reading("n0", "n9")), "reads the branch node"},
	} {
		if _, err := graphOf(c.block); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
}
