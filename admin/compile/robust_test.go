package compile

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"pgregory.net/rapid"

	"github.com/skein-project/skein/api/flyteidl/core"
)

// drawWorkflow draws a workflow that is often right and sometimes wrong.
func drawWorkflow(t *rapid.T) *core.WorkflowTemplate {
	var drawn []*core.Node
	count := rapid.IntRange(0, 8).Draw(t, "nodes")
	anyID := rapid.Custom(func(t *rapid.T) string { return fmt.Sprintf("n%d", rapid.IntRange(0, count).Draw(t, "id")) })
	for i := range count {
		name := fmt.Sprintf("n%d", i)
		switch rapid.IntRange(0, 5).Draw(t, "kind") {
		case 0:
			drawn = append(drawn, run(name, "one"))
		case 1:
			drawn = append(drawn, run(name, "inc", "x", promise(anyID.Draw(t, "from"), "o0")))
		case 2:
			drawn = append(drawn, after(run(name, "void"), anyID.Draw(t, "after")))
		case 3:
			drawn = append(drawn, approve(name, "s", "o0", promise(anyID.Draw(t, "from"), "o0")))
		case 4:
			drawn = append(drawn, run(name, "sum", "xs", list(promise("", "a"), promise(anyID.Draw(t, "from"), "o0"))))
		case 5:
			drawn = append(drawn, branch(name, orElse(&core.IfElseBlock{Case: when("v", 1, run("n0", "one"))}, run("n1", "one")), "v", promise(anyID.Draw(t, "from"), "o0")))
		}
	}
	return flow("w", vars("a", integer), vars("o0", integer), bindings("o0", promise(anyID.Draw(t, "out"), "o0")), drawn...)
}

func TestCompilingIsDeterministicAndLeavesItsInputAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorkflow(t)
		before := proto.Clone(w)
		first, err1 := Workflow(given(w))
		second, err2 := Workflow(given(w))
		if fmt.Sprint(err1) != fmt.Sprint(err2) {
			t.Fatalf("two results: %v, then %v", err1, err2)
		}
		if diff := cmp.Diff(first, second, protocmp.Transform()); diff != "" {
			t.Fatal(diff)
		}
		if !proto.Equal(before, w) {
			t.Fatal("the template was changed")
		}
	})
}

func FuzzWorkflow(f *testing.F) {
	s := readShapes(f)
	base := s.input(f, s.workflows[0])
	for _, w := range s.workflows {
		data, err := proto.Marshal(w.GetTemplate())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		w := &core.WorkflowTemplate{}
		if proto.Unmarshal(data, w) != nil {
			return
		}
		in := base
		in.ID, in.Template, in.SubWorkflows = nil, w, []*core.WorkflowTemplate{w, nil, s.workflows[0].GetTemplate()}
		_, err := Workflow(in)
		problemsOf(t, err)
		_ = UnsupportedTemplate(w, in.SubWorkflows)
		in.SubWorkflows = nil
		closure, err := Workflow(in)
		problemsOf(t, err)
		if err == nil {
			checkClosure(t, closure)
			_ = Unsupported(closure)
		}
	})
}

func FuzzTask(f *testing.F) {
	for _, task := range readShapes(f).tasks {
		data, err := proto.Marshal(task.GetTemplate())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		task := &core.TaskTemplate{}
		if proto.Unmarshal(data, task) != nil {
			return
		}
		_, err := Task(task)
		problemsOf(t, err)
		for _, v := range task.GetInterface().GetInputs().GetVariables() {
			if err == nil && !Castable(v.GetType(), v.GetType()) {
				t.Errorf("%s is not castable to itself", Describe(v.GetType()))
			}
		}
	})
}

func TestEmptyMessagesEverywhere(t *testing.T) {
	for _, n := range []*core.Node{
		{}, nil,
		{Target: &core.Node_TaskNode{}}, {Target: &core.Node_WorkflowNode{}}, {Target: &core.Node_BranchNode{}},
		{Target: &core.Node_GateNode{}}, {Target: &core.Node_ArrayNode{}},
		{Target: &core.Node_GateNode{GateNode: &core.GateNode{Condition: &core.GateNode_Signal{}}}},
		{Target: &core.Node_GateNode{GateNode: &core.GateNode{Condition: &core.GateNode_Sleep{}}}},
		{Target: &core.Node_GateNode{GateNode: &core.GateNode{Condition: &core.GateNode_Approve{}}}},
		{Target: &core.Node_BranchNode{BranchNode: &core.BranchNode{IfElse: &core.IfElseBlock{Case: &core.IfBlock{}, Other: []*core.IfBlock{nil, {}}, Default: &core.IfElseBlock_ElseNode{}}}}},
		{Inputs: []*core.Binding{nil, {}, {Binding: &core.BindingData{Value: &core.BindingData_Promise{}}}}},
		{Inputs: []*core.Binding{{Var: "x", Binding: &core.BindingData{Value: &core.BindingData_Map{}}}}, OutputAliases: []*core.Alias{nil}},
	} {
		w := &core.WorkflowTemplate{Nodes: []*core.Node{n, n}, FailureNode: n, Outputs: []*core.Binding{nil, {}}}
		_, err := Workflow(Input{Template: w, SubWorkflows: []*core.WorkflowTemplate{nil, {}, w}})
		if err == nil {
			t.Errorf("%v compiles", n)
		}
		problemsOf(t, err)
	}
	if _, err := Task(nil); err == nil {
		t.Error("no task compiles")
	}
	if Unsupported(nil) != nil {
		t.Error("nothing is unsupported")
	}
}

// chain is a workflow of n nodes, each bound to the
// one before it and waiting for the first.
func chain(n int) Input {
	list := []*core.Node{run("n0", "one")}
	for i := 1; i < n; i++ {
		name, before := fmt.Sprintf("n%d", i), fmt.Sprintf("n%d", i-1)
		list = append(list, after(run(name, "inc", "x", promise(before, "o0")), "n0"))
	}
	return given(nodes(list...))
}

func BenchmarkWorkflow(b *testing.B) {
	for _, n := range []int{500, 5000} {
		in := chain(n)
		b.Run(fmt.Sprintf("nodes=%d", n), func(b *testing.B) {
			for range b.N {
				if _, err := Workflow(in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
