package snapshot

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/skein-project/skein/api/flow"
)

// TestACrowdIsLookedAtInTurns: of more executions than a view takes, the oldest
// are in each view, and each of the others soon is in one, though nothing is ever
// placed; when fewer wait, all are in each. Many were made at the same moment.
func TestACrowdIsLookedAtInTurns(t *testing.T) {
	w := &world{}
	for i := range 35 {
		w.waiting = append(w.waiting, flow.Pending{CreatedAt: now.Add(time.Duration(i/20) * time.Second), Execution: flow.ExecutionID{Name: fmt.Sprintf("x%02d", i)}})
	}
	g := &Gatherer{Ledger: w, Limit: 10}
	look := func() map[string]bool {
		t.Helper()
		list, err := g.pending(context.Background())
		if err != nil || len(list) > g.Limit {
			t.Fatalf("%d in a view of %d: %v", len(list), g.Limit, err)
		}
		seen := map[string]bool{}
		for _, p := range list {
			if seen[p.Execution.Name] {
				t.Errorf("%s twice in a view", p.Execution.Name)
			}
			seen[p.Execution.Name] = true
		}
		for _, p := range w.waiting[:min(5, len(w.waiting))] {
			if !seen[p.Execution.Name] {
				t.Errorf("%s, of the oldest, is not in the view", p.Execution.Name)
			}
		}
		return seen
	}
	for round := range 3 {
		all := map[string]bool{}
		for range 7 { // 2 × 35 / 10
			for name := range look() {
				all[name] = true
			}
		}
		if len(all) != len(w.waiting) {
			t.Errorf("round %d: %d of %d were looked at", round, len(all), len(w.waiting))
		}
	}
	for _, n := range []int{10, 9, 3, 0} {
		w.waiting = w.waiting[:n]
		look()
		look()
		if seen := look(); len(seen) != n {
			t.Errorf("%d of %d were looked at", len(seen), n)
		}
	}
}
