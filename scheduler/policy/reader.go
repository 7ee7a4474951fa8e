package policy

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/api/resource"
)

// reader walks a document and collects what is wrong with its form. It takes
// no aliases, so that a small document cannot become a large one.
type reader struct {
	lines    map[string]int // by field: where it stands
	problems []Problem
}

type fields map[string]func(n *yaml.Node, at string)

func (r *reader) add(field string, line int, message string) {
	r.problems = append(r.problems, Problem{Field: field, Line: line, Message: message})
}

// line finds the line of a field, or of the nearest field around it.
func (r *reader) line(field string) int {
	for field != "" {
		if l, ok := r.lines[field]; ok {
			return l
		}
		field = field[:max(strings.LastIndexAny(field, ".["), 0)]
	}
	return 0
}

// object reads a mapping with known fields. What is null counts as left out.
func (r *reader) object(n *yaml.Node, at string, known fields) {
	r.entries(n, at, func(name string, n *yaml.Node, at string) {
		read, ok := known[name]
		if !ok {
			r.add(at, r.lines[at], "is not a field here; known are "+strings.Join(slices.Sorted(maps.Keys(known)), ", "))
			return
		}
		read(n, at)
	})
}

// entries reads a mapping, each key once.
func (r *reader) entries(n *yaml.Node, at string, read func(name string, n *yaml.Node, at string)) {
	if !r.kind(n, at, yaml.MappingNode, "a mapping") {
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode || key.Tag == "!!merge" {
			r.add(at, key.Line, "keys must be plain words")
			continue
		}
		path := key.Value
		if at != "" {
			path = at + "." + key.Value
		}
		if first, twice := r.lines[path]; twice {
			r.add(path, key.Line, fmt.Sprintf("is there twice, first on line %d; keep one", first))
			continue
		}
		r.lines[path] = key.Line
		if value.Tag != "!!null" {
			read(key.Value, value, path)
		}
	}
}

func (r *reader) items(n *yaml.Node, at string, read func(n *yaml.Node, at string)) {
	if !r.kind(n, at, yaml.SequenceNode, "a list") {
		return
	}
	for i, item := range n.Content {
		r.lines[index(at, i)] = item.Line
		read(item, index(at, i))
	}
}

func (r *reader) kind(n *yaml.Node, at string, want yaml.Kind, name string) bool {
	switch {
	case n.Kind == yaml.AliasNode:
		r.add(at, n.Line, "aliases are not taken; write it out")
	case n.Kind != want:
		r.add(at, n.Line, "must be "+name)
	}
	return n.Kind == want
}

func (r *reader) scalar(n *yaml.Node, at, name string, tags ...string) bool {
	if !r.kind(n, at, yaml.ScalarNode, name) {
		return false
	}
	if !slices.Contains(tags, n.Tag) {
		hint := ""
		if tags[0] == "!!str" {
			hint = "; put it in quotes"
		}
		r.add(at, n.Line, fmt.Sprintf("must be %s, is %s%s", name, quote(n.Value), hint))
		return false
	}
	return true
}

func (r *reader) text(n *yaml.Node, at string) string {
	if !r.scalar(n, at, "text", "!!str") {
		return ""
	}
	return n.Value
}

func (r *reader) bool(n *yaml.Node, at string) bool {
	var v bool
	if r.scalar(n, at, "true or false", "!!bool") {
		r.decode(n, at, &v)
	}
	return v
}

func (r *reader) int32(n *yaml.Node, at string) int32 {
	var v int32
	if r.scalar(n, at, "a whole number", "!!int") {
		r.decode(n, at, &v)
	}
	return v
}

func (r *reader) int64(n *yaml.Node, at string) int64 {
	var v int64
	if r.scalar(n, at, "a whole number", "!!int") {
		r.decode(n, at, &v)
	}
	return v
}

func (r *reader) number(n *yaml.Node, at string) float64 {
	var v float64
	if r.scalar(n, at, "a number", "!!float", "!!int") {
		r.decode(n, at, &v)
	}
	if math.IsNaN(v) || math.IsInf(v, 0) {
		r.add(at, n.Line, "must be a finite number")
		return 0
	}
	return v
}

func (r *reader) decode(n *yaml.Node, at string, into any) {
	if err := n.Decode(into); err != nil {
		r.add(at, n.Line, quote(n.Value)+" is out of range")
	}
}

// quantity reads an amount as Kubernetes writes it: "64Gi", 40, "500m".
func (r *reader) quantity(n *yaml.Node, at string, milli bool) int64 {
	if !r.scalar(n, at, "an amount", "!!str", "!!int", "!!float") {
		return 0
	}
	q, err := resource.ParseQuantity(n.Value)
	if err != nil {
		r.add(at, n.Line, quote(n.Value)+` is not an amount such as "40", "500m" or "64Gi"`)
		return 0
	}
	if milli {
		return q.MilliValue()
	}
	return q.Value()
}

// quote prints a short value in quotes, a long one cut.
func quote(s string) string {
	if len(s) > 64 {
		s = strings.ToValidUTF8(s[:64], "") + "…"
	}
	return fmt.Sprintf("%q", s)
}
