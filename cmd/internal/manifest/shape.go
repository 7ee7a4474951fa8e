package manifest

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

const quote = "YAML takes y, n, yes, no, on and off for true and false; put it in quotes"

// shape compares what a file holds with the Go type that it is read into, and
// lists every key that is unknown and every value of another kind, each with
// its place. A JSON decoder would stop at the first, and not say where.
func shape(at string, value any, t reflect.Type) []string {
	if value == nil {
		return nil
	}
	switch t.Kind() {
	case reflect.Pointer:
		return shape(at, value, t.Elem())
	case reflect.Struct:
		return structShape(at, value, t)
	case reflect.Map:
		return mapShape(at, value, t)
	case reflect.Slice:
		list, ok := value.([]any)
		if !ok {
			return wrong(at, "a list", value)
		}
		var problems []string
		for i, v := range list {
			problems = append(problems, shape(fmt.Sprintf("%s[%d]", at, i), v, t.Elem())...)
		}
		return problems
	case reflect.String:
		switch value.(type) {
		case string, float64: // a number is taken as it is written
			return nil
		case bool:
			return []string{fmt.Sprintf("%s: want text, got %v: %s", at, value, quote)}
		}
		return wrong(at, "text", value)
	case reflect.Uint32:
		if f, ok := value.(float64); !ok || f < 0 || f != float64(uint32(f)) {
			return wrong(at, "a whole number of 0 or more", value)
		}
	}
	return nil
}

func mapShape(at string, value any, t reflect.Type) []string {
	m, ok := value.(map[string]any)
	if !ok {
		return wrong(at, "a map", value)
	}
	var problems []string
	for _, key := range slices.Sorted(maps.Keys(m)) {
		if key == "true" || key == "false" {
			problems = append(problems, fmt.Sprintf("%s: a key is read as %s: %s", at, key, quote))
			continue
		}
		problems = append(problems, shape(join(at, key), m[key], t.Elem())...)
	}
	return problems
}

func structShape(at string, value any, t reflect.Type) []string {
	fields := map[string]reflect.Type{}
	var keys []string
	for i := range t.NumField() {
		key, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		fields[key] = t.Field(i).Type
		keys = append(keys, key)
	}
	m, ok := value.(map[string]any)
	if !ok {
		return wrong(at, "a map with the keys "+strings.Join(keys, ", "), value)
	}
	var problems []string
	for _, key := range slices.Sorted(maps.Keys(m)) {
		field, known := fields[key]
		if !known {
			problems = append(problems, fmt.Sprintf("%s: unknown key; the keys here are %s", join(at, key), strings.Join(keys, ", ")))
			continue
		}
		problems = append(problems, shape(join(at, key), m[key], field)...)
	}
	return problems
}

func wrong(at, want string, got any) []string {
	what := text(got)
	switch got.(type) {
	case map[string]any:
		what = "a map"
	case []any:
		what = "a list"
	}
	if at != "" {
		at += ": "
	}
	return []string{fmt.Sprintf("%swant %s, got %s", at, want, what)}
}

func join(at, key string) string {
	if at == "" {
		return key
	}
	return at + "." + key
}
