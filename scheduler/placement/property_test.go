package placement

import (
	"fmt"
	"math/rand"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/labels"
	"pgregory.net/rapid"

	"github.com/skein-project/skein/api/flow"
)

func drawView(t *rapid.T) View {
	amount := rapid.Custom(func(t *rapid.T) flow.Resources {
		return flow.Resources{MilliCPU: rapid.Int64Range(0, 8).Draw(t, "cpu"), Memory: rapid.Int64Range(0, 8).Draw(t, "memory"),
			GPUs: rapid.Int64Range(0, 2).Draw(t, "gpus"), Pods: rapid.Int64Range(0, 2).Draw(t, "pods")}
	})
	taint := rapid.Custom(func(t *rapid.T) flow.Taint {
		return flow.Taint{Key: rapid.SampledFrom([]string{"k", "l"}).Draw(t, "key"),
			Effect: rapid.SampledFrom([]flow.TaintEffect{flow.NoSchedule, flow.PreferNoSchedule, flow.NoExecute}).Draw(t, "effect")}
	})
	v := View{Now: now, Policy: DefaultPolicy()}
	for i := range rapid.IntRange(0, 6).Draw(t, "clusters") {
		v.Clusters = append(v.Clusters, ClusterView{Cluster: flow.Cluster{Name: fmt.Sprintf("c%d", i),
			Health:      rapid.SampledFrom([]flow.Health{flow.HealthHealthy, flow.HealthHealthy, flow.HealthHealthy, flow.HealthSuspect, flow.HealthLapsed}).Draw(t, "health"),
			Labels:      rapid.MapOfN(rapid.SampledFrom([]string{"a", "skein.dev/special"}), rapid.SampledFrom([]string{"1", "2"}), 0, 2).Draw(t, "labels"),
			Taints:      rapid.SliceOfN(taint, 0, 1).Draw(t, "taints"),
			TaskTypes:   rapid.SampledFrom([][]string{{"x"}, {"x", "y"}}).Draw(t, "types"),
			Capacity:    amount.Draw(t, "capacity").Times(4),
			LargestNode: amount.Draw(t, "node")},
			Leased: rapid.IntRange(0, 9).Draw(t, "leased") > 0, Heard: rapid.IntRange(0, 9).Draw(t, "heard") > 0})
		if rapid.Bool().Draw(t, "held") {
			v.Reserved = append(v.Reserved, flow.Reserved{Cluster: fmt.Sprintf("c%d", i), Reservation: amount.Draw(t, "reserved")})
		}
	}
	for i := range rapid.IntRange(0, 20).Draw(t, "pending") {
		r := flow.Requirement{Selector: rapid.SampledFrom([]string{"", "a", "a=1", "!a", "a in ("}).Draw(t, "selector"),
			TaskTypes: rapid.SampledFrom([][]string{nil, {"x"}, {"y"}}).Draw(t, "needs"),
			Largest:   amount.Draw(t, "largest"), Peak: amount.Draw(t, "peak").Times(3)}
		r.Reservation = r.Peak.Min(r.Largest.Times(2))
		if rapid.Bool().Draw(t, "tolerates") {
			r.Tolerations = []flow.Toleration{{Key: "k", Operator: "Exists"}}
		}
		v.Pending = append(v.Pending, pending(fmt.Sprintf("x%d", i), time.Duration(rapid.IntRange(0, 3).Draw(t, "age"))*time.Second, r))
	}
	return v
}

// TestEveryPendingIsAnswered: each pending execution has exactly one answer,
// with a reason for every cluster.
func TestEveryPendingIsAnswered(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := drawView(t)
		answers := map[flow.ExecutionID]int{}
		check := func(id flow.ExecutionID, reasons []flow.Reason, chosen int) {
			answers[id]++
			seen := map[string]bool{}
			for _, r := range reasons {
				seen[r.Cluster] = true
				if r.Message == "" {
					t.Fatalf("%s: no message for %s", id, r.Cluster)
				}
				if r.Chosen {
					chosen--
				}
			}
			if want := max(len(v.Clusters), 1); len(seen) != want || len(reasons) != want {
				t.Fatalf("%s: %d reasons for %d clusters", id, len(reasons), len(v.Clusters))
			}
			if chosen != 0 {
				t.Fatalf("%s: chosen marks do not match the answer", id)
			}
		}
		plan := Decide(v)
		for _, p := range plan.Placements {
			check(p.Execution, p.Reasons, 1)
		}
		for _, w := range plan.Waits {
			check(w.Execution, w.Reasons, 0)
		}
		for _, p := range v.Pending {
			if answers[p.Execution] != 1 {
				t.Fatalf("%s has %d answers", p.Execution, answers[p.Execution])
			}
		}
	})
}

// TestNeverWhereItMayNotGo replays the plan with a second, deliberately dumb
// reading of the rules: never over capacity, never onto clusters that are
// unhealthy, tainted, unmatched or incapable; and nothing waits that fits.
func TestNeverWhereItMayNotGo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := drawView(t)
		clusters, held, asks := map[string]ClusterView{}, map[string]flow.Resources{}, map[flow.ExecutionID]flow.Requirement{}
		for _, c := range v.Clusters {
			clusters[c.Name] = c
		}
		for _, r := range v.Reserved {
			held[r.Cluster] = held[r.Cluster].Add(r.Reservation)
		}
		for _, p := range v.Pending {
			asks[p.Execution] = p.Requirement
		}
		plan := Decide(v)
		for _, p := range plan.Placements {
			r, c := asks[p.Execution], clusters[p.Cluster]
			if problem := dumb(r, c, held[p.Cluster]); problem != "" {
				t.Fatalf("%s on %s: %s", p.Execution, p.Cluster, problem)
			}
			held[p.Cluster] = held[p.Cluster].Add(r.Reservation)
		}
		for _, w := range plan.Waits {
			for name, c := range clusters {
				if dumb(asks[w.Execution], c, held[name]) == "" {
					t.Fatalf("%s waits, but fits on %s after the whole batch", w.Execution, name)
				}
			}
		}
	})
}

func dumb(r flow.Requirement, c ClusterView, held flow.Resources) string {
	if c.Health != flow.HealthHealthy || !c.Leased || !c.Heard {
		return "not healthy"
	}
	s := r.Selector
	if s == "" {
		s = "!skein.dev/special"
	}
	if sel, err := labels.Parse(s); err != nil || !sel.Matches(labels.Set(c.Labels)) {
		return "not selected"
	}
	for _, t := range c.Taints {
		if t.Effect != flow.PreferNoSchedule && !(len(r.Tolerations) == 1 && t.Key == "k") {
			return "tainted"
		}
	}
	if len(r.TaskTypes) == 1 && r.TaskTypes[0] == "y" && len(c.TaskTypes) == 1 {
		return "incapable"
	}
	l, n, k := r.Largest, c.LargestNode, c.Capacity
	if l.MilliCPU > n.MilliCPU || l.Memory > n.Memory || l.GPUs > n.GPUs {
		return "larger than a node"
	}
	if held.MilliCPU+l.MilliCPU > k.MilliCPU || held.Memory+l.Memory > k.Memory || held.GPUs+l.GPUs > k.GPUs ||
		k.Pods > 0 && held.Pods+l.Pods > k.Pods {
		return "over capacity"
	}
	return ""
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
		r.Shuffle(len(v.Reserved), func(i, j int) { v.Reserved[i], v.Reserved[j] = v.Reserved[j], v.Reserved[i] })
		if diff := cmp.Diff(first, Decide(v)); diff != "" {
			t.Fatalf("another order, another plan:\n%s", diff)
		}
		for _, c := range v.Clusters {
			if !c.Reserved.Zero() {
				t.Fatal("Decide wrote to its view")
			}
		}
	})
}

// BenchmarkDecide places 500 executions of 50 shapes on 100 clusters.
func BenchmarkDecide(b *testing.B) {
	var v View
	v.Policy, v.Now = DefaultPolicy(), now
	for i := range 100 {
		v.Clusters = append(v.Clusters, cluster(fmt.Sprintf("cluster-%03d", i), labelled("zone", fmt.Sprint(i%5))))
	}
	for i := range 500 {
		v.Pending = append(v.Pending, pending(fmt.Sprintf("x%04d", i), time.Duration(i)*time.Second,
			requirement(selector(fmt.Sprintf("zone!=%d", i%5)), func(r *flow.Requirement) { r.Peak = r.Largest.Times(int64(i % 10)) })))
	}
	b.ReportAllocs()
	for b.Loop() {
		if p := Decide(v); len(p.Placements) != 500 {
			b.Fatal("not all were placed")
		}
	}
}
