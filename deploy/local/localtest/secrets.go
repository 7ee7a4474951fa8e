package localtest

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/hex"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// packed are bytes that gzip has made, as a row's JSON shows them.
var packed = regexp.MustCompile(`\\\\x(1f8b[0-9a-f]+)`)

// Secrets gives the tables of a database that hold one of the needles in any
// column of any row: as text, as bytes, or in bytes that gzip has packed.
func Secrets(t testing.TB, url string, needles []string) (found []string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	rows, err := conn.Query(t.Context(), "SELECT table_schema, table_name FROM information_schema.tables WHERE table_type <> 'VIEW' AND table_schema NOT IN ('pg_catalog', 'information_schema')")
	if err != nil {
		t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (id pgx.Identifier, err error) {
		id = make(pgx.Identifier, 2)
		return id, row.Scan(&id[0], &id[1])
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		rows, err := conn.Query(t.Context(), "SELECT row_to_json(x)::TEXT FROM "+table.Sanitize()+" AS x") // bytes are hexadecimal
		if err != nil {
			t.Fatal(err)
		}
		texts, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		if holds(strings.Join(texts, "\n"), needles) {
			found = append(found, table[1])
		}
	}
	return found
}

// holds looks for needles in the JSON of rows.
func holds(rows string, needles []string) bool {
	var all strings.Builder
	all.WriteString(rows)
	for _, match := range packed.FindAllStringSubmatch(rows, -1) {
		raw, err := hex.DecodeString(match[1])
		if err != nil {
			continue // of an odd length: no bytes
		}
		if r, err := gzip.NewReader(bytes.NewReader(raw)); err == nil {
			text, _ := io.ReadAll(r) // as far as it goes
			all.Write(text)
		}
	}
	for _, needle := range needles {
		if strings.Contains(all.String(), needle) || strings.Contains(all.String(), hex.EncodeToString([]byte(needle))) {
			return true
		}
	}
	return false
}
