package flytekit

import (
	"testing"
)

func (s *suite) subworkflows(t *testing.T) {
	e := s.wait(t, launch{Name: "outer", Inputs: map[string]any{"a": 1}})
	e.succeeded(t)
	want(t, "output", e.Outputs["o0"], 12)
	middle := e.Nodes["n0"]
	inner := middle.Children["n0"]
	leaf := inner.Children["n0"]
	want(t, "nodes with children", []bool{middle.Parent, inner.Parent, leaf.Parent}, []bool{true, true, false})
	want(t, "output of the innermost", leaf.Outputs["o0"], 2)
	want(t, "output of the sub-workflow", middle.Outputs["o0"], 2)
	want(t, "its tasks", len(leaf.Tasks), 1)
	want(t, "nodes on top", len(e.Nodes), 2)
	want(t, "the node of a chosen name", e.Nodes["sum"].Phase, "SUCCEEDED")
}

// halves passes outputs on by their names.
func (s *suite) halves(t *testing.T) execution {
	t.Helper()
	e := once(t, s, "halves", func() (e execution, err error) {
		return e, s.driver.try("run", launch{Name: "runs.halves", Inputs: values{"text": "abcd"}}.full(), &e)
	})
	e.succeeded(t)
	return e
}

// named outputs come by their names.
func (s *suite) named(t *testing.T) {
	e := s.halves(t)
	want(t, "outputs", e.Outputs, values{"first": "cd", "second": "ab"})
	want(t, "outputs of the first node", e.Nodes["n0"].Outputs, values{"first": "ab", "second": "cd"})
}

// order has a task wait for one that gives it nothing.
func (s *suite) order(t *testing.T) {
	e := s.wait(t, launch{Name: "ordered", Inputs: map[string]any{"folder": s.shared(t)}})
	e.succeeded(t)
	want(t, "marks seen by the second", e.Outputs["o0"], 1)
}

// picking binds parts of a structured output.
func (s *suite) picking(t *testing.T) {
	e := s.wait(t, launch{Name: "picking", Inputs: map[string]any{"name": "Ada"}})
	e.succeeded(t)
	want(t, "output", e.Outputs["o0"], "hello Ada Smith hello Ada Smith")
}
