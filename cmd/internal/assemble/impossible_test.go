package assemble

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/skein-project/skein/admin/service"
	"github.com/skein-project/skein/api/flow"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
	"github.com/skein-project/skein/scheduler"
)

// impossible are requirements that no cluster of the world meets, with the
// filter that has to say so of some cluster, and a word of its message.
var impossible = []struct {
	filter, says, project string
	change                func(*flow.Requirement)
}{
	{"selector", "nowhere", "team-0", func(r *flow.Requirement) { r.Selector = "region=nowhere" }},
	{"taints", "gpu", "team-0", func(r *flow.Requirement) { r.Selector = "name=c03" }},
	{"capacity", "no node", "team-0", func(r *flow.Requirement) { r.Largest.MilliCPU = 1_000_000 }},
	{"capacity", "reservations", "team-0", func(r *flow.Requirement) { r.Largest.GPUs, r.Selector = 3, "name=c00" }},
	{"capability", "riscv64", "team-0", func(r *flow.Requirement) { r.Architectures = []string{"riscv64"} }},
	{"capability", "ray", "team-0", func(r *flow.Requirement) { r.TaskTypes = []string{"ray"} }},
	{"version", "9.0.0", "team-0", func(r *flow.Requirement) { r.MinVersion = "9.0.0" }},
	{"residency", "mars", "team-1", func(*flow.Requirement) {}},
}

// TestImpossibleLaunchesAreAnswered: each of a hundred executions that fit
// nowhere is told why by every cluster, and what would have to change.
func TestImpossibleLaunchesAreAnswered(t *testing.T) {
	w := newReplayWorldOf(t, 6)
	_, err := w.store.PutPolicy(t.Context(), flow.Policy{Scope: flow.PolicyScope{Level: flow.PolicyProject, Project: "team-1"},
		Rules: flow.PolicyRules{RequiredSelector: "region=mars"}}, 0)
	w.ok(err)
	fence, err := w.store.BeginTerm(t.Context(), "admin-0")
	w.ok(err)
	cfg := scheduler.Default()
	cfg.Version = "0.4.0"
	term, err := scheduler.NewTerm(cfg, scheduler.Deps{Ledger: w.store, Fleet: w.store, Commit: w.store, Orders: w.store,
		Now: func() time.Time { return w.now }, Inline: true}, fence)
	w.ok(err)
	w.beat(term, w.members)
	api := w.serveWith(service.Deps{Executions: w.store, Decisions: w.store, Clusters: w.store, Histories: w.store, Forecaster: forecaster{}})
	var took []time.Duration
	for i := range 100 {
		kind, began := impossible[i%len(impossible)], time.Now()
		pod := flow.Resources{MilliCPU: 500, Memory: 1 << 30, Pods: 1}
		e := flow.Execution{ID: flow.ExecutionID{Project: kind.project, Domain: "production", Name: fmt.Sprintf("x%03d", i)}, Spec: []byte("spec"),
			Phase: flow.ExecutionQueued, Desired: flow.DesiredRun, CreatedAt: w.now, UpdatedAt: w.now,
			Requirement: flow.Requirement{Largest: pod, Peak: pod, Reservation: pod, TaskTypes: []string{"container"}}}
		kind.change(&e.Requirement)
		w.ok(w.store.CreateExecution(t.Context(), e))
		_, err := term.Cycle(t.Context())
		w.ok(err)
		answer, err := api.Explain(t.Context(), &skeinv1.ExplainRequest{Execution: &skeinv1.ExecutionRef{Project: e.ID.Project, Domain: e.ID.Domain, Name: e.ID.Name}})
		w.ok(err)
		took = append(took, time.Since(began))
		if len(answer.GetDecisions()) == 0 || answer.GetDecisions()[0].GetCluster() != "" || len(answer.GetRemedies()) == 0 {
			t.Fatalf("%s, %s: %v", kind.filter, kind.says, answer)
		}
		told, found := map[string]bool{}, false
		for _, r := range answer.GetDecisions()[0].GetReasons() {
			told[r.GetCluster()] = r.GetFilter() != "" && r.GetMessage() != ""
			found = found || r.GetFilter() == kind.filter && strings.Contains(r.GetMessage(), kind.says)
		}
		for _, m := range w.members {
			if !told[m.Cluster] {
				t.Errorf("%s, %s: cluster %s gives no reason", kind.filter, kind.says, m.Cluster)
			}
		}
		if !found {
			t.Errorf("no cluster says %q by %s: %v", kind.says, kind.filter, answer.GetDecisions()[0].GetReasons())
		}
	}
	slices.Sort(took)
	t.Logf("EXPLAIN 100 impossible launches: answered after %s (median), %s (longest)", took[50], took[99])
}
