package flow

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
)

// Part is one of those that a score sums up from.
type Part struct {
	Name  string
	Value float64
}

// Parts are a score's, in the order of their names, each of which stands once. A
// plan may hold those of 100,000 trails, which as maps take twice the room. In
// JSON they are an object.
type Parts []Part

// Map gives the parts by name; nil if there are none.
func (p Parts) Map() map[string]float64 {
	if len(p) == 0 {
		return nil
	}
	out := make(map[string]float64, len(p))
	for _, x := range p {
		out[x.Name] = x.Value
	}
	return out
}

// MarshalJSON writes an object; nil as null.
func (p Parts) MarshalJSON() ([]byte, error) { return json.Marshal(p.Map()) }

// UnmarshalJSON reads an object, or null.
func (p *Parts) UnmarshalJSON(text []byte) error {
	var by map[string]float64
	if err := json.Unmarshal(text, &by); err != nil {
		return err
	}
	*p = nil
	for _, name := range slices.SortedFunc(maps.Keys(by), cmp.Compare[string]) {
		*p = append(*p, Part{name, by[name]})
	}
	return nil
}
