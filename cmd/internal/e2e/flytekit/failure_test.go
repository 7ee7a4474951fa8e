package flytekit

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// failure shows the error of a task on the command line, and where it belongs.
func (s *suite) failure(t *testing.T) {
	out, err := s.run(t, "failing", "workflows.py", "failing", nil, "--text", "dice")
	if err == nil || !strings.Contains(out, "no luck with hello dice") || !strings.Contains(out, "phase FAILED") {
		t.Errorf("%v, want the task's own words\n%s", err, out)
	}
	e := s.show(t, "failing")
	want(t, "phase", e.Phase, "FAILED")
	want(t, "first node", e.Nodes["n0"].Phase, "SUCCEEDED")
	want(t, "second node", e.Nodes["n1"].Phase, "FAILED")
	if tasks := e.Nodes["n1"].Tasks; len(tasks) != 1 || !strings.Contains(tasks[0].Error, "no luck") {
		t.Errorf("task executions %v, want one that tells its error", tasks)
	}
}

// patient is a case for one node of a workflow that fails by an exit code and
// by a timeout, while a third node, which waits for neither, succeeds.
func patient(node, phase, says string) func(*suite, *testing.T) {
	return func(s *suite, t *testing.T) {
		e := once(t, s, "patient", func() (e execution, err error) {
			return e, s.driver.try("run", launch{Name: "patient"}.full(), &e)
		})
		want(t, "phase", e.Phase, "FAILED")
		n := e.Nodes[node]
		want(t, node, n.Phase, phase)
		if len(n.Tasks) != 1 || !strings.Contains(n.Tasks[0].Error, says) {
			t.Errorf("%s: task executions %v, want one that says %q", node, n.Tasks, says)
		}
	}
}

// failing is a case for an error that the client is told.
func failing(workflow string, inputs values, says ...string) func(*suite, *testing.T) {
	return func(s *suite, t *testing.T) {
		e := s.wait(t, launch{Name: workflow, Inputs: inputs})
		want(t, "phase", e.Phase, "FAILED")
		for _, what := range says {
			if !strings.Contains(e.Code+" "+e.Error, what) {
				t.Errorf("error %s %s, want %q in it", e.Code, e.Error, what)
			}
		}
	}
}

// retry fails until an attempt, counted from one; two retries are to be had.
func (s *suite) retry(t *testing.T, good int, phase string) {
	e := s.wait(t, launch{Name: "trying", Inputs: map[string]any{"good": good}})
	want(t, "phase", e.Phase, phase)
	var attempts []int
	for _, task := range e.Nodes["n0"].Tasks {
		attempts = append(attempts, task.Attempt)
	}
	slices.Sort(attempts)
	want(t, "attempts", attempts, []int{0, 1, 2}[:min(good, 3)])
	if phase == "FAILED" && !strings.Contains(e.Error, "attempt 3 is not good") {
		t.Errorf("error %q, want the last attempt's", e.Error)
	}
}

// cleanup runs what a workflow has for its failure: a task, and a workflow.
// Either is told the first error, and the execution fails with it.
func (s *suite) cleanup(t *testing.T, workflow string) {
	folder := s.shared(t)
	e := s.wait(t, launch{Name: workflow, Inputs: map[string]any{"folder": folder}})
	want(t, "phase", e.Phase, "FAILED")
	if !strings.Contains(e.Error, "no luck with "+folder) {
		t.Errorf("error %q, want the first task's", e.Error)
	}
	want(t, "the node that failed", e.Nodes["n0"].Phase, "FAILED")
	want(t, "the node that cleans up", e.Nodes["fn0"].Phase, "SUCCEEDED")
	swept, err := os.ReadFile(filepath.Join(folder, "swept"))
	if err != nil || strings.Count(string(swept), "\n") == 0 || !strings.HasPrefix(string(swept), "n0: ") ||
		!strings.Contains(string(swept), "no luck with "+folder) {
		t.Errorf("the clean-up wrote %q (%v), want the node and its error", swept, err)
	}
}
