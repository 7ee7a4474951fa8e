package report

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/skein-project/skein/chaos/check"
	"github.com/skein-project/skein/chaos/script"
)

func example() Run {
	return Run{
		Began: time.Date(2026, 3, 4, 5, 6, 0, 0, time.UTC), Planned: Whole, Spent: Whole, FirstSeed: 77,
		Machine: Machine{Cores: 2, Load: "0.31", Memory: "8 GiB", System: "linux/amd64", Database: "PostgreSQL 17", Kubernetes: "v1", Program: "abc"},
		Scenarios: []Scenario{
			{Name: "blips", About: "Links fail.", Times: 3, Figures: script.Figures{Executions: 90, Ended: 90, Measured: map[string]float64{"gap_ms": 12, "other": 0.5}}},
			{Name: "kills", About: "Leaders die.", Full: true, Times: 2, Figures: script.Figures{Executions: 40,
				Measured: map[string]float64{"leader_gap_max_ms": 1200},
				Bars:     []script.Bar{{Figure: "leader_gap_max_ms", Most: 4000, Value: 1200}, {Figure: "leader_gap_max_ms", Most: 4000, Value: 900}}}},
		},
		Kinds: []Kind{{Name: "faults", Seeds: 5000, Kills: 7, Seen: check.Counts{Accepted: 60_000, Moves: 10}}},
	}
}

func render(t *testing.T, r Run) string {
	t.Helper()
	text, err := Render(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestAWholeRun(t *testing.T) {
	text := render(t, example())
	for _, want := range []string{
		"2026-03-04 05:06 UTC", "Planned: 120 minutes. Spent: 120.", "All promises held", "| busy before | 0.31 ",
		"| blips | 3 | 90 | 0 |", "| kills | Leaders die. (`chaos/testdata/full`) |",
		"| `leader_gap_max_ms` | kills | 4000 | 1200 | yes |", "- blips: `gap_ms` 12, `other` 0.5",
		"seeds from 77 on", "| faults | 5000 | 60000 |", "Nothing, in what was played.",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "short run") || strings.Contains(text, "<no value>") || strings.Count(text, "| kills | 4000") != 1 {
		t.Error(text)
	}
}

// TestAnUnluckyRun says at once what is wrong with it.
func TestAnUnluckyRun(t *testing.T) {
	r := example()
	r.Planned, r.Spent, r.Interrupted = 15*time.Minute, 9*time.Minute+30*time.Second, true
	r.Scenarios[0].Times = 0
	r.Scenarios[1].Figures.Bars[1].Value = 5000
	r.Scenarios[1].Figures.Failed = []string{"line 3:\n cannot read /var/tmp/skein-chaos-12/logs/x.log: gone"}
	r.Broken = []string{"I2 of seed 78"}
	text := render(t, r)
	first, _, _ := strings.Cut(text, "| machine |")
	for _, want := range []string{"Planned: 15 minutes. Spent: 9.5.", "**This was a short run**", "It was interrupted.", "Not played: blips.", "**2 things did not hold**"} {
		if !strings.Contains(first, want) {
			t.Errorf("the first lines lack %q:\n%s", want, first)
		}
	}
	for _, want := range []string{"| 5000 | **no** |", "- kills: line 3: cannot read …: gone", "- simulated federation: I2 of seed 78", "Links fail. **Not played.**"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "All promises held") || strings.Contains(text, "/var/tmp") || strings.Contains(text, "| blips | 0") {
		t.Error(text)
	}
}

func TestWriteReplaces(t *testing.T) {
	path := filepath.Join(t.TempDir(), "chaos.md")
	for _, name := range []string{"first", "second"} {
		r := example()
		r.Machine.Program = name
		if err := Write(path, r); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(text), name) {
			t.Errorf("%v: %s", err, text)
		}
	}
	if files, _ := os.ReadDir(filepath.Dir(path)); len(files) != 1 {
		t.Errorf("left over: %v", files)
	}
}
