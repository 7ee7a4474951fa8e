package act

import (
	"context"
	"errors"
	"testing"

	"github.com/vmihailenco/msgpack/v5"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/propeller/workflow"
)

// memory is an object store.
type memory map[string][]byte

func (m memory) Read(_ context.Context, uri string) ([]byte, error) {
	if data, ok := m[uri]; ok {
		return data, nil
	}
	return nil, fault.E(fault.NotFound, "no %s", uri)
}

func (m memory) Write(_ context.Context, uri string, data []byte) error { m[uri] = data; return nil }

func integer(n int64) *core.Literal {
	return primitive(&core.Primitive{Value: &core.Primitive_Integer{Integer: n}})
}

func path(steps ...any) []*core.PromiseAttribute {
	var p []*core.PromiseAttribute
	for _, s := range steps {
		switch s := s.(type) {
		case int:
			p = append(p, &core.PromiseAttribute{Value: &core.PromiseAttribute_IntValue{IntValue: int32(s)}})
		case string:
			p = append(p, &core.PromiseAttribute{Value: &core.PromiseAttribute_StringValue{StringValue: s}})
		}
	}
	return p
}

func outputs(t *testing.T) (memory, workflow.Inputs) {
	t.Helper()
	s, err := structpb.NewStruct(map[string]any{"n": 3, "f": 1.5, "l": []any{"a", map[string]any{"x": true}}})
	if err != nil {
		t.Fatal(err)
	}
	packed, err := msgpack.Marshal(map[string]any{"n": 3, "inner": map[string]any{"list": []int{10, 20, 30}}})
	if err != nil {
		t.Fatal(err)
	}
	offloaded, _ := proto.Marshal(&core.Literal{Value: &core.Literal_Collection{Collection: &core.LiteralCollection{Literals: []*core.Literal{integer(5)}}}})
	list := &core.Literal{Value: &core.Literal_Collection{Collection: &core.LiteralCollection{Literals: []*core.Literal{integer(1), integer(2)}}}}
	data, err := proto.Marshal(&core.LiteralMap{Literals: map[string]*core.Literal{
		"o0": integer(4), "list": list,
		"map":    {Value: &core.Literal_Map{Map: &core.LiteralMap{Literals: map[string]*core.Literal{"k": list}}}},
		"struct": scalar(&core.Scalar{Value: &core.Scalar_Generic{Generic: s}}),
		"pack":   scalar(&core.Scalar{Value: &core.Scalar_Binary{Binary: &core.Binary{Value: packed, Tag: "msgpack"}}}),
		"maybe":  union(list, simple(core.SimpleType_INTEGER)),
		"off":    {Value: &core.Literal_OffloadedMetadata{OffloadedMetadata: &core.LiteralOffloadedMetadata{Uri: "off"}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return memory{"out": data, "off": offloaded}, workflow.Inputs{Sources: map[string]workflow.Source{
		"n0": {URI: "out", Aliases: map[string]string{"renamed": "o0"}}, workflow.StartNode: {URI: "out"}, "empty": {}}}
}

func TestPromisesAreResolved(t *testing.T) {
	blobs, in := outputs(t)
	text := func(s string) *core.Literal {
		return primitive(&core.Primitive{Value: &core.Primitive_StringValue{StringValue: s}})
	}
	for _, c := range []struct {
		node, name string
		path       []*core.PromiseAttribute
		want       *core.Literal
		kind       core.SimpleType
	}{
		{node: "n0", name: "o0", want: integer(4)},
		{node: "n0", name: "renamed", want: integer(4)},
		{node: "", name: "o0", want: integer(4)},
		{node: "n0", name: "list", path: path(1), want: integer(2)},
		{node: "n0", name: "map", path: path("k", 0), want: integer(1)},
		{node: "n0", name: "maybe", path: path(0), want: integer(1)},
		{node: "n0", name: "off", path: path(0), want: integer(5)},
		{node: "n0", name: "struct", path: path("n"), kind: core.SimpleType_INTEGER, want: integer(3)},
		{node: "n0", name: "struct", path: path("f"), kind: core.SimpleType_FLOAT, want: primitive(&core.Primitive{Value: &core.Primitive_FloatValue{FloatValue: 1.5}})},
		{node: "n0", name: "struct", path: path("l", 0), want: text("a")},
		{node: "n0", name: "struct", path: path("l", 1, "x"), want: primitive(&core.Primitive{Value: &core.Primitive_Boolean{Boolean: true}})},
		{node: "n0", name: "pack", path: path("inner", "list", 2), want: scalar(&core.Scalar{Value: &core.Scalar_Binary{Binary: &core.Binary{Value: []byte{30}, Tag: "msgpack"}}})},
	} {
		r := &reader{blobs: blobs}
		got, err := r.promise(t.Context(), in, &core.OutputReference{NodeId: c.node, Var: c.name, AttrPath: c.path}, simple(c.kind))
		if err != nil {
			t.Errorf("%s%v: %v", c.name, c.path, err)
			continue
		}
		// msgpack encodes an int of Go in nine bytes; what counts is the value.
		if b := got.GetScalar().GetBinary(); b != nil {
			var n int
			if err := msgpack.Unmarshal(b.GetValue(), &n); err != nil || n != 30 || b.GetTag() != "msgpack" {
				t.Errorf("%s: %d, %v", c.name, n, err)
			}
			continue
		}
		if !proto.Equal(got, c.want) {
			t.Errorf("%s%v: %v, want %v", c.name, c.path, got, c.want)
		}
	}
}

func TestWhatCannotBeResolvedIsAFailure(t *testing.T) {
	blobs, in := outputs(t)
	in.Sources["lost"] = workflow.Source{URI: "nowhere"}
	for _, c := range []struct {
		node, name string
		path       []*core.PromiseAttribute
		code       string
	}{
		{"n0", "absent", nil, "PromiseResolveError"}, {"empty", "o0", nil, "PromiseResolveError"}, {"lost", "o0", nil, "InputsNotFound"},
		{"n0", "list", path(2), "PromiseAttributeResolveError"}, {"n0", "list", path("x"), "PromiseAttributeResolveError"},
		{"n0", "map", path("x"), "PromiseAttributeResolveError"}, {"n0", "struct", path("x"), "PromiseAttributeResolveError"},
		{"n0", "pack", path("inner", "x"), "PromiseAttributeResolveError"}, {"n0", "pack", path("inner", "list", 3), "PromiseAttributeResolveError"},
		{"n0", "pack", path("n", "x"), "PromiseAttributeResolveError"}, {"n0", "o0", path(0), "PromiseAttributeResolveError"},
	} {
		r := &reader{blobs: blobs}
		_, err := r.promise(t.Context(), in, &core.OutputReference{NodeId: c.node, Var: c.name, AttrPath: c.path}, nil)
		var f *workflow.Failure
		if !errors.As(err, &f) || f.Code != c.code {
			t.Errorf("%s %s%v: %v, want %s", c.node, c.name, c.path, err, c.code)
		}
	}
}

func simple(s core.SimpleType) *core.LiteralType {
	return &core.LiteralType{Type: &core.LiteralType_Simple{Simple: s}}
}

// tagged is a variant as flytekit declares it.
func tagged(s core.SimpleType, tag string) *core.LiteralType {
	t := simple(s)
	t.Structure = &core.TypeStructure{Tag: tag}
	return t
}

func TestOptionalInputsAndErrors(t *testing.T) {
	optional := &core.LiteralType{Type: &core.LiteralType_UnionType{UnionType: &core.UnionType{
		Variants: []*core.LiteralType{tagged(core.SimpleType_ERROR, "FlyteError"), tagged(core.SimpleType_NONE, "none")}}}}
	in := workflow.Inputs{Declared: map[string]*core.Variable{"err": {Type: optional}}}
	r := &reader{blobs: memory{}}
	got, _, err := r.inputs(t.Context(), in)
	if err != nil || got.GetLiterals()["err"].GetScalar().GetUnion().GetValue().GetScalar().GetNoneType() == nil {
		t.Errorf("unbound: %v, %v", got, err)
	}
	in.Err = &core.Error{FailedNodeId: "n1", Message: "why"}
	got, _, err = r.inputs(t.Context(), in)
	if e := got.GetLiterals()["err"].GetScalar().GetUnion().GetValue().GetScalar().GetError(); err != nil || e.GetFailedNodeId() != "n1" {
		t.Errorf("failed: %v, %v", got, err)
	}
	if tag := got.GetLiterals()["err"].GetScalar().GetUnion().GetType().GetStructure().GetTag(); tag != "FlyteError" {
		t.Errorf("the variant's tag is %q: flytekit cannot tell which it is", tag)
	}
}

func FuzzMsgpack(f *testing.F) {
	packed, _ := msgpack.Marshal(map[string]any{"a": []any{1, "x", nil, map[int]string{1: "y"}}})
	f.Add(packed, "a", 3)
	f.Fuzz(func(t *testing.T, raw []byte, key string, i int) {
		if len(raw) > 1<<12 {
			t.Skip()
		}
		_, _ = inMsgpack(raw, path(key, i)) // must not panic
	})
}
