package store_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
)

// plain reports whether the wire can be read along: not with TLS.
func plain(t *testing.T, url string) bool {
	t.Helper()
	config, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	return config.TLSConfig == nil
}

// empty brings a migrated database back to how it was then: a new one for each
// case would take ten times as long.
func empty(t *testing.T, url string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	for _, table := range []string{"audit", "projects", "named_entities", "entities", "executions", "nodes", "tasks", "clusters",
		"members", "leases", "join_tokens", "outbox", "decisions", "waits", "requirements", "moves", "archived_nodes", "archived_tasks",
		"trails", "rounds", "removed_clusters", "policies", "rebuild_held"} {
		if _, err := conn.Exec(t.Context(), "DELETE FROM "+table); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := conn.Exec(t.Context(), `UPDATE scheduler SET era = 1, epoch = 0, beat = 0, leader = '', longest_lease_ms = 0,
		rebuild_since = NULL, rebuild_why = '', rebuild_forced = FALSE, rebuilt = NULL`); err != nil {
		t.Fatal(err)
	}
}
