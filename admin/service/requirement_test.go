package service

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/core"
)

// sized is a task of a type of its own that asks for so many CPUs.
func sized(name, cpu string) *core.CompiledTask {
	return &core.CompiledTask{Template: &core.TaskTemplate{Id: &core.Identifier{Name: name}, Type: name,
		Target: &core.TaskTemplate_Container{Container: &core.Container{Resources: &core.Resources{
			Requests: []*core.Resources_ResourceEntry{{Name: core.Resources_CPU, Value: cpu}}}}}}}
}

func runs(id, task string) *core.Node {
	return &core.Node{Id: id, Target: &core.Node_TaskNode{TaskNode: &core.TaskNode{
		Reference: &core.TaskNode_ReferenceId{ReferenceId: &core.Identifier{Name: task}}}}}
}

func calls(id, workflow string) *core.Node {
	return &core.Node{Id: id, Target: &core.Node_WorkflowNode{WorkflowNode: &core.WorkflowNode{
		Reference: &core.WorkflowNode_SubWorkflowRef{SubWorkflowRef: &core.Identifier{Name: workflow}}}}}
}

// chooses is a branch node; the last of its cases is the else.
func chooses(id string, cases ...*core.Node) *core.Node {
	block := &core.IfElseBlock{Case: &core.IfBlock{ThenNode: cases[0]},
		Default: &core.IfElseBlock_ElseNode{ElseNode: cases[len(cases)-1]}}
	for _, n := range cases[1 : len(cases)-1] {
		block.Other = append(block.Other, &core.IfBlock{ThenNode: n})
	}
	return &core.Node{Id: id, Target: &core.Node_BranchNode{BranchNode: &core.BranchNode{IfElse: block}}}
}

// TestRequirementOfEveryNodeThatMayRun: a cluster must be able to run each
// case, but only one at a time; and what cleans up after a failure.
func TestRequirementOfEveryNodeThatMayRun(t *testing.T) {
	pods := func(cpu, n int64) flow.Resources {
		return flow.Resources{MilliCPU: cpu, Pods: n, Memory: n << 29} // of which no task says anything
	}
	sub := &core.CompiledWorkflow{Template: &core.WorkflowTemplate{Id: &core.Identifier{Name: "sub"},
		Nodes: []*core.Node{runs("n0", "a"), runs("n1", "a"), runs("n2", "a")}}}
	for _, test := range []struct {
		name    string
		nodes   []*core.Node
		failure *core.Node
		types   []string
		peak    flow.Resources
		largest flow.Resources
	}{
		{"each case counts, one at a time", []*core.Node{chooses("n0", runs("n0-n0", "a"), runs("n0-n1", "c"), runs("n0-n2", "b"))}, nil,
			[]string{"a", "b", "c"}, pods(4000, 1), pods(4000, 1)},
		{"a case within a case", []*core.Node{chooses("n0", runs("n0-n0", "a"), chooses("n0-n1", runs("n0-n1-n0", "b"), runs("n0-n1-n1", "c")))}, nil,
			[]string{"a", "b", "c"}, pods(4000, 1), pods(4000, 1)},
		{"a case that is a workflow", []*core.Node{chooses("n0", calls("n0-n0", "sub"), runs("n0-n1", "b"))}, nil,
			[]string{"a", "b"}, pods(3000, 3), pods(2000, 1)},
		{"beside another node", []*core.Node{chooses("n0", runs("n0-n0", "a"), runs("n0-n1", "b")), runs("n1", "a")}, nil,
			[]string{"a", "b"}, pods(3000, 2), pods(2000, 1)},
		{"what cleans up", []*core.Node{runs("n0", "a")}, runs("fn0", "c"), []string{"a", "c"}, pods(4000, 1), pods(4000, 1)},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := New(Config{}, Deps{}).demandOf(&core.CompiledWorkflowClosure{
				Primary:      &core.CompiledWorkflow{Template: &core.WorkflowTemplate{Nodes: test.nodes, FailureNode: test.failure}},
				SubWorkflows: []*core.CompiledWorkflow{sub},
				Tasks:        []*core.CompiledTask{sized("a", "1"), sized("b", "2"), sized("c", "4")},
			})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.types, got.types); diff != "" {
				t.Errorf("task types -want +got\n%s", diff)
			}
			if got.peak != test.peak || got.largest != test.largest {
				t.Errorf("peak %+v, largest %+v\nwant %+v and %+v", got.peak, got.largest, test.peak, test.largest)
			}
		})
	}
}
