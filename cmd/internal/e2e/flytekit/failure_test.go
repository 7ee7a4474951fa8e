package flytekit

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// cleanup runs what a workflow has for its failure: a task, and a workflow.
// Either is told the first error, and the execution fails with it.
func (s *suite) cleanup(t *testing.T) {
	for _, c := range []struct{ name, node string }{{"careful", "fn0"}, {"thorough", "fn0"}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			folder := s.shared(t)
			e := s.wait(t, launch{Name: c.name, Inputs: map[string]any{"folder": folder}})
			want(t, "phase", e.Phase, "FAILED")
			if !strings.Contains(e.Error, "no luck with "+folder) {
				t.Errorf("error %q, want the first task's", e.Error)
			}
			want(t, "the node that failed", e.Nodes["n0"].Phase, "FAILED")
			want(t, "the node that cleans up", e.Nodes[c.node].Phase, "SUCCEEDED")
			swept, err := os.ReadFile(filepath.Join(folder, "swept"))
			if err != nil || strings.Count(string(swept), "\n") == 0 || !strings.HasPrefix(string(swept), "n0: ") ||
				!strings.Contains(string(swept), "no luck with "+folder) {
				t.Errorf("the clean-up wrote %q (%v), want the node and its error", swept, err)
			}
		})
	}
}
