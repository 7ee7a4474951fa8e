package store

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/skein-project/skein/deploy/local/localtest"
)

// TestWriteSkew lets two transactions each read what the other writes. Of such
// a pair one must fail, often only at COMMIT: a store that drops that error
// tells its caller that a row exists which does not.
func TestWriteSkew(t *testing.T) {
	ctx := t.Context()
	s, err := Open(ctx, Config{URL: localtest.Database(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	for _, sql := range []string{
		"CREATE TABLE doctor (round INT8, id INT8, on_call BOOL NOT NULL, PRIMARY KEY (round, id))",
		"CREATE TABLE note (round INT8, id INT8, PRIMARY KEY (round, id))",
		"INSERT INTO doctor SELECT r, d, TRUE FROM generate_series(1, 100) AS r, generate_series(0, 1) AS d",
	} {
		if _, err := s.pool.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	retried := 0
	for round := 1; round <= 100; round++ {
		retried += skewRound(t, s, round)
	}
	if retried == 0 {
		t.Error("no transaction was run twice: the test shows nothing")
	}
}

// skewRound sends both doctors home at once, if the other one stays.
func skewRound(t *testing.T, s *Store, round int) (retried int) {
	t.Helper()
	var group, bothRead, bothWrote sync.WaitGroup
	bothRead.Add(2)
	bothWrote.Add(2)
	errs, runs := make([]error, 2), make([]int, 2)
	for id := range errs {
		group.Go(func() {
			errs[id] = s.inTx(t.Context(), "Skew", pgx.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
				runs[id]++
				first := runs[id] == 1
				err := goHome(ctx, tx, round, id, func() {
					if first {
						bothRead.Done()
						bothRead.Wait()
					}
				})
				if first { // then it is a COMMIT that fails, and no statement
					bothWrote.Done()
					bothWrote.Wait()
				}
				return err
			})
		})
	}
	group.Wait()
	var left, notes int
	err := s.pool.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM doctor WHERE round = $1 AND on_call),
		(SELECT count(*) FROM note WHERE round = $1)`, round).Scan(&left, &notes)
	if got := fmt.Sprint(errs, err, left, notes); got != "[<nil> <nil>] <nil> 1 2" {
		t.Fatalf("round %d: errors, doctors left and notes are %s; want no error, 1 doctor and 2 notes", round, got)
	}
	return runs[0] + runs[1] - 2
}

// goHome sends one doctor home, if another stays, and notes that it was asked.
func goHome(ctx context.Context, tx pgx.Tx, round, id int, read func()) error {
	var left int
	err := tx.QueryRow(ctx, "SELECT count(*) FROM doctor WHERE round = $1 AND on_call", round).Scan(&left)
	read()
	if err != nil {
		return err
	}
	if left > 1 {
		if _, err := tx.Exec(ctx, "UPDATE doctor SET on_call = FALSE WHERE round = $1 AND id = $2", round, id); err != nil {
			return err
		}
	}
	_, err = tx.Exec(ctx, "INSERT INTO note VALUES ($1, $2)", round, id)
	return err
}
