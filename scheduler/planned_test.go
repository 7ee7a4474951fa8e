package scheduler

import (
	"testing"
	"time"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/scheduler/placement"
)

// acks lets owners give up what was revoked: it waits for a cluster again.
func (s *stage) acks() (n int) {
	for id, p := range s.live {
		if p.Revoking == "" {
			continue
		}
		n++
		s.kinds[id] = p.Revoking
		back := p.Pending
		back.Last, back.From = back.From, ""
		s.pending = append(s.pending, back)
		delete(s.live, id)
	}
	return n
}

func (s *stage) revoking() (n int) {
	for _, p := range s.live {
		if p.Revoking != "" {
			n++
		}
	}
	return n
}

// TestADrainKeepsItsBudgetAndEnds: two at a time leave, each is placed elsewhere
// at a higher epoch when its owner has acked, and then the drain is over.
func TestADrainKeepsItsBudgetAndEnds(t *testing.T) {
	s := newStage(t, "a", "b", "c")
	ids := s.holds("a", 5)
	s.clusters[0].Drain = &flow.ClusterDrain{Budget: 2, At: s.now}
	for left := 5; left > 0; left -= 2 {
		s.pass(2, "a", "b", "c")
		if n := s.revoking(); n != min(2, left) {
			t.Fatalf("%d are on the move with %d left, want the budget of 2", n, left)
		}
		s.is("nothing has moved before the ack", s.on("a") == left)
		s.acks()
	}
	s.pass(1, "a", "b", "c")
	s.is("all are elsewhere", s.on("a") == 0 && s.on("b")+s.on("c") == 5)
	s.is("each is one epoch higher, and no move of force", s.live[ids[0]].Epoch.N == 2 && s.live[ids[0]].Moves == 0 && s.kinds[ids[0]] == flow.MoveDrain)
	s.pass(1, "a", "b", "c")
	expired, ended := s.drained["a"]
	s.is("the drain has ended, in time", ended && !expired)
}

// TestADrainGivesUpAtItsDeadline: what fits nowhere else is not taken, and stays.
func TestADrainGivesUpAtItsDeadline(t *testing.T) {
	s := newStage(t, "a", "b", "c")
	s.holds("a", 1, func(p *flow.Placed) { p.Failover.Mode = flow.FailoverNever })
	s.clusters[0].Drain = &flow.ClusterDrain{Budget: 2, At: s.now, Deadline: s.now.Add(5 * time.Second)}
	s.pass(4, "a", "b", "c")
	_, ended := s.drained["a"]
	s.is("it goes on before its deadline", !ended && s.on("a") == 1)
	s.pass(2, "a", "b", "c")
	expired, ended := s.drained["a"]
	s.is("then it has expired", ended && expired && s.on("a") == 1 && s.revoking() == 0)
}

// TestANoExecuteTaintIsToleratedForItsSeconds.
func TestANoExecuteTaintIsToleratedForItsSeconds(t *testing.T) {
	s := newStage(t, "a", "b", "c")
	seconds := int64(10)
	s.holds("a", 1)
	s.holds("a", 1, func(p *flow.Placed) {
		p.Requirement.Tolerations = []flow.Toleration{{Key: "maintenance", Operator: "Exists", Seconds: &seconds}}
	})
	s.clusters[0].Taints = []flow.Taint{{Key: "maintenance", Effect: flow.NoExecute, AddedAt: s.now}}
	s.pass(2, "a", "b", "c")
	s.is("who does not tolerate it leaves", s.revoking() == 1)
	s.acks()
	s.pass(5, "a", "b", "c")
	s.is("who does stays", s.revoking() == 0 && s.on("a") == 1)
	s.pass(5, "a", "b", "c")
	s.is("for its seconds", s.revoking() == 1)
}

// TestALapseDuringARevokeIsAForcedMove: the owner will not ack any more.
func TestALapseDuringARevokeIsAForcedMove(t *testing.T) {
	s := newStage(t, "a", "b", "c")
	id := s.holds("a", 1)[0]
	s.clusters[0].Drain = &flow.ClusterDrain{Budget: 1, At: s.now}
	s.pass(1, "a", "b", "c")
	s.is("it is asked for", s.revoking() == 1)
	s.pass(32, "b", "c")
	s.is("an owner that may hold a lease is waited for", s.on("a") == 1)
	s.pass(1, "b", "c")
	s.is("then it is taken", s.on("a") == 0 && s.kinds[id] == flow.MoveLapse && s.live[id].Moves == 1)
	s.pass(1, "b", "c")
	expired, ended := s.drained["a"]
	s.is("and the drain has ended", ended && !expired)
}

// TestNothingIsAskedOfASuspectCluster: its drain goes on when it is back.
func TestNothingIsAskedOfASuspectCluster(t *testing.T) {
	s := newStage(t, "a", "b", "c")
	s.holds("a", 1)
	s.pass(7, "b", "c")
	s.clusters[0].Drain = &flow.ClusterDrain{Budget: 1, At: s.now}
	s.pass(5, "b", "c")
	s.is("a is suspect, and nothing is asked of it", s.world.health("a") == flow.HealthSuspect && s.revoking() == 0)
	s.pass(2, "a", "b", "c")
	s.is("now it is", s.revoking() == 1)
}

// TestWorkOfHigherPriorityMakesRoom: by classes of a policy, and the work that
// yields waits like any other.
func TestWorkOfHigherPriorityMakesRoom(t *testing.T) {
	s := newStage(t, "a")
	s.policies = []flow.Policy{{Scope: flow.PolicyScope{Level: flow.PolicySystem}, Version: 1,
		Rules: flow.PolicyRules{Classes: map[string]int32{"high": 10, "low": 1}}}}
	half := flow.Requirement{Largest: flow.Resources{MilliCPU: 60_000}, Reservation: flow.Resources{MilliCPU: 60_000}}
	low := s.holds("a", 1, func(p *flow.Placed) { p.Requirement, p.Requirement.Class = half, "low" })[0]
	high := flow.Pending{Execution: flow.ExecutionID{Project: "p", Domain: "d", Name: "high"}, Requirement: half, CreatedAt: s.now}
	high.Requirement.Class = "high"
	s.pending = []flow.Pending{high}
	s.pass(6, "a")
	s.is("the lower one is asked for", s.live[low].Revoking == flow.MovePreempt)
	s.acks()
	s.pass(1, "a")
	s.is("the higher one runs, the lower one waits", s.placed[high.Execution] == "a" && s.live[low] == nil && s.waits[low] != nil)
}

// TestStoredRoundsAreDecidedAgain: what was stored of a term's rounds replays to
// the same decisions.
func TestStoredRoundsAreDecidedAgain(t *testing.T) {
	s := newStage(t, "a", "b", "c")
	for i := range 30 {
		s.launch(string(rune('A'+i)), "")
		s.pass(1, "a", "b", "c")
	}
	s.holds("a", 5)
	s.pass(40, "b", "c")
	s.is("rounds were stored", len(s.rounds) >= 31)
	for _, r := range s.rounds {
		differences, err := placement.Replay(r)
		if err != nil || len(differences) > 0 {
			t.Errorf("round %s: %v, %v", r.ID, differences, err)
		}
	}
}
