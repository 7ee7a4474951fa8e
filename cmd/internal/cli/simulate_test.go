package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/skein-project/skein/scheduler/simulate"
)

func runSimulate(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	root := New("test")
	root.SetOut(&out)
	root.SetArgs(append([]string{"simulate"}, args...))
	err := root.Execute()
	return out.String(), err
}

// TestTheDocumentedScenarioRuns plays the example of docs/simulate.md.
func TestTheDocumentedScenarioRuns(t *testing.T) {
	page, err := os.ReadFile("../../../docs/simulate.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "```yaml\n")
	example, _, found := strings.Cut(rest, "```")
	if !found {
		t.Fatal("docs/simulate.md has no example")
	}
	dir := t.TempDir()
	file, picture := filepath.Join(dir, "scenario.yaml"), filepath.Join(dir, "picture.svg")
	if err := os.WriteFile(file, []byte(example), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := runSimulate(t, "-f", file, "--policies", "skein,flyte", "--output", "json", "--picture", picture)
	if err != nil {
		t.Fatal(err)
	}
	var report simulate.Report
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	if len(report.Results) != 2 || report.Results[0].Ended != 2000 || report.Results[0].Moves == 0 || report.Scenario.Seed != 7 {
		t.Errorf("report %+v", report)
	}
	if drawn, err := os.ReadFile(picture); err != nil || !strings.HasPrefix(string(drawn), "<svg ") {
		t.Errorf("picture: %v", err)
	}
	table, err := runSimulate(t, "-f", file, "--policies", "skein", "--executions", "50", "--seed", "3")
	if err != nil || !strings.Contains(table, "50 executions of 2 tenants") || !strings.Contains(table, "\nskein ") {
		t.Errorf("%v:\n%s", err, table)
	}
}

func TestSimulateRefusesWhatItCannotPlay(t *testing.T) {
	file := filepath.Join(t.TempDir(), "scenario.yaml")
	if err := os.WriteFile(file, []byte("clusters: []\nwhat: is this\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ want, args string }{
		{"what", "-f " + file},
		{"--policies", "--executions 5 --policies dice"},
		{"--clusters", "--clusters 3 -f " + file},
		{"must be above 0", "--clusters 0"},
		{"cannot read the scenario", "-f /nowhere/at/all"},
	} {
		if _, err := runSimulate(t, strings.Fields(c.args)...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("simulate %s: %v, want %q in it", c.args, err, c.want)
		}
	}
}
