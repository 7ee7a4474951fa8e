package compile

import (
	"github.com/skein-project/skein/api/flyteidl/core"
)

// iface is the interface of what a node runs, ready for look-up. It is shared
// by all nodes that run the same thing, and never changed.
type iface struct {
	inputs   map[string]*core.LiteralType
	defaults map[string]bool // inputs that may be left unbound
	outputs  map[string]*core.LiteralType
}

func types(vars *core.VariableMap) map[string]*core.LiteralType {
	out := make(map[string]*core.LiteralType, len(vars.GetVariables()))
	for name, v := range vars.GetVariables() {
		out[name] = v.GetType()
	}
	return out
}

func typedInterface(i *core.TypedInterface) *iface {
	return &iface{inputs: types(i.GetInputs()), outputs: types(i.GetOutputs())}
}

// checkNode checks a node but for its bindings, and finds its interface; a
// node whose interface is unknown keeps a nil one.
func (s *scope) checkNode(n *node) {
	checkDuration(&s.found, n.at, "metadata.timeout", n.GetMetadata().GetTimeout())
	checkRetries(&s.found, n.at, n.GetMetadata().GetRetries())
	switch target := n.GetTarget().(type) {
	case *core.Node_TaskNode:
		n.iface = s.taskInterface(n.at, target.TaskNode)
	case *core.Node_WorkflowNode:
		n.iface = s.workflowInterface(n.at, target.WorkflowNode)
	case *core.Node_BranchNode:
		s.checkBranch(n)
	case *core.Node_GateNode:
		s.checkGate(n)
	case *core.Node_ArrayNode:
		n.iface = s.arrayInterface(n)
	default:
		s.found.add(n.at, ValueRequired, "the node runs nothing: it is neither a task, a workflow, a branch, a gate nor an array")
	}
}

func (s *scope) taskInterface(at place, t *core.TaskNode) *iface {
	checkResources(&s.found, at, "overrides.resources", t.GetOverrides().GetResources())
	checkSharedMemory(&s.found, at, t.GetOverrides().GetExtendedResources())
	if pod := t.GetOverrides().GetPodTemplate(); len(pod.GetPodSpec().GetFields()) > 0 {
		checkPod(&s.found, at, "overrides.pod_template", pod, "")
	}
	if t.GetReferenceId() == nil {
		s.found.add(at, ValueRequired, "the task node has no reference id")
		return nil
	}
	key := Key(t.GetReferenceId())
	known := s.in.Tasks[key].GetTemplate()
	if known == nil {
		s.found.add(at, TaskReferenceNotFound, "task %s does not exist: register it first", key)
		return nil
	}
	return s.cached("task "+key, func() *iface { return typedInterface(known.GetInterface()) })
}

func (s *scope) workflowInterface(at place, w *core.WorkflowNode) *iface {
	switch ref := w.GetReference().(type) {
	case *core.WorkflowNode_SubWorkflowRef:
		key := Key(ref.SubWorkflowRef)
		if s.subs[key] == nil {
			s.found.add(at, WorkflowReferenceNotFound, "workflow %s does not exist and is not in the request", key)
			return nil
		}
		return s.cached("workflow "+key, func() *iface { return typedInterface(s.subs[key].GetInterface()) })
	case *core.WorkflowNode_LaunchplanRef:
		key := Key(ref.LaunchplanRef)
		known, ok := s.in.LaunchPlans[key]
		if !ok {
			s.found.add(at, WorkflowReferenceNotFound, "launch plan %s does not exist: register it first", key)
			return nil
		}
		return s.cached("plan "+key, func() *iface { return planInterface(known) })
	}
	s.found.add(at, ValueRequired, "the workflow node refers to neither a workflow nor a launch plan")
	return nil
}

func planInterface(p Interface) *iface {
	i := &iface{
		inputs:   make(map[string]*core.LiteralType, len(p.Inputs.GetParameters())),
		defaults: map[string]bool{},
		outputs:  types(p.Outputs),
	}
	for name, parameter := range p.Inputs.GetParameters() {
		i.inputs[name] = parameter.GetVar().GetType()
		_, i.defaults[name] = parameter.GetBehavior().(*core.Parameter_Default)
	}
	return i
}

// cached makes each interface once: thousands of nodes may run one task.
func (c *compiler) cached(key string, build func() *iface) *iface {
	if known, ok := c.ifaces[key]; ok {
		return known
	}
	i := build()
	c.ifaces[key] = i
	return i
}

// outputs lists what a node gives, without aliases; false if that is not
// known, in which case the reason is already recorded.
func (s *scope) outputs(n *node) (map[string]*core.LiteralType, bool) {
	if n.iface != nil {
		return n.iface.outputs, true
	}
	if !n.inferred {
		n.inferred = true // first, since in a cycle, which connect reports, a node asks for its own
		n.given, n.givenKnown = s.infer(n)
	}
	return n.given, n.givenKnown
}

func (s *scope) infer(n *node) (map[string]*core.LiteralType, bool) {
	switch {
	case n.Node == nil:
		return nil, false
	case n.GetBranchNode() != nil:
		return s.branchOutputs(n)
	case n.GetGateNode().GetApprove() != nil:
		return s.boundTypes(n), true
	}
	return nil, false
}

// output is the type of one output, by name or by alias. A nil type without a
// problem means that the type is not known.
func (s *scope) output(n *node, name string) (*core.LiteralType, *Problem) {
	outputs, known := s.outputs(n)
	if !known {
		return nil, nil
	}
	if t, ok := outputs[name]; ok {
		return t, nil
	}
	if of, ok := n.aliases[name]; ok {
		return outputs[of], nil
	}
	return nil, problem(VariableNameNotFound, "node %q has no output %q", n.GetId(), name)
}

func (s *scope) checkAliases(n *node) {
	outputs, known := s.outputs(n)
	seen := map[string]bool{}
	for _, a := range n.GetOutputAliases() {
		at := n.at.at(a.GetAlias())
		if a.GetAlias() == "" {
			s.found.add(at, ValueRequired, "an alias of output %q is empty", a.GetVar())
			continue
		}
		if seen[a.GetAlias()] {
			s.found.add(at, DuplicateAlias, "the alias is given more than once")
		}
		seen[a.GetAlias()] = true
		if !known {
			continue
		}
		if _, ok := outputs[a.GetVar()]; !ok {
			s.found.add(at, VariableNameNotFound, "the alias is of %q, which is not an output", a.GetVar())
		}
		if _, taken := outputs[a.GetAlias()]; taken && a.GetAlias() != a.GetVar() {
			s.found.add(at, ValueCollision, "the alias is the name of another output")
		}
	}
}
