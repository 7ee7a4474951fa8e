package compile

import (
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/skein-project/skein/api/flyteidl/core"
)

// attribute follows the path of a promise through a type: an index into a
// collection, a key into a map, a field of a STRUCT. A nil type without a
// problem means that only the run can tell.
func attribute(t *core.LiteralType, path []*core.PromiseAttribute) (*core.LiteralType, *Problem) {
	for i, step := range path {
		if t.GetType() == nil {
			return nil, nil
		}
		if t.GetUnionType() != nil {
			return attributeOfUnion(t.GetUnionType().GetVariants(), path[i:])
		}
		next, p := attributeStep(t, step)
		if p != nil {
			return nil, p
		}
		t = next
	}
	return t, nil
}

func attributeStep(t *core.LiteralType, step *core.PromiseAttribute) (*core.LiteralType, *Problem) {
	switch v := step.GetValue().(type) {
	case *core.PromiseAttribute_IntValue:
		if t.GetCollectionType() != nil {
			return t.GetCollectionType(), nil
		}
		if t.GetSimple() == core.SimpleType_STRUCT {
			return nil, nil
		}
		return nil, problem(FieldNotFound, "%s has no element [%d]", Describe(t), v.IntValue)
	case *core.PromiseAttribute_StringValue:
		if t.GetMapValueType() != nil {
			return t.GetMapValueType(), nil
		}
		if t.GetSimple() == core.SimpleType_STRUCT {
			if field, ok := fieldType(t, v.StringValue); ok {
				return field, nil
			}
		}
		return nil, problem(FieldNotFound, "%s has no field %q", Describe(t), v.StringValue)
	}
	return nil, problem(UnrecognizedValue, "a step of the attribute path is empty")
}

// attributeOfUnion: variants that have no such attribute, as NONE, are passed
// over: the run fails if the value is of such a variant.
func attributeOfUnion(variants []*core.LiteralType, path []*core.PromiseAttribute) (*core.LiteralType, *Problem) {
	var found []*core.LiteralType
	why := problem(FieldNotFound, "the union has no variants")
	for _, v := range variants {
		t, p := attribute(v, path)
		switch {
		case p != nil:
			why = p
		case t == nil:
			return nil, nil
		case len(found) == 0 || !proto.Equal(found[0], t):
			found = append(found, t)
		}
	}
	switch len(found) {
	case 0:
		return nil, why
	case 1:
		return found[0], nil
	}
	return &core.LiteralType{Type: &core.LiteralType_UnionType{UnionType: &core.UnionType{Variants: found}}}, nil
}

// A dataclass is a STRUCT whose metadata is a JSON schema, as draft-07 (from
// marshmallow: "$ref" into "definitions") or 2020-12 (from mashumaro and
// pydantic: inline or "$defs"). We read only what tells types apart.

// schemas compares two JSON schemas, each with its own definitions.
type schemas struct {
	cast     *caster
	up, down *structpb.Struct
	assumed  map[[2]*structpb.Struct]bool // pairs under comparison: recursive classes
}

// schemaFits reports whether a value of schema up may be read by schema down:
// all that down requires is there, with the same types.
func (c *caster) schemaFits(up, down *structpb.Struct) bool {
	s := schemas{cast: c, up: up, down: down, assumed: map[[2]*structpb.Struct]bool{}}
	return s.fits(up, down)
}

func (s schemas) fits(up, down *structpb.Struct) bool {
	up, down = resolve(s.up, up), resolve(s.down, down)
	pair := [2]*structpb.Struct{up, down}
	if s.assumed[pair] || untyped(up) || untyped(down) {
		return true
	}
	if !s.cast.spend() {
		return false
	}
	s.assumed[pair] = true
	ok := s.compare(up, down)
	if !ok {
		delete(s.assumed, pair)
	}
	return ok
}

func (s schemas) compare(up, down *structpb.Struct) bool {
	upAny, downAny := alternatives(up), alternatives(down)
	if upAny != nil || downAny != nil {
		return s.alternativesFit(orSelf(upAny, up), orSelf(downAny, down))
	}
	if !proto.Equal(up.GetFields()["type"], down.GetFields()["type"]) || !s.enumFits(up, down) {
		return false
	}
	return s.fits(child(up, "items"), child(down, "items")) &&
		s.fits(child(up, "additionalProperties"), child(down, "additionalProperties")) &&
		s.propertiesFit(up, down)
}

func (s schemas) propertiesFit(up, down *structpb.Struct) bool {
	have, want := child(up, "properties").GetFields(), child(down, "properties").GetFields()
	for name, w := range want {
		if h, ok := have[name]; ok && !s.fits(h.GetStructValue(), w.GetStructValue()) {
			return false
		}
	}
	if have == nil {
		return true // any object, such as a dict: nothing is known of its keys
	}
	for _, name := range down.GetFields()["required"].GetListValue().GetValues() {
		if _, ok := have[name.GetStringValue()]; !ok {
			return false
		}
	}
	return true
}

func (s schemas) alternativesFit(up, down []*structpb.Struct) bool {
	for _, u := range up {
		found := false
		for _, d := range down {
			if found = s.fits(u, d); found {
				break
			}
		}
		if !found {
			return false
		}
	}
	return true
}

func orSelf(list []*structpb.Struct, self *structpb.Struct) []*structpb.Struct {
	if list == nil {
		return []*structpb.Struct{self}
	}
	return list
}

func alternatives(schema *structpb.Struct) []*structpb.Struct {
	var out []*structpb.Struct
	for _, keyword := range [...]string{"anyOf", "oneOf"} {
		for _, v := range schema.GetFields()[keyword].GetListValue().GetValues() {
			out = append(out, v.GetStructValue())
		}
	}
	return out
}

func (s schemas) enumFits(up, down *structpb.Struct) bool {
	have, want := up.GetFields()["enum"].GetListValue(), down.GetFields()["enum"].GetListValue()
	if have == nil || want == nil {
		return true
	}
	s.cast.charge(len(have.GetValues()) + len(want.GetValues()))
	known := make(map[string]bool, len(want.GetValues()))
	for _, v := range want.GetValues() {
		known[v.String()] = true
	}
	for _, v := range have.GetValues() {
		if !known[v.String()] {
			return false
		}
	}
	return true
}

func child(schema *structpb.Struct, name string) *structpb.Struct {
	return schema.GetFields()[name].GetStructValue()
}

// untyped: a schema that names neither a type nor alternatives says nothing.
func untyped(schema *structpb.Struct) bool {
	return schema.GetFields()["type"] == nil && alternatives(schema) == nil && child(schema, "properties") == nil
}

// resolve follows a "$ref" within the document.
func resolve(root, schema *structpb.Struct) *structpb.Struct {
	for hops := 0; hops < 16; hops++ {
		ref := schema.GetFields()["$ref"].GetStringValue()
		path, ok := strings.CutPrefix(ref, "#/")
		if !ok {
			return schema
		}
		schema = root
		for _, step := range strings.Split(path, "/") {
			schema = child(schema, step)
		}
	}
	return nil
}

// fieldType is the type of a field of a STRUCT: of the dataclass type if it
// has one, else of the JSON schema. A nil type with true means that nothing is
// known and anything goes; false means that there is no such field.
func fieldType(t *core.LiteralType, field string) (*core.LiteralType, bool) {
	if known := t.GetStructure().GetDataclassType(); len(known) > 0 {
		found, ok := known[field]
		return found, ok
	}
	schema := resolve(t.GetMetadata(), t.GetMetadata())
	properties := child(schema, "properties").GetFields()
	if len(properties) == 0 {
		return nil, true
	}
	found, ok := properties[field]
	if !ok {
		return nil, false
	}
	return jsonType(t.GetMetadata(), resolve(t.GetMetadata(), found.GetStructValue())), true
}

var jsonTypes = map[string]core.SimpleType{
	"integer": core.SimpleType_INTEGER,
	"number":  core.SimpleType_FLOAT,
	"boolean": core.SimpleType_BOOLEAN,
}

// jsonType translates a JSON schema where the translation is beyond doubt; nil
// otherwise. A string may be a date, a path or an enum, so it is in doubt.
func jsonType(root, schema *structpb.Struct) *core.LiteralType {
	name := schema.GetFields()["type"].GetStringValue()
	if s, ok := jsonTypes[name]; ok && schema.GetFields()["format"] == nil {
		return simple(s)
	}
	if name != "array" {
		return nil
	}
	element := jsonType(root, resolve(root, child(schema, "items")))
	if element == nil {
		return nil
	}
	return &core.LiteralType{Type: &core.LiteralType_CollectionType{CollectionType: element}}
}
