package scheduler

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/mutant"
	"github.com/skein-project/skein/scheduler/snapshot"
)

// free gives the clusters from which work may be taken without asking, and why:
// those that were declared lost, and, unless this leader doubts itself, those
// that have lapsed. Of neither may a member hold a lease on this leader's clock.
// That a lapse is recorded is not enough: a lease may have been granted since,
// and a new leader does not know what its predecessor granted last. An
// operator's word that a cluster is lost does not reach that cluster.
func (t *Term) free(s snapshot.Sight, doubt string) map[string]flow.MoveKind {
	free := map[string]flow.MoveKind{}
	for _, c := range s.Clusters {
		switch {
		case c.Health == flow.HealthSuspect && mutant.On("re-place-before-the-lease-ends"):
			free[c.Name] = flow.MoveLapse
		case s.Held[c.Name]:
		case c.Lost:
			free[c.Name] = flow.MoveLost
		case c.Health == flow.HealthLapsed && doubt == "":
			free[c.Name] = flow.MoveLapse
		}
	}
	return free
}

func names(free map[string]flow.MoveKind) []string {
	return slices.Sorted(maps.Keys(free))
}

// leavers are what free clusters hold.
type leavers struct {
	kinds   map[string]flow.MoveKind // of the clusters
	movable []flow.Pending           // may be placed elsewhere
	aborted map[string][]flow.ExecutionID
	staying []flow.Wait // what may not be moved, and why
	guards  []flow.Takeover
}

// sort tells what becomes of what free clusters hold.
func (t *Term) sort(free map[string]flow.MoveKind, held []flow.Placed, s snapshot.Sight) leavers {
	l := leavers{kinds: free, aborted: map[string][]flow.ExecutionID{}}
	for _, name := range names(free) {
		l.guards = append(l.guards, flow.Takeover{Cluster: name, Marks: s.Marks[name], Lost: free[name] == flow.MoveLost})
	}
	for _, p := range held {
		switch {
		case p.Desired == flow.DesiredAbort && p.Failover.Pinned() && free[p.From] != flow.MoveLost:
			l.staying = append(l.staying, flow.Wait{Execution: p.Execution, Reasons: []flow.Reason{
				{Cluster: p.From, Filter: "failover", Message: pinnedAbort}}})
		case p.Desired == flow.DesiredAbort:
			l.aborted[p.From] = append(l.aborted[p.From], p.Execution)
		case p.Failover.Moves(p.Moves):
			if again := p.PlacedAt.Add(t.backOff(p.Moves)); again.After(p.NotBefore) {
				p.NotBefore = again
			}
			l.movable = append(l.movable, p.Pending)
		default:
			l.staying = append(l.staying, flow.Wait{Execution: p.Execution, Reasons: []flow.Reason{
				{Cluster: p.From, Filter: "failover", Message: stays(p)}}})
		}
	}
	return l
}

// pinnedAbort: its cluster goes on with pinned work through a lapse. Ended here,
// it would go on starting work of what the control plane calls ABORTED.
const pinnedAbort = "is being aborted, and waits for this cluster to hear of it: its failover policy is \"never\"; " +
	"declaring the cluster lost ends it"

func stays(p flow.Placed) string {
	if p.Failover.Mode == flow.FailoverNever {
		return "waits for this cluster: its failover policy is \"never\""
	}
	return fmt.Sprintf("waits for this cluster: it was moved %d times, which is its limit", p.Moves)
}

// backOff is how long an execution that was moved so often stays where it was
// placed, at least: what loses one cluster after the other may be the cause.
func (t *Term) backOff(moves int) time.Duration {
	const doublings = 5
	if moves == 0 {
		return 0
	}
	return t.cfg.MoveBackOff << min(moves-1, doublings)
}

// reap ends what is to be aborted on free clusters, without their owners.
func (t *Term) reap(ctx context.Context, l leavers, at time.Time) error {
	for _, guard := range l.guards {
		ended, err := t.commit.Reap(ctx, guard, l.aborted[guard.Cluster], at)
		if err != nil {
			return err
		}
		if len(ended) > 0 {
			t.deps.Log.Info("aborted without the owner", "cluster", guard.Cluster, "kind", string(l.kinds[guard.Cluster]), "executions", len(ended))
		}
	}
	return nil
}
