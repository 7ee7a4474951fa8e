package scheduler

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/skein-project/skein/api/flow"
)

// stage is a term over a few clusters that are healthy and hold work.
type stage struct {
	*world
	*Term
	t       *testing.T
	members map[string]flow.Sender
	nonce   uint64
}

// newStage begins a term over these clusters, each with one member that has a
// lease.
func newStage(t *testing.T, clusters ...string) *stage {
	t.Helper()
	s := &stage{world: newWorld(), t: t, members: map[string]flow.Sender{}}
	for _, name := range clusters {
		s.members[name] = s.world.cluster(name)
		room := flow.Resources{MilliCPU: 100_000, Memory: 1 << 40, Pods: 1000}
		s.clusters[len(s.clusters)-1].Capacity, s.clusters[len(s.clusters)-1].LargestNode = room, room
	}
	s.takeOver()
	s.beat(clusters...)
	s.step()
	return s
}

// takeOver lets another leader begin a term.
func (s *stage) takeOver(change ...func(*Config)) {
	s.t.Helper()
	s.fence = flow.Fence{Epoch: s.fence.Epoch.Next()}
	s.Term = begin(s.t, s.world, change...)
}

// beat renews the leases of these clusters' members.
func (s *stage) beat(clusters ...string) {
	s.t.Helper()
	for _, name := range clusters {
		s.nonce++
		renew(s.t, s.Term, s.members[name], s.nonce)
	}
}

func (s *stage) step() {
	s.t.Helper()
	step(s.t, s.Term)
}

// pass lets seconds pass, in each of which these clusters renew and a cycle runs.
func (s *stage) pass(seconds int, renewing ...string) {
	s.t.Helper()
	for range seconds {
		s.now = s.now.Add(time.Second)
		s.beat(renewing...)
		s.step()
	}
}

// holds places n executions on a cluster, as if it had been decided before.
func (s *stage) holds(cluster string, n int, change ...func(*flow.Placed)) (ids []flow.ExecutionID) {
	for i := range n {
		id := flow.ExecutionID{Project: "p", Domain: "d", Name: fmt.Sprintf("%s-%d-%d", cluster, len(s.live), i)}
		p := &flow.Placed{Pending: flow.Pending{Execution: id, From: cluster, Epoch: flow.Epoch{Era: 1, N: 1},
			CreatedAt: s.now.Add(time.Duration(i) * time.Millisecond)}, Desired: flow.DesiredRun, PlacedAt: s.now}
		for _, f := range change {
			f(p)
		}
		s.live[id], s.placed[id] = p, cluster
		ids = append(ids, id)
	}
	return ids
}

// on counts where executions are.
func (s *stage) on(cluster string) (n int) {
	for _, p := range s.live {
		if p.From == cluster {
			n++
		}
	}
	return n
}

func (s *stage) is(what string, ok bool) {
	s.t.Helper()
	if !ok {
		s.t.Errorf("not so: %s", what)
	}
}

// TestALapsedClustersWorkIsPlacedElsewhere: not before lease and margin are over,
// and then at once.
func TestALapsedClustersWorkIsPlacedElsewhere(t *testing.T) {
	s := newStage(t, "a", "b", "c")
	ids := s.holds("a", 3)
	aborting := s.holds("a", 1, func(p *flow.Placed) { p.Desired = flow.DesiredAbort })
	s.pass(32, "b", "c")
	s.is("within lease and margin nothing is moved", s.on("a") == 4 && len(s.kinds) == 0 && len(s.ended) == 0)
	revision := s.world.members[0].OwnershipRevision
	s.pass(1, "b", "c")
	s.is("all that may move has moved", s.on("a") == 0 && s.on("b")+s.on("c") == 3)
	s.is("it says why", s.kinds[ids[0]] == flow.MoveLapse && s.live[ids[0]].Moves == 1)
	s.is("each is one epoch higher", s.live[ids[0]].Epoch == flow.Epoch{Era: 1, N: 2})
	s.is("the ownership revision rose", s.world.members[0].OwnershipRevision > revision)
	s.is("what was being aborted is ABORTED without its owner", s.ended[aborting[0]])
}

// TestWhatMayNotMoveWaitsForItsCluster, and says so.
func TestWhatMayNotMoveWaitsForItsCluster(t *testing.T) {
	s := newStage(t, "a", "b", "c")
	never := s.holds("a", 1, func(p *flow.Placed) { p.Failover.Mode = flow.FailoverNever })[0]
	used := s.holds("a", 1, func(p *flow.Placed) { p.Moves, p.Failover.MaxMoves = 2, 2 })[0]
	aborting := s.holds("a", 1, func(p *flow.Placed) { p.Desired, p.Failover.Mode = flow.DesiredAbort, flow.FailoverNever })[0]
	huge := s.holds("a", 1, func(p *flow.Placed) { p.Requirement.Largest.MilliCPU = 200_000 })[0]
	s.pass(40, "b", "c")
	for id, want := range map[flow.ExecutionID]string{never: "never", used: "2 times", huge: "fits no node", aborting: "is being aborted"} {
		said := ""
		for _, r := range s.waits[id] {
			said += r.Message + "; "
		}
		if s.placed[id] != "a" || !strings.Contains(said, want) {
			t.Errorf("%s is on %s: %q, want %q", id.Name, s.placed[id], said, want)
		}
	}
	s.pass(1, "a", "b", "c")
	s.is("pinned work that is being aborted is not ended without its owner", !s.ended[aborting])
	s.is("its cluster returns", s.world.health("a") == flow.HealthHealthy && s.on("a") == 4)
}

// TestALeaseThatIsGrantedMeanwhileKeepsTheWork: the member renews between the
// decision and its transaction. (I33, the scheduler's part.)
func TestALeaseThatIsGrantedMeanwhileKeepsTheWork(t *testing.T) {
	s := newStage(t, "a", "b", "c")
	s.holds("a", 2)
	s.pass(32, "b", "c")
	s.now = s.now.Add(time.Second)
	s.beat("b", "c")
	seen, err := s.Term.Observe(context.Background())
	if err != nil || moves(seen.Plan.Placements) != 2 {
		t.Fatalf("%+v: %v", seen, err)
	}
	s.beat("a")
	if _, err := s.Act(context.Background(), seen); err != nil {
		t.Fatal(err)
	}
	s.is("nothing is taken", s.on("a") == 2)
	s.pass(3, "a", "b", "c")
	s.is("nor later", s.on("a") == 2 && s.world.health("a") == flow.HealthHealthy)
}

// TestANewLeaderWaitsForLeasesThatItDoesNotKnow: the database still says
// Lapsed, but a member holds a lease, which an earlier leader granted last.
func TestANewLeaderWaitsForLeasesThatItDoesNotKnow(t *testing.T) {
	s := newStage(t, "a", "b", "c")
	s.holds("a", 2, func(p *flow.Placed) { p.Requirement.Largest.MilliCPU = 200_000 }) // fits nowhere: stays
	s.pass(40, "b", "c")
	s.is("a has lapsed", s.world.health("a") == flow.HealthLapsed)
	for _, p := range s.live {
		p.Requirement.Largest.MilliCPU = 1
	}
	s.beat("a") // the last thing that this leader does
	s.takeOver()
	s.pass(32, "b", "c")
	s.is("the new leader moves nothing for a lease and the margin", s.on("a") == 2)
	s.pass(1, "b", "c")
	s.is("then it does", s.on("a") == 0)
}

// TestAShortenedLeaseIsWaitedForInFull: a member renewed under a new leader whose
// leases are shorter, and never heard so: it goes by the longer one, and nothing
// is taken from it before that has ended. (I21, I70.)
func TestAShortenedLeaseIsWaitedForInFull(t *testing.T) {
	s := newStage(t, "a", "b", "c")
	s.holds("a", 2)
	s.takeOver(func(c *Config) { c.Lease = time.Minute })
	s.pass(1, "a", "b", "c")
	s.takeOver(func(c *Config) { c.Lease = 30 * time.Second })
	s.pass(1, "a", "b", "c") // its answer is lost
	s.pass(59, "b", "c")
	s.is("nothing has moved for a minute", s.on("a") == 2)
	s.pass(4, "b", "c")
	s.is("then it has", s.on("a") == 0)
}

// TestALostClustersWorkIsPlacedElsewhere, doubt or not, when its leases are over.
func TestALostClustersWorkIsPlacedElsewhere(t *testing.T) {
	s := newStage(t, "a", "b", "c", "d")
	ids := s.holds("a", 2)
	s.pass(31, "a", "b", "c", "d")
	s.holds("b", 1)
	s.clusters[0].Lost = true
	s.pass(32, "d")
	s.is("the cluster is Lost, and may hold a lease", s.world.health("a") == flow.HealthLost && s.on("a") == 2)
	s.pass(1, "d")
	s.is("all has moved", s.on("a") == 0 && s.kinds[ids[1]] == flow.MoveLost)
	s.is("though the leader doubts that the others have lapsed", s.Doubt() != "" && s.on("b") == 1)
}

// TestForcedMovesAreRateLimited: no more in one cycle than the limit, the next
// ones at once after.
func TestForcedMovesAreRateLimited(t *testing.T) {
	s := newStage(t, "a", "b", "c")
	s.holds("a", 25)
	s.cfg.Limits.Moves, s.gather.Limits.Moves = 10, 10
	s.pass(32, "b", "c")
	s.now = s.now.Add(time.Second)
	s.beat("b", "c")
	for _, want := range []int{15, 5, 0} {
		more, err := s.Cycle(context.Background())
		if err != nil || s.on("a") != want || more != (want > 0) {
			t.Fatalf("%d are left, want %d; more %v: %v", s.on("a"), want, more, err)
		}
	}
}

// TestReservationsSurviveALeader: a new leader's first plan counts what earlier
// leaders placed. (I5.)
func TestReservationsSurviveALeader(t *testing.T) {
	s := newStage(t, "a")
	half := flow.Requirement{Largest: flow.Resources{MilliCPU: 60_000}, Reservation: flow.Resources{MilliCPU: 60_000}}
	s.pending = []flow.Pending{{Execution: flow.ExecutionID{Name: "first"}, Requirement: half}}
	s.step()
	s.is("the first one fits", s.on("a") == 1)
	s.takeOver()
	s.beat("a")
	s.pending = []flow.Pending{{Execution: flow.ExecutionID{Name: "second"}, Requirement: half}}
	s.step()
	s.is("the second one does not", s.on("a") == 1 && s.waits[flow.ExecutionID{Name: "second"}] != nil)
}

// TestWhatLosesOneClusterAfterTheOtherIsMovedLater.
func TestWhatLosesOneClusterAfterTheOtherIsMovedLater(t *testing.T) {
	s := newStage(t, "a")
	for moves, want := range map[int]time.Duration{0: 0, 1: 30 * time.Second, 2: time.Minute, 3: 2 * time.Minute, 50: 16 * time.Minute} {
		p := flow.Placed{Pending: flow.Pending{From: "a", Moves: moves, Failover: flow.Failover{MaxMoves: 99}}, Desired: flow.DesiredRun, PlacedAt: s.now}
		l := s.sort(map[string]flow.MoveKind{"a": flow.MoveLapse}, []flow.Placed{p}, seenNothing)
		if got := l.movable[0].NotBefore.Sub(s.now); got != want {
			t.Errorf("after %d moves it stays for %s, want %s", moves, got, want)
		}
	}
}
