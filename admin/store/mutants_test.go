package store_test

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
	"commit-error-ignored":                                  {"TestWriteSkew", "TestStore/LostAnswers/CommitPlan,_landed_false", "TestStore/LostAnswers/RecordBatches,_landed_false"},
	"ambiguous-not-read-back":                               {"TestStore/LostAnswers/CreateExecution,_landed_true", "TestStore/LostAnswers/CommitPlan,_landed_true"},
	"epoch-by-select":                                       {"TestStore/Races/of_two_leaders", "TestStore/Plans/a_leader_whose_beat"},
	"event-acks-newest-revision":                            {"TestStore/Events/an_event_acks", "TestStore/Revokes/an_event_never_acks", "TestStore/Batches/each_batch_acks"},
	"no-epoch-check":                                        {"TestStore/Events/what_is_not_the_sender's", "TestStore/Batches/what_is_not_a_batch's", "TestAnOlderEpochOfTheSameClusterIsRefused"},
	"one-stale-session-fails-all":                           {"TestStore/Batches/a_session_that_is_over", "TestStore/LostAnswers/RecordBatches,_landed_false"},
	"rebuild-counts-old-inventory":                          {"TestStore/Rebuilds/an_inventory_of_a_session"},
	"re-place-without-reading-the-lease-row":                {"TestStore/Moves/a_lease_that_was_granted", "TestStore/Moves/what_is_to_end_on_a_lapsed"},
	"ownership-revision-not-raised-by-aborted-at-lease-end": {"TestStore/Moves/what_is_to_end_on_a_lapsed"},
}

func TestMutantsAreCaught(t *testing.T) {
	if testing.Short() || os.Getenv(inMutant) != "" {
		t.Skip("builds this package's tests, and runs them again")
	}
	binary := filepath.Join(t.TempDir(), "store.test")
	if out, err := exec.CommandContext(t.Context(), "go", "test", "-c", "-tags", "mutants", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("build the mutants: %v\n%s", err, out)
	}
	run := func(mutant string, tests []string) string {
		cmd := exec.CommandContext(t.Context(), binary, "-test.v", "-test.timeout=3m", "-test.run", strings.Join(tests, "|"))
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
