package script

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/skein-project/skein/api/flow"
)

// TestWhatAFailoverTook counts from the cut to the first run elsewhere.
func TestWhatAFailoverTook(t *testing.T) {
	running := func(second int, name, cluster string, n uint64) Accepted {
		a := event(second, cluster, n, flow.EventWorkflow, "", int32(flow.ExecutionRunning))
		a.Execution = name
		return a
	}
	l := loss{at: noon.Add(10 * time.Second), work: []string{"slow", "quick", "ended"}}
	took := l.took("a", []Accepted{
		running(1, "slow", "a", 1), running(1, "quick", "b", 1), // before the cut
		running(11, "slow", "a", 1), // said before the cut, recorded after it
		running(22, "quick", "b", 2), running(25, "slow", "b", 2), running(40, "slow", "c", 3), running(50, "another", "b", 2),
	})
	if !slices.Equal(took, []time.Duration{12 * time.Second, 15 * time.Second}) {
		t.Error(took)
	}
}

// TestWhatIsStale: wanted is what is placed there at that epoch and has not ended.
func TestWhatIsStale(t *testing.T) {
	seen := []Seen{
		{Status: Status{Name: "moved", Cluster: "b", Phase: flow.ExecutionRunning}, Epoch: epoch(2)},
		{Status: Status{Name: "back", Cluster: "a", Phase: flow.ExecutionRunning}, Epoch: epoch(3)},
		{Status: Status{Name: "ended", Cluster: "a", Phase: flow.ExecutionSucceeded}, Epoch: epoch(1)},
	}
	alive := []Object{{"Pod", "p1", "moved", epoch(1)}, {"Pod", "p2", "back", epoch(1)}, {"Pod", "p3", "back", epoch(3)},
		{"Pod", "p4", "ended", epoch(1)}, {"FlyteWorkflow", "w5", "nobody's", epoch(1)}}
	var names []string
	for _, o := range stale("a", alive, seen) {
		names = append(names, o.Name)
	}
	if !slices.Equal(names, []string{"w5", "p1", "p2", "p4"}) {
		t.Error(names)
	}
}

// TestOverCommits: more than there is room for counts, unless it lasted no
// longer than the clocks are apart.
func TestOverCommits(t *testing.T) {
	stay := func(cluster string, begin, end int) Stay {
		return Stay{Cluster: cluster, Begin: after(begin), End: after(end)}
	}
	stays := []Stay{
		stay("a", 0, 10_000), stay("a", 0, 9_000), stay("a", 8_500, 20_000), stay("a", 9_900, 20_000), // each in another's place
		stay("b", 0, 10_000), stay("b", 1_000, 10_000), stay("b", 2_000, 10_000), stay("b", 3_000, 10_000),
		stay("c", 0, 10_000), stay("c", 0, 10_000), stay("c", 5_000, 6_000), // too short to tell
	}
	if got := overcommits(stays, 2); !maps.Equal(got, map[string]int{"b": 2}) {
		t.Error(got)
	}
	if got := overcommits(stays, 0); len(got) != 0 {
		t.Error(got)
	}
	f := Verdict(nil, []Seen{{Status: Status{Name: "x"}, Stays: stays}}, nil, 3)
	if f.OK() || f.Over != 1 {
		t.Errorf("%+v", f)
	}
}
