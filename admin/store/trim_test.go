package store

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/deploy/local/localtest"
)

// longAgo is before everything that is kept.
var longAgo = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// history opens a store that holds so many rows of each kind that can be trimmed:
// the outbox rows and waits of ended executions, rounds, and trails of nobody;
// and as many trails that decisions refer to.
func history(t *testing.T, n int) *Store {
	t.Helper()
	s, err := Open(t.Context(), Config{URL: localtest.Database(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if err := s.Migrate(t.Context(), slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{
		`INSERT INTO executions (name, project, domain, inputs_uri, workflow_project, workflow_domain, workflow_name, workflow_version,
			launch_plan_project, launch_plan_domain, launch_plan_name, launch_plan_version, task_project, task_domain, task_name, task_version,
			requirement, data_prefix, raw_prefix, principal, mode, archived, trace, phase, desired, epoch_era, epoch_n, cluster, revision,
			sequence, abort_cause, abort_principal, error_kind, error_code, output_uri, created_at, updated_at, version, nonce)
			SELECT 'x' || i, 'p', 'd', '', '', '', '', '', '', '', '', '', '', '', '', '', '{}', '', '', '', 0, FALSE, '', 4, 'run', 1, 1,
			'east', 1, 1, '', '', '', '', '', $2, $2, 1, '' FROM generate_series(1, $1::INT8) AS i`,
		`INSERT INTO outbox (cluster, name, project, domain, epoch_era, epoch_n, wanted, acked, updated_at)
			SELECT 'east', 'x' || i, 'p', 'd', 1, 1, 1, 1, $2 FROM generate_series(1, $1::INT8) AS i`,
		`INSERT INTO waits (name, project, domain, scheduler_era, scheduler_epoch, reasons, decided_at)
			SELECT 'x' || i, 'p', 'd', 1, 1, '[]', $2 FROM generate_series(1, $1::INT8) AS i`,
		`INSERT INTO rounds (id, scheduler_era, scheduler_epoch, decided_at, decisions)
			SELECT 'r' || i, 1, 1, $2, 0 FROM generate_series(1, $1::INT8) AS i`,
		`INSERT INTO trails (digest, class, round, reasons, stored_at)
			SELECT 'loose' || i, '', '', '[]', $2 FROM generate_series(1, $1::INT8) AS i`,
		`INSERT INTO trails (digest, class, round, reasons, stored_at)
			SELECT 'used' || i, '', '', '[]', $2 FROM generate_series(1, $1::INT8) AS i`,
		`INSERT INTO decisions (name, project, domain, epoch_era, epoch_n, cluster, scheduler_era, scheduler_epoch, beat, reasons, decided_at, trail)
			SELECT 'x' || i, 'p', 'd', 1, 1, 'east', 1, 1, 1, '[]', $2, 'used' || i FROM generate_series(1, $1::INT8) AS i`,
	} {
		if _, err := s.pool.Exec(t.Context(), sql, n, longAgo); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// left counts the rows that a condition names.
func left(t *testing.T, s *Store, from string) (n int) {
	t.Helper()
	if err := s.pool.QueryRow(t.Context(), "SELECT count(*) FROM "+from).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestTrimGoesOnWhileThereIsMore than one transaction takes.
func TestTrimGoesOnWhileThereIsMore(t *testing.T) {
	const n = trimmed + 1
	s := history(t, n)
	gone, err := s.trim(t.Context(), time.Minute, trims(longAgo.Add(time.Hour), 10)) // a busy machine's time
	if err != nil || gone != 4*n {
		t.Errorf("%d rows are gone, want %d: %v", gone, 4*n, err)
	}
	for _, from := range []string{"outbox", "waits", "rounds", "trails WHERE digest LIKE 'loose%'"} {
		if n := left(t, s, from); n > 0 {
			t.Errorf("%d %s are left", n, from)
		}
	}
	if found := left(t, s, "trails JOIN decisions ON trail = digest"); found != n {
		t.Errorf("%d of %d decisions have their trail", found, n)
	}
}

// TestAKindThatIsNotTrimmedHoldsUpNoOther: it fails in its own time, and is
// trimmed when it can be.
func TestAKindThatIsNotTrimmedHoldsUpNoOther(t *testing.T) {
	s, ctx := history(t, 3), t.Context()
	busy, err := pgx.Connect(ctx, s.config.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = busy.Close(context.WithoutCancel(ctx)) }()
	tx, err := busy.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(ctx, "SELECT * FROM outbox FOR UPDATE"); err != nil {
		t.Fatal(err)
	}
	kinds := trims(longAgo.Add(time.Hour), 10)
	gone, err := s.trim(ctx, time.Second, kinds)
	if gone != 3*3 || !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "outbox") {
		t.Errorf("%d rows are gone, want those of the other kinds: %v", gone, err)
	}
	if err := tx.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
	if gone, err := s.trim(ctx, trimTime, kinds); gone != 3 || err != nil {
		t.Errorf("then %d rows are gone, want 3: %v", gone, err)
	}
}

// TestTrimLooksAtATrailOnce that a decision refers to; one to which a wait refers
// is looked at until it can go.
func TestTrimLooksAtATrailOnce(t *testing.T) {
	s, ctx := history(t, 3), t.Context()
	for _, sql := range []string{
		"UPDATE executions SET phase = 0, cluster = '' WHERE name = 'x1'",
		"UPDATE waits SET trail = 'loose1' WHERE name = 'x1'",
	} {
		if _, err := s.pool.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	later := longAgo.Add(time.Hour)
	if _, err := s.Trim(ctx, later, 10); err != nil {
		t.Fatal(err)
	}
	if kept, loose := left(t, s, "trails WHERE kept"), left(t, s, "trails WHERE NOT kept"); kept != 3 || loose != 1 {
		t.Errorf("%d trails are kept, and %d are loose; want the 3 of decisions, and the wait's", kept, loose)
	}
	if _, err := s.pool.Exec(ctx, "DELETE FROM waits"); err != nil {
		t.Fatal(err)
	}
	if gone, err := s.Trim(ctx, later, 10); err != nil || gone != 1 || left(t, s, "trails") != 3 {
		t.Errorf("%d rows are gone, want the trail of the wait that is over: %v", gone, err)
	}
}

// TestTrimReadsNoHistory: each kind is found by an index that holds no more of it
// than may have to go, and executions and decisions are read by their keys.
func TestTrimReadsNoHistory(t *testing.T) {
	s, ctx := history(t, 2000), t.Context()
	for _, sql := range []string{"UPDATE trails SET kept = TRUE WHERE digest LIKE 'used%'", "ANALYZE"} {
		if _, err := s.pool.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	later := longAgo.Add(time.Hour)
	for _, q := range []struct {
		sql     string
		args    []any
		indexes []string
	}{
		{trimOutbox, []any{later, 100}, []string{"outbox_acked", "executions_pkey"}},
		{trimWaits, []any{100}, []string{"waits_pkey", "executions_pkey"}},
		{trimRounds, []any{later, 100}, []string{"rounds_by_time"}},
		{trimSurplus, []any{100, 100}, []string{"rounds_by_time"}},
		{looseTrails, []any{later, 100}, []string{"trails_loose", "decisions_by_trail"}},
	} {
		rows, err := s.pool.Query(ctx, "EXPLAIN "+q.sql, q.args...)
		if err != nil {
			t.Fatal(err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		plan := strings.Join(lines, "\n")
		for _, index := range q.indexes {
			if !strings.Contains(plan, index) {
				t.Errorf("%s is not read by %s:\n%s", q.sql, index, plan)
			}
		}
	}
}
