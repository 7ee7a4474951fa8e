package service

import (
	"github.com/skein-project/skein/admin/compile"
	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flyteidl/core"
)

// expectedInputs is what a launch plan asks of its callers: each input of the
// workflow that is not fixed, with its default or as required (contract 5.2).
func expectedInputs(inputs *core.VariableMap, defaults *core.ParameterMap, fixed *core.LiteralMap) (*core.ParameterMap, error) {
	vars := inputs.GetVariables()
	for _, name := range sortedKeys(fixed.GetLiterals()) {
		if _, both := defaults.GetParameters()[name]; both {
			return nil, fault.Field("spec.fixed_inputs."+name, "is both a default and a fixed input")
		}
		if err := checkLiteral("spec.fixed_inputs."+name, name, vars[name], fixed.GetLiterals()[name]); err != nil {
			return nil, err
		}
	}
	for _, name := range sortedKeys(defaults.GetParameters()) {
		p := defaults.GetParameters()[name]
		if vars[name] == nil {
			return nil, fault.Field("spec.default_inputs."+name, "the workflow has no input of this name")
		}
		if p.GetDefault() == nil {
			continue
		}
		if err := checkLiteral("spec.default_inputs."+name, name, vars[name], p.GetDefault()); err != nil {
			return nil, err
		}
	}
	expected := &core.ParameterMap{Parameters: map[string]*core.Parameter{}}
	for name, v := range vars {
		if _, ok := fixed.GetLiterals()[name]; ok {
			continue
		}
		p := &core.Parameter{Var: v, Behavior: &core.Parameter_Required{Required: true}}
		if given := defaults.GetParameters()[name]; given.GetBehavior() != nil {
			p = &core.Parameter{Var: v, Behavior: given.GetBehavior()}
		}
		expected.Parameters[name] = p
	}
	return expected, nil
}

// effectiveInputs merges what a caller gives with the launch plan's fixed and
// default inputs (contract 6.2).
func effectiveInputs(given *core.LiteralMap, fixed *core.LiteralMap, expected *core.ParameterMap) (*core.LiteralMap, error) {
	out := &core.LiteralMap{Literals: map[string]*core.Literal{}}
	for _, name := range sortedKeys(given.GetLiterals()) {
		if _, ok := fixed.GetLiterals()[name]; ok {
			return nil, fault.Field("inputs."+name, "is fixed by the launch plan and cannot be given")
		}
		p := expected.GetParameters()[name]
		if err := checkLiteral("inputs."+name, name, p.GetVar(), given.GetLiterals()[name]); err != nil {
			return nil, err
		}
		out.Literals[name] = given.GetLiterals()[name]
	}
	for _, name := range sortedKeys(expected.GetParameters()) {
		if out.Literals[name] != nil {
			continue
		}
		p := expected.GetParameters()[name]
		if p.GetDefault() == nil && p.GetRequired() {
			return nil, fault.Field("inputs."+name, "is required and missing")
		}
		if p.GetDefault() != nil {
			out.Literals[name] = p.GetDefault()
		}
	}
	for name, literal := range fixed.GetLiterals() {
		out.Literals[name] = literal
	}
	return out, nil
}

// checkLiteral checks a value against the variable that takes it.
func checkLiteral(field, name string, v *core.Variable, literal *core.Literal) error {
	if v == nil {
		return fault.Field(field, "there is no input of this name")
	}
	if literal == nil {
		return fault.Field(field, "has no value")
	}
	if err := compile.CheckLiteral(v.GetType(), literal); err != nil {
		return fault.Field(field, "invalid %s input wrong type. %s", name, public(err))
	}
	return nil
}
