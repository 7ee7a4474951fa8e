package workflow

import (
	"fmt"

	"github.com/skein-project/skein/api/flyteidl/core"
)

// branch indexes the cases of a branch node: a template of nodes of which one
// runs. It stands for the template around it, whose nodes theirs read.
func (g *Graph) branch(t *Template, n *Node) error {
	ifElse := n.Spec.GetBranchNode().GetIfElse()
	nodes := []*core.Node{ifElse.GetCase().GetThenNode()}
	for _, block := range ifElse.GetOther() {
		nodes = append(nodes, block.GetThenNode())
	}
	if _, ok := ifElse.GetDefault().(*core.IfElseBlock_ElseNode); ok {
		nodes = append(nodes, ifElse.GetElseNode())
	}
	n.Cases = &Template{ID: t.ID, FailAtOnce: t.FailAtOnce, Interruptible: t.Interruptible}
	seen := map[string]bool{}
	for i, spec := range nodes {
		if spec == nil || spec.GetId() == "" || seen[spec.GetId()] {
			return fmt.Errorf("%s has no node with an id of its own", caseName(i))
		}
		seen[spec.GetId()] = true
		inner, err := g.node(t, spec)
		if err != nil {
			return fmt.Errorf("%s: %w", caseName(i), err)
		}
		n.Cases.Nodes = append(n.Cases.Nodes, inner)
	}
	n.operands = operands(ifElse)
	return nil
}

// inner lists the nodes of a branch node's cases, at any depth of branches.
func (n *Node) inner() []*Node {
	if n.Cases == nil {
		return nil
	}
	var all []*Node
	for _, c := range n.Cases.Nodes {
		all = append(append(all, c), c.inner()...)
	}
	return all
}

// operands declares the variables that conditions compare with constants, each
// as the type of its constant. Values of a struct have no exact type of their
// own, and are read as what they are compared with.
func operands(ifElse *core.IfElseBlock) map[string]*core.Variable {
	declared := map[string]*core.Variable{}
	var walk func(e *core.BooleanExpression)
	walk = func(e *core.BooleanExpression) {
		if c := e.GetConjunction(); c != nil {
			walk(c.GetLeftExpression())
			walk(c.GetRightExpression())
			return
		}
		left, right := e.GetComparison().GetLeftValue(), e.GetComparison().GetRightValue()
		for _, pair := range [][2]*core.Operand{{left, right}, {right, left}} {
			v, isVar := pair[0].GetVal().(*core.Operand_Var)
			if t := simpleType(pair[1]); isVar && t != core.SimpleType_NONE {
				declared[v.Var] = &core.Variable{Type: &core.LiteralType{Type: &core.LiteralType_Simple{Simple: t}}}
			}
		}
	}
	walk(ifElse.GetCase().GetCondition())
	for _, block := range ifElse.GetOther() {
		walk(block.GetCondition())
	}
	return declared
}

// simpleType of a constant; NONE of anything else.
func simpleType(o *core.Operand) core.SimpleType {
	p := o.GetPrimitive()
	if p == nil {
		p = o.GetScalar().GetPrimitive()
	}
	switch p.GetValue().(type) {
	case *core.Primitive_Integer:
		return core.SimpleType_INTEGER
	case *core.Primitive_FloatValue:
		return core.SimpleType_FLOAT
	case *core.Primitive_StringValue:
		return core.SimpleType_STRING
	case *core.Primitive_Boolean:
		return core.SimpleType_BOOLEAN
	case *core.Primitive_Datetime:
		return core.SimpleType_DATETIME
	case *core.Primitive_Duration:
		return core.SimpleType_DURATION
	}
	return core.SimpleType_NONE
}
