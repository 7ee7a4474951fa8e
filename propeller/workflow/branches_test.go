package workflow

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/core"
)

// define reads a conditional, one case a line: "x == 1 : n0 retries=1", and at
// last "else : n1 sub=inner" or "else fail : too bad". Ids are those within it.
func (b branches) define(name string, lines []string) {
	block := &core.IfElseBlock{}
	for i, line := range lines {
		condition, node, _ := strings.Cut(line, " : ")
		switch condition {
		case "else":
			block.Default = &core.IfElseBlock_ElseNode{ElseNode: b.nodeSpec(node)}
			continue
		case "else fail":
			block.Default = &core.IfElseBlock_Error{Error: &core.Error{Message: node}}
			continue
		}
		then := &core.IfBlock{Condition: expression(condition), ThenNode: b.nodeSpec(node)}
		if i == 0 {
			block.Case = then
		} else {
			block.Other = append(block.Other, then)
		}
	}
	b[name] = block
}

// expression reads "x < 1", and such joined by "and" and "or", the first first.
func expression(s string) *core.BooleanExpression {
	for word, op := range map[string]core.ConjunctionExpression_LogicalOperator{" and ": core.ConjunctionExpression_AND, " or ": core.ConjunctionExpression_OR} {
		if left, right, ok := strings.Cut(s, word); ok {
			return joined(op, expression(left), expression(right))
		}
	}
	words := strings.Fields(s)
	ops := map[string]core.ComparisonExpression_Operator{"==": core.ComparisonExpression_EQ, "!=": core.ComparisonExpression_NEQ, ">": core.ComparisonExpression_GT,
		">=": core.ComparisonExpression_GTE, "<": core.ComparisonExpression_LT, "<=": core.ComparisonExpression_LTE}
	return compares(ops[words[1]], variable(words[0]), constantOf(plainLiteral(words[2])))
}

func joined(op core.ConjunctionExpression_LogicalOperator, l, r *core.BooleanExpression) *core.BooleanExpression {
	return &core.BooleanExpression{Expr: &core.BooleanExpression_Conjunction{Conjunction: &core.ConjunctionExpression{
		Operator: op, LeftExpression: l, RightExpression: r}}}
}

func compares(op core.ComparisonExpression_Operator, l, r *core.Operand) *core.BooleanExpression {
	return &core.BooleanExpression{Expr: &core.BooleanExpression_Comparison{Comparison: &core.ComparisonExpression{
		Operator: op, LeftValue: l, RightValue: r}}}
}

func variable(name string) *core.Operand { return &core.Operand{Val: &core.Operand_Var{Var: name}} }

func constantOf(l *core.Literal) *core.Operand {
	return &core.Operand{Val: &core.Operand_Scalar{Scalar: l.GetScalar()}}
}

// plainLiteral reads an integer, None or a word.
func plainLiteral(s string) *core.Literal {
	if s == "None" {
		return scalar(&core.Scalar{Value: &core.Scalar_NoneType{NoneType: &core.Void{}}})
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return primitive(&core.Primitive{Value: &core.Primitive_Integer{Integer: n}})
	}
	return primitive(&core.Primitive{Value: &core.Primitive_StringValue{StringValue: s}})
}

func scalar(s *core.Scalar) *core.Literal {
	return &core.Literal{Value: &core.Literal_Scalar{Scalar: s}}
}

func primitive(p *core.Primitive) *core.Literal {
	return scalar(&core.Scalar{Value: &core.Scalar_Primitive{Primitive: p}})
}

// within copies a conditional into a node: ids become those of the compiler,
// "n1-n0", at any depth.
func within(id string, block *core.IfElseBlock) *core.IfElseBlock {
	block = proto.Clone(block).(*core.IfElseBlock)
	nodes := []*core.Node{block.GetCase().GetThenNode(), block.GetElseNode()}
	for _, other := range block.GetOther() {
		nodes = append(nodes, other.GetThenNode())
	}
	for _, n := range nodes {
		if n != nil {
			prefix(id, n)
		}
	}
	return block
}

func prefix(id string, n *core.Node) {
	n.Id = fmt.Sprintf("%s-%s", id, n.GetId())
	if inner := n.GetBranchNode().GetIfElse(); inner != nil {
		for _, b := range append([]*core.IfBlock{inner.GetCase()}, inner.GetOther()...) {
			prefix(id, b.GetThenNode())
		}
		if inner.GetElseNode() != nil {
			prefix(id, inner.GetElseNode())
		}
	}
}

// variables are what the conditions of a conditional compare, without those of
// conditionals within it.
func variables(block *core.IfElseBlock) map[string]bool {
	found := map[string]bool{}
	var walk func(e *core.BooleanExpression)
	walk = func(e *core.BooleanExpression) {
		if c := e.GetConjunction(); c != nil {
			walk(c.GetLeftExpression())
			walk(c.GetRightExpression())
			return
		}
		for _, o := range []*core.Operand{e.GetComparison().GetLeftValue(), e.GetComparison().GetRightValue()} {
			if v, ok := o.GetVal().(*core.Operand_Var); ok {
				found[v.Var] = true
			}
		}
	}
	walk(block.GetCase().GetCondition())
	for _, b := range block.GetOther() {
		walk(b.GetCondition())
	}
	return found
}

// TestACaseIsANodeOfItsBranch, with ids, folders and a parent of its own; but
// it reads the nodes around the branch node, however deep it lies.
func TestACaseIsANodeOfItsBranch(t *testing.T) {
	b := branches{}
	b.define("inner", []string{"x == 1 : n0", "else : n1"})
	b.define("outer", []string{"x == 1 : n0 branch=inner", "else : n1"})
	sub := b.compiled("flow", "", []string{"n0", "n1<n0 branch=outer"})
	sub.Template.MetadataDefaults = &core.WorkflowMetadataDefaults{Interruptible: true}
	innermost := sub.GetTemplate().GetNodes()[1].GetBranchNode().GetIfElse().GetCase().GetThenNode().GetBranchNode().GetIfElse().GetCase().GetThenNode()
	for _, from := range []string{"n0", StartNode} {
		innermost.Inputs = append(innermost.Inputs, &core.Binding{Var: from, Binding: &core.BindingData{Value: &core.BindingData_Promise{
			Promise: &core.OutputReference{NodeId: from, Var: "o0"}}}})
	}
	w, err := newWorld(&core.CompiledWorkflowClosure{Primary: b.compiled("wf", "", []string{"n5 sub=flow"}), SubWorkflows: []*core.CompiledWorkflow{sub},
		Tasks: []*core.CompiledTask{{Template: &core.TaskTemplate{Id: ident("task"), Type: "container"}}}})
	if err != nil {
		t.Fatal(err)
	}
	w.values["x"] = plainLiteral("1")
	var entered []Enter
	var started Start
	for range 6 {
		s := w.round()
		entered = append(entered, s.Enters...)
		for _, e := range s.Starts {
			started = e
			w.attempts[e.Attempt] = &Observation{Phase: flow.TaskSucceeded, OutputURI: "out of " + e.Node}
		}
	}
	const outer, inner = "n5-0-n1", "n5-0-n1-0-n1-n0"
	leaf := UniqueNodeID(inner, 0, "n1-n0-n0") // too long: a hash
	if started.Node != leaf || started.OutputPrefix != "s3://b/ex/n5/data/0/n1/0/n1-n0/0/n1-n0-n0/0" || !started.Interruptible {
		t.Errorf("started %+v", started)
	}
	sources := map[string]string{}
	for id, s := range started.Inputs.Sources {
		sources[id] = s.URI
	}
	if diff := cmp.Diff(map[string]string{"n0": "out of n5-0-n0", StartNode: "s3://b/ex/n5/data/inputs.pb"}, sources); diff != "" {
		t.Errorf("the case reads -want +got\n%s", diff)
	}
	var compared []bool // the sub-workflow's inputs are not
	for _, e := range entered {
		compared = append(compared, e.Inputs.Compared)
	}
	if diff := cmp.Diff([]bool{false, true, true}, compared); diff != "" {
		t.Errorf("inputs that conditions compare: -want +got\n%s", diff)
	}
	type place struct {
		Parent, RetryGroup, SpecID string
		IsParent                   bool
	}
	got := map[string]place{}
	for _, id := range []string{outer, inner, leaf} {
		n := w.view.Status.Nodes[id]
		got[id] = place{n.Parent, n.RetryGroup, n.SpecID, n.IsParent}
	}
	if diff := cmp.Diff(map[string]place{outer: {"n5", "0", "n1", true}, inner: {outer, "0", "n1-n0", true}, leaf: {inner, "0", "n1-n0-n0", false}}, got); diff != "" {
		t.Errorf("nodes -want +got\n%s", diff)
	}
}
