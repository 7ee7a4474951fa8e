package gateway

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"sync"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/skein-project/skein/api/fault"
)

type object = map[string]any

// openAPI serves a description of the REST API (OpenAPI 2), made of the
// descriptors and the paths that the gateway itself is made of.
func openAPI() http.HandlerFunc {
	document := sync.OnceValues(func() ([]byte, error) {
		doc, err := describe()
		if err != nil {
			return nil, err
		}
		return json.Marshal(doc)
	})
	return func(w http.ResponseWriter, _ *http.Request) {
		body, err := document()
		if err != nil { // a path of ours names no method of ours
			http.Error(w, "internal error", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body)
	}
}

func describe() (object, error) {
	all, err := Bindings()
	if err != nil {
		return nil, err
	}
	paths, definitions := object{}, object{}
	define(definitions, "google.rpc.Status", object{"type": "object", "properties": object{
		"code": object{"type": "integer"}, "message": object{"type": "string"}, "error": object{"type": "string"},
		"details": object{"type": "array", "items": object{"type": "object"}}}})
	for _, b := range all {
		d, err := protoregistry.GlobalFiles.FindDescriptorByName(b.RPC)
		method, ok := d.(protoreflect.MethodDescriptor)
		if err != nil || !ok {
			return nil, fault.E(fault.Internal, "gateway.yaml names %s, which is no method", b.RPC)
		}
		verbs, ok := paths[b.Path].(object)
		if !ok {
			verbs = object{}
			paths[b.Path] = verbs
		}
		verbs[strings.ToLower(b.Verb)] = operation(definitions, b, method)
	}
	bodies := []string{"application/json", octets}
	return object{
		"swagger": "2.0", "info": object{"title": "Flyte's API, as Skein serves it", "version": "v1"},
		"consumes": bodies, "produces": bodies, "paths": paths, "definitions": definitions,
	}, nil
}

var braces = regexp.MustCompile(`\{([^}]+)\}`)

func operation(definitions object, b Binding, method protoreflect.MethodDescriptor) object {
	var parameters []object
	inPath := map[string]bool{}
	for _, m := range braces.FindAllStringSubmatch(b.Path, -1) {
		inPath[m[1]] = true
		parameters = append(parameters, object{"name": m[1], "in": "path", "required": true, "type": "string"})
	}
	if b.Body {
		parameters = append(parameters, object{"name": "body", "in": "body", "required": true, "schema": reference(definitions, method.Input())})
	} else {
		parameters = append(parameters, query(method.Input(), "", inPath)...)
	}
	return object{
		"operationId": string(method.Name()), "tags": []string{string(method.Parent().Name())}, "parameters": parameters,
		"responses": object{
			"200":     object{"description": "The answer.", "schema": reference(definitions, method.Output())},
			"default": object{"description": "An error.", "schema": object{"$ref": "#/definitions/google.rpc.Status"}},
		},
	}
}

// query lists the fields of a message that a query can have. Requests that are
// read from one are shallow and never hold themselves.
func query(d protoreflect.MessageDescriptor, prefix string, inPath map[string]bool) []object {
	var list []object
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		name := prefix + string(f.Name())
		switch {
		case inPath[name] || f.IsMap():
		case f.Message() != nil && !wellKnown(f.Message()):
			if !f.IsList() {
				list = append(list, query(f.Message(), name+".", inPath)...)
			}
		default:
			p := scalar(f)
			if f.IsList() {
				p = object{"type": "array", "items": p, "collectionFormat": "multi"}
			}
			p["name"], p["in"] = name, "query"
			list = append(list, p)
		}
	}
	return list
}

func wellKnown(d protoreflect.MessageDescriptor) bool {
	return strings.HasPrefix(string(d.FullName()), "google.protobuf.")
}

func define(definitions object, name protoreflect.FullName, schema object) {
	definitions[string(name)] = schema
}

// reference refers to a message's schema, which it adds if it is not there.
func reference(definitions object, d protoreflect.MessageDescriptor) object {
	if wellKnown(d) {
		switch d.Name() {
		case "Timestamp":
			return object{"type": "string", "format": "date-time"}
		case "Duration":
			return object{"type": "string"}
		}
		return object{"type": "object"}
	}
	if definitions[string(d.FullName())] == nil {
		properties := object{}
		define(definitions, d.FullName(), object{"type": "object", "properties": properties}) // before its fields: messages hold themselves
		for i := range d.Fields().Len() {
			properties[string(d.Fields().Get(i).Name())] = schema(definitions, d.Fields().Get(i))
		}
	}
	return object{"$ref": "#/definitions/" + string(d.FullName())}
}

func schema(definitions object, f protoreflect.FieldDescriptor) object {
	if f.IsMap() {
		return object{"type": "object", "additionalProperties": schema(definitions, f.MapValue())}
	}
	one := scalar(f)
	if f.Message() != nil {
		one = reference(definitions, f.Message())
	}
	if f.IsList() {
		return object{"type": "array", "items": one}
	}
	return one
}

// scalar is the schema of a field without regard to how many it holds.
func scalar(f protoreflect.FieldDescriptor) object {
	switch f.Kind() {
	case protoreflect.BoolKind:
		return object{"type": "boolean"}
	case protoreflect.Int32Kind, protoreflect.Uint32Kind, protoreflect.Sint32Kind, protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind:
		return object{"type": "integer"}
	case protoreflect.Int64Kind, protoreflect.Uint64Kind, protoreflect.Sint64Kind, protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind:
		return object{"type": "string", "format": "int64"}
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		return object{"type": "number"}
	case protoreflect.BytesKind:
		return object{"type": "string", "format": "byte"}
	case protoreflect.EnumKind:
		var names []string
		for i := range f.Enum().Values().Len() {
			names = append(names, string(f.Enum().Values().Get(i).Name()))
		}
		return object{"type": "string", "enum": names}
	}
	return object{"type": "string"}
}
