package placement

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/skein-project/skein/api/flow"
)

// live is an execution that runs on a cluster, with what it reserves.
func live(name, on string, r flow.Requirement, with ...func(*flow.Placed)) flow.Placed {
	p := flow.Placed{Pending: pending(name, time.Hour, r), Desired: flow.DesiredRun, PlacedAt: now.Add(-time.Minute), Started: true}
	p.From, p.Epoch = on, flow.Epoch{Era: 1, N: 1}
	for _, w := range with {
		w(&p)
	}
	return p
}

func unstarted(p *flow.Placed) { p.Started = false }
func pinned(p *flow.Placed)    { p.Failover.Mode = flow.FailoverNever }
func revoking(k flow.MoveKind) func(*flow.Placed) {
	return func(p *flow.Placed) { p.Revoking = k }
}

// holding adds to a view what live placements hold.
func holding(v View, list ...flow.Placed) View {
	for _, p := range list {
		v.Loads = append(v.Loads, flow.Load{Cluster: p.From, Tenant: p.Execution.Tenant(), Group: p.Requirement.Group, Executions: 1, Reservation: p.Requirement.Reservation})
	}
	return v
}

func drained(budget int, grace int64) func(*ClusterView) {
	return func(c *ClusterView) {
		c.Drain = &flow.ClusterDrain{Budget: budget, Grace: grace, At: now.Add(-time.Minute)}
	}
}

// cpu asks for so many cores in one pod.
func cpu(n int64, with ...func(*flow.Requirement)) flow.Requirement {
	r := requirement(with...)
	r.Largest = flow.Resources{MilliCPU: n * 1000, Pods: 1}
	r.Peak, r.Reservation = r.Largest, r.Largest
	return r
}

func ranked(name string) func(*flow.Requirement) {
	return func(r *flow.Requirement) { r.Class = name }
}

func TestEvict(t *testing.T) {
	taint := func(age time.Duration) func(*ClusterView) {
		return func(c *ClusterView) {
			c.Taints = []flow.Taint{{Key: "down", Effect: flow.NoExecute, AddedAt: now.Add(-age)}}
		}
	}
	seconds := func(n int64) func(*flow.Requirement) {
		return tolerating(flow.Toleration{Key: "down", Operator: "Exists", Effect: flow.NoExecute, Seconds: &n})
	}
	two := func(with func(*ClusterView)) []ClusterView { return []ClusterView{cluster("a", with), cluster("b")} }
	low, high := cpu(10, ranked("low")), cpu(10, ranked("high"))
	for _, tt := range []struct {
		name     string
		why      string
		clusters []ClusterView
		live     []flow.Placed
		pending  []flow.Pending
		want     []string
		kind     flow.MoveKind
	}{
		{"nothing is asked to leave a cluster that is not drained", "there is no reason", two(func(*ClusterView) {}),
			[]flow.Placed{live("x", "a", cpu(1))}, nil, nil, ""},
		{"a drain takes what has not started first, up to its budget", "nothing is lost by it", two(drained(2, 0)),
			[]flow.Placed{live("ran", "a", cpu(1)), live("new", "a", cpu(1), unstarted)}, nil, []string{"new", "ran"}, flow.MoveDrain},
		{"the budget counts what is on the move already", "it bounds the moves at a time", two(drained(2, 0)),
			[]flow.Placed{live("w", "a", cpu(1), revoking(flow.MoveDrain)), live("x", "a", cpu(1)), live("y", "a", cpu(1))}, nil, []string{"x"}, flow.MoveDrain},
		{"what runs stays until the grace is over", "it may finish", two(drained(5, 3600)),
			[]flow.Placed{live("ran", "a", cpu(1)), live("new", "a", cpu(1), unstarted)}, nil, []string{"new"}, flow.MoveDrain},
		{"a drain whose deadline has passed takes nothing more", "it has given up", two(func(c *ClusterView) {
			c.Drain = &flow.ClusterDrain{Budget: 5, At: now.Add(-time.Hour), Deadline: now}
		}), []flow.Placed{live("x", "a", cpu(1))}, nil, nil, ""},
		{"pinned work stays", "its user said never", two(drained(5, 0)), []flow.Placed{live("x", "a", cpu(1), pinned)}, nil, nil, ""},
		{"what is being aborted stays", "it ends by itself", two(drained(5, 0)),
			[]flow.Placed{live("x", "a", cpu(1), func(p *flow.Placed) { p.Desired = flow.DesiredAbort })}, nil, nil, ""},
		{"what fits nowhere else stays", "it would lose its place for nothing", []ClusterView{cluster("a", drained(5, 0)), cluster("b", cores(2))},
			[]flow.Placed{live("x", "a", cpu(1)), live("y", "a", cpu(1)), live("z", "a", cpu(1))}, nil, []string{"x", "y"}, flow.MoveDrain},
		{"pending work has the room elsewhere first", "else a drain would starve it", []ClusterView{cluster("a", drained(5, 0)), cluster("b", cores(2))},
			[]flow.Placed{live("x", "a", cpu(1))}, []flow.Pending{pending("p", time.Minute, cpu(2))}, nil, ""},
		{"an untolerated NoExecute taint takes at once", "as in Kubernetes", two(taint(0)), []flow.Placed{live("x", "a", cpu(1))}, nil, []string{"x"}, flow.MoveTaint},
		{"a tolerated one takes when its seconds are over", "as in Kubernetes", two(taint(61 * time.Second)),
			[]flow.Placed{live("x", "a", cpu(1, seconds(60))), live("y", "a", cpu(1, seconds(62)))}, nil, []string{"x"}, flow.MoveTaint},
		{"higher priority takes the room of lower", "it fits nowhere", []ClusterView{cluster("a", cores(20))},
			[]flow.Placed{live("x", "a", low), live("y", "a", low)}, []flow.Pending{pending("p", time.Minute, high)}, []string{"x"}, flow.MovePreempt},
		{"equal priority takes nothing", "it waits its turn", []ClusterView{cluster("a", cores(10))},
			[]flow.Placed{live("x", "a", low)}, []flow.Pending{pending("p", time.Minute, low)}, nil, ""},
		{"room that is being freed is enough", "no second victim for one execution", []ClusterView{cluster("a", cores(20))},
			[]flow.Placed{live("x", "a", low, revoking(flow.MovePreempt)), live("y", "a", low)}, []flow.Pending{pending("p", time.Minute, high)}, nil, ""},
		{"two that wait need two rooms", "what is freed for one is not for the other", []ClusterView{cluster("a", cores(20))},
			[]flow.Placed{live("x", "a", low), live("y", "a", low)}, []flow.Pending{pending("p", time.Minute, high), pending("q", time.Minute, high)}, []string{"x", "y"}, flow.MovePreempt},
		{"nothing larger yields", "a small one may not end a large one", []ClusterView{cluster("a", cores(10))},
			[]flow.Placed{live("x", "a", low)}, []flow.Pending{pending("p", time.Minute, cpu(5, ranked("high")))}, nil, ""},
		{"nothing is taken in vain", "all victims together would not do", []ClusterView{cluster("a", cores(10))},
			[]flow.Placed{live("x", "a", cpu(4, ranked("low"))), live("y", "a", cpu(6, ranked("high")))}, []flow.Pending{pending("p", time.Minute, high)}, nil, ""},
		{"what was placed three times is not preempted", "two may not take turns for ever", []ClusterView{cluster("a", cores(10))},
			[]flow.Placed{live("x", "a", low, func(p *flow.Placed) { p.Epoch.N = 3 })}, []flow.Pending{pending("p", time.Minute, high)}, nil, ""},
		{"the cluster with the fewest victims is cleared", "least harm", []ClusterView{cluster("a", cores(10)), cluster("b", cores(10))},
			[]flow.Placed{live("x", "a", cpu(5, ranked("low"))), live("y", "a", cpu(5, ranked("low"))), live("z", "b", low)},
			[]flow.Pending{pending("p", time.Minute, high)}, []string{"z"}, flow.MovePreempt},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := holding(view(tt.clusters, tt.pending...), tt.live...)
			var got []string
			for _, r := range Evict(v, tt.live) {
				got = append(got, r.Execution.Name)
				if r.Kind != tt.kind || r.Reason == "" || r.Epoch.N == 0 {
					t.Errorf("%+v; want kind %s", r, tt.kind)
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("revoked %v, want %v; why: %s", got, tt.want, tt.why)
			}
		})
	}
}

// TestEvictKeepsItsPromises: over drawn worlds, nothing leaves that may not, no
// drain is over its budget, and what a drain or a taint takes, fits elsewhere
// beside all pending work that was placed: applying both breaks no capacity.
func TestEvictKeepsItsPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := drawView(t)
		var placed []flow.Placed
		for i := range v.Clusters {
			if rapid.IntRange(0, 2).Draw(t, "drained") == 0 {
				v.Clusters[i].Drain = &flow.ClusterDrain{Budget: rapid.IntRange(0, 2).Draw(t, "budget"), At: now.Add(-time.Minute)}
			}
			for k := range rapid.IntRange(0, 4).Draw(t, "live") {
				p := live(fmt.Sprintf("live-%d-%d", i, k), v.Clusters[i].Name, drawRequirement(t))
				p.Started = rapid.Bool().Draw(t, "started")
				p.Revoking = pick(t, "revoking", "", "", "", flow.MoveDrain, flow.MovePreempt)
				p.Failover.Mode = pick(t, "mode", "", "", flow.FailoverNever)
				p.Desired = pick(t, "desired", flow.DesiredRun, flow.DesiredRun, flow.DesiredRun, flow.DesiredAbort)
				placed = append(placed, p)
			}
		}
		v = holding(v, placed...)
		byID, drains := map[flow.ExecutionID]flow.Placed{}, map[string]int{}
		for _, p := range placed {
			byID[p.Execution] = p
			if p.Revoking == flow.MoveDrain {
				drains[p.From]++
			}
		}
		var moved []flow.Pending
		first := map[string]bool{}
		for _, r := range Evict(v, placed) {
			p := byID[r.Execution]
			if p.Revoking != "" || p.Failover.Pinned() || p.Desired != flow.DesiredRun || first[r.Execution.Name] {
				t.Fatalf("%s may not leave, or leaves twice: %+v", r.Execution, p)
			}
			first[r.Execution.Name] = true
			if r.Kind == flow.MovePreempt {
				continue
			}
			moved = append(moved, p.Pending)
			if r.Kind == flow.MoveDrain {
				drains[p.From]++
			}
		}
		for _, c := range v.Clusters {
			if c.Drain != nil && drains[c.Name] > max(c.Drain.Budget, 1) && slices.ContainsFunc(moved, func(p flow.Pending) bool { return p.From == c.Name }) {
				t.Fatalf("%s has %d on the move, over its budget of %d", c.Name, drains[c.Name], c.Drain.Budget)
			}
		}
		// Where they went is Evict's own affair; what is promised is that each fits
		// there beside all that is there and all that was promised before.
		e := newEvictor(v, placed)
		e.drains(v.Now)
		e.taints(v.Now)
		held, capacity := map[string]flow.Resources{}, map[string]flow.Resources{}
		for _, l := range v.Loads {
			held[l.Cluster] = held[l.Cluster].Add(l.Reservation)
		}
		for _, c := range v.Clusters {
			capacity[c.Name] = c.Capacity
		}
		promise := func(id flow.ExecutionID, to string, ask flow.Requirement) {
			h, l, k := held[to], ask.Largest, capacity[to]
			if l.MilliCPU > 0 && h.MilliCPU+l.MilliCPU > k.MilliCPU || l.Memory > 0 && h.Memory+l.Memory > k.Memory || l.GPUs > 0 && h.GPUs+l.GPUs > k.GPUs {
				t.Fatalf("%s was promised %+v on %s, which has %+v of %+v", id, l, to, h, k)
			}
			held[to] = h.Add(ask.Reservation)
		}
		for _, p := range e.placements {
			promise(p.Execution, p.Cluster, askOf(v, pendingOf(v, p.Execution)))
		}
		for i, r := range e.out {
			if e.to[i] == e.from[i].turn.From {
				t.Fatalf("%s would come back to %s", r.Execution, e.to[i])
			}
			promise(r.Execution, e.to[i], e.from[i].class.ask)
		}
	})
}

func pendingOf(v View, id flow.ExecutionID) flow.Pending {
	return v.Pending[slices.IndexFunc(v.Pending, func(p flow.Pending) bool { return p.Execution == id })]
}

func TestRemedies(t *testing.T) {
	v := view([]ClusterView{cluster("full", cores(0)), cluster("shut", func(c *ClusterView) { c.Cordoned = true }), cluster("far", health(flow.HealthLapsed)),
		cluster("other", func(c *ClusterView) { c.TaskTypes = nil }), cluster("small", func(c *ClusterView) { c.LargestNode.MilliCPU = 1 })},
		pending("x", time.Minute, requirement()))
	plan := Decide(v)
	got := Remedies(plan.Reasons(plan.Waits[0].Trail))
	for i, want := range []string{"until work on full ends", "Open shut", "Bring far back", "Give other what", "larger nodes to small"} {
		if i >= len(got) || !strings.Contains(got[i], want) {
			t.Fatalf("remedy %d is not %q, of:\n%s", i, want, strings.Join(got, "\n"))
		}
	}
	if why := Why(plan.Reasons(plan.Waits[0].Trail)); !strings.Contains(why, "2 by capacity") || !strings.Contains(why, "1 by cordon") {
		t.Error(why)
	}
	v.Policies = []flow.Policy{{Scope: flow.PolicyScope{Level: flow.PolicyProject, Project: "p"}, Share: &flow.PolicyShare{Quota: &flow.Quota{MilliCPU: 1}}}}
	plan = Decide(v)
	if got := Remedies(plan.Reasons(plan.Waits[0].Trail)); len(got) != 1 || !strings.Contains(got[0], "raise its quota") || !strings.Contains(got[0], "quota of 1m") {
		t.Errorf("of a quota: %q", got)
	}
}
