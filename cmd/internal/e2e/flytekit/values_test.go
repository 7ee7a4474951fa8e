package flytekit

import (
	"fmt"
	"testing"
)

// typed is a workflow with a value of each simple type, sent by the command
// line with every setting that it takes. Many cases look at it.
func (s *suite) typed(t *testing.T) execution {
	t.Helper()
	return once(t, s, "typed", func() (execution, error) {
		out, err := s.run(t, "typed", "workflows.py", "typed", []string{"--execution-cluster-label", "region=us-east",
			"--labels", "team=looms", "--annotations", "why=because", "--tag", "blue", "--max-parallelism", "7",
			"--service-account", "weaver", "--overwrite-cache", "--interruptible", "true"},
			"--whole", "41", "--real", "1.5", "--yes", "--when", "2024-02-29T10:00:00", "--span", "2h", "--color", "red",
			"--numbers", "[1,2,3]", "--nested", `[{"a":1}]`, "--table", `{"k":"v"}`, "--either", "word",
			"--shape", `{"name":"tri","corners":3,"sides":[1.0,2.0],"notes":{"k":"v"}}`)
		var e execution
		if err != nil {
			return e, fmt.Errorf("%w\n%s", err, out)
		}
		err = s.driver.try("show", map[string]any{"execution": "typed"}, &e)
		return e, err
	})
}

// kind is a case for one type: the output of its name in typed.
func kind(name string, value any) func(*suite, *testing.T) {
	return func(s *suite, t *testing.T) {
		e := s.typed(t)
		e.succeeded(t)
		want(t, name, e.Outputs[name], value)
	}
}

// shape is a dataclass on its way.
var shape = map[string]any{"name": "tris", "corners": 4, "sides": []float64{1, 2, 0.5},
	"notes": map[string]string{"k": "v", "seen": "yes"}, "parent": "tri"}

// settings are those of the command line that show in the execution.
func (s *suite) settings(t *testing.T) {
	e := s.typed(t)
	e.succeeded(t)
	for what, pair := range map[string][2]any{
		"labels": {e.Labels["team"], "looms"}, "annotations": {e.Annotations["why"], "because"},
		"tags": {e.Tags, []string{"blue"}}, "parallelism": {e.Parallelism, 7}, "account": {e.Account, "weaver"},
		"overwriting the cache": {e.Overwrite, true}, "interruptible": {e.Interrupt, true},
	} {
		want(t, what, pair[0], pair[1])
	}
}

// labelled runs where the label says.
func (s *suite) labelled(t *testing.T) {
	want(t, "cluster", s.typed(t).Cluster, "us-1")
}

// nodeValues are the inputs and outputs of the node, beside the execution's.
func (s *suite) nodeValues(t *testing.T) {
	n := s.typed(t).Nodes["n0"]
	want(t, "node's input", n.Inputs["whole"], 41)
	want(t, "node's output", n.Outputs["whole"], 42)
}

// structured is a case for one of the structured values that flytekit sends
// as objects, and reads in the same types.
func structured(name string, value any) func(*suite, *testing.T) {
	return func(s *suite, t *testing.T) {
		e := once(t, s, "structured", func() (e execution, err error) {
			return e, s.driver.try("structured", map[string]any{"version": "one"}, &e)
		})
		e.succeeded(t)
		want(t, name, e.Outputs[name], value)
	}
}

type values = map[string]any

var (
	person = values{"name": "Ada", "address": values{"street": "Main", "number": 5}, "age": nil, "nicknames": []string{}, "favourite": "red"}
	older  = values{"name": "Ada", "address": values{"street": "Main", "number": 5}, "age": 1, "nicknames": []string{"Al"}, "favourite": "green"}
	first  = values{"n": 1, "notes": values{"k": "v"}}
	tree   = values{
		"leaf":   values{"n": 2, "notes": values{"k": "v", "seen": "yes"}},
		"leaves": []any{values{"n": 2, "notes": values{}}, first}, "named": values{"A": values{"n": 3, "notes": values{}}},
		"color": "green", "when": "2024-02-29 10:00:00+00:00", "maybe": first,
	}
	anything = values{"x": []any{1, values{"y": nil}}, "pi": 3.5, "more": values{"list": []any{1, 2.5, nil, true}}}
)

// output is a case for a workflow whose outputs are its only point.
func output(workflow string, inputs, outputs values) func(*suite, *testing.T) {
	return func(s *suite, t *testing.T) {
		e := s.wait(t, launch{Name: workflow, Inputs: inputs})
		e.succeeded(t)
		want(t, "outputs", e.Outputs, outputs)
	}
}
