package workflow

import (
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

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
