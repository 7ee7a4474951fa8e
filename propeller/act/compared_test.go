package act

import (
	"testing"

	"github.com/vmihailenco/msgpack/v5"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/propeller/workflow"
)

// TestWhatConditionsCompareIsPrimitive: fields of dataclasses reach a condition
// as what flytekit compares with them locally.
func TestWhatConditionsCompareIsPrimitive(t *testing.T) {
	packed, err := msgpack.Marshal(map[string]any{"small": 3, "large": uint64(200), "huge": uint64(1 << 63), "real": 1.5,
		"text": "word", "yes": true, "none": nil, "list": []int{1}})
	if err != nil {
		t.Fatal(err)
	}
	fields, err := structpb.NewStruct(map[string]any{"n": 3, "text": "word"})
	if err != nil {
		t.Fatal(err)
	}
	binary := scalar(&core.Scalar{Value: &core.Scalar_Binary{Binary: &core.Binary{Value: packed, Tag: "msgpack"}}})
	data, err := proto.Marshal(&core.LiteralMap{Literals: map[string]*core.Literal{
		"pack": binary, "maybe": union(binary, simple(core.SimpleType_STRUCT)), "plain": integer(7),
		"struct": scalar(&core.Scalar{Value: &core.Scalar_Generic{Generic: fields}})}})
	if err != nil {
		t.Fatal(err)
	}
	real := func(f float64) *core.Literal {
		return primitive(&core.Primitive{Value: &core.Primitive_FloatValue{FloatValue: f}})
	}
	text := primitive(&core.Primitive{Value: &core.Primitive_StringValue{StringValue: "word"}})
	for _, c := range []struct {
		name, field string
		kind        core.SimpleType // of what it is compared with
		want        *core.Literal   // nil: stays msgpack
	}{
		{"pack", "small", core.SimpleType_INTEGER, integer(3)}, {"pack", "small", core.SimpleType_FLOAT, real(3)},
		{"pack", "large", core.SimpleType_INTEGER, integer(200)}, {"maybe", "large", core.SimpleType_FLOAT, real(200)},
		{"pack", "real", core.SimpleType_FLOAT, real(1.5)}, {"pack", "text", core.SimpleType_STRING, text},
		{"pack", "yes", core.SimpleType_BOOLEAN, primitive(&core.Primitive{Value: &core.Primitive_Boolean{Boolean: true}})},
		{"pack", "none", core.SimpleType_NONE, scalar(&core.Scalar{Value: &core.Scalar_NoneType{NoneType: &core.Void{}}})},
		{"pack", "huge", core.SimpleType_INTEGER, nil}, {"pack", "list", core.SimpleType_INTEGER, nil},
		{"plain", "", core.SimpleType_INTEGER, integer(7)},
		{"struct", "n", core.SimpleType_INTEGER, integer(3)}, {"struct", "n", core.SimpleType_FLOAT, real(3)}, {"struct", "text", core.SimpleType_STRING, text},
	} {
		ref := &core.OutputReference{NodeId: "n0", Var: c.name}
		if c.field != "" {
			ref.AttrPath = path(c.field)
		}
		r := &reader{blobs: memory{"out": data}}
		got, _, err := r.inputs(t.Context(), workflow.Inputs{Compared: true, Sources: map[string]workflow.Source{"n0": {URI: "out"}},
			Declared: map[string]*core.Variable{"v": {Type: simple(c.kind)}},
			Bindings: []*core.Binding{{Var: "v", Binding: &core.BindingData{Value: &core.BindingData_Promise{Promise: ref}}}}})
		if err != nil {
			t.Errorf("%s.%s: %v", c.name, c.field, err)
			continue
		}
		v := got.GetLiterals()["v"]
		if c.want == nil && v.GetScalar().GetBinary().GetTag() != "msgpack" || c.want != nil && !proto.Equal(v, c.want) {
			t.Errorf("%s.%s: %v, want %v", c.name, c.field, v, c.want)
		}
	}
}
