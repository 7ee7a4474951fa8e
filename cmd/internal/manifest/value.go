package manifest

import (
	"encoding/json"
	"fmt"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-project/skein/api/flyteidl/core"
)

var simple = map[string]core.SimpleType{
	"string": core.SimpleType_STRING, "integer": core.SimpleType_INTEGER, "float": core.SimpleType_FLOAT,
	"boolean": core.SimpleType_BOOLEAN, "datetime": core.SimpleType_DATETIME, "duration": core.SimpleType_DURATION,
}

// parseType reads a type as manifests write it.
func parseType(s string) (*core.LiteralType, error) {
	if t, ok := simple[s]; ok {
		return &core.LiteralType{Type: &core.LiteralType_Simple{Simple: t}}, nil
	}
	if s == "file" {
		return &core.LiteralType{Type: &core.LiteralType_Blob{Blob: &core.BlobType{}}}, nil
	}
	names := make([]string, 0, len(simple)+1)
	for name := range simple {
		names = append(names, name)
	}
	names = append(names, "file")
	sort.Strings(names)
	return nil, fmt.Errorf("type %q is not one of %s", s, strings.Join(names, ", "))
}

var refPattern = regexp.MustCompile(`^\$\{([A-Za-z0-9_-]+)\.([A-Za-z0-9_]+)\}$`)

// reference reads "${node.output}" or "${inputs.name}"; the node is empty for
// an input of the workflow.
func reference(value any) (node, name string, ok bool) {
	s, isString := value.(string)
	if !isString {
		return "", "", false
	}
	m := refPattern.FindStringSubmatch(s)
	if m == nil {
		return "", "", false
	}
	if m[1] == "inputs" {
		return "", m[2], true
	}
	return m[1], m[2], true
}

// binding turns a node input into Flyte's binding.
func binding(typ string, value any) (*core.BindingData, error) {
	if node, name, ok := reference(value); ok {
		return &core.BindingData{Value: &core.BindingData_Promise{Promise: &core.OutputReference{NodeId: node, Var: name}}}, nil
	}
	t, err := parseType(typ)
	if err != nil {
		return nil, err
	}
	l, err := Literal(t, value)
	if err != nil {
		return nil, err
	}
	return &core.BindingData{Value: &core.BindingData_Scalar{Scalar: l.GetScalar()}}, nil
}

// Literal turns a YAML value, or the text of a flag, into a literal of a
// simple or blob type. Collections and maps are read as JSON text or YAML.
func Literal(t *core.LiteralType, value any) (*core.Literal, error) {
	if text, ok := value.(string); ok && (t.GetCollectionType() != nil || t.GetMapValueType() != nil) {
		var parsed any
		if err := json.Unmarshal([]byte(text), &parsed); err != nil {
			return nil, fmt.Errorf("want JSON, got %q", text)
		}
		value = parsed
	}
	switch {
	case t.GetCollectionType() != nil:
		return collection(t.GetCollectionType(), value)
	case t.GetMapValueType() != nil:
		return mapping(t.GetMapValueType(), value)
	case t.GetUnionType() != nil:
		return union(t.GetUnionType(), value)
	case t.GetBlob() != nil:
		return scalar(&core.Scalar{Value: &core.Scalar_Blob{Blob: &core.Blob{
			Metadata: &core.BlobMetadata{Type: t.GetBlob()}, Uri: text(value)}}}), nil
	case t.GetEnumType() != nil:
		return scalar(primitive(&core.Primitive{Value: &core.Primitive_StringValue{StringValue: text(value)}})), nil
	}
	return simpleLiteral(t.GetSimple(), text(value))
}

func simpleLiteral(t core.SimpleType, text string) (*core.Literal, error) {
	switch t {
	case core.SimpleType_STRING:
		return scalar(primitive(&core.Primitive{Value: &core.Primitive_StringValue{StringValue: text}})), nil
	case core.SimpleType_INTEGER:
		n, err := parseInteger(text)
		if err != nil {
			return nil, err
		}
		return scalar(primitive(&core.Primitive{Value: &core.Primitive_Integer{Integer: n}})), nil
	case core.SimpleType_FLOAT:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, fmt.Errorf("want a number, got %q", text)
		}
		return scalar(primitive(&core.Primitive{Value: &core.Primitive_FloatValue{FloatValue: f}})), nil
	case core.SimpleType_BOOLEAN:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return nil, fmt.Errorf("want true or false, got %q", text)
		}
		return scalar(primitive(&core.Primitive{Value: &core.Primitive_Boolean{Boolean: b}})), nil
	case core.SimpleType_DATETIME:
		at, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			return nil, fmt.Errorf("want a time such as 2026-01-02T15:04:05Z, got %q", text)
		}
		return scalar(primitive(&core.Primitive{Value: &core.Primitive_Datetime{Datetime: timestamppb.New(at)}})), nil
	case core.SimpleType_DURATION:
		d, err := parseDuration(text)
		if err != nil {
			return nil, err
		}
		return scalar(primitive(&core.Primitive{Value: &core.Primitive_Duration{Duration: durationpb.New(d)}})), nil
	case core.SimpleType_NONE:
		return scalar(&core.Scalar{Value: &core.Scalar_NoneType{NoneType: &core.Void{}}}), nil
	}
	return nil, fmt.Errorf("values of type %s cannot be written as text", t)
}

// parseInteger reads whole numbers, also those that YAML made a float of.
func parseInteger(text string) (int64, error) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n, nil
	}
	if f, err := strconv.ParseFloat(text, 64); err == nil && f == float64(int64(f)) {
		return int64(f), nil
	}
	return 0, fmt.Errorf("want a whole number, got %q", text)
}

func parseDuration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("want a duration such as 30s, got %q", text)
	}
	return d, nil
}

func collection(t *core.LiteralType, value any) (*core.Literal, error) {
	list, ok := value.([]any)
	if !ok {
		return nil, fmt.Errorf("want a list, got %v", value)
	}
	out := &core.LiteralCollection{}
	for i, v := range list {
		l, err := Literal(t, v)
		if err != nil {
			return nil, fmt.Errorf("[%d]: %w", i, err)
		}
		out.Literals = append(out.Literals, l)
	}
	return &core.Literal{Value: &core.Literal_Collection{Collection: out}}, nil
}

func mapping(t *core.LiteralType, value any) (*core.Literal, error) {
	m, ok := value.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("want a map, got %v", value)
	}
	out := &core.LiteralMap{Literals: map[string]*core.Literal{}}
	for k, v := range m {
		l, err := Literal(t, v)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", k, err)
		}
		out.Literals[k] = l
	}
	return &core.Literal{Value: &core.Literal_Map{Map: out}}, nil
}

// union takes the first variant that the value can be written as.
func union(t *core.UnionType, value any) (*core.Literal, error) {
	var problems []string
	for _, variant := range t.GetVariants() {
		l, err := Literal(variant, value)
		if err == nil {
			return scalar(&core.Scalar{Value: &core.Scalar_Union{Union: &core.Union{Value: l, Type: variant}}}), nil
		}
		problems = append(problems, err.Error())
	}
	return nil, fmt.Errorf("fits none of the variants: %s", strings.Join(problems, "; "))
}

func scalar(s *core.Scalar) *core.Literal {
	return &core.Literal{Value: &core.Literal_Scalar{Scalar: s}}
}

func primitive(p *core.Primitive) *core.Scalar {
	return &core.Scalar{Value: &core.Scalar_Primitive{Primitive: p}}
}

// text is a value as it was written: numbers arrive as floats, and a whole one
// is printed without an exponent.
func text(value any) string {
	if f, ok := value.(float64); ok {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	return fmt.Sprint(value)
}
