package compile

import (
	"github.com/skein-project/skein/api/flyteidl/core"
)

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
