package federation_test

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
var mutants = map[string]map[string][]string{
	"./session": {
		"lease-counted-from-receipt":                {"TestMember/a_lease_counts_from_the_request"},
		"wall-clock-lease":                          {"TestMember/the_wall_clock_was_set", "TestMember/the_wall_clock_was_set_just_now"},
		"lease-kept-over-a-new-session":             {"TestMember/a_new_session_that_does_not_confirm"},
		"assignment-taken-before-the-verdicts":      {"TestMember/an_assignment_before_the_verdicts"},
		"ownership-revision-ignored":                {"TestMember/a_grant_with_another_ownership", "TestMember/an_assignment_below_the_ownership"},
		"revision-forgotten-for-a-row-without-a-cr": {"TestMember/abort_then_the_older_run", "TestMember/release_then_the_older_run"},
		"fence-by-name-only":                        {"TestMember/an_older_epoch", "TestMember/another_epoch_of_it"},
	},
	".": {
		"ack-before-commit":       {"TestEventsAreAckedAfterTheCommit"},
		"tombstone-dropped-early": {"TestAFinishedPlacementIsNeverRunAgain"},
	},
}

func TestMutantsAreCaught(t *testing.T) {
	if testing.Short() || os.Getenv(inMutant) != "" {
		t.Skip("builds these packages' tests, and runs them again")
	}
	for dir, list := range mutants {
		binary := filepath.Join(t.TempDir(), "mutants.test")
		if out, err := exec.CommandContext(t.Context(), "go", "test", "-c", "-tags", "mutants", "-o", binary, dir).CombinedOutput(); err != nil {
			t.Fatalf("build the mutants: %v\n%s", err, out)
		}
		run := func(mutant string, tests []string) string {
			cmd := exec.CommandContext(t.Context(), binary, "-test.v", "-test.timeout=3m", "-test.run", strings.Join(tests, "|"))
			cmd.Dir, cmd.Env = dir, append(os.Environ(), inMutant+"=1", "SKEIN_MUTANT="+mutant)
			out, _ := cmd.CombinedOutput() // what each test says matters, not the exit code
			return string(out)
		}
		var all []string
		for _, tests := range list {
			all = append(all, tests...)
		}
		healthy := run("", all)
		for mutant, tests := range list {
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
}
