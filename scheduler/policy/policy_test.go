package policy

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

const full = `scope: project/flytesnacks/production
rules:
  defaultSelector: '!skein.dev/special'
  requiredSelector: region in (eu-west,eu-central)
  pools:
    gpu: accelerator=a100
    spot: lifecycle=spot
  preferred:
    - selector: cost=low
      weight: 60
  tolerations:
    - key: maintenance
      operator: Exists
      effect: NoExecute
      tolerationSeconds: 300
  spread: topology.kubernetes.io/region
  weights:
    free: 1
    peak: 0.25
    taint: 1
    preferred: 2
    spread: 0.5
    affinity: 1
    locality: 1
    cost: 0.5
    sticky: 0.1
  classes:
    urgent: 1000
  priority: 10
  failover:
    mode: restart
    strict: true
    maxMoves: 3
share:
  weight: 2.5
  quota:
    executions: 500
    cpu: "400"
    memory: 1600Gi
    gpus: 16
`

func TestParseReadsEveryField(t *testing.T) {
	got, err := Parse([]byte(full))
	if err != nil {
		t.Fatal(err)
	}
	seconds, special, priority := int64(300), "!skein.dev/special", int32(10)
	want := flow.Policy{
		Scope: flow.PolicyScope{Level: flow.PolicyProject, Project: "flytesnacks", Domain: "production"},
		Rules: flow.PolicyRules{
			DefaultSelector: &special, RequiredSelector: "region in (eu-west,eu-central)",
			Pools:       map[string]string{"gpu": "accelerator=a100", "spot": "lifecycle=spot"},
			Preferred:   []flow.Preference{{Selector: "cost=low", Weight: 60}},
			Tolerations: []flow.Toleration{{Key: "maintenance", Operator: "Exists", Effect: flow.NoExecute, Seconds: &seconds}},
			Spread:      "topology.kubernetes.io/region",
			Weights: &flow.Weights{Free: 1, Peak: 0.25, Taint: 1, Preferred: 2, Spread: 0.5, Affinity: 1, Locality: 1, Cost: 0.5,
				Sticky: 0.1},
			Classes: map[string]int32{"urgent": 1000}, Priority: &priority,
			Failover: &flow.Failover{Mode: flow.FailoverRestart, Strict: true, MaxMoves: 3},
		},
		Share: &flow.PolicyShare{Weight: 2.5, Quota: &flow.Quota{Executions: 500, MilliCPU: 400_000, Memory: 1600 << 30, GPUs: 16}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("parsed differently:\n%s", diff)
	}
	if text := Render(got); text != full {
		t.Errorf("the canonical form differs from the document:\n%s", text)
	}
}

func TestParseTellsEachProblemWithItsFieldAndLine(t *testing.T) {
	for _, c := range []struct {
		name, document string
		want           []string
	}{
		{"nothing", "", []string{"is empty"}},
		{"a list", "- a", []string{"must be a mapping"}},
		{"no scope", "rules: {}", []string{"scope (line 1): must be set"}},
		{"a wrong scope", "scope: project", []string{`scope (line 1): "project" is not a scope; write one of system`}},
		{"unknown fields, all of them", "scope: system\nrule: {}\nrules:\n  pool: {}\n  failover:\n    moed: never",
			[]string{"rule (line 2): is not a field here; known are rules, scope, share", "rules.pool (line 4)", "rules.failover.moed (line 6): is not a field here; known are maxMoves, mode, strict"}},
		{"a key twice", "scope: system\nscope: system", []string{"scope (line 2): is there twice, first on line 1"}},
		{"a number for text", "scope: system\nrules:\n  spread: 5", []string{`rules.spread (line 3): must be text, is "5"; put it in quotes`}},
		{"text for a number", "scope: system\nrules:\n  priority: high", []string{`rules.priority (line 3): must be a whole number, is "high"`}},
		{"a number out of range", "scope: system\nrules:\n  priority: 99999999999", []string{"rules.priority (line 3): \"99999999999\" is out of range"}},
		{"infinite weights", "scope: system\nrules:\n  weights: {free: .inf}", []string{"rules.weights.free (line 3): must be a finite number"}},
		{"an alias", "scope: &s system\nrules:\n  spread: *s", []string{"rules.spread (line 3): aliases are not taken"}},
		{"a merge key", "scope: system\nrules:\n  <<: {}", []string{"rules (line 3): keys must be plain words"}},
		{"selectors, both", "scope: system\nrules:\n  requiredSelector: a in (\n  pools:\n    gpu: '=='",
			[]string{"rules.requiredSelector (line 3)", "rules.pools.gpu (line 5)"}},
		{"a preference without a weight", "scope: system\nrules:\n  preferred:\n  - selector: a", []string{"rules.preferred[0].weight (line 4): must lie between 1 and 100, is 0"}},
		{"a preference without a selector", "scope: system\nrules:\n  preferred:\n  - weight: 3", []string{"rules.preferred[0].selector (line 4): must be set"}},
		{"a toleration's effect", "scope: system\nrules:\n  tolerations:\n  - key: a\n    operator: Exists\n    effect: Never",
			[]string{`rules.tolerations[0].effect (line 6): "Never" is not NoSchedule`}},
		{"a negative weight", "scope: system\nrules:\n  weights: {free: -1}", []string{"rules.weights.free (line 3): must lie between 0"}},
		{"an unknown mode", "scope: system\nrules:\n  failover: {mode: later}", []string{`rules.failover.mode (line 3): "later" is not resume, restart or never`}},
		{"strict and never", "scope: system\nrules:\n  failover: {mode: never, strict: true}", []string{"rules.failover.strict (line 3): cannot be true where mode is never"}},
		{"too many moves", "scope: system\nrules:\n  failover: {maxMoves: 1001}", []string{"rules.failover.maxMoves (line 3)"}},
		{"a share of a domain", "scope: domain/production\nshare: {weight: 1}", []string{"share (line 2): only projects have shares"}},
		{"a quota that is none", "scope: project/p\nshare:\n  quota:\n    memory: much", []string{`share.quota.memory (line 4): "much" is not an amount`}},
		{"a negative quota", "scope: project/p\nshare:\n  quota:\n    gpus: -1", []string{"share.quota.gpus (line 4): must not be negative"}},
		{"too large", "scope: system\n#" + strings.Repeat("x", MaxDocument), []string{"at most 65536 are taken"}},
		{"no YAML", "scope: [", []string{"is neither YAML nor JSON"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse([]byte(c.document))
			if !fault.Is(err, fault.Invalid) {
				t.Fatalf("Parse gave %v, want fault.Invalid", err)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error misses %q:\n%v", want, err)
				}
			}
		})
	}
}

func TestJSONIsTaken(t *testing.T) {
	p, err := Parse([]byte(`{"scope":"system","rules":{"failover":{"mode":"never"}}}`))
	if err != nil || p.Rules.Failover.Mode != flow.FailoverNever {
		t.Errorf("got %+v, %v", p, err)
	}
}

func TestScopesReadBack(t *testing.T) {
	for _, text := range []string{"system", "domain/d", "project/p", "project/p/d", "workflow/p/d/my.wf/with/slashes"} {
		s, err := ParseScope(text)
		if err != nil || s.String() != text {
			t.Errorf("ParseScope(%q) = %v, %v", text, s, err)
		}
	}
	for _, text := range []string{"", "system/x", "domain", "domain/", "project//d", "project/p/", "workflow/p/d", "tenant/p", "project/a\x00"} {
		if _, err := ParseScope(text); err == nil {
			t.Errorf("ParseScope(%q) took it", text)
		}
	}
}

func TestDiff(t *testing.T) {
	old, now := parsed(t, "scope: system\nrules:\n  priority: 1\n  spread: zone"), parsed(t, "scope: system\nrules:\n  priority: 2\n  spread: zone")
	want := "--- system\n+++ system\n@@ -1,4 +1,4 @@\n scope: system\n rules:\n   spread: zone\n-  priority: 1\n+  priority: 2\n"
	if got := Diff(old, now); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := Diff(old, old); got != "" {
		t.Errorf("the same document differs from itself:\n%s", got)
	}
	old.Deleted = true
	if got := Diff(old, now); !strings.HasPrefix(got, "--- nothing\n+++ system\n") || strings.Contains(got, "\n-") {
		t.Errorf("what was withdrawn is still compared:\n%s", got)
	}
}

func parsed(t testing.TB, document string) flow.Policy {
	t.Helper()
	p, err := Parse([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// FuzzParse: whatever comes in, Parse answers; what it takes is without
// problems, and its canonical form says the same.
func FuzzParse(f *testing.F) {
	f.Add([]byte(full))
	for _, seed := range []string{"", "scope: system", "{\"scope\":\"domain/d\"}", "scope: system\nrules:\n  pools: {}\n  preferred: []",
		"scope: project/p\nshare: {quota: {cpu: 0.5, memory: 1.5}}", "a: &x [*x]", "scope: workflow/p/d/a/b\nrules: {failover: {}}", "? [a]\n: b"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		p, err := Parse(document)
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Fatalf("an error of another kind: %v", err)
			}
			return
		}
		if problems := Problems(p); len(problems) > 0 {
			t.Fatalf("it was taken with problems: %v", problems)
		}
		again, err := Parse([]byte(Render(p)))
		if err != nil {
			t.Fatalf("the canonical form is refused: %v\n%s", err, Render(p))
		}
		if diff := cmp.Diff(p, again); diff != "" {
			t.Fatalf("the canonical form says something else:\n%s\n%s", diff, Render(p))
		}
	})
}

func TestTheDocumentsExamplesAreTaken(t *testing.T) {
	page, err := os.ReadFile("../../docs/policies.md")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, block := range strings.Split(string(page), "```yaml\n")[1:] {
		document, _, _ := strings.Cut(block, "```")
		if !strings.HasPrefix(document, "scope:") {
			continue
		}
		p, err := Parse([]byte(document))
		if err != nil {
			t.Errorf("docs/policies.md holds a document that is refused: %v\n%s", err, document)
		}
		found = append(found, string(p.Scope.Level))
	}
	slices.Sort(found)
	if got := strings.Join(slices.Compact(found), " "); got != "domain project system workflow" {
		t.Errorf("docs/policies.md shows documents of the levels %q, want all four", got)
	}
}
