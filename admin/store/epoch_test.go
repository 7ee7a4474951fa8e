package store_test

import (
	"testing"
	"time"

	"github.com/skein-project/skein/admin/lifecycle"
	"github.com/skein-project/skein/admin/store"
	"github.com/skein-project/skein/api/flow"
)

// TestAnOlderEpochOfTheSameClusterIsRefused moves an execution away from a
// cluster and back: who compares cluster names only takes what the cluster says
// of its first stay for news of its second.
func TestAnOlderEpochOfTheSameClusterIsRefused(t *testing.T) {
	s, ctx := seededProject(t), t.Context()
	id := flow.ExecutionID{Project: "p", Domain: "d", Name: "a"}
	if err := s.CreateExecution(ctx, flow.Execution{ID: id, Phase: flow.ExecutionQueued}); err != nil {
		t.Fatal(err)
	}
	senders := map[string]flow.Sender{}
	for _, cluster := range []string{"east", "west"} {
		if err := s.CreateCluster(ctx, flow.Cluster{Name: cluster}); err != nil {
			t.Fatal(err)
		}
		session, err := s.OpenSession(ctx, flow.Member{Cluster: cluster, Instance: "i"}, "hub", flow.ClusterReport{})
		if err != nil {
			t.Fatal(err)
		}
		senders[cluster] = session.Sender
	}
	fence, err := s.BeginTerm(ctx, "r")
	if err != nil {
		t.Fatal(err)
	}
	from, epoch := "", flow.Epoch{}
	for _, to := range []string{"east", "west", "east"} {
		b := flow.Batch{At: time.Now(), Placements: []flow.Placement{{Execution: id, Prior: epoch, Cluster: to, From: from, Kind: flow.MoveLapse}}}
		if from != "" {
			b.Takeovers = []flow.Takeover{{Cluster: from}}
		}
		var placed []flow.ExecutionID
		if fence, placed, err = s.CommitPlan(ctx, fence, b); err != nil || len(placed) != 1 {
			t.Fatalf("placed %v on %s: %v", placed, to, err)
		}
		from, epoch = to, flow.Epoch{Era: fence.Epoch.Era, N: epoch.N + 1}
	}
	first := flow.Event{Execution: id, Epoch: flow.Epoch{Era: fence.Epoch.Era, N: 1}, Kind: flow.EventWorkflow,
		Phase: int32(flow.ExecutionSucceeded), Sequence: 5, OccurredAt: time.Now()}
	results, err := s.RecordEvents(ctx, senders["east"], []flow.Event{first}, lifecycle.Apply)
	if err != nil || results[0].Accepted {
		t.Fatalf("an event of the first stay: %+v, %v", results, err)
	}
	third := first
	third.Epoch = epoch
	if results, err = s.RecordEvents(ctx, senders["east"], []flow.Event{third}, lifecycle.Apply); err != nil || !results[0].Accepted {
		t.Fatalf("an event of the stay that lasts: %+v, %v", results, err)
	}
}

func seededProject(t *testing.T) *store.Store {
	t.Helper()
	s := migrated(t)
	if err := s.Seed(t.Context(), []flow.Project{{ID: "p", Name: "p"}}); err != nil {
		t.Fatal(err)
	}
	return s
}
