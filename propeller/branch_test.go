package propeller_test

import (
	"testing"

	"google.golang.org/protobuf/proto"
	corev1 "k8s.io/api/core/v1"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/core"
)

// choice is a task beside a conditional, of which the last node adds the
// outputs: below 10 the case adds x to 1, else x to 2 and the first task's 1.
func choice() *core.CompiledWorkflowClosure {
	closure := fanOut(0, 0)
	first := closure.Primary.Template.Nodes[0]
	node := func(id string, inputs ...*core.BindingData) *core.Node {
		n := proto.Clone(first).(*core.Node)
		n.Id, n.Inputs = id, nil
		list := &core.BindingDataCollection{Bindings: inputs}
		n.Inputs = []*core.Binding{{Var: "a", Binding: &core.BindingData{Value: &core.BindingData_Collection{Collection: list}}}}
		return n
	}
	less := &core.ComparisonExpression{Operator: core.ComparisonExpression_LT, LeftValue: &core.Operand{Val: &core.Operand_Var{Var: ".x"}},
		RightValue: &core.Operand{Val: &core.Operand_Scalar{Scalar: integer(10).GetScalar()}}}
	branch := &core.Node{Id: "n1", Inputs: []*core.Binding{{Var: ".x", Binding: promise("", "x")}},
		Target: &core.Node_BranchNode{BranchNode: &core.BranchNode{IfElse: &core.IfElseBlock{
			Case:    &core.IfBlock{Condition: &core.BooleanExpression{Expr: &core.BooleanExpression_Comparison{Comparison: less}}, ThenNode: node("n1-n0", promise("", "x"))},
			Default: &core.IfElseBlock_ElseNode{ElseNode: node("n1-n1", promise("", "x"), promise("", "x"))}}}}}
	closure.Primary.Template.Nodes = []*core.Node{node("n0"), branch, node("last", promise("n0", "o0"), promise("n1", "o0"))}
	return closure
}

// TestAChoiceOutlivesItsPropeller: a case is chosen and cannot start yet. The
// propeller ends, and the inputs change, which nobody may do. The new
// propeller runs the case that was chosen.
func TestAChoiceOutlivesItsPropeller(t *testing.T) {
	r := newRig(t)
	hold := make(chan struct{})
	r.fate("choice-n0-0", func(p *corev1.Pod) {
		select {
		case <-hold:
			r.succeed(p)
		default:
		}
	})
	wf := r.submit("choice", choice(), 1)
	wf = r.await(wf, "the case is chosen", func(w *v1alpha1.FlyteWorkflow) bool {
		return flow.NodePhase(w.Status.Nodes["n1"].Phase) == flow.NodeRunning
	})
	if st := wf.Status.Nodes["n1-0-n1-n1"]; flow.NodePhase(st.Phase) != flow.NodeSkipped || st.Parent != "n1" || st.RetryGroup != "0" || st.SpecID != "n1-n1" {
		t.Errorf("the case that is not taken: %+v", st)
	}
	r.stop()
	changed, err := proto.Marshal(&core.LiteralMap{Literals: map[string]*core.Literal{"x": integer(50)}})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.store.Write(t.Context(), wf.Status.Nodes["start-node"].OutputURI, changed); err != nil {
		t.Fatal(err)
	}
	close(hold)
	r.start()
	wf = r.ended(wf, flow.ExecutionSucceeded)
	branch, taken := wf.Status.Nodes["n1"], wf.Status.Nodes["n1-0-n1-n0"]
	if flow.NodePhase(taken.Phase) != flow.NodeSucceeded || taken.Parent != "n1" || !branch.IsParent || branch.OutputURI != taken.OutputURI {
		t.Errorf("the branch node is %+v\nits case %+v", branch, taken)
	}
	// n0 gives 1, the case 1+50, last adds 1.
	if got := r.output(wf); got != 53 {
		t.Errorf("the workflow gave %d, want 53", got)
	}
}

// TestNoCaseHolds fails with the author's words, and runs nothing.
func TestNoCaseHolds(t *testing.T) {
	r := newRig(t)
	closure := choice()
	block := closure.Primary.Template.Nodes[1].GetBranchNode().GetIfElse()
	block.GetCase().GetCondition().GetComparison().Operator = core.ComparisonExpression_GT
	block.Default = &core.IfElseBlock_Error{Error: &core.Error{FailedNodeId: "n1", Message: "x is too small"}}
	wf := r.ended(r.submit("small", closure, 25), flow.ExecutionFailed)
	if e := wf.Status.Error; e == nil || e.Code != "UserProvidedError" || e.Message != "x is too small" || e.Kind != "USER" {
		t.Errorf("error: %+v", e)
	}
	if _, ran := wf.Status.Nodes["last"]; ran || flow.NodePhase(wf.Status.Nodes["n1-0-n1-n0"].Phase) != flow.NodeSkipped {
		t.Errorf("nodes: %+v", wf.Status.Nodes)
	}
}
