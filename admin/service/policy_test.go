package service_test

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/skein-project/skein/admin/service"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/core"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
)

func TestPoliciesAreVersioned(t *testing.T) {
	o := newOperators(t)
	apply := func(document string, dry bool, expected uint64) (*skeinv1.ApplyPolicyResponse, error) {
		return o.policies.ApplyPolicy(t.Context(), &skeinv1.ApplyPolicyRequest{Document: document, DryRun: dry, ExpectedVersion: expected})
	}
	one, two := "scope: domain/development\nrules: {priority: 1}", "scope: domain/development\nrules: {priority: 2}"
	if dry, err := apply(one, true, 0); err != nil || dry.GetPolicy().GetVersion() != 0 || !strings.Contains(dry.GetDifference(), "+  priority: 1") {
		t.Errorf("dry run = %v, %v", dry, err)
	}
	if first, err := apply(one, false, 0); err != nil || first.GetPolicy().GetVersion() != 1 || first.GetPolicy().GetAuthor() != "operator" {
		t.Errorf("first = %v, %v", first, err)
	}
	if same, err := apply(one, false, 0); err != nil || same.GetPolicy().GetVersion() != 1 || same.GetDifference() != "" {
		t.Errorf("the same document again = %v, %v: it changes nothing", same, err)
	}
	if second, err := apply(two, false, 1); err != nil || second.GetPolicy().GetVersion() != 2 || !strings.Contains(second.GetDifference(), "-  priority: 1\n+  priority: 2") {
		t.Errorf("second = %v, %v", second, err)
	}
	_, err := apply(one, false, 1)
	wantStatus(t, "an old version expected", err, codes.Aborted, "version 2 of domain/development is the newest, not 1")
	_, err = apply("scope: domain/development\nrules: {prio: 1}", false, 0)
	wantStatus(t, "an unknown field", err, codes.InvalidArgument, "document: rules.prio (line 2): is not a field here")

	get := func(scope string, version uint64, effective bool) (*skeinv1.GetPolicyResponse, error) {
		return o.policies.GetPolicy(t.Context(), &skeinv1.GetPolicyRequest{Scope: scope, Version: version, Effective: effective})
	}
	if got, err := get("domain/development", 1, false); err != nil || !strings.Contains(got.GetPolicy().GetDocument(), "priority: 1") {
		t.Errorf("version 1 = %v, %v", got, err)
	}
	if got, err := get("project/flytesnacks/development", 0, true); err != nil || !strings.Contains(got.GetPolicy().GetDocument(), "priority: 2") ||
		!strings.Contains(got.GetPolicy().GetDocument(), "mode: resume") {
		t.Errorf("in effect = %v, %v", got, err)
	}
	_, err = get("domain/nowhere", 0, false)
	wantStatus(t, "no such policy", err, codes.NotFound, "skein policy list")
	_, err = get("domain/development", 2, true)
	wantStatus(t, "a version of what is in effect", err, codes.InvalidArgument, "version")
	_, err = get("nowhere", 0, false)
	wantStatus(t, "no scope", err, codes.InvalidArgument, "scope: \"nowhere\" is not a scope")

	if gone, err := o.policies.DeletePolicy(t.Context(), &skeinv1.DeletePolicyRequest{Scope: "domain/development"}); err != nil || !gone.GetPolicy().GetDeleted() || gone.GetPolicy().GetVersion() != 3 {
		t.Errorf("deleted = %v, %v", gone, err)
	}
	_, err = o.policies.DeletePolicy(t.Context(), &skeinv1.DeletePolicyRequest{Scope: "domain/development"})
	wantStatus(t, "deleted twice", err, codes.NotFound, "no policy holds")
	all, err := o.policies.ListPolicies(t.Context(), &skeinv1.ListPoliciesRequest{})
	if err != nil || len(all.GetPolicies()) != 0 {
		t.Errorf("list = %v, %v", all, err)
	}
	if history, err := o.policies.ListPolicies(t.Context(), &skeinv1.ListPoliciesRequest{Scope: "domain/development"}); err != nil || len(history.GetPolicies()) != 3 {
		t.Errorf("history = %v, %v", history, err)
	}
	if back, err := apply(two, false, 0); err != nil || back.GetPolicy().GetVersion() != 4 || !strings.HasPrefix(back.GetDifference(), "--- nothing") {
		t.Errorf("back = %v, %v", back, err)
	}
}

// TestPoliciesHoldForLaunches: pool and class must be known, failover is fixed.
func TestPoliciesHoldForLaunches(t *testing.T) {
	o := newOperators(t)
	o.register(t)
	launch := func(name string, change func(*admin.ExecutionSpec)) error {
		q := execution(name, "pkg.wf")
		change(q.Spec)
		_, err := o.CreateExecution(t.Context(), q)
		return err
	}
	pooled := func(s *admin.ExecutionSpec) { s.ClusterAssignment = &admin.ClusterAssignment{ClusterPoolName: "gpu"} }
	classed := func(s *admin.ExecutionSpec) {
		s.Annotations = &admin.Annotations{Values: map[string]string{"skein.dev/priority-class": "urgent"}}
	}
	if err := launch("none", pooled); code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "spec.cluster_assignment.cluster_pool_name: no pool \"gpu\" holds") {
		t.Errorf("a pool that nobody named: %v", err)
	}
	if err := launch("none", classed); code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "known are high, low, medium") {
		t.Errorf("a class that nobody named: %v", err)
	}
	for _, document := range []string{
		"scope: system\nrules: {pools: {gpu: a100}, failover: {mode: restart, maxMoves: 2}}",
		"scope: workflow/flytesnacks/development/pkg.wf\nrules: {classes: {urgent: 9}}",
	} {
		if _, err := o.policies.ApplyPolicy(t.Context(), &skeinv1.ApplyPolicyRequest{Document: document}); err != nil {
			t.Fatal(err)
		}
	}
	for name, change := range map[string]func(*admin.ExecutionSpec){
		"pooled": pooled, "classed": classed,
		"high": func(s *admin.ExecutionSpec) {
			s.QualityOfService = &core.QualityOfService{Designation: &core.QualityOfService_Tier_{Tier: core.QualityOfService_HIGH}}
		},
		"stays": func(s *admin.ExecutionSpec) {
			s.Annotations = &admin.Annotations{Values: map[string]string{"skein.dev/failover": "never"}}
		},
	} {
		if err := launch(name, change); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	why := func(name string) *skeinv1.ExplainResponse {
		t.Helper()
		out, err := o.placement.Explain(t.Context(), &skeinv1.ExplainRequest{Execution: &skeinv1.ExecutionRef{Project: "flytesnacks", Domain: "development", Name: name}})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if got := why("pooled"); got.GetRequirement().GetPool() != "gpu" || got.GetFailover().GetMode() != "restart" || got.GetFailover().GetMaxMoves() != 2 {
		t.Errorf("pooled = %v", got)
	}
	if got := why("high").GetRequirement().GetPriorityClass(); got != "high" {
		t.Errorf("the tier HIGH is the class %q", got)
	}
	if got := why("stays").GetFailover().GetMode(); got != "never" {
		t.Errorf("the annotation became %q", got)
	}
}

// TestPoliciesOfOtherReplicasHoldWithinASecond: a replica believes what it read
// for PolicyAge.
func TestPoliciesOfOtherReplicasHoldWithinASecond(t *testing.T) {
	now := time.Now()
	r := newRigWith(t, func(d *service.Deps) { d.Now = func() time.Time { return now } })
	r.register(t)
	mode := func(name string) flow.FailoverMode {
		t.Helper()
		r.launched(t, name, nil)
		row, err := r.store.GetExecution(t.Context(), flow.ExecutionID{Project: "flytesnacks", Domain: "development", Name: name})
		if err != nil {
			t.Fatal(err)
		}
		return row.Failover.Mode
	}
	if got := mode("a"); got != flow.FailoverResume {
		t.Errorf("without policies: %s", got)
	}
	if _, err := r.store.PutPolicy(t.Context(), flow.Policy{Scope: flow.PolicyScope{Level: flow.PolicySystem},
		Rules: flow.PolicyRules{Failover: &flow.Failover{Mode: flow.FailoverRestart}}}, 0); err != nil {
		t.Fatal(err)
	}
	if now = now.Add(service.PolicyAge); mode("b") != flow.FailoverRestart {
		t.Error("a policy that another replica stored does not hold after PolicyAge")
	}
}

func TestRemediesOfAWait(t *testing.T) {
	o := newOperators(t)
	o.register(t)
	o.launched(t, "e1", nil)
	id := flow.ExecutionID{Project: "flytesnacks", Domain: "development", Name: "e1"}
	fence, err := o.store.BeginTerm(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err = o.store.CommitPlan(t.Context(), fence, flow.Batch{At: time.Now(), Waits: []flow.Wait{{Execution: id, Reasons: []flow.Reason{
		{Cluster: "a", Filter: "capability", Message: "runs no spark"}, {Cluster: "b", Filter: "capacity", Message: "needs 4 cpu, 1 is free"},
		{Cluster: "c", Filter: "selector", Message: "labels do not match"}, {Cluster: "d", Filter: "selector", Message: "labels do not match"}}}}}); err != nil {
		t.Fatal(err)
	}
	why, err := o.placement.Explain(t.Context(), &skeinv1.ExplainRequest{Execution: &skeinv1.ExecutionRef{Project: "flytesnacks", Domain: "development", Name: "e1"}})
	if err != nil || len(why.GetRemedies()) != 3 {
		t.Fatalf("remedies = %q, %v", why.GetRemedies(), err)
	}
	for i, want := range []string{"work on b ends", "matches c, d", "Give a what the work needs: runs no spark"} {
		if !strings.Contains(why.GetRemedies()[i], want) {
			t.Errorf("remedy %d is %q, want one that says %q", i, why.GetRemedies()[i], want)
		}
	}
}

func TestForecastsAndReplays(t *testing.T) {
	o := newOperators(t)
	o.registerCluster(t, "east")
	o.fortunes.tells = service.Forecast{Stranded: 1, Outcomes: []service.Outcome{{From: "east", To: "west", How: "resume"}, {To: "west"}, {From: "east", How: "capacity: full"}}}
	sketch := &skeinv1.ClusterSketch{Name: "new", Capacity: &skeinv1.Resources{MilliCpu: 1000, Memory: 1 << 30}}
	got, err := o.placement.WhatIf(t.Context(), &skeinv1.WhatIfRequest{Lose: []string{"east"}, Add: []*skeinv1.ClusterSketch{sketch}, Policies: []string{"scope: system"}})
	if err != nil || got.GetMoved() != 1 || got.GetPlaced() != 1 || got.GetWaiting() != 1 || got.GetStranded() != 1 || got.GetOutcomes()[0].GetTo() != "" {
		t.Errorf("got %v, %v: what has to wait comes first", got, err)
	}
	asked := o.fortunes.asked
	if len(asked.Add) != 1 || asked.Add[0].LargestNode.MilliCPU != 1000 || len(asked.Policies) != 1 || asked.Lose[0] != "east" {
		t.Errorf("asked for %+v", asked)
	}
	for says, q := range map[string]*skeinv1.WhatIfRequest{
		"lose: nothing would differ":  {},
		"lose: no cluster \"west\"":   {Lose: []string{"west"}},
		"drain: no cluster \"west\"":  {Drain: []string{"west"}},
		"add: cluster east is":        {Add: []*skeinv1.ClusterSketch{{Name: "east", Capacity: sketch.GetCapacity()}}},
		"add.name":                    {Add: []*skeinv1.ClusterSketch{{Name: "E!"}}},
		"add.capacity: must name cpu": {Add: []*skeinv1.ClusterSketch{{Name: "new"}}},
		"add.capacity: amounts":       {Add: []*skeinv1.ClusterSketch{{Name: "new", Capacity: &skeinv1.Resources{MilliCpu: -1}}}},
		"policies: document: scope":   {Policies: []string{"scope: x"}},
	} {
		_, err := o.placement.WhatIf(t.Context(), q)
		wantStatus(t, says, err, codes.InvalidArgument, says)
	}
	first, err := o.placement.Replay(t.Context(), &skeinv1.ReplayRequest{})
	if err != nil || first.GetRounds() != 100 {
		t.Errorf("replayed = %v, %v", first, err)
	}
	if _, err := o.placement.Replay(t.Context(), &skeinv1.ReplayRequest{Limit: 7, Before: first.GetNext()}); err != nil {
		t.Error(err)
	}
	want := flow.RoundKey{At: time.Unix(100, 1000).UTC(), ID: "1.1/7"}
	if got := o.fortunes.older; len(got) != 2 || got[0] != (flow.RoundKey{}) || got[1] != want {
		t.Errorf("went on at %v, want %v", got, want)
	}
	for _, bad := range []string{"7", "now,1.1/7", "2026-01-02T03:04:05Z,", "0001-01-01T00:00:00Z,x"} {
		_, err = o.placement.Replay(t.Context(), &skeinv1.ReplayRequest{Before: bad})
		wantStatus(t, "a place that nobody gave", err, codes.InvalidArgument, "before")
	}
	_, err = o.placement.Replay(t.Context(), &skeinv1.ReplayRequest{Limit: 10_001})
	wantStatus(t, "too many rounds", err, codes.InvalidArgument, "limit")
}
