package store_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/skein-project/skein/admin/store"
	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/deploy/local/localtest"
)

func TestReplicasMigrateAtOnce(t *testing.T) {
	url := localtest.Database(t)
	const replicas = 4
	var group sync.WaitGroup
	var ids [replicas]string
	for i := range replicas {
		s := open(t, store.Config{URL: url, MaxConnections: 4})
		group.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if i%2 == 0 {
				if err := s.Migrate(ctx, slog.New(slog.DiscardHandler)); err != nil {
					t.Errorf("replica %d: %v", i, err)
				}
			}
			if err := s.WaitMigrated(ctx); err != nil {
				t.Errorf("replica %d: %v", i, err)
			}
			var err error
			if ids[i], err = s.ControlPlaneID(ctx); err != nil {
				t.Errorf("replica %d: %v", i, err)
			}
		})
	}
	group.Wait()
	for i := range replicas {
		if ids[i] == "" || ids[i] != ids[0] {
			t.Errorf("replica %d reads control plane %q, replica 0 reads %q", i, ids[i], ids[0])
		}
	}
}

func TestMigratingAgainKeepsWhatIsThere(t *testing.T) {
	s := migrated(t)
	before, err := s.ControlPlaneID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	projects := []flow.Project{{ID: "flytesnacks", Name: "Flytesnacks"}}
	for range 2 {
		if err := s.Migrate(t.Context(), slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
		if err := s.Seed(t.Context(), projects); err != nil {
			t.Fatal(err)
		}
	}
	if after, err := s.ControlPlaneID(t.Context()); err != nil || after != before {
		t.Errorf("the control plane was %s and is %s: %v", before, after, err)
	}
	if list, err := s.ListProjects(t.Context(), flow.Query{}); err != nil || len(list) != 1 {
		t.Errorf("projects %v: %v", list, err)
	}
}

// TestADeadMigratorIsOutlived finds the lock held by a replica that died.
func TestADeadMigratorIsOutlived(t *testing.T) {
	url := localtest.Database(t)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	_, err = conn.Exec(t.Context(), `CREATE TABLE skein_migration_lock (one INT8 PRIMARY KEY, holder TEXT NOT NULL, expires_at TIMESTAMPTZ NOT NULL);
		INSERT INTO skein_migration_lock VALUES (1, 'dead', now() + INTERVAL '1 hour')`)
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, store.Config{URL: url})
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := s.Migrate(ctx, slog.New(slog.DiscardHandler)); !fault.Is(err, fault.Unavailable) {
		t.Fatalf("migrated past a living holder: %v", err)
	}
	if err := s.WaitMigrated(ctx); !fault.Is(err, fault.Unavailable) {
		t.Fatalf("an empty database counts as migrated: %v", err)
	}
	if _, err := conn.Exec(t.Context(), "UPDATE skein_migration_lock SET expires_at = now() + INTERVAL '1 second'"); err != nil {
		t.Fatal(err)
	}
	if err := s.Migrate(t.Context(), slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
}

// TestRowsFromBeforeAreRead has executions as an earlier release wrote them:
// their requirement has no digest, and their decisions no trail.
func TestRowsFromBeforeAreRead(t *testing.T) {
	url := localtest.Database(t)
	s, ctx := open(t, store.Config{URL: url}), t.Context()
	if err := s.Migrate(ctx, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	if err := s.Seed(ctx, []flow.Project{{ID: "p", Name: "p"}}); err != nil {
		t.Fatal(err)
	}
	if err := s.CreateCluster(ctx, flow.Cluster{Name: "east"}); err != nil {
		t.Fatal(err)
	}
	requirement := flow.Requirement{Workflow: "wf", Reservation: flow.Resources{MilliCPU: 5}}
	ids := map[string]flow.ExecutionID{}
	for _, name := range []string{"waits", "runs", "runs too"} {
		ids[name] = flow.ExecutionID{Project: "p", Domain: "d", Name: name}
		if err := s.CreateExecution(ctx, flow.Execution{ID: ids[name], Phase: flow.ExecutionQueued, Requirement: requirement}); err != nil {
			t.Fatal(err)
		}
	}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, "UPDATE executions SET digest = '' WHERE name <> 'runs too'"); err != nil {
		t.Fatal(err)
	}
	fence, err := s.BeginTerm(ctx, "r")
	if err != nil {
		t.Fatal(err)
	}
	reasons := []flow.Reason{{Cluster: "east", Message: "fits", Chosen: true}}
	if _, _, err := s.CommitPlan(ctx, fence, flow.Batch{At: time.Now(), Placements: []flow.Placement{
		{Execution: ids["runs"], Cluster: "east", Reasons: reasons}, {Execution: ids["runs too"], Cluster: "east"}}}); err != nil {
		t.Fatal(err)
	}
	if list, err := s.Pending(ctx, flow.PendingKey{}, 10); err != nil || len(list) != 1 || list[0].Digest != "" || list[0].Requirement.Workflow != "wf" {
		t.Errorf("pending %+v: %v", list, err)
	}
	if list, err := s.Live(ctx, []string{"east"}, 10); err != nil || len(list) != 2 || list[0].Requirement.Workflow != "wf" {
		t.Errorf("live %+v: %v", list, err)
	}
	if list, err := s.Loads(ctx); err != nil || len(list) != 1 || list[0].Executions != 2 || list[0].Reservation.MilliCPU != 10 {
		t.Errorf("loads %+v: %v", list, err)
	}
	if list, err := s.ListDecisions(ctx, ids["runs"]); err != nil || len(list) != 1 || len(list[0].Reasons) != 1 || !list[0].Reasons[0].Chosen {
		t.Errorf("decisions %+v: %v", list, err)
	}
}
