package scheduler

import (
	"context"
	"testing"
	"time"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/scheduler/placement"
	"github.com/skein-project/skein/scheduler/snapshot"
)

// Rounds gives the newest first.
func (w *world) Rounds(_ context.Context, _ flow.RoundKey, limit int) (out []flow.Round, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := len(w.rounds) - 1; i >= 0 && len(out) < limit; i-- {
		out = append(out, w.rounds[i])
	}
	return out, nil
}

// runs launches an execution of a workflow, says where it was placed, and ends it.
func (s *stage) runs(name, workflow string) (cluster string) {
	s.t.Helper()
	id := s.launch(name, "")
	s.locked(func() { s.pending[len(s.pending)-1].Requirement.Workflow = workflow })
	s.pass(1, "a", "b")
	cluster = s.placedOn(id)
	s.locked(func() { delete(s.live, id) })
	return cluster
}

// emptierA has two clusters of which a has a little more room: cold work goes there.
func emptierA(t *testing.T) *stage {
	s := newStage(t, "a", "b")
	s.holds("b", 1, func(p *flow.Placed) { p.Requirement.Reservation.MilliCPU = 3000 })
	return s
}

// TestALaunchPrefersTheWarmCluster: of two clusters that are much alike, the second
// launch of a workflow goes where the first one ran, though that has ended, also
// under the next leader, and for no longer than caches are taken to last.
func TestALaunchPrefersTheWarmCluster(t *testing.T) {
	s := emptierA(t)
	s.is("a cold workflow goes to a", s.runs("cold", "other") == "a")
	s.clusters[0].Cordoned = true
	s.is("the first run goes to b", s.runs("first", "w") == "b")
	s.clusters[0].Cordoned = false
	s.pass(3, "a", "b")
	s.is("the second goes where the first ran", s.runs("second", "w") == "b")
	s.is("another workflow does not", s.runs("still-cold", "other") == "a" && s.runs("colder", "third") == "a")

	s.takeOver()
	s.beat("a", "b")
	s.is("the next leader knows the round before its term", s.runs("again", "third") == "a")
	s.clusters[0].Cordoned = true
	s.is("w runs once more", s.runs("more", "w") == "b")
	s.clusters[0].Cordoned = false
	s.takeOver()
	s.beat("a", "b")
	s.is("the next leader knows where it ran", s.runs("under-another", "w") == "b")

	s.now = s.now.Add(snapshot.Warm)
	s.pass(2, "a", "b")
	s.is("after a while every cluster is cold", s.runs("late", "w") == "a")

	warm := 0
	for _, r := range s.rounds {
		differences, err := placement.Replay(r)
		if err != nil || len(differences) > 0 {
			t.Errorf("round %s: %v, %v", r.ID, differences, err)
		}
		if v, err := placement.Decode(r.View); err == nil {
			warm += len(v.Recent)
		}
	}
	s.is("rounds hold where workflows ran", warm >= 2)
}

// What ran longer than the memory lasts is known by what it held until its end.
func TestALongRunIsWarmAfterItsEnd(t *testing.T) {
	s := emptierA(t)
	long := s.holds("b", 1, func(p *flow.Placed) { p.Requirement.Workflow = "w" })[0]
	s.pass(1, "a", "b")
	s.now = s.now.Add(2 * snapshot.Warm)
	s.pass(2, "a", "b")
	s.locked(func() { delete(s.live, long) })
	s.now = s.now.Add(snapshot.Warm - 10*time.Second)
	s.pass(2, "a", "b")
	s.is("its cluster is warm", s.runs("next", "w") == "b")
}
