package service

import (
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/core"
)

func TestParseFilters(t *testing.T) {
	f := func(field string, op flow.Op, values ...string) flow.Filter {
		return flow.Filter{Field: field, Op: op, Values: values}
	}
	for s, want := range map[string][]flow.Filter{
		"":                               nil,
		"eq(version,v1)":                 {f("version", "eq", "v1")},
		"eq(name, a b)":                  {f("execution_name", "eq", "a b")},
		"eq(a,x+y)":                      {f("a", "eq", "x+y")},
		"eq(a,f(1))":                     {f("a", "eq", "f(1)")},
		"eq(a,f(1))+lt(execution.b,2)":   {f("a", "eq", "f(1)"), f("b", "lt", "2")},
		"value_in(phase,A;B)+gte(n,1)":   {f("phase", "value_in", "A", "B"), f("n", "gte", "1")},
		"value_in(phase,A) eq(task.n,1)": {f("phase", "value_in", "A"), f("task.n", "eq", "1")}, // + decoded by a URL
		"eq(a,)":                         {f("a", "eq", "")},
	} {
		if got, err := parseFilters(s, "execution"); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q = %v, %v\nwant %v", s, got, err, want)
		}
	}
	for _, s := range []string{"x", "eq", "eq(", "eq(a", "eq(a,b", "eq(a)", "eq(,b)", "is(a,b)", "eq(a,b)x", "(a,b)", "+", "eq(a,b)+is(c,d)"} {
		if got, err := parseFilters(s, "execution"); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q = %v, %v, want Invalid", s, got, err)
		}
	}
}

func FuzzParseFilters(f *testing.F) {
	f.Add("eq(a,b)+value_in(c,d;e)")
	f.Fuzz(func(t *testing.T, s string) {
		filters, err := parseFilters(s, "task")
		if err != nil && !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", s, err)
		}
		for _, f := range filters {
			if f.Field == "" || len(f.Values) == 0 {
				t.Errorf("%q gave %v", s, f)
			}
		}
	})
}

func TestTokens(t *testing.T) {
	for token, want := range map[string]int{"": 0, "0": 0, "200": 200, "-1": -1, "x": -1, "1e3": -1, "99999999999": -1} {
		got, err := offsetOf(token)
		if want < 0 != (err != nil) || (err == nil && got != want) {
			t.Errorf("%q = %d, %v", token, got, err)
		}
	}
	if nextToken(flow.Query{Limit: 2, Offset: 4}, 2) != "6" || nextToken(flow.Query{Limit: 2}, 1) != "" {
		t.Error("a full page has a next one, another has not")
	}
}

func TestNames(t *testing.T) {
	shape, seen := regexp.MustCompile(`^a[bcdfghjklmnpqrstvwxz2456789]{19}$`), map[string]bool{}
	for range 1000 {
		n := generatedName()
		if !shape.MatchString(n) || seen[n] || checkExecutionName(n) != nil {
			t.Fatalf("made the name %q", n)
		}
		seen[n] = true
	}
	for name, ok := range map[string]bool{"a": true, "a-1": true, "1a": false, "a-": false, "-a": false, "aB": false, "a.b": false, "a_b": false} {
		if (checkExecutionName(name) == nil) != ok {
			t.Errorf("%q: taken %v", name, !ok)
		}
	}
	for name, want := range map[string]string{"a/b": "a%2Fb", "..": "%2E%2E", ".": "%2E", "a.b": "a.b", "ü": "%C3%BC"} {
		if got := segment(name); got != want {
			t.Errorf("segment(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestSelectors(t *testing.T) {
	for value, want := range map[string]string{"": "", "gpu": "gpu", "a=b,!c": "a=b,!c", "zone in (x,y)": "zone in (x,y)"} {
		if got, err := parseSelector(value); err != nil || got != want {
			t.Errorf("%q = %q, %v, want %q", value, got, err, want)
		}
	}
}

func TestEffectiveSpec(t *testing.T) {
	s := New(Config{}, Deps{})
	plan := &admin.LaunchPlanSpec{MaxParallelism: 7, Labels: &admin.Labels{Values: map[string]string{"a": "1", "b": "2"}},
		Annotations: &admin.Annotations{Values: map[string]string{"c": "3"}}, OverwriteCache: true,
		AuthRole:            &admin.AuthRole{KubernetesServiceAccount: "old"}, // still honoured
		RawOutputDataConfig: &admin.RawOutputDataConfig{OutputLocationPrefix: "/plan"}}
	given := &admin.ExecutionSpec{Labels: &admin.Labels{Values: map[string]string{"a": "9"}}}
	before := proto.Clone(given)
	got := s.effectiveSpec(given, plan)
	if !proto.Equal(given, before) {
		t.Error("the caller's spec was changed")
	}
	if got.GetMaxParallelism() != 7 || len(got.GetLabels().GetValues()) != 1 || got.GetAnnotations().GetValues()["c"] != "3" ||
		!got.GetOverwriteCache() || got.GetRawOutputDataConfig().GetOutputLocationPrefix() != "/plan" ||
		got.GetSecurityContext().GetRunAs().GetK8SServiceAccount() != "old" {
		t.Errorf("effective = %v", got)
	}
	if n := s.effectiveSpec(&admin.ExecutionSpec{}, nil).GetMaxParallelism(); n != 25 {
		t.Errorf("default parallelism = %d", n)
	}
}

// TestRequirementStaysANumber nests sub-workflows so that the count of pods
// doubles at each level.
func TestRequirementStaysANumber(t *testing.T) {
	id := func(n string) *core.Identifier {
		return &core.Identifier{Project: "p", Domain: "d", Name: n, Version: "v"}
	}
	name := func(i int) string { return "w" + strings.Repeat("x", i) }
	closure := &core.CompiledWorkflowClosure{Tasks: []*core.CompiledTask{{Template: &core.TaskTemplate{Id: id("t"), Type: "python-task",
		Target: &core.TaskTemplate_Container{Container: &core.Container{Resources: &core.Resources{
			Limits: []*core.Resources_ResourceEntry{{Name: core.Resources_MEMORY, Value: "9E"}}}}}}}}}
	leaf := &core.Node_TaskNode{TaskNode: &core.TaskNode{Reference: &core.TaskNode_ReferenceId{ReferenceId: id("t")}}}
	for i := range 100 {
		template := &core.WorkflowTemplate{Id: id(name(i))}
		for _, n := range []string{"a", "b"} {
			node := &core.Node{Id: n, Target: leaf}
			if i > 0 {
				node.Target = &core.Node_WorkflowNode{WorkflowNode: &core.WorkflowNode{
					Reference: &core.WorkflowNode_SubWorkflowRef{SubWorkflowRef: id(name(i - 1))}}}
			}
			template.Nodes = append(template.Nodes, node)
		}
		closure.Primary = &core.CompiledWorkflow{Template: template}
		closure.SubWorkflows = append(closure.SubWorkflows, closure.Primary)
	}
	s := New(Config{}, Deps{})
	d, err := s.demandOf(closure)
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.requirement(d, &admin.ExecutionSpec{MaxParallelism: MaxParallelismLimit}, wishes{})
	if err != nil {
		t.Fatal(err)
	}
	if got.Peak.Pods <= 0 || got.Peak.Memory < got.Reservation.Memory || got.Reservation.Memory <= 0 || got.Reservation.Pods != MaxParallelismLimit {
		t.Errorf("requirement = %+v", got)
	}
}

func TestSummaries(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	epoch := flow.Epoch{Era: 1, N: 2}
	here := []flow.Decision{{Cluster: "east", Epoch: epoch, At: at, Reasons: []flow.Reason{{Cluster: "east", Chosen: true, Message: "free"}}}}
	for name, c := range map[string]struct {
		story story
		want  string
	}{
		"nothing looked": {story{}, "has not looked at it yet"},
		"no cluster":     {story{decisions: []flow.Decision{{At: at}}}, "no cluster is registered"},
		"none fits": {story{row: flow.Execution{Requirement: flow.Requirement{Selector: "gpu"}}, decisions: []flow.Decision{{At: at,
			Reasons: []flow.Reason{{Cluster: "east", Filter: "selector", Message: "has no label gpu"}}}}}, `match "gpu"`},
		"lapsed": {story{row: flow.Execution{Cluster: "east", Epoch: epoch}, cluster: flow.Cluster{Health: flow.HealthLapsed, HealthSince: at}, decisions: here,
			members: []flow.MemberState{{LastSeenAt: at}}}, "has lapsed since 2026-01-02T03:04:05Z"},
		"lapsed waits": {story{row: flow.Execution{Cluster: "east"}, cluster: flow.Cluster{Health: flow.HealthLapsed}}, "moved elsewhere as soon as"},
		"lapsed stays": {story{row: flow.Execution{Cluster: "east", Failover: flow.Failover{Mode: flow.FailoverNever}}, cluster: flow.Cluster{Health: flow.HealthLapsed}}, "policy is never: it stays"},
		"lapsed often": {story{row: flow.Execution{Cluster: "east", Moves: 5}, cluster: flow.Cluster{Health: flow.HealthLapsed}}, "moved 5 times, which is its limit"},
		"lost":         {story{row: flow.Execution{Cluster: "east"}, cluster: flow.Cluster{Lost: true}}, "was declared lost"},
		"revoking":     {story{row: flow.Execution{Cluster: "east", Revoking: flow.MoveDrain}}, "being taken from cluster east (Drain)"},
		"running":      {story{row: flow.Execution{Cluster: "east", Epoch: epoch, Phase: flow.ExecutionRunning}, decisions: here}, "It is RUNNING on cluster east. It was chosen at"},
		"taken":        {story{decisions: here}, "was taken from cluster east"},
		"never placed": {story{row: flow.Execution{Phase: flow.ExecutionAborted}}, "before any cluster got it"},
	} {
		if got := c.story.summary(); !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestTraceparent(t *testing.T) {
	shape := regexp.MustCompile(`^00-[0-9a-f]{32}-[0-9a-f]{16}-01$`)
	if got := traceparent(metadata.NewIncomingContext(t.Context(), nil)); !shape.MatchString(got) {
		t.Errorf("made the traceparent %q", got)
	}
}

func TestPaceOfADrain(t *testing.T) {
	for _, c := range []struct {
		name                     string
		began, remaining, pinned int64
		want                     time.Duration
	}{
		{"nothing has left", 10, 10, 0, 0},
		{"half has left", 10, 5, 0, time.Minute},
		{"what may never move is not waited for", 10, 5, 4, 12 * time.Second},
		{"only what may never move is left", 10, 4, 4, 0},
		{"more came than left", 5, 10, 0, 0},
	} {
		if got := pace(c.began, c.remaining, c.pinned, time.Minute); got.AsDuration() != c.want {
			t.Errorf("%s: %s, want %s", c.name, got.AsDuration(), c.want)
		}
	}
}
