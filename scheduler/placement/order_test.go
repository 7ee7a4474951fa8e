package placement

import (
	"fmt"
	"math"
	"math/rand"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/skein-project/skein/api/flow"
)

// loop places and ends executions on a clock of its own.
type loop struct {
	view    View
	running []run
	random  *rand.Rand
}

type run struct {
	flow.Pending
	cluster string
	since   time.Time
	until   time.Time
}

// step ends what is due, and places what is pending; it returns what was placed.
func (l *loop) step(by time.Duration, lasts func(flow.Pending) time.Duration) []flow.Placement {
	l.view.Now = l.view.Now.Add(by)
	l.running = slices.DeleteFunc(l.running, func(r run) bool { return !r.until.After(l.view.Now) })
	sums := map[flow.Load]*flow.Load{}
	for _, r := range l.running {
		key := flow.Load{Cluster: r.cluster, Tenant: r.Execution.Tenant()}
		if sums[key] == nil {
			one := key
			sums[key] = &one
		}
		sums[key].Executions++
		sums[key].Reservation = sums[key].Reservation.Add(askOf(l.view, r.Pending).Reservation)
	}
	l.view.Loads = nil
	for _, one := range sums {
		l.view.Loads = append(l.view.Loads, *one)
	}
	plan := Decide(l.view)
	to := map[flow.ExecutionID]string{}
	for _, p := range plan.Placements {
		to[p.Execution] = p.Cluster
	}
	l.view.Pending = slices.DeleteFunc(l.view.Pending, func(p flow.Pending) bool {
		c, ok := to[p.Execution]
		if ok {
			l.running = append(l.running, run{p, c, l.view.Now, l.view.Now.Add(lasts(p))})
		}
		return ok
	})
	return plan.Placements
}

// held is a tenant's dominant share of the fleet.
func (l *loop) held(t flow.Tenant, total flow.Resources) float64 {
	var sum flow.Resources
	for _, r := range l.running {
		if r.Execution.Tenant() == t {
			sum = sum.Add(askOf(l.view, r.Pending).Reservation)
		}
	}
	return dominant(sum, total)
}

// TestFairShare: of twenty tenants that always have more to run, with weights of
// 1 to 3 and work of different sizes, lengths and dominant resources, each holds
// its dominant share within 2 %, on average over an hour after ten mean run
// times. All of them have work that is older than Starve.
func TestFairShare(t *testing.T) {
	if testing.Short() {
		t.Skip("it decides some 1,000 times")
	}
	const tenants, backlog, mean = 20, 16, 2 * time.Minute
	l := &loop{random: rand.New(rand.NewSource(7)), view: View{Now: now, Policy: DefaultPolicy(), Requirements: map[string]flow.Requirement{}}}
	var total flow.Resources
	for i := range 8 {
		c := cluster(fmt.Sprintf("c%d", i), cores(500))
		c.Capacity.Memory = 2000 << 30
		c.Capacity.Pods = 0
		c.LargestNode.Memory = 100 << 30
		l.view.Clusters = append(l.view.Clusters, c)
		total = total.Add(c.Capacity)
	}
	weight := func(i int) float64 { return float64(1 + i%3) }
	name := func(i int) flow.Tenant { return flow.Tenant{Project: fmt.Sprintf("t%02d", i), Domain: "d"} }
	for i := range tenants {
		l.view.Policies = append(l.view.Policies, flow.Policy{Scope: flow.PolicyScope{Level: flow.PolicyProject, Project: name(i).Project}, Share: &flow.PolicyShare{Weight: weight(i)}})
		for size := range 3 {
			r := flow.Resources{MilliCPU: int64(1000 * (1 + size)), Memory: 2 << 30}
			if i%4 == 3 { // their dominant resource is memory
				r = flow.Resources{MilliCPU: 1000, Memory: int64(8*(1+size)) << 30}
			}
			l.view.Requirements[fmt.Sprint(i, size)] = flow.Requirement{Largest: r, Peak: r, Reservation: r}
		}
	}
	made := 0
	fill := func() {
		count := map[flow.Tenant]int{}
		for _, p := range l.view.Pending {
			count[p.Execution.Tenant()]++
		}
		for i := range tenants {
			for range backlog - count[name(i)] {
				made++
				l.view.Pending = append(l.view.Pending, flow.Pending{Digest: fmt.Sprint(i, l.random.Intn(3)), CreatedAt: l.view.Now.Add(-20 * time.Minute),
					Execution: flow.ExecutionID{Project: name(i).Project, Domain: "d", Name: fmt.Sprintf("x%06d", made)}})
			}
		}
	}
	lasts := func(flow.Pending) time.Duration { return mean/2 + time.Duration(l.random.Int63n(int64(mean))) }
	sums, steps := make([]float64, tenants), 0
	for at := time.Duration(0); at < 10*mean+time.Hour; at += 5 * time.Second {
		fill()
		l.step(5*time.Second, lasts)
		if at < 10*mean {
			continue
		}
		steps++
		for i := range tenants {
			sums[i] += l.held(name(i), total) / weight(i)
		}
	}
	average := 0.0
	for _, s := range sums {
		average += s / tenants
	}
	worst := 0.0
	for i, s := range sums {
		worst = math.Max(worst, math.Abs(s/average-1))
		if off := s/average - 1; math.Abs(off) > 0.02 {
			t.Errorf("tenant %d of weight %.0f holds %+.1f %% of its fair share, which is %.4f", i, weight(i), 100*off, average/float64(steps)*weight(i))
		}
	}
	t.Logf("worst error %.2f %%, over %d executions; a unit of weight holds %.4f", 100*worst, made, average/float64(steps))
}

// TestStarvationBound: under a flood of small work of all tenants, most of it of
// higher priority, an execution that may need a whole cluster, and may have the
// lowest priority, is placed within the bound of the package comment: where only
// its own tenant has starving work, and holds much of the fleet, and where all
// have, but younger, and its tenant holds nothing; and where up to three older ones
// starve, of tenants that hold nothing either.
func TestStarvationBound(t *testing.T) {
	const length, cycle, starve = 2 * time.Minute, 10 * time.Second, 5 * time.Minute
	rapid.Check(t, func(t *rapid.T) {
		clusters, tenants := rapid.IntRange(1, 3).Draw(t, "clusters"), rapid.IntRange(1, 4).Draw(t, "tenants")
		alone := rapid.Bool().Draw(t, "alone") // no other tenant has starving work
		l := &loop{random: rand.New(rand.NewSource(rapid.Int64().Draw(t, "seed"))), view: View{Now: now, Policy: DefaultPolicy(), Limits: Limits{Starve: starve}}}
		for i := range clusters {
			c := cluster(fmt.Sprintf("c%d", i), cores(10))
			c.Capacity.Pods = 0
			l.view.Clusters = append(l.view.Clusters, c)
		}
		made := 0
		add := func(project string, cores int64, rank string) flow.ExecutionID {
			made++
			r := cpu(cores, ranked(rank))
			r.Largest.Pods, r.Reservation.Pods = 0, 0
			p := flow.Pending{Requirement: r, CreatedAt: l.view.Now, Execution: flow.ExecutionID{Project: project, Domain: "d", Name: fmt.Sprintf("x%05d", made)}}
			l.view.Pending = append(l.view.Pending, p)
			return p.Execution
		}
		var big flow.ExecutionID
		older := map[flow.ExecutionID]bool{}
		var since time.Time
		flood := func() {
			l.view.Pending = slices.DeleteFunc(l.view.Pending, func(p flow.Pending) bool { // what is older than it is withdrawn
				return p.Execution != big && !older[p.Execution] && (p.CreatedAt.Before(since) || alone && l.view.Now.Sub(p.CreatedAt) > starve-2*cycle)
			})
			for len(l.view.Pending) < 40 {
				add(fmt.Sprintf("t%d", l.random.Intn(tenants)), 1+int64(l.random.Intn(3)), pickOne(l.random, "", "high", "high"))
			}
		}
		lasts := func(flow.Pending) time.Duration { return length/4 + time.Duration(l.random.Int63n(int64(length*3/4))) }
		for range 20 {
			flood()
			l.step(cycle, lasts)
		}
		owner, bound := "t0", starve+length+cycle
		if !alone {
			owner = "other"
			for i := range rapid.IntRange(0, 3).Draw(t, "older") {
				older[add(fmt.Sprintf("older%d", i), rapid.Int64Range(1, 10).Draw(t, "its cores"), "low")] = true
				bound += length
			}
			l.view.Now = l.view.Now.Add(time.Second)
		}
		since = l.view.Now
		big = add(owner, rapid.Int64Range(1, 10).Draw(t, "cores"), pick(t, "class", "low", "", "high"))
		for l.view.Now.Sub(since) <= bound {
			flood()
			for _, p := range l.step(cycle, lasts) {
				if p.Execution == big {
					return
				}
			}
		}
		t.Fatalf("it waits for more than %s", bound)
	})
}

func pickOne(r *rand.Rand, from ...string) string { return from[r.Intn(len(from))] }

func TestOrder(t *testing.T) {
	old := func(d time.Duration) func(*flow.Pending) {
		return func(p *flow.Pending) { p.CreatedAt = now.Add(-d) }
	}
	of := func(project string) func(*flow.Pending) {
		return func(p *flow.Pending) { p.Execution.Project = project }
	}
	again := func(p *flow.Pending) { p.Epoch = flow.Epoch{Era: 1, N: 1} }
	first := func(p *flow.Pending) { p.Epoch = flow.Epoch{} }
	make := func(name string, r flow.Requirement, with ...func(*flow.Pending)) flow.Pending {
		p := pending(name, time.Minute, r)
		first(&p)
		for _, w := range with {
			w(&p)
		}
		return p
	}
	load := func(project string, cores int64) flow.Load {
		return flow.Load{Cluster: "a", Tenant: flow.Tenant{Project: project, Domain: "d"}, Executions: 1, Reservation: flow.Resources{MilliCPU: cores * 1000}}
	}
	five := cpu(5)
	for _, tt := range []struct {
		name  string
		why   string
		cores int64
		loads []flow.Load
		list  []flow.Pending
		want  []string
	}{
		{"the oldest goes first", "fair among equals", 5, nil, []flow.Pending{make("young", five), make("old", five, old(2*time.Minute))}, []string{"old"}},
		{"a higher priority goes before an older one", "that is what it is for", 5, nil,
			[]flow.Pending{make("old", five, old(5*time.Minute)), make("high", cpu(5, ranked("high")))}, []string{"high"}},
		{"what starves goes before a higher priority", "the bound holds for all", 5, nil,
			[]flow.Pending{make("old", five, old(10*time.Minute)), make("high", cpu(5, ranked("high")))}, []string{"old"}},
		{"what had a cluster goes before new work of its priority", "it has begun", 5, nil,
			[]flow.Pending{make("new", five, old(2*time.Minute)), make("begun", five, again)}, []string{"begun"}},
		{"but not before a higher priority", "priority is above it", 5, nil,
			[]flow.Pending{make("high", cpu(5, ranked("high"))), make("begun", five, again)}, []string{"high"}},
		{"the tenant that holds less goes first", "fair share", 15, []flow.Load{load("p", 10)},
			[]flow.Pending{make("mine", five, old(2*time.Minute)), make("other", five, of("q"))}, []string{"other"}},
		{"tenants take turns", "each placement counts", 20, nil,
			[]flow.Pending{make("a1", five, old(9*time.Minute)), make("a2", five, old(8*time.Minute)), make("a3", five, old(7*time.Minute)),
				make("b1", five, of("q")), make("b2", five, of("q"))}, []string{"a1", "b1", "a2", "b2"}},
		{"who does not fit holds up nobody", "no head-of-line blocking", 5, nil,
			[]flow.Pending{make("big", cpu(6), old(2*time.Minute)), make("small", cpu(1))}, []string{"small"}},
		{"room is held for a starved one", "small work would take it for ever", 10, []flow.Load{load("q", 5)},
			[]flow.Pending{make("big", cpu(6), old(time.Hour)), make("small", cpu(5), of("q"))}, nil},
		{"what is left beside the held room may be used", "a hold is one pod's room", 11, []flow.Load{load("q", 4)},
			[]flow.Pending{make("big", cpu(10), old(time.Hour)), make("small", cpu(1), of("q"))}, nil},
		{"back-off is obeyed", "it just failed", 5, nil,
			[]flow.Pending{make("later", five, func(p *flow.Pending) { p.NotBefore = now.Add(time.Second) })}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := view([]ClusterView{cluster("a", cores(tt.cores))}, tt.list...)
			v.Loads = tt.loads
			var got []string
			for _, p := range Decide(v).Placements {
				got = append(got, p.Execution.Name)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("placed %v, want %v; why: %s", got, tt.want, tt.why)
			}
		})
	}
}

func TestOneHoldForATenantAndOneOnACluster(t *testing.T) {
	var list []flow.Pending
	for i := range 6 {
		p := pending(fmt.Sprintf("big%d", i), time.Hour+time.Duration(i)*time.Minute, cpu(10))
		p.Execution.Project = []string{"p", "q", "r"}[i%3]
		list = append(list, p)
	}
	v := view([]ClusterView{cluster("a", cores(10)), cluster("b", cores(10))}, list...)
	for _, c := range []string{"a", "b"} {
		v.Loads = append(v.Loads, flow.Load{Cluster: c, Tenant: flow.Tenant{Project: "z", Domain: "d"}, Executions: 1, Reservation: flow.Resources{MilliCPU: 9000}})
	}
	d := newDecider(v)
	d.place()
	held := map[string]string{}
	for _, s := range d.fleet.sites {
		held[s.keptFor] = s.Name
	}
	if want := []string{"q:d:big4", "r:d:big5"}; len(held) != 2 || held[want[0]] == "" || held[want[1]] == "" {
		t.Errorf("held for %v, want one for the oldest of each of two tenants, %v", held, want)
	}
}
