package compile

import (
	"github.com/skein-project/skein/api/flyteidl/core"
)

// errVariable is the input of a failure node that the engine fills.
const errVariable = "err"

// bindNode checks what a node is given, and notes what it waits for.
func (s *scope) bindNode(n *node) {
	s.checkAliases(n)
	for _, id := range n.GetUpstreamNodeIds() {
		if p := s.waitFor(n, id); p != nil {
			s.found.addFault(n.at, p)
		}
	}
	if n.iface == nil {
		s.bindFree(n)
	} else {
		s.bind(n, n.iface.inputs, func(name string, t *core.LiteralType) bool {
			return optional(t) || n.iface.defaults[name] || n == s.failure && name == errVariable
		})
	}
	if n.GetBranchNode().GetIfElse() != nil {
		s.checkBranchTypes(n)
	}
	if n.parent != nil {
		n.upstream[n.parent.GetId()] = true
	}
}

// bindFree is for nodes that take whatever they are given, and for those whose
// interface is not known: names and promises are checked, types are not.
func (s *scope) bindFree(n *node) {
	s.checkNames(n)
	for _, b := range n.GetInputs() {
		s.promises(n, b.GetVar(), b.GetBinding())
	}
}

// checkNames checks that each binding has a name, and each name one binding.
func (s *scope) checkNames(n *node) map[string]int {
	count := make(map[string]int, len(n.GetInputs()))
	for _, b := range n.GetInputs() {
		name := b.GetVar()
		if name == "" {
			s.found.add(n.at, ValueRequired, "a binding names no variable")
		}
		if count[name]++; count[name] == 2 && name != "" {
			s.found.add(n.at.at(name), ParameterBoundMoreThanOnce, "the input is bound more than once")
		}
	}
	return count
}

// bind checks that every input is bound once, to something of its type, but
// for those that may be left out.
func (s *scope) bind(n *node, inputs map[string]*core.LiteralType, dispensable func(string, *core.LiteralType) bool) {
	count := s.checkNames(n)
	for _, b := range n.GetInputs() {
		name := b.GetVar()
		s.promises(n, name, b.GetBinding())
		expected, ok := inputs[name]
		if !ok {
			if name != "" {
				s.found.add(n.at.at(name), VariableNameNotFound, "there is no input of this name")
			}
			continue
		}
		if expected.GetType() != nil {
			s.found.addFault(n.at.at(name), s.data(expected, b.GetBinding()))
		}
	}
	for _, name := range sortedKeys(inputs) {
		if count[name] == 0 && !dispensable(name, inputs[name]) {
			s.found.add(n.at.at(name), ParameterNotBound, "the input is not bound")
		}
	}
}

// promises checks every promise in a binding, notes what the node waits for,
// and writes out the start node where it is left out.
func (s *scope) promises(n *node, variable string, d *core.BindingData) {
	switch v := d.GetValue().(type) {
	case *core.BindingData_Promise:
		if v.Promise == nil {
			s.found.add(n.at.at(variable), ValueRequired, "the promise is empty")
			return
		}
		if v.Promise.GetNodeId() == "" {
			v.Promise.NodeId = StartNode
		}
		p := s.waitFor(n, v.Promise.GetNodeId())
		if p == nil {
			_, p = s.promise(v.Promise)
		}
		s.found.addFault(n.at.at(variable), p)
	case *core.BindingData_Collection:
		for _, e := range v.Collection.GetBindings() {
			s.promises(n, variable, e)
		}
	case *core.BindingData_Map:
		for _, key := range sortedKeys(v.Map.GetBindings()) {
			s.promises(n, variable, v.Map.GetBindings()[key])
		}
	}
}

// waitFor makes a node wait for another, and every branch node around it too:
// a branch is chosen only when what its nodes need is there.
func (s *scope) waitFor(n *node, id string) *Problem {
	if id != StartNode {
		up := s.nodes[id]
		switch {
		case up == nil || up.parent != nil:
			return problem(NodeReferenceNotFound, "it refers to node %q, which does not exist", id)
		case n == s.failure:
			return problem(NodeReferenceNotFound, "the failure node refers to node %q: it may refer to inputs of the workflow only", id)
		}
	}
	for ; n != nil; n = n.parent {
		n.upstream[id] = true
	}
	return nil
}

// promise is the type of what a promise refers to; nil without a problem if
// that is not known.
func (s *scope) promise(ref *core.OutputReference) (*core.LiteralType, *Problem) {
	if ref.GetVar() == "" {
		return nil, problem(ValueRequired, "the promise names no variable of node %q", ref.GetNodeId())
	}
	var t *core.LiteralType
	if id := ref.GetNodeId(); id == "" || id == StartNode {
		input, ok := s.inputs[ref.GetVar()]
		if !ok {
			return nil, problem(VariableNameNotFound, "the workflow has no input %q", ref.GetVar())
		}
		t = input
	} else {
		up := s.nodes[id]
		if up == nil {
			return nil, nil // recorded by waitFor
		}
		output, p := s.output(up, ref.GetVar())
		if p != nil {
			return nil, p
		}
		t = output
	}
	return attribute(t, ref.GetAttrPath())
}

// data checks a binding against a type. A promise that does not resolve is
// recorded by promises and passes here.
func (s *scope) data(expected *core.LiteralType, d *core.BindingData) *Problem {
	if !s.casts.spend() {
		return nil // recorded once, by compileAll
	}
	if target := d.GetUnion().GetTargetType(); target != nil && expected.GetUnionType() != nil {
		if !s.casts.everyVariant([]*core.LiteralType{target}, expected) {
			return problem(IncompatibleBindingUnionValue, "%s is not a variant of %s", Describe(target), Describe(expected))
		}
		expected = target
	}
	return s.value(expected, d)
}

func (s *scope) value(expected *core.LiteralType, d *core.BindingData) *Problem {
	switch v := d.GetValue().(type) {
	case *core.BindingData_Scalar:
		return s.casts.check(expected, &core.Literal{Value: &core.Literal_Scalar{Scalar: v.Scalar}})
	case *core.BindingData_OffloadedMetadata:
		return s.casts.check(expected, &core.Literal{Value: &core.Literal_OffloadedMetadata{OffloadedMetadata: v.OffloadedMetadata}})
	case *core.BindingData_Promise:
		t, p := s.promise(v.Promise)
		if t == nil || p != nil {
			return nil
		}
		return s.cast(t, expected)
	case *core.BindingData_Collection:
		return s.dataWithin(expected, d, v.Collection.GetBindings(), nil)
	case *core.BindingData_Map:
		return s.dataWithin(expected, d, nil, v.Map.GetBindings())
	}
	return problem(UnrecognizedValue, "the binding is empty, or of a kind that is not known")
}

// cast explains why one type may not be given where another is expected.
func (s *scope) cast(up, down *core.LiteralType) *Problem {
	if s.casts.castable(up, down) {
		return nil
	}
	if up.GetUnionType() == nil && down.GetUnionType() != nil &&
		s.casts.variant(up, down.GetUnionType().GetVariants()) == manyVariants {
		return problem(AmbiguousBindingUnionValue, "%s fits more than one variant of %s", Describe(up), Describe(down))
	}
	return problem(MismatchingTypes, "expected %s but got %s", Describe(down), Describe(up))
}

// dataWithin checks a collection or a map of bindings.
func (s *scope) dataWithin(expected *core.LiteralType, d *core.BindingData, list []*core.BindingData, byKey map[string]*core.BindingData) *Problem {
	_, isMap := d.GetValue().(*core.BindingData_Map)
	switch {
	case expected.GetUnionType() != nil:
		return s.dataVariants(expected, d)
	case isMap && expected.GetMapValueType() != nil:
		for _, key := range sortedKeys(byKey) {
			if p := s.data(expected.GetMapValueType(), byKey[key]); p != nil {
				return problem(p.Code, "[%q]: %s", key, p.Message)
			}
		}
		return nil
	case !isMap && expected.GetCollectionType() != nil:
		for i, e := range list {
			if p := s.data(expected.GetCollectionType(), e); p != nil {
				return problem(p.Code, "[%d]: %s", i, p.Message)
			}
		}
		return nil
	case isMap:
		return problem(MismatchingBindings, "expected %s but got a map", Describe(expected))
	}
	return problem(MismatchingBindings, "expected %s but got a collection", Describe(expected))
}

func (s *scope) dataVariants(expected *core.LiteralType, d *core.BindingData) *Problem {
	fits := 0
	for _, v := range expected.GetUnionType().GetVariants() {
		if s.data(v, &core.BindingData{Value: d.GetValue()}) == nil {
			fits++
		}
	}
	switch fits {
	case 0:
		return problem(IncompatibleBindingUnionValue, "the value fits no variant of %s", Describe(expected))
	case 1:
		return nil
	}
	return problem(AmbiguousBindingUnionValue, "the value fits %d variants of %s: say which is meant", fits, Describe(expected))
}
