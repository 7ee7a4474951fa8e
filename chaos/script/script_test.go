package script

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

func TestParse(t *testing.T) {
	s, err := Parse("x", []byte(`
# What it is
# about.
federation clusters=6 lease=5s suspect=2s replicas=5 nodes=process startup=3s
disturb c1/api late
launch 3 seconds=2 label=region=eu   # and no more
repeat 2
  cut c1/hub-*
  heal *
end
skein cluster drain c1 --budget=5
moves >= 1
`))
	if err != nil {
		t.Fatal(err)
	}
	if s.About != "What it is about." || s.Setup != (Setup{Replicas: 5, Clusters: 6, Lease: 5 * time.Second, Suspect: 2 * time.Second, Nodes: "process", Startup: 3 * time.Second, Disturbed: true}) {
		t.Errorf("%q, %+v", s.About, s.Setup)
	}
	var verbs []string
	for _, step := range s.Steps {
		verbs = append(verbs, step.Verb)
	}
	if got := strings.Join(verbs, " "); got != "disturb launch cut heal cut heal skein moves" {
		t.Error(got)
	}
	if s.Steps[1].Set["label"] != "region=eu" || strings.Join(s.Steps[6].Args, " ") != "cluster drain c1 --budget=5" || s.Steps[7].Args[0] != ">=" {
		t.Errorf("%+v", s.Steps)
	}
}

func TestWhatDoesNotParse(t *testing.T) {
	for text, want := range map[string]string{
		"":                              "no steps",
		"jump 3":                        `line 1: "jump" is no verb`,
		"\nlaunch":                      "line 2: launch wants 1 arguments",
		"launch 3 colour=red":           `takes no "colour"`,
		"repeat 2\ncut a/*":             "a repeat has no end",
		"end":                           "end without repeat",
		"repeat x":                      "repeat takes a number",
		"mark\nfederation clusters=1":   "federation comes first",
		"federation wings=2":            `got "wings"`,
		"repeat 99999\nmark\nmark\nend": "199998 steps",
	} {
		if _, err := Parse("x", []byte(text)); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want one that says %q", text, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("launch 3 seconds=2\nrepeat 2\ncut a/*\nend")
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := Parse("x", []byte(text)); err != nil && !fault.Is(err, fault.Invalid) {
			t.Errorf("%v of %+v", err, s)
		}
	})
}

// TestTheScenariosOfTheTree parse, and say what they are about.
func TestTheScenariosOfTheTree(t *testing.T) {
	files, _ := filepath.Glob("../testdata/*.txt")
	if len(files) < 8 {
		t.Fatalf("%d scenarios", len(files))
	}
	long, _ := filepath.Glob("../testdata/full/*.txt")
	if len(long) == 0 {
		t.Fatal("no scenario of full runs")
	}
	files = append(files, long...)
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if s, err := Parse(filepath.Base(f), text); err != nil || s.About == "" {
			t.Errorf("%s: %v, about %q", f, err, s.About)
		}
	}
}

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func epoch(n uint64) flow.Epoch { return flow.Epoch{Era: 1, N: n} }

// event is one accepted event of x, so many seconds after noon.
func event(second int, cluster string, n uint64, kind flow.EventKind, node string, phase int32) Accepted {
	return Accepted{At: noon.Add(time.Duration(second) * time.Second), Execution: "x", Cluster: cluster, Epoch: epoch(n), Kind: kind, Node: node, Phase: phase}
}

// TestVerdict shows that each promise is looked at.
func TestVerdict(t *testing.T) {
	ended := Seen{Status: Status{Name: "x", Phase: flow.ExecutionSucceeded, Cluster: "b"}, Epoch: epoch(2)}
	first := event(1, "a", 1, flow.EventNode, "n0", int32(flow.NodeSucceeded))
	second := event(2, "b", 2, flow.EventTask, "n1", int32(flow.TaskRunning))
	last := event(3, "b", 2, flow.EventWorkflow, "", int32(flow.ExecutionSucceeded))
	for _, tc := range []struct {
		name     string
		row      Seen
		accepted []Accepted
		broken   func(Figures) int
	}{
		{"nothing is wrong", ended, []Accepted{first, second, last}, nil},
		{"it has not ended", Seen{Status: Status{Name: "x", Phase: flow.ExecutionRunning}, Epoch: epoch(2)}, []Accepted{first, second}, func(f Figures) int { return f.Lost }},
		{"it is unknown", Seen{}, nil, func(f Figures) int { return f.Lost }},
		{"the old epoch is accepted after the new one", ended, []Accepted{second, event(4, "a", 1, flow.EventTask, "n2", 1)}, func(f Figures) int { return f.Overlaps }},
		{"two clusters at one epoch", ended, []Accepted{second, event(4, "a", 2, flow.EventTask, "n2", 1)}, func(f Figures) int { return f.Overlaps }},
		{"an epoch that was never placed", ended, []Accepted{event(4, "a", 3, flow.EventTask, "n2", 1)}, func(f Figures) int { return f.Stale }},
		{"a node that had succeeded", ended, []Accepted{first, event(4, "b", 2, flow.EventTask, "n0", 1)}, func(f Figures) int { return f.Rerun }},
		{"two ends", ended, []Accepted{last, event(4, "b", 2, flow.EventWorkflow, "", int32(flow.ExecutionFailed))}, func(f Figures) int { return f.Doubled }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := Verdict([]string{"x"}, []Seen{tc.row}, tc.accepted, 0)
			if tc.broken == nil {
				if !f.OK() || f.Ended != 1 {
					t.Errorf("%+v", f)
				}
				return
			}
			if f.OK() || tc.broken(f) != 1 {
				t.Errorf("not noticed: %+v", f)
			}
		})
	}
}

// TestFiguresAdd shows that counts add up, and that of measurements the worst stays.
func TestFiguresAdd(t *testing.T) {
	var sum Figures
	for _, gap := range []float64{200, 900, 300} {
		one := Figures{Scenario: "x", Executions: 3, Moves: 1}
		one.measure("gap_ms", gap)
		one.measure("only_once", -1)
		sum.Add(one)
	}
	if sum.Executions != 9 || sum.Moves != 3 || !maps.Equal(sum.Measured, map[string]float64{"gap_ms": 900, "only_once": -1}) {
		t.Errorf("%+v", sum)
	}
	if line := sum.String(); !strings.Contains(line, `"measured":{"gap_ms":900,"only_once":-1}`) {
		t.Error(line)
	}
}
