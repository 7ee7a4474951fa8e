package placement

import (
	"strings"
	"testing"
	"time"

	"github.com/skein-project/skein/api/flow"
)

func policyOf(level flow.PolicyLevel, rules flow.PolicyRules) flow.Policy {
	p := flow.Policy{Scope: flow.PolicyScope{Level: level}, Rules: rules}
	if level == flow.PolicyProject {
		p.Scope.Project = "p"
	}
	return p
}

func TestFiltersOfAFederation(t *testing.T) {
	with := func(f func(*flow.Requirement)) flow.Requirement { return requirement(f) }
	system := policyOf(flow.PolicySystem, flow.PolicyRules{Pools: map[string]string{"gpu": "tier=gpu"}, Tolerations: []flow.Toleration{{Key: "gpu", Operator: "Exists"}}})
	residency := policyOf(flow.PolicyProject, flow.PolicyRules{RequiredSelector: "region=eu"})
	noExecute := func(age time.Duration) func(*ClusterView) {
		return func(c *ClusterView) {
			c.Taints = []flow.Taint{{Key: "k", Effect: flow.NoExecute, AddedAt: now.Add(-age)}}
		}
	}
	for _, tt := range []struct {
		name     string
		why      string
		cluster  ClusterView
		ask      flow.Requirement
		policies []flow.Policy
		refused  string
		message  string
	}{
		{"a lost cluster gets nothing", "it owns nothing", cluster("c", func(c *ClusterView) { c.Lost = true }), requirement(), nil, "health", "found"},
		{"a cordoned cluster gets nothing new", "an operator said so", cluster("c", func(c *ClusterView) { c.Cordoned = true }), requirement(), nil, "cordon", "uncordoned"},
		{"a drained cluster gets nothing new", "it is to become empty", cluster("c", drained(1, 0)), requirement(), nil, "cordon", "drain"},
		{"residency refuses other regions", "the project may not leave it", cluster("c", labelled("region", "us")), requirement(), []flow.Policy{residency}, "residency", "region=eu"},
		{"residency cannot be undone by a selector", "required selectors add up", cluster("c", labelled("region", "us")), requirement(selector("region=us")), []flow.Policy{residency}, "residency", "region=eu"},
		{"residency lets its region through", "that is where it may be", cluster("c", labelled("region", "eu")), requirement(), []flow.Policy{residency}, "", ""},
		{"a pool lets its clusters through, special ones too", "a pool is a selection of its own", cluster("c", func(c *ClusterView) {
			c.Labels = map[string]string{"tier": "gpu", "skein.dev/special": ""}
		}), with(func(r *flow.Requirement) { r.Pool = "gpu" }), []flow.Policy{system}, "", ""},
		{"a pool refuses others", "they are not in it", cluster("c"), with(func(r *flow.Requirement) { r.Pool = "gpu" }), []flow.Policy{system}, "pool", "tier=gpu"},
		{"a pool that no policy names is said", "else it would wait silently", cluster("c"), with(func(r *flow.Requirement) { r.Pool = "tpu" }), []flow.Policy{system}, "pool", `"tpu"`},
		{"a policy tolerates for its executions", "besides what they tolerate", cluster("c", tainted(flow.NoSchedule)), requirement(), []flow.Policy{system}, "", ""},
		{"a taint that is tolerated for a time is, until then", "as in Kubernetes", cluster("c", noExecute(59*time.Second)),
			requirement(tolerating(flow.Toleration{Key: "k", Operator: "Exists", Seconds: ptr(int64(60))})), nil, "", ""},
		{"and is not any more then", "what had to leave may not come back", cluster("c", noExecute(60*time.Second)),
			requirement(tolerating(flow.Toleration{Key: "k", Operator: "Exists", Seconds: ptr(int64(60))})), nil, "taints", "over since"},
		{"a fallback plugin runs types that nobody claims", "the propeller says *", cluster("c", func(c *ClusterView) { c.TaskTypes = []string{"*"} }),
			with(func(r *flow.Requirement) { r.TaskTypes = []string{"odd"} }), nil, "", ""},
		{"accelerators are all needed", "a pod of each must run", cluster("c", func(c *ClusterView) { c.Accelerators = []string{"a100"} }),
			with(func(r *flow.Requirement) { r.Accelerators = []string{"a100", "h100"} }), nil, "capability", "h100"},
		{"one of the architectures is enough", "an image may have several", cluster("c", func(c *ClusterView) { c.Architectures = []string{"arm64"} }),
			with(func(r *flow.Requirement) { r.Architectures = []string{"amd64", "arm64"} }), nil, "", ""},
		{"none of them is not", "no node could run it", cluster("c", func(c *ClusterView) { c.Architectures = []string{"arm64"} }),
			with(func(r *flow.Requirement) { r.Architectures = []string{"amd64"} }), nil, "capability", "amd64"},
		{"a propeller below the version that is needed refuses", "the work needs it", cluster("c", func(c *ClusterView) { c.Version = "0.3.9" }),
			with(func(r *flow.Requirement) { r.MinVersion = "0.4.0" }), nil, "version", "0.4.0"},
		{"one minor version behind the control plane is enough", "that is the skew that is promised", cluster("c", func(c *ClusterView) { c.Version = "v0.3.0-rc.1" }), requirement(), nil, "", ""},
		{"two are not", "it may not know what it is sent", cluster("c", func(c *ClusterView) { c.Version = "0.2.9+abc" }), requirement(), nil, "version", "0.3"},
		{"resources that are not asked for do not refuse", "reservations may exceed what is there", cluster("c", func(c *ClusterView) { c.Capacity.GPUs = 1 }), requirement(), nil, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := view([]ClusterView{tt.cluster}, pending("x", time.Minute, tt.ask))
			v.Policies, v.Version = tt.policies, "0.4.2"
			v.Loads = []flow.Load{{Cluster: "c", Tenant: flow.Tenant{Project: "z"}, Executions: 1, Reservation: flow.Resources{GPUs: 8}}}
			plan := Decide(v)
			if tt.refused == "" {
				if len(plan.Placements) != 1 {
					t.Fatalf("not placed: %+v; why: %s", plan.Waits, tt.why)
				}
				return
			}
			if len(plan.Waits) != 1 {
				t.Fatalf("placed; why it must wait: %s", tt.why)
			}
			if r := plan.Reasons(plan.Waits[0].Trail)[0]; r.Filter != tt.refused || !strings.Contains(r.Message, tt.message) {
				t.Errorf("refused by %q with %q, want %q with %q; why: %s", r.Filter, r.Message, tt.refused, tt.message, tt.why)
			}
		})
	}
}

// TestScores: each part alone makes b better than a, by the given amount.
func TestScores(t *testing.T) {
	of := func(group, workflow, on string) flow.Load {
		return flow.Load{Cluster: on, Tenant: flow.Tenant{Project: "p", Domain: "d"}, Group: group, Workflow: workflow, Executions: 1}
	}
	labels := func(l ...string) func(*ClusterView) {
		return func(c *ClusterView) { c.Labels = map[string]string{l[0]: l[1]} }
	}
	for _, tt := range []struct {
		part    string
		a, b    ClusterView
		ask     flow.Requirement
		rules   flow.PolicyRules
		loads   []flow.Load
		recent  []Ran
		of      [2]float64 // a's and b's part
		weights flow.Weights
	}{
		{part: "preferred", a: cluster("a", labels("tier", "gold")), b: cluster("b", labels("region", "eu")), weights: flow.Weights{Preferred: 1},
			rules: flow.PolicyRules{Preferred: []flow.Preference{{Selector: "region=eu", Weight: 60}, {Selector: "none", Weight: 20}}},
			ask:   requirement(func(r *flow.Requirement) { r.Preferred = []flow.Preference{{Selector: "tier=gold", Weight: 20}} }), of: [2]float64{0.2, 0.6}},
		{part: "spread", a: cluster("a", labels("zone", "1")), b: cluster("b", labels("zone", "2")), weights: flow.Weights{Spread: 1},
			rules: flow.PolicyRules{Spread: "zone"}, ask: requirement(), loads: []flow.Load{of("", "", "a"), of("", "", "a"), of("", "", "b")}, of: [2]float64{-0.5, -0.25}},
		{part: "affinity", a: cluster("a"), b: cluster("b"), weights: flow.Weights{Affinity: 1}, loads: []flow.Load{of("g", "", "b")},
			ask: requirement(func(r *flow.Requirement) { r.Near = []string{"g"} }), of: [2]float64{0, 1}},
		{part: "affinity", a: cluster("a"), b: cluster("b"), weights: flow.Weights{Affinity: 1}, loads: []flow.Load{of("g", "", "a")},
			ask: requirement(func(r *flow.Requirement) { r.Apart = []string{"g"} }), of: [2]float64{-0.5, 0}},
		{part: "locality", a: cluster("a", labels(LabelData, "one_two")), b: cluster("b", func(c *ClusterView) {
			c.Store, c.Labels = "s3://mine", map[string]string{LabelData: "two"}
		}), weights: flow.Weights{Locality: 1},
			ask: requirement(func(r *flow.Requirement) { r.Data = []string{"s3://two/in", "s3://mine/x", "s3://mine-not/y"} }), of: [2]float64{1. / 3, 2. / 3}},
		{part: "cost", a: cluster("a", labels(LabelCost, "4")), b: cluster("b", labels(LabelCost, "1")), weights: flow.Weights{Cost: 1}, ask: requirement(), of: [2]float64{-1, -0.25}},
		{part: "sticky", a: cluster("a"), b: cluster("b"), weights: flow.Weights{Sticky: 1}, loads: []flow.Load{of("", "w", "b")},
			ask: requirement(func(r *flow.Requirement) { r.Workflow = "w" }), of: [2]float64{0, 1}},
		{part: "sticky", a: cluster("a"), b: cluster("b"), weights: flow.Weights{Sticky: 1}, recent: []Ran{{flow.Tenant{Project: "p", Domain: "d"}, "w", "b"}},
			ask: requirement(func(r *flow.Requirement) { r.Workflow = "w" }), of: [2]float64{0, 1}},
		{part: "taint", a: cluster("a", tainted(flow.PreferNoSchedule)), b: cluster("b"), weights: flow.Weights{Taint: 1}, ask: requirement(), of: [2]float64{-1, 0}},
	} {
		t.Run(tt.part, func(t *testing.T) {
			v := view([]ClusterView{tt.a, tt.b}, pending("x", time.Minute, tt.ask))
			v.Policies, v.Loads, v.Recent, v.Policy.Weights = []flow.Policy{policyOf(flow.PolicySystem, tt.rules)}, tt.loads, tt.recent, tt.weights
			plan := Decide(v)
			if len(plan.Placements) != 1 || plan.Placements[0].Cluster != "b" {
				t.Fatalf("not on b: %+v", plan)
			}
			for i, r := range plan.Trails[0].Reasons {
				if r.Parts.Map()[tt.part] != tt.of[i] || r.Score != tt.of[i] {
					t.Errorf("%s has %s %v of a score of %v, want %v", r.Cluster, tt.part, r.Parts, r.Score, tt.of[i])
				}
			}
		})
	}
}

func TestQuotas(t *testing.T) {
	one := flow.Resources{MilliCPU: 2000, Memory: 2 << 30, GPUs: 1, Pods: 1}
	ask := flow.Requirement{Largest: one, Peak: one, Reservation: one}
	for name, q := range map[string]flow.Quota{"executions": {Executions: 3}, "cpu": {MilliCPU: 7999}, "memory": {Memory: 7 << 30}, "gpus": {GPUs: 3}} {
		t.Run(name, func(t *testing.T) {
			v := view([]ClusterView{cluster("a", func(c *ClusterView) { c.Capacity.GPUs, c.LargestNode.GPUs = 99, 9 }), cluster("gone", func(c *ClusterView) { c.Lost = true })})
			for _, x := range []string{"x1", "x2", "x3", "x4"} {
				v.Pending = append(v.Pending, pending(x, time.Minute, ask))
			}
			move := pending("moved", time.Minute, ask)
			move.From = "gone"
			v.Pending = append(v.Pending, move)
			v.Loads = []flow.Load{{Cluster: "gone", Tenant: move.Execution.Tenant(), Executions: 1, Reservation: one}}
			p := policyOf(flow.PolicyProject, flow.PolicyRules{})
			p.Share = &flow.PolicyShare{Quota: &q}
			v.Policies = []flow.Policy{p}
			plan := Decide(v)
			if len(plan.Placements) != 3 || plan.Placements[0].Execution.Name != "moved" {
				t.Fatalf("want the move, which counts already, and two more: %+v", plan.Placements)
			}
			for _, w := range plan.Waits {
				if r := plan.Reasons(w.Trail)[0]; r.Filter != "quota" || !strings.Contains(r.Message, name) {
					t.Errorf("it waits for %+v", r)
				}
			}
		})
	}
}

func TestMovesSayHowTheyGoOn(t *testing.T) {
	store := func(s string) func(*ClusterView) { return func(c *ClusterView) { c.Store = s } }
	gone := func(with ...func(*ClusterView)) ClusterView {
		return cluster("gone", append(with, health(flow.HealthLapsed))...)
	}
	for _, tt := range []struct {
		name     string
		clusters []ClusterView
		change   func(*flow.Pending)
		restart  bool
		fallback string
		kind     flow.MoveKind
	}{
		{"with a common store it is resumed", []ClusterView{gone(store("s")), cluster("to", store("s"))}, nil, false, "", flow.MoveLapse},
		{"a lost cluster's is resumed as well", []ClusterView{gone(store("s"), func(c *ClusterView) { c.Lost = true }), cluster("to", store("s"))}, nil, false, "", flow.MoveLost},
		{"without one it is restarted, and says why", []ClusterView{gone(store("s")), cluster("to", store("t"))}, nil, true, "share no object store", flow.MoveLapse},
		{"what says nothing shares nothing", []ClusterView{gone(), cluster("to")}, nil, true, "do not both say", flow.MoveLapse},
		{"who asked for a restart gets one", []ClusterView{gone(store("s")), cluster("to", store("s"))},
			func(p *flow.Pending) { p.Failover.Mode = flow.FailoverRestart }, true, "", flow.MoveLapse},
		{"what was released is resumed by its last cluster's store", []ClusterView{gone(store("s")), cluster("to", store("s")), cluster("x", store("t"), func(c *ClusterView) { c.Cordoned = true })},
			func(p *flow.Pending) { p.From, p.Last = "", "gone" }, false, "", ""},
		{"a last cluster that is not known has no store", []ClusterView{cluster("to", store("s")), cluster("x", store("t"), func(c *ClusterView) { c.Cordoned = true })},
			func(p *flow.Pending) { p.From, p.Last = "", "removed" }, true, "not known", ""},
		{"the first placement is no move", []ClusterView{cluster("to", store("s"))}, func(p *flow.Pending) { p.From, p.Epoch = "", flow.Epoch{} }, false, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := pending("x", time.Minute, requirement())
			p.From = "gone"
			if tt.change != nil {
				tt.change(&p)
			}
			plan := Decide(view(tt.clusters, p))
			if len(plan.Placements) != 1 {
				t.Fatalf("not placed: %+v", plan.Waits)
			}
			got := plan.Placements[0]
			if got.Cluster != "to" || got.Restart != tt.restart || got.Kind != tt.kind || got.From != p.From ||
				(got.Fallback == "") != (tt.fallback == "") || !strings.Contains(got.Fallback, tt.fallback) {
				t.Errorf("%+v", got)
			}
		})
	}
}

// TestClassDigests: a class has the same name in every process, and another one
// when what it requires, or a policy that holds for it, changes.
func TestClassDigests(t *testing.T) {
	digest := func(r flow.Requirement, policies ...flow.Policy) string {
		v := view([]ClusterView{cluster("a")}, pending("x", time.Minute, r))
		v.Policies = policies
		return Decide(v).Trails[0].Class
	}
	plain := digest(requirement())
	if want := "edcd0242585e2e84071da9ec70f5efd95e8cd13a3b225a4e0fa96764eae10022"; plain != want {
		t.Errorf("the digest is %s, and was %s: stored trails of before would not be found", plain, want)
	}
	if plain == digest(cpu(2)) || plain == digest(requirement(), policyOf(flow.PolicySystem, flow.PolicyRules{Priority: ptr(int32(1))})) {
		t.Error("another requirement, or another policy, but the same class")
	}
	if plain != digest(requirement(), flow.Policy{Scope: flow.PolicyScope{Level: flow.PolicyProject, Project: "else"}, Rules: flow.PolicyRules{Priority: ptr(int32(1))}}) {
		t.Error("a policy that does not hold for it changes its class")
	}
}

// TestDataIsNearItsOwnStore reads names of stores as plugins/blob gives them, and
// places as admin/service tells them.
func TestDataIsNearItsOwnStore(t *testing.T) {
	for _, c := range []struct {
		store, place string
		near         bool
	}{
		{"s3://data/flyte@https://s3.example", "s3://data/flyte", true},
		{"s3://data/flyte@https://s3.example", "s3://data/flyte/inputs", true},
		{"s3://data@https://s3.example", "s3://data", true},
		{"s3://data@https://s3.example", "s3://database", false},
		{"s3://data/flyte@https://s3.example", "s3://other", false},
		{"file://p4ttx/srv/objects", "/srv/objects", true},
		{"file://p4ttx/srv/objects", "/srv/objects2", false},
		{"file://p4ttx", "/srv/objects", false},
		{"", "/srv/objects", false},
		{"", "", false},
	} {
		s := &site{root: rootOf(c.store)}
		if got := near(c.place, s); got != c.near {
			t.Errorf("%q is near %q: %t", c.place, c.store, got)
		}
	}
}
