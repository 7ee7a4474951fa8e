package memstore_test

import (
	"context"
	"testing"
	"time"

	"github.com/skein-project/skein/admin/store/storetest"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/chaos/memstore"
)

// engine has the ports that the simulated federation uses; the others are not
// there, and the groups that need them are not run.
type engine struct{ *memstore.Store }

func (e engine) UpdateCluster(ctx context.Context, c flow.Cluster) error {
	_, err := e.Store.UpdateCluster(ctx, c.Name, func(n *flow.Cluster) error { *n = c; return nil }, flow.Audit{})
	return err
}

// TestStore runs the suite's groups for the ports that the rig uses.
func TestStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) *storetest.Opened {
		s := engine{memstore.New(memstore.Options{})}
		ports := storetest.Ports{
			Registry: registry{Store: s.Store}, Projects: projects{Store: s.Store}, Executions: executions{Store: s.Store},
			Runs: s, Clusters: s, Sessions: s, Outbox: s, Events: s, Terms: s, Demand: s, Plans: s, Decisions: s,
			Histories: s,
		}
		return &storetest.Opened{Ports: ports, Other: ports}
	}, "Executions", "Plans", "Sessions", "Verdicts", "Events", "Races")
}

// What the rig does not use of a port is nil: a case that asks for it panics.
type (
	registry struct {
		storetest.Registry
		*memstore.Store
	}
	projects struct {
		storetest.Projects
		*memstore.Store
	}
	executions struct {
		storetest.Executions
		*memstore.Store
	}
)

func (r registry) CreateEntity(ctx context.Context, e flow.Entity) error {
	return r.Store.CreateEntity(ctx, e)
}

func (p projects) CreateProject(ctx context.Context, x flow.Project) error {
	return p.Store.CreateProject(ctx, x)
}

func (p projects) UpdateProject(ctx context.Context, x flow.Project) error {
	return p.Store.UpdateProject(ctx, x)
}

func (x executions) CreateExecution(ctx context.Context, e flow.Execution) error {
	return x.Store.CreateExecution(ctx, e)
}

func (x executions) GetExecution(ctx context.Context, id flow.ExecutionID) (flow.Execution, error) {
	return x.Store.GetExecution(ctx, id)
}

func (x executions) AbortExecution(ctx context.Context, id flow.ExecutionID, cause, principal string, at time.Time) (flow.Execution, error) {
	return x.Store.AbortExecution(ctx, id, cause, principal, at)
}

func (x executions) ArchiveExecution(ctx context.Context, id flow.ExecutionID, archived bool) error {
	return x.Store.ArchiveExecution(ctx, id, archived)
}
