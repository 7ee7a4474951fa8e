package compile

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/skein-project/skein/api/flyteidl/core"
)

func orElse(block *core.IfElseBlock, n *core.Node) *core.IfElseBlock {
	block.Default = &core.IfElseBlock_ElseNode{ElseNode: n}
	return block
}

func orFail(block *core.IfElseBlock) *core.IfElseBlock {
	block.Default = &core.IfElseBlock_Error{Error: &core.Error{Message: "no"}}
	return block
}

func TestBranchesGatesAndArrays(t *testing.T) {
	signal := func(s *core.SignalCondition) *core.GateNode {
		return &core.GateNode{Condition: &core.GateNode_Signal{Signal: s}}
	}
	original := func(n *core.Node, bound ...string) *core.Node {
		n.GetArrayNode().IsOriginalSubNodeInterface = wrapTrue()
		n.GetArrayNode().BoundInputs = bound
		return n
	}
	failing := func(n *core.Node) *core.WorkflowTemplate {
		w := nodes(run("n0", "void"))
		w.FailureNode = n
		return w
	}
	for _, test := range []struct {
		name string
		t    *core.WorkflowTemplate
		want []string
	}{
		{"a branch gives what its cases give", flow("w", vars("a", integer), vars("o0", integer), bindings("o0", promise("n0", "o0")),
			branch("n0", orElse(&core.IfElseBlock{Case: when(".a", 1, run("n0", "one"))}, run("n1", "one")), ".a", promise("", "a"))), nil},
		{"a branch without cases", nodes(branch("n0", nil)), []string{"BranchNodeHasNoCondition n0"}},
		{"a case without a condition", nodes(branch("n0", orFail(&core.IfElseBlock{Case: &core.IfBlock{ThenNode: run("n0", "void")}}))), []string{"NoConditionFound n0"}},
		{"a case without a node", nodes(branch("n0", orFail(&core.IfElseBlock{Case: when(".a", 1, nil)}), ".a", promise("", "a"))), []string{"BranchNodeIdNotFound n0"}},
		{"a branch without a default", nodes(branch("n0", &core.IfElseBlock{Case: when(".a", 1, run("n0", "void"))}, ".a", promise("", "a"))), []string{"BranchNodeHasNoDefault n0"}},
		{"a condition on what is not bound", nodes(branch("n0", orFail(&core.IfElseBlock{Case: when(".a", 1, run("n0", "void"))}))), []string{"VariableNameNotFound n0 .a"}},
		{"a condition on different types", nodes(branch("n0", orFail(&core.IfElseBlock{Case: when(".a", "x", run("n0", "void"))}), ".a", promise("", "a"))), []string{"MismatchingTypes n0"}},
		{"cases that give different things", nodes(branch("n0", orElse(&core.IfElseBlock{Case: when(".a", 1, run("n0", "one"))}, run("n1", "word")), ".a", promise("", "a"))), []string{"MismatchingInterfaces n0"}},
		{"a bad node in a case", nodes(branch("n0", orFail(&core.IfElseBlock{Case: when(".a", 1, run("n0", "inc"))}), ".a", promise("", "a"))), []string{"ParameterNotBound n0-n0 x"}},
		{"a promise into a branch", nodes(branch("n0", orFail(&core.IfElseBlock{Case: when(".a", 1, run("n0", "one"))}), ".a", promise("", "a")), run("n1", "inc", "x", promise("n0-n0", "o0"))),
			[]string{"NodeReferenceNotFound n1 x"}},
		{"approval gives what it is given", nodes(approve("n0", "s", "x", promise("", "a")), run("n1", "inc", "x", promise("n0", "x"))), nil},
		{"approval without a signal", nodes(approve("n0", "")), []string{"ValueRequired n0"}},
		{"a gate for nothing", nodes(gate("n0", &core.GateNode{})), []string{"NoConditionFound n0"}},
		{"a signal gives its type", nodes(gate("n0", signal(&core.SignalCondition{SignalId: "s", Type: text, OutputVariableName: "o0"})), run("n1", "inc", "x", promise("n0", "o0"))), []string{"MismatchingTypes n1 x"}},
		{"a signal without a type", nodes(gate("n0", signal(&core.SignalCondition{SignalId: "s", OutputVariableName: "o0"}))), []string{"ValueRequired n0"}},
		{"a sleep takes no input", nodes(gate("n0", sleep(1), "x", constant(1))), []string{"VariableNameNotFound n0 x"}},
		{"a sleep back in time", nodes(gate("n0", sleep(-1))), []string{"InvalidValue n0"}},
		{"an array of a task whose interface is lifted", nodes(array("n0", run("x", "sum"), "xs", list(constant(1)))), nil},
		{"an array of an original task takes a list", nodes(original(array("n0", run("x", "inc"), "x", list(constant(1)))), run("n1", "sum", "xs", promise("n0", "o0"))), nil},
		{"an array with a constant input takes it as it is", nodes(original(array("n0", run("x", "inc"), "x", constant(1)), "x")), nil},
		{"an array of an original task takes no scalar", nodes(original(array("n0", run("x", "inc"), "x", constant(1)))), []string{"MismatchingTypes n0 x"}},
		{"an array of nothing", nodes(array("n0", nil)), []string{"WorkflowBuildError n0"}},
		{"an array of an unknown task", nodes(array("n0", run("x", "nope"))), []string{"TaskReferenceNotFound n0"}},
		{"a failure node on an input", failing(run("fn0", "inc", "x", promise("", "a"))), nil},
		{"a failure node on a node", failing(run("fn0", "inc", "x", promise("n0", "o0"))), []string{"NodeReferenceNotFound fn0 x"}},
		{"a failure node that is a gate", failing(approve("fn0", "s")), []string{"WorkflowBuildError fn0"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Workflow(given(test.t))
			if diff := cmp.Diff(test.want, problemsOf(t, err)); diff != "" {
				t.Errorf("-want +got\n%s\n%v", diff, err)
			}
		})
	}
}

func TestReferencesAreFoundWhereverTheyAre(t *testing.T) {
	w := nodes(
		run("n0", "b"), run("n1", "a"), call("n2", "sub"), launch("n3", "plan"), array("n4", run("x", "c")),
		branch("n5", orElse(&core.IfElseBlock{Case: when("a", 1, run("n0", "d"))}, run("n1", "b"))))
	w.FailureNode = run("f", "e")
	refs := References(w, []*core.WorkflowTemplate{nodes(run("n0", "g"))})
	name := func(ids []*core.Identifier) (out string) {
		for _, id := range ids {
			out += id.GetName() + " "
		}
		return out
	}
	if got := name(refs.Tasks) + "| " + name(refs.Workflows) + "| " + name(refs.LaunchPlans); got != "a b c d e g | sub | plan " {
		t.Errorf("got %s", got)
	}
}
