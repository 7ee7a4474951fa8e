package scheduler

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// inMutant marks the child processes of TestMutantsAreCaught.
const inMutant = "SKEIN_MUTANT_CHILD"

// mutants are the known mistakes, and the tests each of which must notice it.
var mutants = map[string][]string{
	"re-place-before-the-lease-ends":         {"TestALapsedClustersWorkIsPlacedElsewhere"},
	"grant-before-it-is-recorded":            {"TestALeaseThatWasNotSurelyRecordedIsNotGranted"},
	"new-leader-does-not-wait":               {"TestANewLeaderWaitsForLeasesThatItDoesNotKnow"},
	"reservation-forgotten-at-leader-change": {"TestReservationsSurviveALeader"},
	"rebuild-does-not-wait":                  {"TestARebuildWaitsForForgottenLeases"},
}

func TestMutantsAreCaught(t *testing.T) {
	if testing.Short() || os.Getenv(inMutant) != "" {
		t.Skip("builds this package's tests, and runs them again")
	}
	binary := filepath.Join(t.TempDir(), "scheduler.test")
	if out, err := exec.CommandContext(t.Context(), "go", "test", "-c", "-tags", "mutants", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("build the mutants: %v\n%s", err, out)
	}
	run := func(mutant string, tests []string) string {
		cmd := exec.CommandContext(t.Context(), binary, "-test.v", "-test.timeout=3m", "-test.run", "^("+strings.Join(tests, "|")+")$")
		cmd.Env = append(os.Environ(), inMutant+"=1", "SKEIN_MUTANT="+mutant)
		out, _ := cmd.CombinedOutput() // what each test says matters, not the exit code
		return string(out)
	}
	var all []string
	for _, tests := range mutants {
		all = append(all, tests...)
	}
	healthy := run("", all)
	for mutant, tests := range mutants {
		sick := run(mutant, tests)
		for _, test := range tests {
			if !strings.Contains(healthy, "--- PASS: "+test) {
				t.Errorf("%s does not pass without a mutant:\n%s", test, healthy)
			}
			if !strings.Contains(sick, "--- FAIL: "+test) {
				t.Errorf("%s does not notice %s:\n%s", test, mutant, sick)
			}
		}
	}
}
