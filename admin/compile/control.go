package compile

import (
	"github.com/skein-project/skein/api/flyteidl/core"
)

// checkBranch checks the shape of a branch node. Its conditions and outputs
// need the types of other nodes, so checkConditions looks at them later.
func (s *scope) checkBranch(n *node) {
	ifElse := n.GetBranchNode().GetIfElse()
	if ifElse.GetCase() == nil {
		s.found.add(n.at, BranchNodeHasNoCondition, "the branch node has no cases")
		return
	}
	for i, block := range blocks(ifElse) {
		if block.GetCondition().GetExpr() == nil {
			s.found.add(n.at, NoConditionFound, "case %d has no condition", i)
		}
		if block.GetThenNode() == nil {
			s.found.add(n.at, BranchNodeIDNotFound, "case %d has no node", i)
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

// checkBranchTypes checks the conditions, and that all cases give the same.
func (s *scope) checkBranchTypes(n *node) {
	inputs := s.boundTypes(n)
	for _, block := range blocks(n.GetBranchNode().GetIfElse()) {
		s.checkCondition(n, inputs, block.GetCondition())
	}
	first, known := s.branchOutputs(n)
	for _, inner := range branchNodes(n.Node) {
		other, ok := s.outputs(s.inner(inner))
		if known && ok && !s.sameTypes(first, other) {
			s.found.add(n.at, MismatchingInterfaces, "node %q gives other outputs than the first case", inner.GetId())
		}
	}
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
	for _, inner := range branchNodes(n.Node) {
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

// boundTypes infers the types of what a node is bound to; nil where unknown.
func (s *scope) boundTypes(n *node) map[string]*core.LiteralType {
	out := make(map[string]*core.LiteralType, len(n.GetInputs()))
	for _, b := range n.GetInputs() {
		var t *core.LiteralType
		switch v := b.GetBinding().GetValue().(type) {
		case *core.BindingData_Promise:
			t, _ = s.promise(v.Promise)
		case *core.BindingData_Scalar:
			t = scalarType(v.Scalar)
		case *core.BindingData_OffloadedMetadata:
			t = v.OffloadedMetadata.GetInferredType()
		}
		out[b.GetVar()] = t
	}
	return out
}

func (s *scope) checkCondition(n *node, inputs map[string]*core.LiteralType, e *core.BooleanExpression) {
	switch v := e.GetExpr().(type) {
	case *core.BooleanExpression_Conjunction:
		if _, ok := core.ConjunctionExpression_LogicalOperator_name[int32(v.Conjunction.GetOperator())]; !ok {
			s.found.add(n.at, UnrecognizedValue, "logical operator %d is not known", v.Conjunction.GetOperator())
		}
		for _, side := range []*core.BooleanExpression{v.Conjunction.GetLeftExpression(), v.Conjunction.GetRightExpression()} {
			if side.GetExpr() == nil {
				s.found.add(n.at, NoConditionFound, "one side of a condition is missing")
			}
			s.checkCondition(n, inputs, side)
		}
	case *core.BooleanExpression_Comparison:
		if _, ok := core.ComparisonExpression_Operator_name[int32(v.Comparison.GetOperator())]; !ok {
			s.found.add(n.at, UnrecognizedValue, "comparison operator %d is not known", v.Comparison.GetOperator())
		}
		left, okLeft := s.operand(n, inputs, v.Comparison.GetLeftValue())
		right, okRight := s.operand(n, inputs, v.Comparison.GetRightValue())
		if okLeft && okRight && !comparable(left, right) {
			s.found.add(n.at, MismatchingTypes, "a condition compares %s with %s", Describe(left), Describe(right))
		}
	}
}

// operand is the type of one side of a comparison; nil if only the run can
// tell, false if the fault is recorded.
func (s *scope) operand(n *node, inputs map[string]*core.LiteralType, o *core.Operand) (*core.LiteralType, bool) {
	var t *core.LiteralType
	switch v := o.GetVal().(type) {
	case *core.Operand_Var:
		known, ok := inputs[v.Var]
		if !ok {
			s.found.add(n.at.at(v.Var), VariableNameNotFound, "a condition uses a variable that is not an input of the branch node")
		}
		return known, ok
	case *core.Operand_Primitive:
		t = primitiveType(v.Primitive)
	case *core.Operand_Scalar:
		t = scalarType(v.Scalar)
	}
	if t == nil {
		s.found.add(n.at, ValueRequired, "one side of a comparison is missing")
	}
	return t, t != nil
}

// comparable: types must be the same, where an enum counts as a string, a
// union as any of its variants, and NONE as anything.
func comparable(a, b *core.LiteralType) bool {
	if a == nil || b == nil || isNone(a) || isNone(b) {
		return true
	}
	for _, v := range a.GetUnionType().GetVariants() {
		if comparable(v, b) {
			return true
		}
	}
	for _, v := range b.GetUnionType().GetVariants() {
		if comparable(a, v) {
			return true
		}
	}
	kindA, okA := comparison(a)
	kindB, okB := comparison(b)
	return okA && okB && kindA == kindB
}

func comparison(t *core.LiteralType) (core.SimpleType, bool) {
	if t.GetEnumType() != nil {
		return core.SimpleType_STRING, true
	}
	_, ok := t.GetType().(*core.LiteralType_Simple)
	return t.GetSimple(), ok && t.GetSimple() <= core.SimpleType_DURATION
}

// checkGate checks a gate node; a signal and a sleep know their interface.
func (s *scope) checkGate(n *node) {
	switch v := n.GetGateNode().GetCondition().(type) {
	case *core.GateNode_Approve:
		if v.Approve.GetSignalId() == "" {
			s.found.add(n.at, ValueRequired, "approve has no signal id")
		}
	case *core.GateNode_Signal:
		if v.Signal.GetSignalId() == "" || v.Signal.GetOutputVariableName() == "" {
			s.found.add(n.at, ValueRequired, "signal has no signal id or no output variable")
		}
		s.found.addFault(n.at, wellFormed(v.Signal.GetType()))
		n.iface = &iface{outputs: map[string]*core.LiteralType{v.Signal.GetOutputVariableName(): v.Signal.GetType()}}
	case *core.GateNode_Sleep:
		if v.Sleep.GetDuration() == nil {
			s.found.add(n.at, ValueRequired, "sleep has no duration")
		}
		checkDuration(&s.found, n.at, "sleep.duration", v.Sleep.GetDuration())
		n.iface = &iface{}
	default:
		s.found.add(n.at, NoConditionFound, "the gate waits for nothing: neither for approval, nor for a signal, nor for time")
	}
}

// arrayInterface is that of the inner node, lifted to collections unless the
// thing it runs is lifted already, as map tasks of flytekit are. The bindings
// of the inner node repeat those of the array and are not looked at.
func (s *scope) arrayInterface(n *node) *iface {
	array := n.GetArrayNode()
	if r, ok := array.GetSuccessCriteria().(*core.ArrayNode_MinSuccessRatio); ok && !(r.MinSuccessRatio >= 0 && r.MinSuccessRatio <= 1) {
		s.found.add(n.at, InvalidValue, "min_success_ratio must lie between 0 and 1")
	}
	var inner *iface
	switch target := array.GetNode().GetTarget().(type) {
	case *core.Node_TaskNode:
		inner = s.taskInterface(n.at, target.TaskNode)
	case *core.Node_WorkflowNode:
		inner = s.workflowInterface(n.at, target.WorkflowNode)
	default:
		s.found.add(n.at, WorkflowBuildError, "an array runs a task, a workflow or a launch plan")
	}
	if inner == nil || !array.GetIsOriginalSubNodeInterface().GetValue() {
		return inner
	}
	return lift(inner, array.GetBoundInputs())
}

func lift(inner *iface, constant []string) *iface {
	out := &iface{inputs: map[string]*core.LiteralType{}, outputs: map[string]*core.LiteralType{}, defaults: inner.defaults}
	for name, t := range inner.inputs {
		out.inputs[name] = collectionOf(t)
	}
	for _, name := range constant {
		if t, ok := inner.inputs[name]; ok {
			out.inputs[name] = t
		}
	}
	for name, t := range inner.outputs {
		out.outputs[name] = collectionOf(t)
	}
	return out
}

func collectionOf(t *core.LiteralType) *core.LiteralType {
	return &core.LiteralType{Type: &core.LiteralType_CollectionType{CollectionType: t}}
}
