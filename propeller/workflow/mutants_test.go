package workflow

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// mutants are the known mistakes in this package, and the test that must notice
// each.
var mutants = map[string]string{
	"child-renamed-on-a-move":    "TestAMovedRunEndsAsOneThatWasNot",
	"succeeded-node-runs-again":  "TestAMovedRunEndsAsOneThatWasNot",
	"attempts-begin-anew":        "TestAMovedRunEndsAsOneThatWasNot",
	"lost-attempt-charged":       "TestAMovedRunEndsAsOneThatWasNot",
	"stopped-attempt-charged":    "TestAMovedRunEndsAsOneThatWasNot",
	"started-while-lease-ending": "TestStrictWorkEndsWithTheLease",
}

func TestMutantsAreCaught(t *testing.T) {
	if testing.Short() || os.Getenv("SKEIN_MUTANT_CHILD") != "" {
		t.Skip("builds this package's tests, and runs them again")
	}
	binary := filepath.Join(t.TempDir(), "workflow.test")
	if out, err := exec.CommandContext(t.Context(), "go", "test", "-c", "-tags", "mutants", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("build the mutants: %v\n%s", err, out)
	}
	run := func(mutant, test string) string {
		cmd := exec.CommandContext(t.Context(), binary, "-test.v", "-test.timeout=3m", "-test.run", "^"+test+"$",
			"-rapid.nofailfile", "-rapid.shrinktime=1s")
		cmd.Env = append(os.Environ(), "SKEIN_MUTANT_CHILD=1", "SKEIN_MUTANT="+mutant)
		out, _ := cmd.CombinedOutput() // what the test says matters, not the exit code
		return string(out)
	}
	healthy := map[string]bool{}
	for mutant, test := range mutants {
		if !healthy[test] && !strings.Contains(run("", test), "--- PASS: "+test) {
			t.Errorf("%s does not pass without a mutant", test)
		}
		healthy[test] = true
		if out := run(mutant, test); !strings.Contains(out, "--- FAIL: "+test) {
			t.Errorf("%s does not notice %s:\n%s", test, mutant, out)
		}
	}
}
