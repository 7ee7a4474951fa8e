package flytekit

import (
	"os"
	"strings"
	"testing"
)

// conditionals are the cases of workflows that choose.
var conditionals = []testCase{
	{"a conditional takes the first case that holds", 0, (*suite).bands},
	{"a conditional by the command line", 0, (*suite).bandByCommand},
	{"conditions on each type", 0, (*suite).conditionsOnTypes},
	{"conditions on fields", 0, (*suite).conditionsOnFields},
	{"conditions on what may be nothing", 0, (*suite).conditionsOnOptionals},
	{"no case holds", 0, (*suite).noCase},
	{"conditionals in conditionals", 0, (*suite).nestedConditionals},
	{"a case that is a workflow", 0, (*suite).workflowInCase},
	{"a conditional without outputs", 0, (*suite).conditionalOfNothing},
	{"a conditional in a sub-workflow", 0, (*suite).conditionalInWorkflow},
	{"a case that fails", 0, (*suite).caseFails},
	{"a case that needs several attempts", 0, (*suite).caseRetries},
	{"conditionals that are wrong are refused by name", 0, (*suite).wrongConditionals},
}

// choose runs a workflow of conditions.py to its end.
func (s *suite) choose(t *testing.T, name string, inputs map[string]any) execution {
	t.Helper()
	var e execution
	s.driver.ask(t, "run", launch{Name: "textkit.conditions." + name, Version: "one", Inputs: inputs}, &e)
	return e
}

// phases of a node's children, by their ids in the compiled workflow.
func phases(n node) map[string]string {
	out := map[string]string{}
	for id, child := range n.Children {
		out[id] = child.Phase
	}
	return out
}

func (s *suite) bands(t *testing.T) {
	for _, c := range []struct {
		n    int
		word string
		want map[string]string
	}{
		{3, "small", map[string]string{"n0-n0": "SUCCEEDED", "n0-n1": "SKIPPED", "n0-n2": "SKIPPED"}},
		{100, "large", map[string]string{"n0-n0": "SKIPPED", "n0-n1": "SKIPPED", "n0-n2": "SUCCEEDED"}},
	} {
		t.Run(c.word, func(t *testing.T) {
			t.Parallel()
			e := s.choose(t, "band", map[string]any{"n": c.n})
			e.succeeded(t)
			want(t, "output", e.Outputs["o0"], c.word)
			want(t, "nodes on top", len(e.Nodes), 1)
			branch := e.Nodes["n0"]
			want(t, "the branch node is a parent and is", []any{branch.Parent, branch.Phase}, []any{true, "SUCCEEDED"})
			want(t, "cases", phases(branch), c.want)
			for id, child := range branch.Children {
				tasks := 0
				if c.want[id] == "SUCCEEDED" {
					tasks = 1
					want(t, "output of "+id, child.Outputs["o0"], c.word)
				}
				want(t, "id of "+id, child.ID, "n0-0-"+id)
				want(t, "tasks of "+id, len(child.Tasks), tasks)
			}
		})
	}
}

func (s *suite) bandByCommand(t *testing.T) {
	out, err := s.run(t, "banded", "conditions.py", "band", nil, "--n", "42")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want(t, "output", s.show(t, "banded").Outputs["o0"], "medium")
	for address, c := range map[string]struct {
		types map[string]string
		want  map[string]any
	}{
		"n0/i": {map[string]string{".n": "int"}, map[string]any{".n": 42}}, // what its conditions compare
		"n0/o": {map[string]string{"o0": "str"}, map[string]any{"o0": "medium"}},
	} {
		var got map[string]any
		s.driver.ask(t, "get", map[string]any{"url": "flyte://v1/flytesnacks/development/banded/" + address, "types": c.types}, &got)
		want(t, address, got, c.want)
	}
}

func (s *suite) conditionsOnTypes(t *testing.T) {
	out, err := s.run(t, "kinds", "conditions.py", "kinds", nil, "--text", "yes", "--yes", "--real", "0.5", "--when", "2024-12-31T23:59:59",
		"--span", "1h", "--color", "red", "--other", "3", "--n", "3", "--maybe", "0")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want(t, "output", s.show(t, "kinds").Outputs["o0"], "none is odd")
}

func (s *suite) conditionsOnFields(t *testing.T) {
	out, err := s.run(t, "fields", "conditions.py", "fields", nil, "--corners", "4",
		"--given", `{"name":"tri","corners":300,"sides":[],"notes":{},"parent":null}`)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want(t, "output", s.show(t, "fields").Outputs["o0"], "orphan")
}

// conditionsOnOptionals: an "or" goes no further than it needs, as in Python.
func (s *suite) conditionsOnOptionals(t *testing.T) {
	e := s.choose(t, "optional", map[string]any{})
	e.succeeded(t)
	want(t, "output", e.Outputs["o0"], "nothing or much")
}

// noCase fails with the author's words, and nothing that waits for the
// conditional runs.
func (s *suite) noCase(t *testing.T) {
	e := s.choose(t, "positive", map[string]any{"n": -1})
	want(t, "phase", e.Phase, "FAILED")
	want(t, "error", e.Code+": "+e.Error, "UserProvidedError: n must be positive")
	want(t, "the branch node", e.Nodes["n0"].Phase, "FAILED")
	want(t, "cases", phases(e.Nodes["n0"]), map[string]string{"n0-n0": "SKIPPED"})
	if after, ran := e.Nodes["n1"]; ran {
		t.Errorf("what follows is %s", after.Phase)
	}
	e = s.choose(t, "positive", map[string]any{"n": 5})
	e.succeeded(t)
	want(t, "output", e.Outputs["o0"], 6)
}

func (s *suite) nestedConditionals(t *testing.T) {
	for _, c := range []struct {
		a, b         int
		phase, says  string
		outer, inner map[string]string
	}{
		{1, 1, "SUCCEEDED", "both", map[string]string{"n0-n0": "SUCCEEDED", "n0-n1": "SKIPPED"}, map[string]string{"n0-n0-n0": "SUCCEEDED", "n0-n0-n1": "SKIPPED"}},
		{1, -1, "FAILED", "b must not be negative", map[string]string{"n0-n0": "FAILED", "n0-n1": "SKIPPED"}, map[string]string{"n0-n0-n0": "SKIPPED", "n0-n0-n1": "SKIPPED"}},
		{0, 1, "SUCCEEDED", "neither", map[string]string{"n0-n0": "SKIPPED", "n0-n1": "SUCCEEDED"}, map[string]string{}},
	} {
		t.Run(c.says, func(t *testing.T) {
			t.Parallel()
			e := s.choose(t, "nested", map[string]any{"a": c.a, "b": c.b})
			want(t, "phase", e.Phase, c.phase)
			if c.phase == "SUCCEEDED" {
				want(t, "output", e.Outputs["o0"], c.says)
			} else {
				want(t, "error", e.Error, c.says)
			}
			want(t, "outer cases", phases(e.Nodes["n0"]), c.outer)
			want(t, "inner cases", phases(e.Nodes["n0"].Children["n0-n0"]), c.inner)
		})
	}
}

func (s *suite) workflowInCase(t *testing.T) {
	e := s.choose(t, "through", map[string]any{"n": 10})
	e.succeeded(t)
	want(t, "output", e.Outputs["o0"], 1022)
	want(t, "cases", phases(e.Nodes["n1"]), map[string]string{"n1-n0": "SUCCEEDED", "n1-n1": "SKIPPED"})
	sub := e.Nodes["n1"].Children["n1-n0"]
	want(t, "it is a parent", sub.Parent, true)
	want(t, "its nodes", phases(sub), map[string]string{"n0": "SUCCEEDED", "n1": "SUCCEEDED"})
}

func (s *suite) conditionalOfNothing(t *testing.T) {
	folder := s.shared(t)
	e := s.choose(t, "marking", map[string]any{"folder": folder, "n": 1})
	e.succeeded(t)
	left, err := os.ReadDir(folder)
	if err != nil || len(left) != 1 || left[0].Name() != "one" {
		t.Errorf("marks %v (%v), want one", left, err)
	}
}

func (s *suite) conditionalInWorkflow(t *testing.T) {
	e := s.choose(t, "within", map[string]any{"n": 6})
	e.succeeded(t)
	want(t, "output", e.Outputs["o0"], "small medium")
	taken := map[string]bool{}
	for _, n := range e.Nodes {
		if inner, ok := n.Children["n0"]; ok {
			for id, phase := range phases(inner) {
				taken[id] = taken[id] || phase == "SUCCEEDED"
			}
		}
	}
	want(t, "cases taken", taken, map[string]bool{"n0-n0": true, "n0-n1": true, "n0-n2": false})
}

func (s *suite) caseFails(t *testing.T) {
	e := s.choose(t, "unlucky", map[string]any{"n": 1, "folder": "dice", "good": 1})
	want(t, "phase", e.Phase, "FAILED")
	if !strings.Contains(e.Error, "no luck with dice") {
		t.Errorf("error %q, want the task's own", e.Error)
	}
	want(t, "the branch node", e.Nodes["n0"].Phase, "FAILED")
	want(t, "cases", phases(e.Nodes["n0"]), map[string]string{"n0-n0": "FAILED", "n0-n1": "SKIPPED"})
}

func (s *suite) caseRetries(t *testing.T) {
	e := s.choose(t, "unlucky", map[string]any{"n": 2, "folder": "", "good": 3})
	e.succeeded(t)
	want(t, "output", e.Outputs["o0"], 3)
	want(t, "attempts", len(e.Nodes["n0"].Children["n0-n1"].Tasks), 3)
}

func (s *suite) wrongConditionals(t *testing.T) {
	says := map[string]string{
		"mixed":   `MismatchingTypes: node "n0": elif 1 compares n (integer) with a constant (string)`,
		"ordered": `MismatchingTypes: node "n0": the if orders yes (boolean) and a constant (boolean)`,
		"uneven":  `MismatchingInterfaces: node "n0": the else gives o0: string, but the if gives o0: integer`,
		"waits":   `node "n0" in a case of node "n0" of workflow "others.waits" is a launch-plan node`,
	}
	for name, said := range s.refusals(t, says) {
		if !strings.Contains(said, says[name]) {
			t.Errorf("%s: %q, want %q", name, said, says[name])
		}
	}
}
