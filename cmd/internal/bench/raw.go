package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// raw commits rows like those of executions, without anything of ours between:
// a copy of one real row under a new name, in a table with the same columns and
// indexes, one transaction each, with admin's pool size and isolation.
type raw struct {
	pool *pgxpool.Pool
	sql  string
	row  []any
	key  int // the column that holds the name
}

func openRaw(ctx context.Context, url, sample string) (*raw, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	config.MaxConns, config.MinConns = 32, 4
	config.ConnConfig.RuntimeParams["default_transaction_isolation"] = "serializable"
	w := &raw{}
	if w.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return nil, err
	}
	if err := w.prepare(ctx, sample); err != nil {
		w.pool.Close()
		return nil, err
	}
	return w, nil
}

func (w *raw) prepare(ctx context.Context, sample string) error {
	if _, err := w.pool.Exec(ctx, "CREATE TABLE bench_rows (LIKE executions INCLUDING ALL)"); err != nil {
		return err
	}
	rows, err := w.pool.Query(ctx, "SELECT * FROM executions WHERE name = $1", sample)
	if err != nil {
		return err
	}
	var columns, places []string
	for i, f := range rows.FieldDescriptions() {
		columns, places = append(columns, f.Name), append(places, fmt.Sprintf("$%d", i+1))
	}
	if w.row, err = pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) ([]any, error) { return row.Values() }); err != nil {
		return err
	}
	w.key = slices.Index(columns, "name")
	w.sql = "INSERT INTO bench_rows (" + strings.Join(columns, ", ") + ") VALUES (" + strings.Join(places, ", ") + ")"
	return nil
}

// commit writes one row in a transaction of its own.
func (w *raw) commit(ctx context.Context, _ int) error {
	row := slices.Clone(w.row)
	row[w.key] = "b" + strings.ReplaceAll(uuid.NewString(), "-", "")[:19]
	_, err := w.pool.Exec(ctx, w.sql, row...)
	return err
}

func (w *raw) close() { w.pool.Close() }
