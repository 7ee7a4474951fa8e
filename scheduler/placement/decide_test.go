package placement

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/skein-project/skein/api/flow"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// cluster is a healthy cluster of 100 cores whose nodes have 10.
func cluster(name string, with ...func(*ClusterView)) ClusterView {
	c := ClusterView{Cluster: flow.Cluster{Name: name, Health: flow.HealthHealthy,
		Capacity:    flow.Resources{MilliCPU: 100_000, Memory: 100 << 30, Pods: 1000},
		LargestNode: flow.Resources{MilliCPU: 10_000, Memory: 10 << 30},
		TaskTypes:   []string{"container", "python-task"}}, Leased: true, Heard: true}
	for _, w := range with {
		w(&c)
	}
	return c
}

func health(h flow.Health) func(*ClusterView) { return func(c *ClusterView) { c.Health = h } }
func unleased(c *ClusterView)                 { c.Leased = false }
func unheard(c *ClusterView)                  { c.Heard = false }
func labelled(k, v string) func(*ClusterView) {
	return func(c *ClusterView) { c.Labels = map[string]string{k: v} }
}
func tainted(e flow.TaintEffect) func(*ClusterView) {
	return func(c *ClusterView) { c.Taints = []flow.Taint{{Key: "gpu", Value: "a100", Effect: e}} }
}
func cores(n int64) func(*ClusterView) {
	return func(c *ClusterView) { c.Capacity.MilliCPU = n * 1000 }
}

func requirement(with ...func(*flow.Requirement)) flow.Requirement {
	one := flow.Resources{MilliCPU: 1000, Memory: 1 << 30, Pods: 1}
	r := flow.Requirement{TaskTypes: []string{"container"}, Largest: one, Peak: one.Times(4), Reservation: one.Times(2)}
	for _, w := range with {
		w(&r)
	}
	return r
}

func selector(s string) func(*flow.Requirement) { return func(r *flow.Requirement) { r.Selector = s } }
func tolerating(t flow.Toleration) func(*flow.Requirement) {
	return func(r *flow.Requirement) { r.Tolerations = []flow.Toleration{t} }
}

func pending(name string, age time.Duration, r flow.Requirement) flow.Pending {
	return flow.Pending{Execution: flow.ExecutionID{Project: "p", Domain: "d", Name: name},
		Epoch: flow.Epoch{Era: 1, N: 3}, Requirement: r, CreatedAt: now.Add(-age), Trace: "trace-" + name}
}

func view(clusters []ClusterView, list ...flow.Pending) View {
	return View{Now: now, Pending: list, Clusters: clusters, Policy: DefaultPolicy()}
}

func TestFilters(t *testing.T) {
	for _, tt := range []struct {
		name    string
		why     string
		cluster ClusterView
		ask     flow.Requirement
		refused string // filter; empty if the cluster is chosen
		message string
	}{
		{"a healthy cluster with room is chosen", "nothing refuses it", cluster("c"), requirement(), "", ""},
		{"a suspect cluster gets nothing new", "silence may be the first sign of loss", cluster("c", health(flow.HealthSuspect)), requirement(), "health", "Suspect"},
		{"a lapsed cluster gets nothing new", "it may not start work", cluster("c", health(flow.HealthLapsed)), requirement(), "health", "Lapsed"},
		{"a cluster without a live recorded lease gets nothing", "first placements start at once only under a live lease", cluster("c", unleased), requirement(), "health", "lease"},
		{"a cluster not heard in this term gets nothing", "a new leader knows it by hearsay only", cluster("c", unheard), requirement(), "health", "took over"},
		{"a bare word selects clusters with that label key", "Flyte's labels are bare words", cluster("c", labelled("gpu", "yes")), requirement(selector("gpu")), "", ""},
		{"a bare word refuses clusters without that key", "the label was asked for", cluster("c"), requirement(selector("gpu")), "selector", "gpu"},
		{"a set selector matches values", "selectors are Kubernetes'", cluster("c", labelled("zone", "b")), requirement(selector("zone in (a,b),!x")), "", ""},
		{"an invalid selector is a reason, not a panic", "the user must see it", cluster("c"), requirement(selector("a in (")), "selector", "invalid"},
		{"the default selector keeps work off special clusters", "unlabelled work must not take them", cluster("c", labelled("skein.dev/special", "")), requirement(), "selector", "skein.dev/special"},
		{"a selector of its own lifts the default one", "it was asked for by name", cluster("c", labelled("skein.dev/special", "")), requirement(selector("skein.dev/special")), "", ""},
		{"a NoSchedule taint refuses", "it is not tolerated", cluster("c", tainted(flow.NoSchedule)), requirement(), "taints", "gpu=a100:NoSchedule"},
		{"a NoExecute taint refuses as well", "what may not stay may not come", cluster("c", tainted(flow.NoExecute)), requirement(), "taints", "NoExecute"},
		{"a tolerated taint does not refuse", "Equal is the default operator", cluster("c", tainted(flow.NoSchedule)), requirement(tolerating(flow.Toleration{Key: "gpu", Value: "a100"})), "", ""},
		{"an empty key that exists tolerates everything", "as in Kubernetes", cluster("c", tainted(flow.NoExecute)), requirement(tolerating(flow.Toleration{Operator: "Exists"})), "", ""},
		{"a preference does not refuse", "it only costs score", cluster("c", tainted(flow.PreferNoSchedule)), requirement(), "", ""},
		{"a missing task type refuses and is named", "its propeller could not run it", cluster("c"),
			requirement(func(r *flow.Requirement) { r.TaskTypes = []string{"container", "spark"} }), "capability", "spark"},
		{"a pod larger than any node refuses", "it would stay pending for ever", cluster("c"),
			requirement(func(r *flow.Requirement) { r.Largest.MilliCPU = 11_000 }), "capacity", "cpu 11000m of 10000m"},
		{"a pod that no reservation leaves room for refuses", "one such pod must fit", cluster("c", cores(0)), requirement(), "capacity", "reservations"},
		{"a peak larger than the cluster does not refuse", "a wide workflow runs narrowly", cluster("c"),
			requirement(func(r *flow.Requirement) { r.Peak = r.Largest.Times(10_000) }), "", ""},
		{"pods are not counted where they are not reported", "zero means unknown, not none", cluster("c", func(c *ClusterView) { c.Capacity.Pods = 0 }), requirement(), "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			plan := Decide(view([]ClusterView{tt.cluster}, pending("x", time.Minute, tt.ask)))
			if tt.refused == "" {
				if len(plan.Placements) != 1 || plan.Reasons(plan.Placements[0].Trail)[0].Filter != "" {
					t.Fatalf("not chosen: %+v; why: %s", plan, tt.why)
				}
				return
			}
			if len(plan.Waits) != 1 {
				t.Fatalf("placed: %+v; why it must wait: %s", plan, tt.why)
			}
			r := plan.Reasons(plan.Waits[0].Trail)[0]
			if r.Filter != tt.refused || !strings.Contains(r.Message, tt.message) {
				t.Errorf("refused by %q with %q, want %q with %q; why: %s", r.Filter, r.Message, tt.refused, tt.message, tt.why)
			}
		})
	}
}

func TestChoice(t *testing.T) {
	held := func(cluster string, n int64) flow.Load {
		return flow.Load{Cluster: cluster, Executions: 1, Reservation: flow.Resources{MilliCPU: n * 1000}}
	}
	peak := func(r *flow.Requirement) { r.Peak = r.Largest.Times(60) }
	for _, tt := range []struct {
		name     string
		why      string
		clusters []ClusterView
		reserved []flow.Load
		ask      flow.Requirement
		want     string
	}{
		{"the least loaded cluster is chosen", "free share counts first", []ClusterView{cluster("a"), cluster("b")}, []flow.Load{held("a", 10)}, requirement(), "b"},
		{"load is a share, not an amount", "20 of 100 cores is more than 50 of 500", []ClusterView{cluster("a", cores(100)), cluster("b", cores(500))},
			[]flow.Load{held("a", 20), held("b", 50)}, requirement(), "b"},
		{"a PreferNoSchedule taint outweighs load", "somebody asked to be left alone", []ClusterView{cluster("a", tainted(flow.PreferNoSchedule)), cluster("b")},
			[]flow.Load{held("b", 60)}, requirement(), "b"},
		{"where load is about equal the peak decides", "there the workflow can run as widely as it wants", []ClusterView{cluster("a"), cluster("b", cores(52))},
			[]flow.Load{held("a", 5), held("b", 1)}, requirement(peak), "a"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := view(tt.clusters, pending("x", time.Minute, tt.ask))
			v.Loads = tt.reserved
			plan := Decide(v)
			if len(plan.Placements) != 1 || plan.Placements[0].Cluster != tt.want {
				t.Errorf("want %s, got %+v; why: %s", tt.want, plan.Placements, tt.why)
			}
		})
	}
}

func TestBatchCountsEarlierPlacements(t *testing.T) {
	five := requirement(func(r *flow.Requirement) {
		r.Largest = flow.Resources{MilliCPU: 5000}
		r.Reservation, r.Peak = r.Largest, r.Largest
	})
	plan := Decide(view([]ClusterView{cluster("a", cores(10))},
		pending("young", time.Second, five), pending("old", time.Hour, five), pending("middle", time.Minute, five)))
	var got []string
	for _, p := range plan.Placements {
		got = append(got, p.Execution.Name)
	}
	if diff := cmp.Diff([]string{"old", "middle"}, got); diff != "" {
		t.Errorf("the two oldest fit, and no third (-want +got):\n%s", diff)
	}
	if len(plan.Waits) != 1 || plan.Waits[0].Execution.Name != "young" {
		t.Errorf("the youngest waits: %+v", plan.Waits)
	}
	p := plan.Placements[0]
	if p.Prior != (flow.Epoch{Era: 1, N: 3}) || p.Trace != "trace-old" {
		t.Errorf("a placement carries the epoch and the trace it was read with: %+v", p)
	}
}

func TestNoHeadOfLineBlocking(t *testing.T) {
	huge := requirement(func(r *flow.Requirement) { r.Largest.MilliCPU = 1_000_000 })
	plan := Decide(view([]ClusterView{cluster("a")}, pending("huge", time.Hour, huge), pending("small", time.Second, requirement())))
	if len(plan.Placements) != 1 || plan.Placements[0].Execution.Name != "small" {
		t.Errorf("what cannot run must not hold up what can: %+v", plan)
	}
}

func TestEqualClustersShareTheWork(t *testing.T) {
	var list []flow.Pending
	for i := range 300 {
		list = append(list, pending(fmt.Sprintf("x%03d", i), time.Minute, flow.Requirement{}))
	}
	count := map[string]int{}
	for _, p := range Decide(view([]ClusterView{cluster("c1"), cluster("c2"), cluster("c3")}, list...)).Placements {
		count[p.Cluster]++
	}
	for c, n := range count {
		if n < 60 || n > 140 {
			t.Errorf("%s got %d of 300 equal executions; ties must spread: %v", c, n, count)
		}
	}
}

func TestEmptyFleetIsAReason(t *testing.T) {
	plan := Decide(view(nil, pending("x", time.Second, requirement())))
	if len(plan.Waits) != 1 || len(plan.Trails) != 1 || plan.Reasons(plan.Waits[0].Trail)[0].Message != "no cluster is registered" {
		t.Errorf("want one reason: %+v", plan)
	}
}

func TestPlanLogsItself(t *testing.T) {
	var out strings.Builder
	plan := Decide(view([]ClusterView{cluster("a"), cluster("b", health(flow.HealthLapsed))},
		pending("x", time.Second, requirement()), pending("y", time.Second, requirement(selector("none")))))
	slog.New(slog.NewTextHandler(&out, nil)).Info("placed", "plan", plan)
	for _, want := range []string{"plan.placed=1", "plan.waiting=1", "plan.to.a=1", "plan.refused.health=1", "plan.refused.selector=1"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("want %q in %s", want, out.String())
		}
	}
}

func TestPolicyProblems(t *testing.T) {
	p := DefaultPolicy()
	if list := p.Problems(); len(list) != 0 {
		t.Fatalf("the default has problems: %q", list)
	}
	p.DefaultSelector, p.Weights.Peak = "a in (", -1
	if list := p.Problems(); len(list) != 2 {
		t.Errorf("want both problems, got %q", list)
	}
}
