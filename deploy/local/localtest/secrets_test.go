package localtest_test

import (
	"bytes"
	"compress/gzip"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/skein-project/skein/deploy/local/localtest"
)

// A secret is found wherever it was put, and nowhere else.
func TestSecretsAreFound(t *testing.T) {
	const secret = "a key that nobody may see"
	url := localtest.Database(t)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var zip bytes.Buffer
	w := gzip.NewWriter(&zip)
	if _, err := w.Write([]byte("before, " + secret + ", after")); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	for table, column := range map[string]struct {
		kind  string
		value any
	}{
		"as_text":   {"TEXT", "x" + secret},
		"as_bytes":  {"BYTEA", []byte("x" + secret)},
		"as_packed": {"BYTEA", zip.Bytes()},
		"as_json":   {"JSONB", `{"a":["` + secret + `"]}`},
		"as_none":   {"TEXT", "nothing"},
	} {
		if _, err := conn.Exec(t.Context(), "CREATE TABLE "+table+" (id INT, held "+column.kind+")"); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Exec(t.Context(), "INSERT INTO "+table+" VALUES (1, $1)", column.value); err != nil {
			t.Fatal(err)
		}
	}
	found := localtest.Secrets(t, url, []string{"something else", secret})
	slices.Sort(found)
	if want := []string{"as_bytes", "as_json", "as_packed", "as_text"}; !slices.Equal(found, want) {
		t.Errorf("found in %v, want %v", found, want)
	}
}
