package compile

import (
	"testing"

	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/skein-project/skein/api/flyteidl/core"
)

func object(required []any, properties map[string]any) *core.LiteralType {
	return class(map[string]any{"type": "object", "required": required, "properties": properties})
}

func TestCastable(t *testing.T) {
	n, s := map[string]any{"type": "integer"}, map[string]any{"type": "string"}
	small := object([]any{"n"}, map[string]any{"n": n})
	large := object([]any{"n", "s"}, map[string]any{"n": n, "s": s})
	draft07 := class(map[string]any{
		"$schema": "http://json-schema.org/draft-07/schema#", "$ref": "#/definitions/C",
		"definitions": map[string]any{"C": map[string]any{"type": "object", "required": []any{"n"}, "properties": map[string]any{"n": n}}},
	})
	recursive := class(map[string]any{
		"$ref": "#/$defs/T", "$defs": map[string]any{"T": map[string]any{"type": "object", "properties": map[string]any{"next": map[string]any{"$ref": "#/$defs/T"}}}},
	})
	for _, test := range []struct {
		name     string
		up, down *core.LiteralType
		want     bool
	}{
		{"the same simple type", integer, integer, true},
		{"no numeric promotion", integer, float, false},
		{"nothing is not a type", nil, integer, false},
		{"a type is not nothing", integer, nil, false},
		{"none to none", none, none, true},
		{"none to a type", none, integer, false},
		{"none to an optional", none, union(integer, none), true},
		{"none to an optional dataset, which takes none too", none, union(dataset(""), none), true},
		{"none to a structured dataset", none, dataset(""), true},
		{"none to a collection", none, listOf(integer), false},
		{"an empty collection to any", listOf(none), listOf(integer), true},
		{"a nested empty collection", listOf(listOf(none)), listOf(listOf(integer)), true},
		{"an empty map to any", mapOf(none), mapOf(integer), true},
		{"a collection elementwise", listOf(integer), listOf(union(integer, none)), true},
		{"a collection is not a map", listOf(integer), mapOf(integer), false},
		{"a blob of the same format", blob("csv"), blob("csv"), true},
		{"a blob of any format", blob("csv"), blob(""), true},
		{"a blob of no format", blob(""), blob("csv"), true},
		{"a blob of another format", blob("csv"), blob("txt"), false},
		{"an enum of fewer values", enum("a"), enum("a", "b"), true},
		{"an enum of more values", enum("a", "b"), enum("a"), false},
		{"an enum is a text", enum("a"), text, true},
		{"a text may be an enum", text, enum("a"), true},
		{"a schema of more columns", schema("a", "b"), schema("a"), true},
		{"a schema of fewer columns", schema("a"), schema("a", "b"), false},
		{"a schema that says nothing", schema(), schema("a"), true},
		{"a schema to a dataset", schema("a", "b"), dataset("", "a"), true},
		{"a schema is parquet", schema("a"), dataset("csv", "a"), false},
		{"a dataset to a schema", dataset("Parquet", "a"), schema("a"), true},
		{"a dataset of another format", dataset("csv"), dataset("parquet"), false},
		{"a dataset of any format", dataset("csv"), dataset(""), true},
		{"a dataset that says nothing", dataset(""), dataset("", "a"), true},
		{"a plain type to one variant", integer, union(integer, text), true},
		{"a plain type to no variant", float, union(integer, text), false},
		{"a plain type to two variants", blob(""), union(blob("a"), blob("b")), false},
		{"the tag decides", tagged(text, "s"), union(tagged(enum("a"), "e"), tagged(text, "s")), true},
		{"another tag is another type", tagged(integer, "a"), tagged(integer, "b"), false},
		{"one tag says nothing", tagged(integer, "a"), integer, true},
		{"a union to a wider one", union(integer, text), union(integer, text, none), true},
		{"a union to a narrower one", union(integer, none), union(integer, text), false},
		{"an optional to a plain type", union(integer, none), integer, false},
		{"a union of one to a plain type", union(integer), integer, true},
		{"a union whose variants fit one another", union(blob(""), blob("a")), union(blob(""), blob("a")), true},
		{"a struct without a schema", structT, small, true},
		{"a struct to one without a schema", small, structT, true},
		{"a class with more fields", large, small, true},
		{"a class that lacks a required field", small, large, false},
		{"a class whose new field is optional", small, object([]any{"n"}, map[string]any{"n": n, "s": s}), true},
		{"a field of another type", small, object([]any{"n"}, map[string]any{"n": s}), false},
		{"two drafts of one schema", draft07, small, true},
		{"two drafts, the other way", large, draft07, true},
		{"a class that holds itself", recursive, recursive, true},
		{"a union in a schema", object(nil, map[string]any{"n": n}), object(nil, map[string]any{"n": map[string]any{"anyOf": []any{n, s}}}), true},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := Castable(test.up, test.down); got != test.want {
				t.Errorf("%s to %s is %v", Describe(test.up), Describe(test.down), got)
			}
		})
	}
}

func unionScalar(v any, of *core.LiteralType) *core.Literal {
	return scalar(&core.Scalar{Value: &core.Scalar_Union{Union: &core.Union{Value: literal(v), Type: of}}})
}

func TestCheckLiteral(t *testing.T) {
	late := scalar(&core.Scalar{Value: &core.Scalar_Primitive{Primitive: &core.Primitive{Value: &core.Primitive_Datetime{Datetime: &timestamppb.Timestamp{Seconds: 1 << 50}}}}})
	packed := scalar(&core.Scalar{Value: &core.Scalar_Binary{Binary: &core.Binary{Tag: "msgpack"}}})
	offloaded := &core.Literal{Value: &core.Literal_OffloadedMetadata{OffloadedMetadata: &core.LiteralOffloadedMetadata{InferredType: listOf(integer)}}}
	for _, test := range []struct {
		name     string
		expected *core.LiteralType
		l        *core.Literal
		want     string // code; empty: fits
	}{
		{"an integer", integer, literal(1), ""},
		{"no promotion", float, literal(1), MismatchingTypes},
		{"no literal", integer, nil, InvalidLiteralType},
		{"an empty literal", integer, &core.Literal{}, InvalidLiteralType},
		{"an empty scalar in a collection", listOf(integer), literal([]any{1}), ""},
		{"an empty collection", listOf(integer), literal([]any{}), ""},
		{"an empty map", mapOf(listOf(integer)), literal(map[string]any{}), ""},
		{"a wrong element", listOf(integer), literal([]any{1, "x"}), MismatchingTypes},
		{"a value of an enum", enum("a"), literal("a"), ""},
		{"no value of an enum", enum("a"), literal("b"), IllegalEnumValue},
		{"no value of an enum, within", mapOf(listOf(enum("a"))), literal(map[string]any{"k": []any{"b"}}), IllegalEnumValue},
		{"no value of an optional enum", union(enum("a"), none), literal("b"), IllegalEnumValue},
		{"none for an optional", union(integer, none), literal(nil), ""},
		{"none for an optional dataset", union(dataset(""), none), literal(nil), ""},
		{"none for a plain type", integer, literal(nil), MismatchingTypes},
		{"two variants fit", union(enum("a"), text), literal("a"), AmbiguousBindingUnionValue},
		{"no variant fits", union(integer, none), literal("a"), IncompatibleBindingUnionValue},
		{"the literal says which variant", union(enum("a"), text), unionScalar("a", text), ""},
		{"the literal says a wrong variant", union(integer, none), unionScalar("a", text), IncompatibleBindingUnionValue},
		{"the literal is not what it says", union(integer, none), unionScalar("a", integer), MismatchingTypes},
		{"a union for a plain type", integer, unionScalar(1, integer), ""},
		{"a datetime out of range", datetime, late, InvalidValue},
		{"a packed class", structT, packed, ""},
		{"an offloaded list", listOf(integer), offloaded, ""},
		{"an offloaded list of another type", listOf(text), offloaded, MismatchingTypes},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := CheckLiteral(test.expected, test.l)
			if test.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if got := problemsOf(t, err); len(got) != 1 || got[0] != test.want {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

func TestTypeOfAndDescribe(t *testing.T) {
	for _, test := range []struct {
		l    *core.Literal
		want string
	}{
		{literal(1), "integer"},
		{literal([]any{}), "collection of none"},
		{literal([]any{1, 2}), "collection of integer"},
		{literal([]any{1, "x", nil, 2}), "collection of union[integer | string | none]"},
		{literal(map[string]any{"b": "x", "a": []any{1.5}}), "map of union[collection of float | string]"},
		{unionScalar(1, enum("a", "b")), "enum[a, b]"},
		{nil, "nothing"},
		{literal([]any{1}), "collection of integer"},
	} {
		if got := Describe(TypeOf(test.l)); got != test.want {
			t.Errorf("got %s, want %s", got, test.want)
		}
	}
	for want, typ := range map[string]*core.LiteralType{
		"blob(csv)": blob("csv"), "blob": blob(""), "structured dataset": dataset(""), "schema": schema(), "struct": structT,
	} {
		if got := Describe(typ); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// anyType draws a well-formed type of little depth.
func anyType(depth int) *rapid.Generator[*core.LiteralType] {
	return rapid.Custom(func(t *rapid.T) *core.LiteralType {
		leaves := []*core.LiteralType{none, integer, text, enum("a"), enum("a", "b"), blob(""), blob("csv"), dataset("", "a"), schema("a"), structT, tagged(integer, "i")}
		kind := rapid.IntRange(0, 5).Draw(t, "kind")
		if depth == 0 || kind > 2 {
			return rapid.SampledFrom(leaves).Draw(t, "leaf")
		}
		inner := anyType(depth - 1)
		switch kind {
		case 0:
			return listOf(inner.Draw(t, "element"))
		case 1:
			return mapOf(inner.Draw(t, "value"))
		}
		return union(rapid.SliceOfN(inner, 1, 3).Draw(t, "variants")...)
	})
}

func TestEveryTypeIsCastableToItself(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		if typ := anyType(3).Draw(t, "type"); !Castable(typ, typ) {
			t.Fatalf("%s is not castable to itself", Describe(typ))
		}
	})
}

// naive states the rules of unions of simple types once more, without wit.
func naive(up, down *core.LiteralType) bool {
	ups, downs := up.GetUnionType().GetVariants(), down.GetUnionType().GetVariants()
	count := func(u *core.LiteralType) (n int) {
		for _, d := range downs {
			if u.GetSimple() == d.GetSimple() {
				n++
			}
		}
		return n
	}
	switch {
	case ups == nil && downs == nil:
		return up.GetSimple() == down.GetSimple()
	case ups == nil && up.GetSimple() == core.SimpleType_NONE:
		return count(up) > 0
	case ups == nil:
		return count(up) == 1
	}
	for _, u := range ups {
		if downs == nil && u.GetSimple() != down.GetSimple() || downs != nil && count(u) == 0 {
			return false
		}
	}
	return true
}

func TestUnionsAgreeWithTheNaiveRules(t *testing.T) {
	simples := rapid.SampledFrom([]*core.LiteralType{none, integer, float, text})
	either := rapid.Custom(func(t *rapid.T) *core.LiteralType {
		if rapid.Bool().Draw(t, "plain") {
			return simples.Draw(t, "type")
		}
		return union(rapid.SliceOfN(simples, 1, 4).Draw(t, "variants")...)
	})
	rapid.Check(t, func(t *rapid.T) {
		up, down := either.Draw(t, "up"), either.Draw(t, "down")
		if got, want := Castable(up, down), naive(up, down); got != want {
			t.Fatalf("%s to %s is %v", Describe(up), Describe(down), got)
		}
	})
}
