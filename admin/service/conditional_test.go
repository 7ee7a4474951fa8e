package service_test

import (
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/core"
)

// conditional is a workflow whose last node is a conditional that always takes
// its first case, a copy of the first node that waits for others.
func conditional(name string, upstream ...string) *admin.WorkflowCreateRequest {
	req := workflow(name, "pkg.t")
	nodes := req.Spec.Template.Nodes
	inner := proto.Clone(nodes[0]).(*core.Node)
	inner.Id, inner.UpstreamNodeIds = "n0", upstream
	one := &core.Operand{Val: &core.Operand_Scalar{Scalar: &core.Scalar{Value: &core.Scalar_Primitive{Primitive: &core.Primitive{Value: &core.Primitive_Integer{Integer: 1}}}}}}
	req.Spec.Template.Nodes = append(nodes, &core.Node{Id: "n9", Target: &core.Node_BranchNode{BranchNode: &core.BranchNode{IfElse: &core.IfElseBlock{
		Case: &core.IfBlock{ThenNode: inner, Condition: &core.BooleanExpression{Expr: &core.BooleanExpression_Comparison{
			Comparison: &core.ComparisonExpression{LeftValue: one, RightValue: one}}}},
		Default: &core.IfElseBlock_Error{Error: &core.Error{Message: "no"}}}}}})
	return req
}

// TestConditionalsAreRegistered: the same is the same however flytekit orders
// what a case waits for; and what is not known in a case is named.
func TestConditionalsAreRegistered(t *testing.T) {
	r := newRig(t)
	r.register(t)
	if _, err := r.CreateWorkflow(t.Context(), conditional("pkg.if", "n0", "n1")); err != nil {
		t.Fatal(err)
	}
	if _, err := r.CreateWorkflow(t.Context(), conditional("pkg.if", "n1", "n0")); code(err) != codes.AlreadyExists {
		t.Errorf("the same in another order: %v", err)
	}
	unknown := conditional("pkg.unknown")
	unknown.Spec.Template.Nodes[2].GetBranchNode().GetIfElse().GetCase().GetThenNode().GetTaskNode().GetReferenceId().Name = "pkg.nowhere"
	if _, err := r.CreateWorkflow(t.Context(), unknown); code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), `node "n9-n0": task`) {
		t.Errorf("an unknown task in a case: %v", err)
	}
}
