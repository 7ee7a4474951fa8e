package memstore_test

import (
	"context"
	"testing"

	"github.com/skein-project/skein/admin/store/storetest"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/chaos/memstore"
)

// TestStore runs the suite's groups for the ports that the rig uses.
func TestStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) *storetest.Opened {
		var known flow.Fence
		s := memstore.New(memstore.Options{}).Knowing(func() flow.Fence { return known })
		ports := storetest.Ports{
			Registry: registry{s: s}, Projects: projects{s: s}, Executions: executions{Store: s},
			Runs: s, Clusters: s, Orders: s, Revocations: s, Audits: s, Policies: s, Sessions: s, Outbox: s, Events: s,
			Terms: s, Demand: s, Plans: s, Moves: s, Trims: s, Decisions: s, Histories: s,
			Rebuilds: s, Holders: s,
		}
		return &storetest.Opened{Ports: ports, Other: ports, Know: func(f flow.Fence) { known = f }}
	}, "Executions", "Plans", "Orders", "Policies", "Audit", "Removals", "Sessions", "Verdicts", "Events", "Races", "Revokes", "Lost", "Explanations", "Trims", "Moves", "MoveRaces",
		"Rebuilds", "Reports", "Signs")
}

// What the rig does not use of a port is nil: a case that asks for it panics.
type (
	registry struct {
		storetest.Registry
		s *memstore.Store
	}
	projects struct {
		storetest.Projects
		s *memstore.Store
	}
	executions struct {
		*memstore.Store
	}
)

func (r registry) CreateEntity(ctx context.Context, e flow.Entity) error {
	return r.s.CreateEntity(ctx, e)
}

func (p projects) CreateProject(ctx context.Context, x flow.Project) error {
	return p.s.CreateProject(ctx, x)
}

func (p projects) UpdateProject(ctx context.Context, x flow.Project) error {
	return p.s.UpdateProject(ctx, x)
}

// ListExecutions is in no group that is run.
func (executions) ListExecutions(context.Context, string, string, flow.Query) ([]flow.Execution, error) {
	panic("the memory store lists no executions")
}
