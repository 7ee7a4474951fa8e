package copilot

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-project/skein/api/flyteidl/core"
)

func scalar(s *core.Scalar) *core.Literal {
	return &core.Literal{Value: &core.Literal_Scalar{Scalar: s}}
}

func primitive(p *core.Primitive) *core.Literal {
	return scalar(&core.Scalar{Value: &core.Scalar_Primitive{Primitive: p}})
}

func primitiveText(p *core.Primitive) string { return fmt.Sprint(primitiveValue(p)) }

// primitiveValue is a primitive as JSON shows it.
func primitiveValue(p *core.Primitive) any {
	switch v := p.GetValue().(type) {
	case *core.Primitive_Integer:
		return v.Integer
	case *core.Primitive_FloatValue:
		return v.FloatValue
	case *core.Primitive_StringValue:
		return v.StringValue
	case *core.Primitive_Boolean:
		return v.Boolean
	case *core.Primitive_Datetime:
		return v.Datetime.AsTime().Format(time.RFC3339Nano)
	case *core.Primitive_Duration:
		return v.Duration.AsDuration().String()
	}
	return nil
}

// parse makes a literal of a file's text. A string is taken as it is, but for
// one newline at its end, which shells put there; all else may have white space
// around it; lists and maps are JSON.
func parse(text string, t *core.LiteralType) (*core.Literal, error) {
	switch v := t.GetType().(type) {
	case *core.LiteralType_Simple:
		return parseSimple(text, v.Simple)
	case *core.LiteralType_EnumType:
		return parseSimple(strings.TrimSpace(text), core.SimpleType_STRING)
	case *core.LiteralType_UnionType:
		return parseUnion(text, v.UnionType)
	case *core.LiteralType_CollectionType:
		return parseList(text, v.CollectionType)
	case *core.LiteralType_MapValueType:
		return parseMap(text, v.MapValueType)
	}
	return nil, fmt.Errorf("a value of this type cannot be read from a file")
}

func parseSimple(text string, s core.SimpleType) (*core.Literal, error) {
	trimmed := strings.TrimSpace(text)
	switch s {
	case core.SimpleType_STRING:
		return primitive(&core.Primitive{Value: &core.Primitive_StringValue{StringValue: strings.TrimSuffix(text, "\n")}}), nil
	case core.SimpleType_INTEGER:
		n, err := strconv.ParseInt(trimmed, 10, 64)
		return primitive(&core.Primitive{Value: &core.Primitive_Integer{Integer: n}}), err
	case core.SimpleType_FLOAT:
		n, err := strconv.ParseFloat(trimmed, 64)
		return primitive(&core.Primitive{Value: &core.Primitive_FloatValue{FloatValue: n}}), err
	case core.SimpleType_BOOLEAN:
		b, err := strconv.ParseBool(strings.ToLower(trimmed))
		return primitive(&core.Primitive{Value: &core.Primitive_Boolean{Boolean: b}}), err
	case core.SimpleType_DATETIME:
		at, err := time.Parse(time.RFC3339Nano, trimmed)
		return primitive(&core.Primitive{Value: &core.Primitive_Datetime{Datetime: timestamppb.New(at)}}), err
	case core.SimpleType_DURATION:
		d, err := time.ParseDuration(trimmed)
		return primitive(&core.Primitive{Value: &core.Primitive_Duration{Duration: durationpb.New(d)}}), err
	case core.SimpleType_BINARY:
		return scalar(&core.Scalar{Value: &core.Scalar_Binary{Binary: &core.Binary{Value: []byte(text)}}}), nil
	case core.SimpleType_STRUCT:
		m := &structpb.Struct{}
		err := protojson.Unmarshal([]byte(text), m)
		return scalar(&core.Scalar{Value: &core.Scalar_Generic{Generic: m}}), err
	case core.SimpleType_NONE:
		return scalar(&core.Scalar{Value: &core.Scalar_NoneType{NoneType: &core.Void{}}}), nil
	}
	return nil, fmt.Errorf("a value of type %s cannot be read from a file", s)
}

// parseUnion takes the first variant that fits; NONE fits only an empty file.
func parseUnion(text string, u *core.UnionType) (*core.Literal, error) {
	for _, t := range u.GetVariants() {
		simple, isSimple := t.GetType().(*core.LiteralType_Simple)
		if isSimple && simple.Simple == core.SimpleType_NONE && text != "" {
			continue
		}
		if l, err := parse(text, t); err == nil {
			return scalar(&core.Scalar{Value: &core.Scalar_Union{Union: &core.Union{Value: l, Type: t}}}), nil
		}
	}
	return nil, fmt.Errorf("the text fits no variant of the union")
}

func parseList(text string, of *core.LiteralType) (*core.Literal, error) {
	var raw []json.RawMessage
	if err := json.Unmarshal([]byte(text), &raw); err != nil {
		return nil, err
	}
	list := &core.LiteralCollection{}
	for _, r := range raw {
		l, err := parse(bare(r), of)
		if err != nil {
			return nil, err
		}
		list.Literals = append(list.Literals, l)
	}
	return &core.Literal{Value: &core.Literal_Collection{Collection: list}}, nil
}

func parseMap(text string, of *core.LiteralType) (*core.Literal, error) {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &raw); err != nil {
		return nil, err
	}
	m := &core.LiteralMap{Literals: map[string]*core.Literal{}}
	for k, r := range raw {
		l, err := parse(bare(r), of)
		if err != nil {
			return nil, err
		}
		m.Literals[k] = l
	}
	return &core.Literal{Value: &core.Literal_Map{Map: m}}, nil
}

// bare is a JSON string without its quotes, and anything else as it is.
func bare(r json.RawMessage) string {
	var s string
	if json.Unmarshal(r, &s) == nil {
		return s
	}
	return string(r)
}
