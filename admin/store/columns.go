package store

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/skein-project/skein/api/flow"
)

// column ties a column to the place in memory that it is read into and written
// from, so that reading and writing cannot disagree.
type column struct {
	name string
	at   any // a pointer
}

func names(prefix string, columns []column) string {
	list := make([]string, len(columns))
	for i, c := range columns {
		list[i] = prefix + c.name
	}
	return strings.Join(list, ", ")
}

func places(columns []column) []any {
	list := make([]any, len(columns))
	for i, c := range columns {
		list[i] = c.at
	}
	return list
}

// insertInto writes the statement that inserts one row of the columns.
func insertInto(table string, columns []column) string {
	marks := make([]string, len(columns))
	for i := range columns {
		marks[i] = fmt.Sprintf("$%d", i+1)
	}
	return "INSERT INTO " + table + " (" + names("", columns) + ") VALUES (" + strings.Join(marks, ", ") + ")"
}

// setAll writes the SET list of an UPDATE; parameters are numbered from first.
func setAll(columns []column, first int) string {
	list := make([]string, len(columns))
	for i, c := range columns {
		list[i] = fmt.Sprintf("%s = $%d", c.name, first+i)
	}
	return strings.Join(list, ", ")
}

// setFrom writes the SET list of an UPDATE from a table with the same columns.
func setFrom(table string, columns []column) string {
	list := make([]string, len(columns))
	for i, c := range columns {
		list[i] = c.name + " = " + table + "." + c.name
	}
	return strings.Join(list, ", ")
}

// unnested writes rows as a table of a FROM, of one array for each column:
// however many rows there are, it is one statement of one text.
func unnested(rows [][]column) (from string, arrays []any) {
	types := make([]string, len(rows[0]))
	arrays = make([]any, len(rows[0]))
	for i := range rows[0] {
		types[i], arrays[i] = array(rows, i)
		types[i] = fmt.Sprintf("$%d::%s[]", i+1, types[i])
	}
	return "unnest(" + strings.Join(types, ", ") + ")", arrays
}

// array gathers one column of all rows, and says which type it has.
func array(rows [][]column, i int) (sqlType string, values any) {
	switch rows[0][i].at.(type) {
	case *stamp:
		return "TIMESTAMPTZ", gathered(rows, i, func(s *stamp) stamp { return *s })
	case *[]byte:
		return "BYTEA", gathered(rows, i, func(b *[]byte) []byte { return *b })
	}
	value := func(at any) reflect.Value { return reflect.ValueOf(at).Elem() }
	switch value(rows[0][i].at).Kind() {
	case reflect.Bool:
		return "BOOL", gathered(rows, i, func(at any) bool { return value(at).Bool() })
	case reflect.Int, reflect.Int32, reflect.Int64:
		return "INT8", gathered(rows, i, func(at any) int64 { return value(at).Int() })
	case reflect.Uint32, reflect.Uint64:
		return "INT8", gathered(rows, i, func(at any) int64 { return int64(value(at).Uint()) }) //nolint:gosec // counts, as they are stored
	}
	// A string; of anything else the database says that it is not its column's.
	return "TEXT", gathered(rows, i, func(at any) string { return fmt.Sprint(value(at)) })
}

func gathered[P, T any](rows [][]column, i int, value func(P) T) []T {
	list := make([]T, len(rows))
	for n, row := range rows {
		list[n] = value(row[i].at.(P))
	}
	return list
}

// collect reads all rows by the columns that fields lists for one value.
func collect[T any](rows pgx.Rows, fields func(*T) []column) ([]T, error) {
	defer rows.Close()
	var value, none T
	var list []T
	into := places(fields(&value)) // one target for all rows: how to read a column is found out once
	for rows.Next() {
		value = none
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		list = append(list, value)
	}
	return list, rows.Err()
}

func entityColumns(prefix string, id *flow.EntityID) []column {
	return []column{
		{prefix + "project", &id.Project}, {prefix + "domain", &id.Domain},
		{prefix + "name", &id.Name}, {prefix + "version", &id.Version},
	}
}

func executionKey(id *flow.ExecutionID) []column {
	return []column{{"name", &id.Name}, {"project", &id.Project}, {"domain", &id.Domain}}
}

func epochColumns(e *flow.Epoch) []column {
	return []column{{"epoch_era", &e.Era}, {"epoch_n", &e.N}}
}

// stamp stores a time: in UTC, to the microsecond, and NULL when it is zero.
type stamp time.Time

// ScanTimestamptz reads a column.
func (s *stamp) ScanTimestamptz(v pgtype.Timestamptz) error {
	*s = stamp{}
	if v.Valid {
		*s = stamp(v.Time.UTC())
	}
	return nil
}

// TimestamptzValue writes a column.
func (s stamp) TimestamptzValue() (pgtype.Timestamptz, error) {
	t := time.Time(s)
	return pgtype.Timestamptz{Time: t.UTC().Truncate(time.Microsecond), Valid: !t.IsZero()}, nil
}

func at(t *time.Time) *stamp { return (*stamp)(t) }

// slot stores true as TRUE and false as NULL, so that a unique key holds at
// most one true.
type slot bool

// ScanBool reads a column.
func (s *slot) ScanBool(v pgtype.Bool) error {
	*s = slot(v.Valid && v.Bool)
	return nil
}

// BoolValue writes a column.
func (s slot) BoolValue() (pgtype.Bool, error) {
	return pgtype.Bool{Bool: bool(s), Valid: bool(s)}, nil
}

// keys holds execution ids column by column, for unnest.
type keys struct{ names, projects, domains []string }

func (k *keys) add(id flow.ExecutionID) {
	k.names = append(k.names, id.Name)
	k.projects = append(k.projects, id.Project)
	k.domains = append(k.domains, id.Domain)
}

func keysOf(ids []flow.ExecutionID) keys {
	var k keys
	for _, id := range ids {
		k.add(id)
	}
	return k
}
