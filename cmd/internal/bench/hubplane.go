package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/skein-project/skein/admin/store"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/deploy/local/database"
	"github.com/skein-project/skein/deploy/local/ports"
	"github.com/skein-project/skein/deploy/local/proc"
)

// leases grants what is asked: the scheduler is not what is measured.
type leases struct{}

func (leases) Beat(_ context.Context, _ string, beats []flow.Beat) (list []flow.Lease, err error) {
	for _, b := range beats {
		if b.Lease != nil {
			list = append(list, flow.Lease{Sender: b.Sender, Nonce: b.Lease.Nonce, Duration: 30 * time.Second, OwnershipRevision: b.Lease.OwnershipRevision})
		}
	}
	return list, nil
}

// counting is a plane that takes everything in and stores nothing.
type counting struct {
	mu          sync.Mutex
	generations map[flow.Member]uint64
}

func newCounting() *counting { return &counting{generations: map[flow.Member]uint64{}} }

func (c *counting) OpenSession(_ context.Context, m flow.Member, _ string, _ flow.ClusterReport) (flow.Session, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generations[m]++
	return flow.Session{Sender: flow.Sender{Member: m, Generation: c.generations[m], Incarnation: 1}, Era: 1}, nil
}

func (*counting) Report(context.Context, flow.Sender, flow.ClusterReport) error { return nil }

func (*counting) Verdicts(context.Context, flow.Sender, []flow.Held) (flow.Verdicts, error) {
	return flow.Verdicts{}, nil
}

func (*counting) CloseSession(context.Context, flow.Sender) error { return nil }

func (*counting) Assignments(context.Context, flow.Sender, int) ([]flow.Assignment, error) {
	return nil, nil
}

func (*counting) Due(context.Context, []flow.Sender) ([]flow.Sender, error) { return nil, nil }

func (*counting) Ack(context.Context, flow.Sender, []flow.Ack) error { return nil }

func (*counting) Ingest(_ context.Context, _ flow.Sender, events []flow.Event) ([]flow.EventResult, error) {
	results := make([]flow.EventResult, len(events))
	for i := range results {
		results[i].Accepted = true
	}
	return results, nil
}

// benchStore is the real store on a database of its own, with one execution
// placed on each member's cluster, and the server's process.
func benchStore(ctx context.Context, group *proc.Group, dir string) (*store.Store, int, error) {
	free, err := ports.Free(1)
	if err != nil {
		return nil, 0, err
	}
	d, err := database.Start(ctx, group, database.Options{Dir: dir, Port: free[0]})
	if err != nil {
		return nil, 0, err
	}
	config := store.Default()
	config.URL = d.URL
	s, err := store.Open(ctx, config)
	if err != nil {
		return nil, 0, err
	}
	if err := fill(ctx, s); err != nil {
		s.Close()
		return nil, 0, err
	}
	return s, d.Process.PID(), nil
}

func fill(ctx context.Context, s *store.Store) error {
	if err := s.Migrate(ctx, slog.New(slog.DiscardHandler)); err != nil {
		return err
	}
	if err := s.Seed(ctx, []flow.Project{{ID: "bench", Name: "bench"}}); err != nil {
		return err
	}
	plan := flow.Batch{At: time.Now()}
	for i := range hubMembers {
		if err := s.CreateCluster(ctx, flow.Cluster{Name: benchCluster(i)}); err != nil {
			return err
		}
		e := flow.Execution{ID: benchExecution(i), Phase: flow.ExecutionQueued, Spec: make([]byte, 700), CreatedAt: time.Now()}
		if err := s.CreateExecution(ctx, e); err != nil {
			return err
		}
		plan.Placements = append(plan.Placements, flow.Placement{Execution: e.ID, Cluster: benchCluster(i), Score: 1})
	}
	fence, err := s.BeginTerm(ctx, "bench")
	if err != nil {
		return err
	}
	_, placed, err := s.CommitPlan(ctx, fence, plan)
	if err == nil && len(placed) != hubMembers {
		err = fmt.Errorf("%d of %d executions were placed", len(placed), hubMembers)
	}
	return err
}
