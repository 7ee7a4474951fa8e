package simulate

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/skein-project/skein/api/flow"
)

// busy is a small fleet with more work than it can do at once, and a failure.
func busy(seed uint64) Scenario {
	s := Default(6, 600, seed)
	s.Load = 1.1
	s.Over = 0
	s = s.withDefaults()
	s.Failures = []Failure{{Cluster: "large-0", At: Duration(3 * time.Minute), For: Duration(5 * time.Minute)}}
	return s
}

func names() []string {
	var out []string
	for _, p := range Policies {
		out = append(out, p.Name)
	}
	return out
}

func TestTheSameSeedGivesTheSameDecisions(t *testing.T) {
	for _, policy := range names() {
		first, err := Run(busy(1), policy)
		if err != nil {
			t.Fatal(err)
		}
		again, _ := Run(busy(1), policy)
		other, _ := Run(busy(2), policy)
		if first.Hash != again.Hash || first.WaitP99 != again.WaitP99 || first.Hash == other.Hash {
			t.Errorf("%s: seed 1 %s and %s, seed 2 %s", policy, first.Hash, again.Hash, other.Hash)
		}
	}
}

// TestEverythingRunsAndNothingIsOverfull plays every policy, and looks at the
// fleet after each event.
func TestEverythingRunsAndNothingIsOverfull(t *testing.T) {
	for _, policy := range names() {
		s := busy(3)
		c, err := newChooser(policy, s)
		if err != nil {
			t.Fatal(err)
		}
		w := newWorld(s)
		checked := &checking{chooser: c, t: t}
		r := runner{world: w, chooser: checked, launches: newLaunches(s, w), outages: outages(s, w)}
		r.play()
		if w.measure.ended != s.Executions || w.live != 0 {
			t.Errorf("%s: %d of %d ended", policy, w.measure.ended, s.Executions)
		}
		if (flow.Resources{}) != w.used {
			t.Errorf("%s: %v is used when all has ended", policy, w.used)
		}
		if checked.cycles == 0 {
			t.Errorf("%s: no cycle was checked", policy)
		}
	}
}

type checking struct {
	chooser
	t      *testing.T
	cycles int
}

func (c *checking) choose(w *world) {
	c.chooser.choose(w)
	c.cycles++
	for i := range w.sites {
		s := &w.sites[i]
		var sum flow.Resources
		for _, e := range s.running {
			sum = sum.Add(e.held)
		}
		if sum != s.used || s.used.MilliCPU > s.capacity.MilliCPU || s.used.Memory > s.capacity.Memory {
			c.t.Fatalf("%s uses %v, by its executions %v, of %v", s.name, s.used, sum, s.capacity)
		}
		if s.down >= 0 && len(s.running) > 0 {
			c.t.Fatalf("%s is down and runs %d", s.name, len(s.running))
		}
	}
}

func TestAFailureMovesWorkUnderOursOnly(t *testing.T) {
	s := busy(4)
	s.Failures[0].For = 0 // for ever
	ours, err := Run(s, "skein")
	if err != nil {
		t.Fatal(err)
	}
	theirs, _ := Run(s, "flyte")
	if ours.Moves == 0 || ours.Ended != ours.Launched {
		t.Errorf("ours: %d moves, %d of %d ended", ours.Moves, ours.Ended, ours.Launched)
	}
	if theirs.Moves != 0 || theirs.Ended == theirs.Launched {
		t.Errorf("flyte: %d moves, %d of %d ended: what was on the lost cluster stays there", theirs.Moves, theirs.Ended, theirs.Launched)
	}
}

// TestResumedWorkKeepsItsNodes: what fails in its third of four nodes has lost
// that node's work only.
func TestResumedWorkKeepsItsNodes(t *testing.T) {
	s := Scenario{Clusters: []Cluster{{Name: "only", Size: amount("4", "8Gi", 0)}},
		Classes:  []Class{{Name: "four", Pod: amount("1", "1Gi", 0), Nodes: 4, Length: Spread{Shape: "fixed", Mean: Duration(40 * time.Minute)}}},
		Recorded: []Recorded{{At: 0, Project: "p", Class: "four", Length: Duration(40 * time.Minute)}},
		Failures: []Failure{{Cluster: "only", At: Duration(25 * time.Minute), For: Duration(10 * time.Second)}}}
	r, err := Run(s, "skein")
	if err != nil {
		t.Fatal(err)
	}
	if lost := r.LostHours * 60; lost < 4.9 || lost > 5.1 || r.Ended != 1 {
		t.Errorf("lost %.2f minutes, want 5; %d ended", lost, r.Ended)
	}
}

func TestSharesFollowWeights(t *testing.T) {
	s := Scenario{Seed: 1, Executions: 2000, Over: Duration(time.Minute), Pending: 10_000,
		Clusters: []Cluster{{Name: "c", Count: 4, Size: amount("50", "100Gi", 0)}},
		Tenants:  []Tenant{{Project: "three", Weight: 3}, {Project: "one", Weight: 1}},
		Classes:  []Class{{Name: "x", Pod: amount("1", "1Gi", 0), Length: Spread{Shape: "exponential", Mean: Duration(time.Minute)}}}}
	ours, err := Run(s, "skein")
	if err != nil {
		t.Fatal(err)
	}
	fifo, _ := Run(s, "first-fit")
	if ours.ShareError > 0.03 || fifo.ShareError < 2*ours.ShareError {
		t.Errorf("share error %.3f under ours, %.3f first come, first served", ours.ShareError, fifo.ShareError)
	}
}

func TestArrivalsHaveTheirRate(t *testing.T) {
	day := 24 * time.Hour
	for _, a := range []Arrivals{{Shape: "poisson"}, {Shape: "bursts", Every: Duration(time.Hour), Length: Duration(6 * time.Minute), Factor: 5}, {Shape: "daily"}} {
		s := Default(3, 20_000, 1)
		s.Arrivals, s.Over = a, Duration(day)
		w := newWorld(s)
		l := newLaunches(s, w)
		var last time.Duration
		n := 0
		for e := l.next(); e != nil; e = l.next() {
			if e.at < last {
				t.Fatalf("%s: a launch at %s comes after one at %s", a.Shape, e.at, last)
			}
			last = e.at
			n++
		}
		if n != 20_000 || math.Abs(last.Hours()-24) > 1 {
			t.Errorf("%s: %d launches in %s, want 20000 in a day", a.Shape, n, last)
		}
	}
}

func TestBadScenariosAreNamed(t *testing.T) {
	for _, c := range []struct {
		want   string
		change func(*Scenario)
	}{
		{"clusters: there is none", func(s *Scenario) { s.Clusters = nil }},
		{`arrivals.shape: "tide"`, func(s *Scenario) { s.Arrivals.Shape = "tide" }},
		{`failures[0].cluster: there is no cluster "nowhere"`, func(s *Scenario) { s.Failures = []Failure{{Cluster: "nowhere"}} }},
		{"classes[0].length.shape", func(s *Scenario) { s.Classes[0].Length.Shape = "odd" }},
		{`recorded[0].class: there is no class "x"`, func(s *Scenario) { s.Recorded = []Recorded{{Project: "p", Class: "x", Length: 1}} }},
		{"arrivals: bursts need", func(s *Scenario) { s.Arrivals.Shape = "bursts" }},
	} {
		s := Default(3, 10, 1)
		c.change(&s)
		if _, err := Run(s, "skein"); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want one with %q", err, c.want)
		}
	}
	if _, err := Run(Default(3, 10, 1), "dice"); err == nil || !strings.Contains(err.Error(), "round-robin") {
		t.Errorf("error %v names no policy that there is", err)
	}
}

func TestThePictureIsXML(t *testing.T) {
	r, err := Compare(Default(3, 200, 1), []string{"skein", "flyte"})
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for d := xml.NewDecoder(strings.NewReader(r.Picture())); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "polyline" {
			lines++
		}
	}
	if lines != 4 {
		t.Errorf("%d lines, want two for each policy", lines)
	}
}
