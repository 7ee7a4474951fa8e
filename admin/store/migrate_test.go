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
