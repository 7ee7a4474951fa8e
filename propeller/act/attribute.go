package act

import (
	"context"
	"fmt"
	"math"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/propeller/workflow"
)

func unreachable(format string, args ...any) error {
	return &workflow.Failure{Code: "PromiseAttributeResolveError", Message: fmt.Sprintf(format, args...)}
}

// attribute follows a path into a literal. Within a struct or a msgpack value
// it goes on in that value's own terms.
func (r *reader) attribute(ctx context.Context, l *core.Literal, path []*core.PromiseAttribute, want *core.LiteralType) (*core.Literal, error) {
	if len(path) == 0 {
		return l, nil
	}
	l, err := r.open(ctx, l)
	if err != nil {
		return nil, err
	}
	next, err := child(l, path[0])
	if err != nil {
		return nil, err
	}
	if next != nil {
		return r.attribute(ctx, next, path[1:], want)
	}
	if s := l.GetScalar().GetGeneric(); s != nil {
		return inStruct(s, path, want)
	}
	if b := l.GetScalar().GetBinary(); b != nil && b.GetTag() == tagMsgpack {
		return inMsgpack(b.GetValue(), path)
	}
	return nil, unreachable("a value of this kind has no attributes")
}

// open takes a literal out of a union, and fetches it if it was offloaded.
func (r *reader) open(ctx context.Context, l *core.Literal) (*core.Literal, error) {
	for l.GetScalar().GetUnion() != nil {
		l = l.GetScalar().GetUnion().GetValue()
	}
	meta := l.GetOffloadedMetadata()
	if meta == nil {
		return l, nil
	}
	data, err := r.blobs.Read(ctx, meta.GetUri())
	if err != nil {
		return nil, fmt.Errorf("read the offloaded value %s: %w", meta.GetUri(), transient(err))
	}
	whole := &core.Literal{}
	if err := proto.Unmarshal(data, whole); err != nil {
		return nil, unreachable("the offloaded value %s cannot be read", meta.GetUri())
	}
	return whole, nil
}

// child is an element of a collection or a map; nil if l is neither.
func child(l *core.Literal, step *core.PromiseAttribute) (*core.Literal, error) {
	switch v := l.GetValue().(type) {
	case *core.Literal_Collection:
		i, list := int(step.GetIntValue()), v.Collection.GetLiterals()
		if _, ok := step.GetValue().(*core.PromiseAttribute_IntValue); !ok || i < 0 || i >= len(list) {
			return nil, unreachable("index %s is not in a list of %d", name(step), len(list))
		}
		return list[i], nil
	case *core.Literal_Map:
		e, ok := v.Map.GetLiterals()[step.GetStringValue()]
		if !ok {
			return nil, unreachable("key %s is not in the map", name(step))
		}
		return e, nil
	}
	return nil, nil
}

func name(step *core.PromiseAttribute) string {
	if v, ok := step.GetValue().(*core.PromiseAttribute_IntValue); ok {
		return fmt.Sprint(v.IntValue)
	}
	return fmt.Sprintf("%q", step.GetStringValue())
}

func inStruct(s *structpb.Struct, path []*core.PromiseAttribute, want *core.LiteralType) (*core.Literal, error) {
	v := structpb.NewStructValue(s)
	for _, step := range path {
		switch k := v.GetKind().(type) {
		case *structpb.Value_StructValue:
			next, ok := k.StructValue.GetFields()[step.GetStringValue()]
			if !ok {
				return nil, unreachable("field %s is not in the struct", name(step))
			}
			v = next
		case *structpb.Value_ListValue:
			i, list := int(step.GetIntValue()), k.ListValue.GetValues()
			if i < 0 || i >= len(list) {
				return nil, unreachable("index %s is not in a list of %d", name(step), len(list))
			}
			v = list[i]
		default:
			return nil, unreachable("there is nothing at %s", name(step))
		}
	}
	return fromStruct(v, want), nil
}

// fromStruct makes a literal of a value of a struct, whose numbers have no
// type of their own.
func fromStruct(v *structpb.Value, want *core.LiteralType) *core.Literal {
	switch k := v.GetKind().(type) {
	case *structpb.Value_StringValue:
		return primitive(&core.Primitive{Value: &core.Primitive_StringValue{StringValue: k.StringValue}})
	case *structpb.Value_BoolValue:
		return primitive(&core.Primitive{Value: &core.Primitive_Boolean{Boolean: k.BoolValue}})
	case *structpb.Value_NumberValue:
		if takes(want, core.SimpleType_INTEGER) && k.NumberValue == math.Trunc(k.NumberValue) {
			return primitive(&core.Primitive{Value: &core.Primitive_Integer{Integer: int64(k.NumberValue)}})
		}
		return primitive(&core.Primitive{Value: &core.Primitive_FloatValue{FloatValue: k.NumberValue}})
	case *structpb.Value_StructValue:
		return scalar(&core.Scalar{Value: &core.Scalar_Generic{Generic: k.StructValue}})
	case *structpb.Value_ListValue:
		list := &core.LiteralCollection{}
		for _, e := range k.ListValue.GetValues() {
			list.Literals = append(list.Literals, fromStruct(e, want.GetCollectionType()))
		}
		return &core.Literal{Value: &core.Literal_Collection{Collection: list}}
	}
	return scalar(&core.Scalar{Value: &core.Scalar_NoneType{NoneType: &core.Void{}}})
}

func primitive(p *core.Primitive) *core.Literal {
	return scalar(&core.Scalar{Value: &core.Scalar_Primitive{Primitive: p}})
}

// comparable makes a primitive of a msgpack value that is one, since what a
// condition compares is not decoded by any task. Other literals stay.
func (r *reader) comparable(ctx context.Context, l *core.Literal, want *core.LiteralType) (*core.Literal, error) {
	open, err := r.open(ctx, l)
	if err != nil {
		return nil, err
	}
	b := open.GetScalar().GetBinary()
	if b == nil || b.GetTag() != tagMsgpack {
		return l, nil
	}
	v, err := simpleMsgpack(b.GetValue())
	if err != nil {
		return nil, unreachable("the msgpack value cannot be read: %v", err)
	}
	switch v := v.(type) {
	case nil:
		return scalar(&core.Scalar{Value: &core.Scalar_NoneType{NoneType: &core.Void{}}}), nil
	case bool:
		return primitive(&core.Primitive{Value: &core.Primitive_Boolean{Boolean: v}}), nil
	case string:
		return primitive(&core.Primitive{Value: &core.Primitive_StringValue{StringValue: v}}), nil
	case float64:
		return primitive(&core.Primitive{Value: &core.Primitive_FloatValue{FloatValue: v}}), nil
	case int64:
		return number(v, want), nil
	case uint64:
		if v <= math.MaxInt64 {
			return number(int64(v), want), nil
		}
	}
	return l, nil
}

// number is an integer, or a float where one is wanted: Python keeps 1 for 1.0.
func number(n int64, want *core.LiteralType) *core.Literal {
	if takes(want, core.SimpleType_FLOAT) {
		return primitive(&core.Primitive{Value: &core.Primitive_FloatValue{FloatValue: float64(n)}})
	}
	return primitive(&core.Primitive{Value: &core.Primitive_Integer{Integer: n}})
}
