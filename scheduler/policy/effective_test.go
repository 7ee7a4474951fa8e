package policy

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/skein-project/skein/api/flow"
)

var tenant = flow.Tenant{Project: "p", Domain: "d"}

func TestTheNarrowerPolicyHolds(t *testing.T) {
	wide := `scope: system
rules:
  defaultSelector: "!special"
  requiredSelector: region=eu
  pools: {gpu: a100, spot: spot}
  preferred: [{selector: cheap, weight: 10}]
  priority: 1
  failover: {mode: resume, strict: true}`
	for _, c := range []struct {
		name, narrow, reason string
		want                 func(r *flow.PolicyRules)
	}{
		{"what is left out stays", "rules: {}", "only what is said replaces", func(*flow.PolicyRules) {}},
		{"required selectors add up", "rules: {requiredSelector: tier=gold}", "no narrower policy can undo residency",
			func(r *flow.PolicyRules) { r.RequiredSelector = "region=eu,tier=gold" }},
		{"maps replace as a whole", "rules: {pools: {gpu: h100}}", "a pool that was left out is gone",
			func(r *flow.PolicyRules) { r.Pools = map[string]string{"gpu": "h100"} }},
		{"an empty map replaces too", "rules: {pools: {}}", "else nothing could be taken back",
			func(r *flow.PolicyRules) { r.Pools = map[string]string{} }},
		{"an empty list replaces too", "rules: {preferred: []}", "else nothing could be taken back",
			func(r *flow.PolicyRules) { r.Preferred = []flow.Preference{} }},
		{"an empty default selector replaces", `rules: {defaultSelector: ""}`, "it selects every cluster",
			func(r *flow.PolicyRules) { empty := ""; r.DefaultSelector = &empty }},
		{"failover replaces as a whole", "rules: {failover: {mode: never}}", "strict is not inherited by half",
			func(r *flow.PolicyRules) { r.Failover = &flow.Failover{Mode: flow.FailoverNever} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, scope := range []string{"domain/d", "project/p", "project/p/d", "workflow/p/d/w"} {
				list := []flow.Policy{parsed(t, "scope: "+scope+"\n"+c.narrow), parsed(t, wide)}
				want := parsed(t, wide).Rules
				c.want(&want)
				if diff := cmp.Diff(want, Effective(list, tenant, "w").Rules); diff != "" {
					t.Errorf("%s, because %s:\n%s", scope, c.reason, diff)
				}
			}
		})
	}
}

func TestScopesOfOthersDoNotHold(t *testing.T) {
	list := []flow.Policy{parsed(t, "scope: system\nrules: {priority: 1}")}
	for _, scope := range []string{"domain/x", "project/x", "project/p/x", "project/x/d", "workflow/p/d/x", "workflow/p/x/w"} {
		list = append(list, parsed(t, "scope: "+scope+"\nrules: {priority: 2}"))
	}
	if got, _ := Effective(list, tenant, "w").Priority(""); got != 1 {
		t.Errorf("priority is %d: another scope's policy holds", got)
	}
}

func TestTheNewestVersionHoldsAndAWithdrawnOneDoesNot(t *testing.T) {
	one, two := parsed(t, "scope: system\nrules: {priority: 1}"), parsed(t, "scope: system\nrules: {priority: 2}")
	one.Version, two.Version = 1, 2
	if got, _ := Effective([]flow.Policy{two, one}, tenant, "").Priority(""); got != 2 {
		t.Errorf("priority is %d, want the newest version's", got)
	}
	two.Deleted = true
	if got, _ := Effective([]flow.Policy{two, one}, tenant, "").Priority(""); got != 0 {
		t.Errorf("priority is %d, but the policy was withdrawn", got)
	}
}

func TestShares(t *testing.T) {
	list := []flow.Policy{
		parsed(t, "scope: project/p\nshare: {weight: 2, quota: {gpus: 4}}"),
		parsed(t, "scope: project/p/d\nshare: {weight: 3}"),
	}
	got := Effective(list, tenant, "").Share
	if got.Weight != 3 || got.Quota == nil || got.Quota.GPUs != 4 {
		t.Errorf("got %+v: the weight is the narrower one's, the quota the wider one's", got)
	}
}

func TestPriorities(t *testing.T) {
	e := Effective([]flow.Policy{parsed(t, "scope: system\nrules: {priority: 7, classes: {high: 5, urgent: 9}}")}, tenant, "")
	for class, want := range map[string]int32{"": 7, "high": 5, "urgent": 9, "low": -100, "medium": 0} {
		if got, known := e.Priority(class); !known || got != want {
			t.Errorf("class %q has priority %d (known: %v), want %d", class, got, known, want)
		}
	}
	if _, known := e.Priority("other"); known {
		t.Error("a class that nobody named is known")
	}
}

func TestFailoverWithoutAPolicyResumes(t *testing.T) {
	if got := (Effect{}).Failover(); got.Mode != flow.FailoverResume || got.Strict {
		t.Errorf("got %+v", got)
	}
}

func BenchmarkEffective(b *testing.B) {
	list := []flow.Policy{parsed(b, full), parsed(b, "scope: system\nrules: {requiredSelector: a}"), parsed(b, "scope: domain/d\nrules: {requiredSelector: b}")}
	for i := range 1000 {
		p := parsed(b, full)
		p.Scope.Project += string(rune('a' + i%26))
		list = append(list, p)
	}
	set := NewSet(list)
	b.ReportAllocs()
	for b.Loop() {
		set.Effective(tenant, "w")
	}
}
