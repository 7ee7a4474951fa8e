package compile

import (
	"fmt"
	"strings"

	"github.com/skein-project/skein/api/flyteidl/core"
)

// checkBranch checks the shape of a branch node. Its conditions and outputs
// need the types of other nodes, so checkBranchTypes looks at them later.
func (s *scope) checkBranch(n *node) {
	ifElse := n.GetBranchNode().GetIfElse()
	if ifElse.GetCase() == nil {
		s.found.add(n.at, BranchNodeHasNoCondition, "the branch node has no cases")
		return
	}
	for i, block := range blocks(ifElse) {
		if block.GetCondition().GetExpr() == nil {
			s.found.add(n.at, NoConditionFound, "%s has no condition", caseName(ifElse, i))
		}
		if block.GetThenNode() == nil {
			s.found.add(n.at, BranchNodeIDNotFound, "%s has no node", caseName(ifElse, i))
		}
	}
	switch d := ifElse.GetDefault().(type) {
	case nil:
		s.found.add(n.at, BranchNodeHasNoDefault, "the branch node has neither an else nor an error")
	case *core.IfElseBlock_ElseNode:
		if d.ElseNode == nil {
			s.found.add(n.at, BranchNodeIDNotFound, "the else has no node")
		}
	}
}

func blocks(ifElse *core.IfElseBlock) []*core.IfBlock {
	return append([]*core.IfBlock{ifElse.GetCase()}, ifElse.GetOther()...)
}

// caseName is what an author calls the i-th node of a branch node.
func caseName(ifElse *core.IfElseBlock, i int) string {
	switch {
	case i == 0:
		return "the if"
	case i <= len(ifElse.GetOther()):
		return fmt.Sprintf("elif %d", i)
	}
	return "the else"
}

// checkBranchTypes checks the conditions, and that all cases give the same.
func (s *scope) checkBranchTypes(n *node) {
	ifElse, inputs := n.GetBranchNode().GetIfElse(), s.boundTypes(n)
	for i, block := range blocks(ifElse) {
		(&condition{scope: s, node: n, name: caseName(ifElse, i), inputs: inputs}).check(block.GetCondition())
	}
	first, known := s.branchOutputs(n)
	for i, inner := range Cases(n.Node) {
		other, ok := s.outputs(s.inner(inner))
		if known && ok && !s.sameTypes(first, other) {
			s.found.add(n.at, MismatchingInterfaces, "%s gives %s, but the if gives %s: all cases must give the same",
				caseName(ifElse, i), describeOutputs(other), describeOutputs(first))
		}
	}
}

func describeOutputs(types map[string]*core.LiteralType) string {
	if len(types) == 0 {
		return "nothing"
	}
	var out []string
	for _, name := range head(sortedKeys(types)) {
		out = append(out, name+": "+Describe(types[name]))
	}
	return joined(out, len(types), ", ")
}

// inner is the node under compilation of a node in a branch; an empty one if
// it was refused.
func (s *scope) inner(p *core.Node) *node {
	if n := s.nodes[p.GetId()]; n != nil && n.Node == p {
		return n
	}
	return &node{}
}

// branchOutputs are those of the first case.
func (s *scope) branchOutputs(n *node) (map[string]*core.LiteralType, bool) {
	for _, inner := range Cases(n.Node) {
		return s.outputs(s.inner(inner))
	}
	return nil, false
}

func (s *scope) sameTypes(a, b map[string]*core.LiteralType) bool {
	if len(a) != len(b) {
		return false
	}
	for name, t := range a {
		other, ok := b[name]
		if !ok || t != nil && other != nil && !(s.casts.castable(t, other) && s.casts.castable(other, t)) {
			return false
		}
	}
	return true
}

// condition is the check of one case's condition.
type condition struct {
	*scope
	node   *node
	name   string // of the case
	inputs map[string]*core.LiteralType
}

func (c *condition) add(code, format string, args ...any) {
	c.found.add(c.node.at, code, c.name+" "+format, args...)
}

func (c *condition) check(e *core.BooleanExpression) {
	switch v := e.GetExpr().(type) {
	case *core.BooleanExpression_Conjunction:
		if _, ok := core.ConjunctionExpression_LogicalOperator_name[int32(v.Conjunction.GetOperator())]; !ok {
			c.add(UnrecognizedValue, "joins two conditions by operator %d, which is not known", v.Conjunction.GetOperator())
		}
		for _, side := range []*core.BooleanExpression{v.Conjunction.GetLeftExpression(), v.Conjunction.GetRightExpression()} {
			if side.GetExpr() == nil {
				c.add(NoConditionFound, "joins two conditions of which one is missing")
			}
			c.check(side)
		}
	case *core.BooleanExpression_Comparison:
		c.comparison(v.Comparison)
	}
}

func (c *condition) comparison(e *core.ComparisonExpression) {
	if _, ok := core.ComparisonExpression_Operator_name[int32(e.GetOperator())]; !ok {
		c.add(UnrecognizedValue, "compares by operator %d, which is not known", e.GetOperator())
	}
	left, okLeft := c.operand(e.GetLeftValue())
	right, okRight := c.operand(e.GetRightValue())
	switch {
	case !okLeft || !okRight:
	case !c.comparable(left, right, false):
		c.add(MismatchingTypes, "compares %s (%s) with %s (%s): both sides must be of one simple type",
			operandName(e.GetLeftValue()), Describe(left), operandName(e.GetRightValue()), Describe(right))
	case e.GetOperator() > core.ComparisonExpression_NEQ && !c.comparable(left, right, true):
		c.add(MismatchingTypes, "orders %s (%s) and %s (%s), which have no order: only == and != apply",
			operandName(e.GetLeftValue()), Describe(left), operandName(e.GetRightValue()), Describe(right))
	}
}

// operand is the type of one side of a comparison; nil if only the run can
// tell, false if the fault is recorded.
func (c *condition) operand(o *core.Operand) (*core.LiteralType, bool) {
	var t *core.LiteralType
	switch v := o.GetVal().(type) {
	case *core.Operand_Var:
		known, ok := c.inputs[v.Var]
		if !ok {
			c.found.add(c.node.at.at(v.Var), VariableNameNotFound, "%s uses a variable that is not an input of the branch node", c.name)
		}
		return known, ok
	case *core.Operand_Primitive:
		t = primitiveType(v.Primitive)
	case *core.Operand_Scalar:
		t = scalarType(v.Scalar)
	}
	if t == nil {
		c.add(ValueRequired, "compares with nothing: one side of it is missing")
	}
	return t, t != nil
}

// operandName is how a message names one side of a comparison.
func operandName(o *core.Operand) string {
	if v, ok := o.GetVal().(*core.Operand_Var); ok {
		return strings.TrimPrefix(v.Var, ".") // the workflow's inputs have no node
	}
	return "a constant"
}

// comparable: types must be the same, where an enum counts as a string, and a
// union as any of its variants. Anything may be compared with NONE itself.
// Ordered asks for types that have an order too: NONE and booleans have none.
func (c *condition) comparable(a, b *core.LiteralType, ordered bool) bool {
	if a == nil || b == nil {
		return true
	}
	if isNone(a) || isNone(b) {
		return !ordered
	}
	for _, x := range plainTypes(a, nil) {
		for _, y := range plainTypes(b, nil) {
			if !c.casts.spend() || plainComparable(x, y, ordered) {
				return true
			}
		}
	}
	return false
}

// plainTypes lists a type, or the variants of a union, at any depth.
func plainTypes(t *core.LiteralType, list []*core.LiteralType) []*core.LiteralType {
	if t.GetUnionType() == nil {
		return append(list, t)
	}
	for _, v := range t.GetUnionType().GetVariants() {
		list = plainTypes(v, list)
	}
	return list
}

func plainComparable(a, b *core.LiteralType, ordered bool) bool {
	kindA, okA := comparison(a)
	kindB, okB := comparison(b)
	unordered := kindA == core.SimpleType_NONE || kindA == core.SimpleType_BOOLEAN
	return okA && okB && kindA == kindB && !(ordered && unordered)
}

// comparison is the simple type as which values of a type are compared.
func comparison(t *core.LiteralType) (core.SimpleType, bool) {
	if t.GetEnumType() != nil {
		return core.SimpleType_STRING, true
	}
	_, ok := t.GetType().(*core.LiteralType_Simple)
	return t.GetSimple(), ok && t.GetSimple() <= core.SimpleType_DURATION
}
