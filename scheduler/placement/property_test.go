package placement

import (
	"fmt"
	"math/rand"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/labels"
	"pgregory.net/rapid"

	"github.com/skein-project/skein/api/flow"
)

func pick[T any](t *rapid.T, label string, from ...T) T {
	return rapid.SampledFrom(from).Draw(t, label)
}

func drawAmount(t *rapid.T, label string) flow.Resources {
	return flow.Resources{MilliCPU: rapid.Int64Range(0, 8).Draw(t, label+" cpu"), Memory: rapid.Int64Range(0, 8).Draw(t, label+" memory"),
		GPUs: pick[int64](t, label+" gpus", 0, 0, 0, 1, 2), Pods: rapid.Int64Range(0, 1).Draw(t, label+" pods")}
}

func drawCluster(t *rapid.T, name string) ClusterView {
	c := ClusterView{Leased: rapid.IntRange(0, 9).Draw(t, "leased") > 0, Heard: rapid.IntRange(0, 9).Draw(t, "heard") > 0, Cluster: flow.Cluster{
		Name:        name,
		Health:      pick(t, "health", flow.HealthHealthy, flow.HealthHealthy, flow.HealthHealthy, flow.HealthHealthy, flow.HealthSuspect, flow.HealthLapsed),
		Labels:      rapid.MapOfN(pick2("a", "skein.dev/special", "zone"), pick2("1", "2"), 0, 2).Draw(t, "labels"),
		TaskTypes:   pick(t, "types", []string{"x"}, []string{"x", "y"}, []string{"*"}),
		Capacity:    drawAmount(t, "capacity").Times(4),
		LargestNode: drawAmount(t, "node"),
		Store:       pick(t, "store", "", "s3://a", "s3://b"),
		Cordoned:    rapid.IntRange(0, 9).Draw(t, "cordoned") == 0,
		Version:     pick(t, "version", "", "0.4.1", "0.2.0"),
	}}
	if rapid.IntRange(0, 2).Draw(t, "tainted") == 0 {
		c.Taints = []flow.Taint{{Key: pick(t, "key", "k", "l"), AddedAt: now.Add(-time.Minute),
			Effect: pick(t, "effect", flow.NoSchedule, flow.PreferNoSchedule, flow.NoExecute)}}
	}
	if rapid.IntRange(0, 19).Draw(t, "lost") == 0 {
		c.Lost, c.Health = true, flow.HealthLost
	}
	if rapid.Bool().Draw(t, "priced") {
		c.Labels["skein.dev/cost"] = pick(t, "cost", "1", "2.5", "x")
	}
	return c
}

func pick2(from ...string) *rapid.Generator[string] { return rapid.SampledFrom(from) }

func drawRequirement(t *rapid.T) flow.Requirement {
	r := flow.Requirement{
		Selector:  pick(t, "selector", "", "", "a", "a=1", "!a", "a in ("),
		TaskTypes: pick(t, "needs", nil, []string{"x"}, []string{"y"}),
		Largest:   drawAmount(t, "largest"), Peak: drawAmount(t, "peak").Times(3),
		Workflow: pick(t, "workflow", "", "w1", "w2"),
		Pool:     pick(t, "pool", "", "", "", "gpu", "none"),
		Class:    pick(t, "class", "", "", "high", "urgent", "unknown"),
		Group:    pick(t, "group", "", "g1", "g2"),
		Near:     pick(t, "near", nil, nil, []string{"g1"}),
		Apart:    pick(t, "apart", nil, nil, []string{"g1"}, []string{"g1", "g2"}),
		Data:     pick(t, "data", nil, []string{"s3://a/in", "s3://c/out"}),
	}
	r.Reservation = r.Peak.Min(r.Largest.Times(2))
	if rapid.Bool().Draw(t, "tolerates") {
		r.Tolerations = []flow.Toleration{{Key: "k", Operator: "Exists"}}
	}
	if rapid.IntRange(0, 9).Draw(t, "prefers") == 0 {
		r.Preferred = []flow.Preference{{Selector: "zone=1", Weight: 3}, {Selector: "a", Weight: 1}}
	}
	return r
}

func ptr[T any](v T) *T { return &v }

func drawPolicies(t *rapid.T) []flow.Policy {
	system := flow.Policy{Scope: flow.PolicyScope{Level: flow.PolicySystem}, Rules: flow.PolicyRules{
		Pools: map[string]string{"gpu": "zone"}, Classes: map[string]int32{"urgent": 7}}}
	one := flow.Policy{Scope: flow.PolicyScope{Level: flow.PolicyProject, Project: "p1"}, Share: &flow.PolicyShare{
		Weight: pick(t, "weight", 0, 0.5, 3), Quota: &flow.Quota{Executions: rapid.Int64Range(0, 6).Draw(t, "quota"),
			MilliCPU: rapid.Int64Range(0, 30).Draw(t, "cpu quota"), GPUs: rapid.Int64Range(0, 3).Draw(t, "gpu quota")}},
		Rules: flow.PolicyRules{RequiredSelector: pick(t, "residency", "", "", "!a"), Spread: pick(t, "spread", "", "zone")}}
	narrow := flow.Policy{Scope: flow.PolicyScope{Level: flow.PolicyWorkflow, Project: "p2", Domain: "d", Workflow: "w1"},
		Rules: flow.PolicyRules{Priority: ptr(int32(3)), Weights: &flow.Weights{Free: 1, Cost: 1}}}
	return pick(t, "policies", nil, []flow.Policy{system}, []flow.Policy{one, system, narrow})
}

func drawView(t *rapid.T) View {
	v := View{Now: now, Policy: DefaultPolicy(), Version: "0.4.0", Policies: drawPolicies(t), Requirements: map[string]flow.Requirement{}}
	v.Limits = Limits{Moves: rapid.IntRange(0, 3).Draw(t, "moves"), Reasons: pick(t, "reasons", 0, 0, 5)}
	project := func(label string) string { return pick(t, label, "p1", "p2", "p3") }
	for i := range rapid.IntRange(0, 6).Draw(t, "clusters") {
		name := fmt.Sprintf("c%d", i)
		v.Clusters = append(v.Clusters, drawCluster(t, name))
		for range rapid.IntRange(0, 3).Draw(t, "loads") {
			v.Loads = append(v.Loads, flow.Load{Cluster: name, Tenant: flow.Tenant{Project: project("of"), Domain: "d"},
				Group: pick(t, "group", "", "g1", "g2"), Workflow: pick(t, "workflow", "", "w1"),
				Executions: rapid.Int64Range(1, 3).Draw(t, "executions"), Reservation: drawAmount(t, "reserved")})
		}
	}
	var asks []flow.Requirement
	for i := range rapid.IntRange(1, 5).Draw(t, "asks") {
		asks = append(asks, drawRequirement(t))
		v.Requirements[fmt.Sprintf("digest-%d", i)] = asks[i]
	}
	for i := range rapid.IntRange(0, 25).Draw(t, "pending") {
		k := rapid.IntRange(0, len(asks)-1).Draw(t, "asks for")
		p := flow.Pending{Execution: flow.ExecutionID{Project: project("project"), Domain: "d", Name: fmt.Sprintf("x%02d", i)},
			Digest: fmt.Sprintf("digest-%d", k), CreatedAt: now.Add(-time.Duration(rapid.IntRange(0, 3).Draw(t, "age")) * 5 * time.Minute)}
		if rapid.IntRange(0, 4).Draw(t, "inline") == 0 {
			p.Digest, p.Requirement = "", asks[k]
		}
		if rapid.IntRange(0, 9).Draw(t, "backs off") == 0 {
			p.NotBefore = now.Add(time.Minute)
		}
		if rapid.IntRange(0, 5).Draw(t, "placed before") == 0 {
			p.Epoch, p.Last = flow.Epoch{Era: 1, N: 2}, fmt.Sprintf("c%d", rapid.IntRange(0, 7).Draw(t, "last"))
		}
		if rapid.IntRange(0, 5).Draw(t, "moves") == 0 {
			for _, c := range v.Clusters {
				if c.Health == flow.HealthLapsed || c.Lost {
					p.From, p.Epoch = c.Name, flow.Epoch{Era: 1, N: 1}
					v.Loads = append(v.Loads, flow.Load{Cluster: c.Name, Tenant: p.Execution.Tenant(), Group: asks[k].Group, Executions: 1, Reservation: asks[k].Reservation})
					break
				}
			}
		}
		v.Pending = append(v.Pending, p)
	}
	return v
}

func askOf(v View, p flow.Pending) flow.Requirement {
	if r, ok := v.Requirements[p.Digest]; ok {
		return r
	}
	return p.Requirement
}

// TestEveryPendingIsAnswered: each pending execution has exactly one answer,
// whose trail is there, with a reason for every cluster, or one for none.
func TestEveryPendingIsAnswered(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := drawView(t)
		answers, trails := map[flow.ExecutionID]int{}, map[string][]flow.Reason{}
		plan := Decide(v)
		for _, one := range plan.Trails {
			trails[one.Digest] = one.Reasons
		}
		check := func(id flow.ExecutionID, trail, cluster string) {
			answers[id]++
			reasons, ok := trails[trail]
			if !ok {
				t.Fatalf("%s: the plan has no trail %q", id, trail)
			}
			seen := map[string]bool{}
			for _, r := range reasons {
				if seen[r.Cluster] = true; r.Message == "" {
					t.Fatalf("%s: no message for %s", id, r.Cluster)
				}
				if r.Cluster == cluster && cluster != "" && r.Filter != "" {
					t.Fatalf("%s is on %s, which refused by %s: %s", id, cluster, r.Filter, r.Message)
				}
			}
			whole := len(seen) == len(v.Clusters) && len(reasons) == len(v.Clusters) && !seen[""]
			alone := cluster == "" && len(reasons) == 1 && seen[""]
			if !whole && !alone && v.Limits.Reasons == 0 {
				t.Fatalf("%s: reasons for %v of %d clusters", id, seen, len(v.Clusters))
			}
		}
		for _, p := range plan.Placements {
			check(p.Execution, p.Trail, p.Cluster)
		}
		for _, w := range plan.Waits {
			check(w.Execution, w.Trail, "")
		}
		for _, p := range v.Pending {
			if answers[p.Execution] != 1 {
				t.Fatalf("%s has %d answers", p.Execution, answers[p.Execution])
			}
		}
	})
}

// TestNeverWhereItMayNotGo replays the plan with a second, deliberately dumb
// reading of the rules: never over capacity, never over quota, never onto
// clusters that are unhealthy, closed, tainted, unmatched or incapable.
func TestNeverWhereItMayNotGo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := drawView(t)
		clusters, held, byID := map[string]ClusterView{}, map[string]flow.Resources{}, map[flow.ExecutionID]flow.Pending{}
		count, cpu, gpus := map[string]int64{}, map[string]int64{}, map[string]int64{}
		for _, c := range v.Clusters {
			clusters[c.Name] = c
		}
		for _, l := range v.Loads {
			held[l.Cluster] = held[l.Cluster].Add(l.Reservation)
			count[l.Tenant.Project] += l.Executions
			cpu[l.Tenant.Project] += l.Reservation.MilliCPU
			gpus[l.Tenant.Project] += l.Reservation.GPUs
		}
		for _, p := range v.Pending {
			byID[p.Execution] = p
		}
		moves := 0
		for _, p := range Decide(v).Placements {
			x := byID[p.Execution]
			r, c := askOf(v, x), clusters[p.Cluster]
			if problem := dumb(v, x, r, c, held[p.Cluster]); problem != "" {
				t.Fatalf("%s on %s: %s", p.Execution, p.Cluster, problem)
			}
			held[p.Cluster] = held[p.Cluster].Add(r.Reservation)
			if x.From != "" {
				if moves++; moves > v.Limits.withDefaults().Moves {
					t.Fatal("more moves than the limit")
				}
				continue
			}
			project := x.Execution.Project
			count[project]++
			cpu[project] += r.Reservation.MilliCPU
			gpus[project] += r.Reservation.GPUs
			for _, policy := range v.Policies {
				if policy.Share == nil || policy.Scope.Project != project {
					continue
				}
				q := policy.Share.Quota
				if q.Executions > 0 && count[project] > q.Executions || q.MilliCPU > 0 && r.Reservation.MilliCPU > 0 && cpu[project] > q.MilliCPU ||
					q.GPUs > 0 && r.Reservation.GPUs > 0 && gpus[project] > q.GPUs {
					t.Fatalf("%s breaks the quota %+v", p.Execution, q)
				}
			}
		}
	})
}

func dumb(v View, p flow.Pending, r flow.Requirement, c ClusterView, held flow.Resources) string {
	must := func(selector string) bool {
		sel, err := labels.Parse(selector)
		return err == nil && sel.Matches(labels.Set(c.Labels))
	}
	residency, pool := "", "none"
	for _, policy := range v.Policies {
		if policy.Scope.Project == p.Execution.Project && policy.Scope.Level == flow.PolicyProject {
			residency = policy.Rules.RequiredSelector
		}
		if policy.Scope.Level == flow.PolicySystem {
			pool = policy.Rules.Pools["gpu"]
		}
	}
	switch {
	case c.Health != flow.HealthHealthy || !c.Leased || !c.Heard || c.Lost || c.Cordoned:
		return "not healthy, or closed"
	case p.From == c.Name || p.NotBefore.After(v.Now):
		return "taken from there, or not yet"
	case r.Selector == "" && r.Pool == "" && !must("!skein.dev/special") || !must(r.Selector) || !must(residency):
		return "not selected"
	case r.Pool == "none" || r.Pool == "gpu" && (pool == "none" || !must(pool)):
		return "not in the pool"
	case c.Version == "0.2.0":
		return "two minor versions old"
	case slices.Equal(r.TaskTypes, []string{"y"}) && slices.Equal(c.TaskTypes, []string{"x"}):
		return "incapable"
	}
	for _, t := range c.Taints {
		if t.Effect != flow.PreferNoSchedule && !(len(r.Tolerations) == 1 && t.Key == "k") {
			return "tainted"
		}
	}
	l, n, k := r.Largest, c.LargestNode, c.Capacity
	if l.MilliCPU > n.MilliCPU || l.Memory > n.Memory || l.GPUs > n.GPUs {
		return "larger than a node"
	}
	if l.MilliCPU > 0 && held.MilliCPU+l.MilliCPU > k.MilliCPU || l.Memory > 0 && held.Memory+l.Memory > k.Memory ||
		l.GPUs > 0 && held.GPUs+l.GPUs > k.GPUs || k.Pods > 0 && l.Pods > 0 && held.Pods+l.Pods > k.Pods {
		return "over capacity"
	}
	return ""
}

// TestNothingWaitsThatFits: but for quotas, back-off, limits and room held for
// a starved execution, what waits fits nowhere after the whole plan.
func TestNothingWaitsThatFits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := drawView(t)
		v.Limits.Starve, v.Limits.Reasons = time.Hour, 0 // nothing starves, nothing is held
		held, byID := map[string]flow.Resources{}, map[flow.ExecutionID]flow.Pending{}
		for _, l := range v.Loads {
			held[l.Cluster] = held[l.Cluster].Add(l.Reservation)
		}
		for _, p := range v.Pending {
			byID[p.Execution] = p
		}
		plan := Decide(v)
		for _, p := range plan.Placements {
			held[p.Cluster] = held[p.Cluster].Add(askOf(v, byID[p.Execution]).Reservation)
		}
		for _, w := range plan.Waits {
			p := byID[w.Execution]
			if f := plan.Reasons(w.Trail)[0].Filter; f == "quota" || f == "backoff" || f == "moves" {
				continue
			}
			for _, c := range v.Clusters {
				if dumb(v, p, askOf(v, p), c, held[c.Name]) == "" {
					t.Fatalf("%s waits, but fits on %s after the whole plan", w.Execution, c.Name)
				}
			}
		}
	})
}

// TestDeterministic: the same world gives the same plan, in whatever order its
// lists come, and is left as it was.
func TestDeterministic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := drawView(t)
		first := Decide(v)
		r := rand.New(rand.NewSource(rapid.Int64().Draw(t, "shuffle")))
		r.Shuffle(len(v.Pending), func(i, j int) { v.Pending[i], v.Pending[j] = v.Pending[j], v.Pending[i] })
		r.Shuffle(len(v.Clusters), func(i, j int) { v.Clusters[i], v.Clusters[j] = v.Clusters[j], v.Clusters[i] })
		r.Shuffle(len(v.Loads), func(i, j int) { v.Loads[i], v.Loads[j] = v.Loads[j], v.Loads[i] })
		r.Shuffle(len(v.Policies), func(i, j int) { v.Policies[i], v.Policies[j] = v.Policies[j], v.Policies[i] })
		if diff := cmp.Diff(first, Decide(v)); diff != "" {
			t.Fatalf("another order, another plan:\n%s", diff)
		}
	})
}
