package rig_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// mutants are the known mistakes that a simulated federation can show: those in
// the road's machines, in the scheduler, in lifecycle, and those of the store's
// transactions, which chaos/memstore makes too. The others are caught by the
// suites of their own packages.
var mutants = []string{
	"ack-before-commit",
	"assignment-taken-before-the-verdicts",
	"commit-error-ignored",
	"epoch-by-select",
	"event-acks-newest-revision",
	"fence-by-name-only",
	"grant-before-it-is-recorded",
	"lease-kept-over-a-new-session",
	"new-leader-does-not-wait",
	"no-epoch-check",
	"ownership-revision-ignored",
	"ownership-revision-not-raised",
	"ownership-revision-not-raised-by-aborted-at-lease-end",
	"re-place-before-the-lease-ends",
	"re-place-without-reading-the-lease-row",
	"rebuild-does-not-wait",
	"reservation-forgotten-at-leader-change",
	"revision-forgotten-for-a-row-without-a-cr",
	"strict-kills-late",
	"tombstone-dropped-early",
	"wall-clock-lease",
}

var caught = regexp.MustCompile(`caught: (\w+) seed (\d+): (.*)`)

// TestMutantsAreCaught demands of every mistake that some world breaks by it,
// and prints which, and what was broken.
func TestMutantsAreCaught(t *testing.T) {
	if testing.Short() {
		t.Skip("builds this package's tests, and runs worlds with every mutant")
	}
	binary := filepath.Join(t.TempDir(), "rig.test")
	if out, err := exec.CommandContext(t.Context(), "go", "test", "-c", "-tags", "mutants", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("build the mutants: %v\n%s", err, out)
	}
	hunt := func(mutant, worlds string) (string, bool) {
		cmd := exec.CommandContext(t.Context(), binary, "-test.run", "^TestHunt$", "-hunt", worlds)
		cmd.Env = append(os.Environ(), "SKEIN_MUTANT="+mutant)
		out, _ := cmd.CombinedOutput() // what it says matters, not the exit code
		return string(out), caught.Match(out)
	}
	if out, found := hunt("", "20"); found {
		t.Fatalf("without a mutant: %s", out)
	}
	var table strings.Builder
	for _, mutant := range slices.Sorted(slices.Values(mutants)) {
		out, found := hunt(mutant, "1500")
		if !found {
			t.Errorf("no world notices %s:\n%s", mutant, out)
			continue
		}
		m := caught.FindStringSubmatch(out)
		fmt.Fprintf(&table, "\n%-56s %-7s %5s  %s", mutant, m[1], m[2], m[3])
	}
	t.Logf("mutant, the kind of world and the seed that show it, and what it breaks:%s", table.String())
}
