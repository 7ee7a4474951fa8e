package store_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/skein-project/skein/admin/store"
	"github.com/skein-project/skein/api/flow"
)

// seeded has the project of all examples.
func seeded(b *testing.B) *store.Store {
	b.Helper()
	s := migrated(b)
	if err := s.Seed(b.Context(), []flow.Project{{ID: "p", Name: "p"}}); err != nil {
		b.Fatal(err)
	}
	return s
}

func example(name string) flow.Execution {
	return flow.Execution{ID: flow.ExecutionID{Project: "p", Domain: "d", Name: name}, Phase: flow.ExecutionQueued,
		Spec: make([]byte, 700), Inputs: make([]byte, 500), CreatedAt: time.Now()}
}

// BenchmarkCreateExecution has 32 clients, as the load that Flyte was measured
// with.
func BenchmarkCreateExecution(b *testing.B) {
	s := seeded(b)
	var failed atomic.Int64
	b.SetParallelism(16) // times GOMAXPROCS
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := s.CreateExecution(b.Context(), example(uuid.NewString())); err != nil {
				failed.Add(1)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "executions/s")
	if failed.Load() > 0 {
		b.Fatalf("%d creates failed", failed.Load())
	}
}

func BenchmarkCommitPlan500(b *testing.B) {
	s := seeded(b)
	if err := s.CreateCluster(b.Context(), flow.Cluster{Name: "east"}); err != nil {
		b.Fatal(err)
	}
	fence, err := s.BeginTerm(b.Context(), "r")
	if err != nil {
		b.Fatal(err)
	}
	for range b.N {
		b.StopTimer()
		var placements []flow.Placement
		for range 500 {
			e := example(uuid.NewString())
			if err := s.CreateExecution(b.Context(), e); err != nil {
				b.Fatal(err)
			}
			placements = append(placements, flow.Placement{Execution: e.ID, Cluster: "east", Reasons: make([]flow.Reason, 6)})
		}
		b.StartTimer()
		var placed []flow.ExecutionID
		if fence, placed, err = s.CommitPlan(b.Context(), fence, flow.Batch{Placements: placements, At: time.Now()}); err != nil || len(placed) != 500 {
			b.Fatalf("placed %d: %v", len(placed), err)
		}
	}
}

// BenchmarkRecordEvents has four members that report batches of 50 node events.
func BenchmarkRecordEvents(b *testing.B) {
	s, ctx := migrated(b), b.Context()
	fence, err := s.BeginTerm(ctx, "r")
	if err != nil {
		b.Fatal(err)
	}
	accept := func(r flow.Recorded, e flow.Event) (flow.Recorded, flow.EventResult) {
		r.Execution.Sequence = e.Sequence
		r.Node = &flow.NodeExecution{ID: flow.NodeID{Execution: e.Execution, Node: e.Node}, Epoch: e.Epoch, Phase: flow.NodePhase(e.Phase),
			Sequence: e.Sequence, Detail: e.Detail, CreatedAt: e.OccurredAt, UpdatedAt: e.OccurredAt}
		return r, flow.EventResult{Accepted: true}
	}
	type work struct {
		sender flow.Sender
		id     flow.ExecutionID
	}
	free := make(chan work, 4)
	for i := range 4 {
		cluster := fmt.Sprintf("c%d", i)
		e := example(uuid.NewString())
		if err := s.CreateCluster(ctx, flow.Cluster{Name: cluster}); err != nil {
			b.Fatal(err)
		}
		session, err := s.OpenSession(ctx, flow.Member{Cluster: cluster, Instance: "i"}, "hub", flow.ClusterReport{})
		if err != nil {
			b.Fatal(err)
		}
		if err := s.CreateExecution(ctx, e); err != nil {
			b.Fatal(err)
		}
		if fence, _, err = s.CommitPlan(ctx, fence, flow.Batch{At: time.Now(),
			Placements: []flow.Placement{{Execution: e.ID, Cluster: cluster}}}); err != nil {
			b.Fatal(err)
		}
		free <- work{session.Sender, e.ID}
	}
	var sequence atomic.Uint64
	b.SetParallelism(2)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			w := <-free
			var events []flow.Event
			for n := range 50 {
				events = append(events, flow.Event{Execution: w.id, Epoch: flow.Epoch{Era: fence.Epoch.Era, N: 1}, Kind: flow.EventNode,
					Node: fmt.Sprintf("n%d", n), Phase: 2, Sequence: sequence.Add(1), Revision: 1, OccurredAt: time.Now(), Detail: make([]byte, 300)})
			}
			if _, err := s.RecordEvents(b.Context(), w.sender, events, accept); err != nil {
				b.Error(err)
			}
			free <- w
		}
	})
	b.ReportMetric(50*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
