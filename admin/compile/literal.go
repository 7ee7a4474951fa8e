package compile

import (
	"sort"

	"google.golang.org/protobuf/proto"

	"github.com/skein-project/skein/api/flyteidl/core"
)

// msgpack tags a binary literal that holds a dataclass, a dict or a model.
const msgpack = "msgpack"

// TypeOf infers the type of a literal; nil if it, or an element of it, holds
// nothing. Elements of
// different types make a union of them, and no elements make NONE. What it
// returns may share memory with the literal.
func TypeOf(l *core.Literal) *core.LiteralType { return typeOf(l, literalDepth) }

// literalDepth bounds the nesting of literals whose type is inferred: the type
// of each level is built from those below it.
const literalDepth = 128

func typeOf(l *core.Literal, depth int) *core.LiteralType {
	if depth == 0 {
		return nil
	}
	switch v := l.GetValue().(type) {
	case *core.Literal_Scalar:
		return scalarType(v.Scalar)
	case *core.Literal_Collection:
		element := elementType(v.Collection.GetLiterals(), depth-1)
		if element == nil {
			return nil
		}
		return &core.LiteralType{Type: &core.LiteralType_CollectionType{CollectionType: element}}
	case *core.Literal_Map:
		value := elementType(sortedLiterals(v.Map.GetLiterals()), depth-1)
		if value == nil {
			return nil
		}
		return &core.LiteralType{Type: &core.LiteralType_MapValueType{MapValueType: value}}
	case *core.Literal_OffloadedMetadata:
		return v.OffloadedMetadata.GetInferredType()
	}
	return nil
}

func scalarType(s *core.Scalar) *core.LiteralType {
	switch v := s.GetValue().(type) {
	case *core.Scalar_Primitive:
		return primitiveType(v.Primitive)
	case *core.Scalar_Blob:
		return &core.LiteralType{Type: &core.LiteralType_Blob{Blob: v.Blob.GetMetadata().GetType()}}
	case *core.Scalar_Binary:
		if v.Binary.GetTag() == msgpack {
			return simple(core.SimpleType_STRUCT)
		}
		return simple(core.SimpleType_BINARY)
	case *core.Scalar_Schema:
		return &core.LiteralType{Type: &core.LiteralType_Schema{Schema: v.Schema.GetType()}}
	case *core.Scalar_NoneType:
		return simple(core.SimpleType_NONE)
	case *core.Scalar_Error:
		return simple(core.SimpleType_ERROR)
	case *core.Scalar_Generic:
		return simple(core.SimpleType_STRUCT)
	case *core.Scalar_StructuredDataset:
		dataset := v.StructuredDataset.GetMetadata().GetStructuredDatasetType()
		return &core.LiteralType{Type: &core.LiteralType_StructuredDatasetType{StructuredDatasetType: dataset}}
	case *core.Scalar_Union:
		return v.Union.GetType()
	}
	return nil
}

func primitiveType(p *core.Primitive) *core.LiteralType {
	switch p.GetValue().(type) {
	case *core.Primitive_Integer:
		return simple(core.SimpleType_INTEGER)
	case *core.Primitive_FloatValue:
		return simple(core.SimpleType_FLOAT)
	case *core.Primitive_StringValue:
		return simple(core.SimpleType_STRING)
	case *core.Primitive_Boolean:
		return simple(core.SimpleType_BOOLEAN)
	case *core.Primitive_Datetime:
		return simple(core.SimpleType_DATETIME)
	case *core.Primitive_Duration:
		return simple(core.SimpleType_DURATION)
	}
	return nil
}

// elementType is the one type of all elements, or a union of their types in
// order of appearance; nil if an element has none.
func elementType(elements []*core.Literal, depth int) *core.LiteralType {
	var variants []*core.LiteralType
	seen := map[string]bool{}
	for _, e := range elements {
		t := typeOf(e, depth)
		if t == nil {
			return nil
		}
		text, err := proto.MarshalOptions{Deterministic: true}.Marshal(t)
		if err != nil {
			return nil
		}
		if !seen[string(text)] {
			seen[string(text)] = true
			variants = append(variants, t)
		}
	}
	switch len(variants) {
	case 0:
		return simple(core.SimpleType_NONE)
	case 1:
		return variants[0]
	}
	return &core.LiteralType{Type: &core.LiteralType_UnionType{UnionType: &core.UnionType{Variants: variants}}}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}

func sortedLiterals(m map[string]*core.Literal) []*core.Literal {
	out := make([]*core.Literal, 0, len(m))
	for _, key := range sortedKeys(m) {
		out = append(out, m[key])
	}
	return out
}

// CheckLiteral says whether a literal may be given where a type is expected:
// its type is castable, enum values are known, dates and durations are valid.
// The error is of kind fault.Invalid and does not name the input: the caller
// does, as "invalid <name> input wrong type. …".
func CheckLiteral(expected *core.LiteralType, l *core.Literal) error {
	c := caster{left: castBudget}
	return c.check(expected, l).single()
}

// check is CheckLiteral element by element, so that the enum values within are
// seen and an element's fault is named rather than the type of the whole.
func (c *caster) check(expected *core.LiteralType, l *core.Literal) *Problem {
	if !c.spend() {
		return problem(InvalidLiteralType, "the literal is too large to check")
	}
	if u := l.GetScalar().GetUnion(); u != nil {
		return c.checkUnion(expected, u)
	}
	switch e := expected.GetType().(type) {
	case *core.LiteralType_UnionType:
		return c.checkVariants(expected, e.UnionType.GetVariants(), l)
	case *core.LiteralType_CollectionType:
		if v, ok := l.GetValue().(*core.Literal_Collection); ok {
			return c.checkElements(e.CollectionType, v.Collection)
		}
	case *core.LiteralType_MapValueType:
		if v, ok := l.GetValue().(*core.Literal_Map); ok {
			return c.checkValues(e.MapValueType, v.Map)
		}
	}
	return c.checkPlain(expected, l)
}

func (c *caster) checkPlain(expected *core.LiteralType, l *core.Literal) *Problem {
	t := TypeOf(l)
	if t == nil {
		return problem(InvalidLiteralType, "Expected %s but got a literal without a value", Describe(expected))
	}
	if !c.castable(t, expected) {
		return problem(MismatchingTypes, "Expected %s but got %s", Describe(expected), Describe(t))
	}
	switch v := l.GetScalar().GetPrimitive().GetValue().(type) {
	case *core.Primitive_Datetime:
		if err := v.Datetime.CheckValid(); err != nil {
			return problem(InvalidValue, "the datetime is not valid: it must lie within the years 1 to 9999")
		}
	case *core.Primitive_Duration:
		if err := v.Duration.CheckValid(); err != nil {
			return problem(InvalidValue, "the duration is not valid: it must lie within 10,000 years")
		}
	case *core.Primitive_StringValue:
		return c.checkEnum(expected, v.StringValue)
	}
	return nil
}

func (c *caster) checkEnum(expected *core.LiteralType, value string) *Problem {
	if expected.GetEnumType() == nil {
		return nil
	}
	c.charge(len(expected.GetEnumType().GetValues()) / 16)
	for _, known := range expected.GetEnumType().GetValues() {
		if known == value {
			return nil
		}
	}
	return problem(IllegalEnumValue, "%q is not a value of %s", value, Describe(expected))
}

func (c *caster) checkElements(expected *core.LiteralType, l *core.LiteralCollection) *Problem {
	for i, e := range l.GetLiterals() {
		if p := c.check(expected, e); p != nil {
			return problem(p.Code, "[%d]: %s", i, p.Message)
		}
	}
	return nil
}

func (c *caster) checkValues(expected *core.LiteralType, l *core.LiteralMap) *Problem {
	for _, key := range sortedKeys(l.GetLiterals()) {
		if p := c.check(expected, l.GetLiterals()[key]); p != nil {
			return problem(p.Code, "[%q]: %s", key, p.Message)
		}
	}
	return nil
}

// checkVariants: a plain literal fits a union if it fits exactly one variant.
func (c *caster) checkVariants(expected *core.LiteralType, variants []*core.LiteralType, l *core.Literal) *Problem {
	if _, void := l.GetScalar().GetValue().(*core.Scalar_NoneType); void && optional(expected) {
		return nil
	}
	fits := 0
	var why *Problem
	for _, v := range variants {
		switch p := c.check(v, l); {
		case p == nil:
			fits++
		case why == nil || p.Code == IllegalEnumValue:
			why = p
		}
	}
	switch {
	case fits == 1:
		return nil
	case fits > 1:
		return problem(AmbiguousBindingUnionValue, "%s fits %d variants of %s: give it the type that is meant", Describe(TypeOf(l)), fits, Describe(expected))
	case why != nil && why.Code != MismatchingTypes:
		return why
	}
	return problem(IncompatibleBindingUnionValue, "Expected %s but got %s", Describe(expected), Describe(TypeOf(l)))
}

// checkUnion: a literal that says which variant it is. The variant of exactly
// that type is meant; failing that, one that the type may be given to.
func (c *caster) checkUnion(expected *core.LiteralType, u *core.Union) *Problem {
	declared := u.GetType()
	if p := c.check(declared, u.GetValue()); p != nil {
		return p
	}
	if expected.GetUnionType() == nil {
		if !c.castable(declared, expected) {
			return problem(MismatchingTypes, "Expected %s but got %s", Describe(expected), Describe(declared))
		}
		return c.check(expected, u.GetValue())
	}
	var why *Problem
	for _, v := range expected.GetUnionType().GetVariants() {
		if !c.castable(declared, v) {
			continue
		}
		if why = c.check(v, u.GetValue()); why == nil {
			return nil
		}
	}
	if why != nil {
		return why
	}
	return problem(IncompatibleBindingUnionValue, "Expected %s but got %s", Describe(expected), Describe(declared))
}
