package badinput

import (
	"context"
	"encoding/hex"
	"encoding/pem"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// noSecrets (I67): after joins, no row of any table holds a private key, a join
// token or the operator's token, as text or as bytes.
func (r *rig) noSecrets(t *testing.T, tokens ...string) {
	t.Helper()
	needles := append(r.privateKeys(t), tokens...)
	operator, err := os.ReadFile(r.client.TokenFile)
	must(t, err)
	needles = append(needles, strings.TrimSpace(string(operator)), "PRIVATE KEY")
	conn, err := pgx.Connect(t.Context(), r.Database.URL)
	must(t, err)
	defer conn.Close(context.Background())
	if found := scan(t, conn, needles); len(found) > 0 {
		t.Errorf("the database holds secrets in %v", found)
	}
	// The scan must be able to find one, in text and in bytes.
	for _, column := range []string{"TEXT", "BYTEA"} {
		table := "planted_" + strings.ToLower(column)
		_, err = conn.Exec(t.Context(), "CREATE TEMPORARY TABLE "+table+" (secret "+column+")")
		must(t, err)
		_, err = conn.Exec(t.Context(), "INSERT INTO "+table+" VALUES ($1)", []byte(needles[0]))
		must(t, err)
		if found := scan(t, conn, needles); len(found) != 1 {
			t.Errorf("a secret that was planted as %s was found in %v", column, found)
		}
		_, err = conn.Exec(t.Context(), "DROP TABLE "+table)
		must(t, err)
	}
}

// privateKeys are the bodies of all keys below the state folder: the CA's, the
// members', and whatever else is there.
func (r *rig) privateKeys(t *testing.T) (needles []string) {
	t.Helper()
	names := map[string]bool{}
	must(t, filepath.WalkDir(r.State(), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil //nolint:nilerr // what went away while we looked holds no key
		}
		info, err := d.Info()
		if err != nil || info.Size() > 64<<10 {
			return nil //nolint:nilerr // likewise
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return nil //nolint:nilerr // likewise
		}
		for block, rest := pem.Decode(raw); block != nil; block, rest = pem.Decode(rest) {
			if strings.HasSuffix(block.Type, "PRIVATE KEY") {
				names[filepath.Base(path)] = true
				needles = append(needles, strings.Split(string(pem.EncodeToMemory(block)), "\n")[1], string(block.Bytes))
			}
		}
		return nil
	}))
	if len(names) < 2 {
		t.Errorf("private keys were found in %v only: want the CA's and a member's at least", names)
	}
	return needles
}

// scan looks for needles in every row of every table, and gives the tables.
func scan(t *testing.T, conn *pgx.Conn, needles []string) (found []string) {
	t.Helper()
	rows, err := conn.Query(t.Context(), "SELECT table_name FROM information_schema.tables WHERE table_type <> 'VIEW' AND table_schema NOT IN ('pg_catalog', 'information_schema')")
	must(t, err)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	must(t, err)
	for _, table := range tables {
		rows, err := conn.Query(t.Context(), "SELECT row_to_json(x)::TEXT FROM "+pgx.Identifier{table}.Sanitize()+" AS x") // bytes are hexadecimal
		must(t, err)
		texts, err := pgx.CollectRows(rows, pgx.RowTo[string])
		must(t, err)
		all := strings.Join(texts, "\n")
		for _, needle := range needles {
			if strings.Contains(all, needle) || strings.Contains(all, hex.EncodeToString([]byte(needle))) {
				found = append(found, table)
				break
			}
		}
	}
	return found
}
