package pgwire_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/skein-project/skein/chaos/inject"
	"github.com/skein-project/skein/chaos/inject/pgwire"
	"github.com/skein-project/skein/deploy/local/localtest"
)

func TestMain(m *testing.M) { localtest.Main(m) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// rig is a table, the way to it past the proxy, and the proxy.
type rig struct {
	*testing.T
	proxy   *pgwire.Proxy
	through string
	past    *pgx.Conn
	rows    int
}

func open(t *testing.T) *rig {
	t.Helper()
	parsed, err := url.Parse(localtest.Database(t))
	must(t, err)
	r := &rig{T: t}
	r.past = r.dial(parsed.String())
	if r.past.PgConn().ParameterStatus("crdb_version") != "" {
		t.Skip("it speaks PostgreSQL's procedural language") // only the local server of tests is disturbed
	}
	_, err = r.past.Exec(t.Context(), "CREATE TABLE seen (n INT PRIMARY KEY)")
	must(t, err)
	r.proxy, err = pgwire.Start(parsed.Host)
	must(t, err)
	t.Cleanup(func() { must(t, r.proxy.Close()) })
	parsed.Host = r.proxy.Address()
	r.through = parsed.String()
	return r
}

func (r *rig) dial(url string) *pgx.Conn {
	r.Helper()
	c, err := pgx.Connect(r.Context(), url)
	must(r.T, err)
	r.Cleanup(func() { _ = c.Close(context.WithoutCancel(r.Context())) })
	return c
}

// insert writes a row in a transaction, or in a statement by itself, and tells
// what became of it.
func (r *rig) insert(c *pgx.Conn, alone bool) (there bool, told error) {
	r.Helper()
	r.rows++
	told = func() error {
		if alone {
			_, err := c.Exec(r.Context(), "INSERT INTO seen VALUES ($1)", r.rows)
			return err
		}
		tx, err := c.Begin(r.Context())
		if err != nil {
			return fmt.Errorf("begin: %w", err)
		}
		if _, err := tx.Exec(r.Context(), "INSERT INTO seen VALUES ($1)", r.rows); err != nil {
			return errors.Join(err, tx.Rollback(r.Context()))
		}
		return tx.Commit(r.Context())
	}()
	must(r.T, r.past.QueryRow(r.Context(), "SELECT EXISTS (SELECT 1 FROM seen WHERE n = $1)", r.rows).Scan(&there))
	return there, told
}

// TestLostRacesChangeNothing, whether they are told at a statement or at COMMIT,
// and the connection goes on.
func TestLostRacesChangeNothing(t *testing.T) {
	for _, alone := range []bool{false, true} {
		r := open(t)
		c := r.dial(r.through)
		must(t, r.proxy.Disturb(inject.Trouble{What: pgwire.Lose, Share: 1}))
		words := map[string]int{}
		for range 40 {
			there, err := r.insert(c, alone)
			var told *pgconn.PgError
			if !errors.As(err, &told) || told.Code != "40001" || there {
				t.Fatalf("told %v; the row is there: %t", err, there)
			}
			words[told.Message]++
		}
		if want := 2; !alone && len(words) != want {
			t.Errorf("races were lost by %v, want at statements and at COMMIT", words)
		}
		if n := r.proxy.Disturbed(); n != 40 {
			t.Errorf("%d were counted", n)
		}
		r.proxy.Calm()
		if there, err := r.insert(c, alone); err != nil || !there {
			t.Errorf("calm: told %v; the row is there: %t", err, there)
		}
	}
}

// TestNobodyKnowsOfACutCommit: some were done, some were not.
func TestNobodyKnowsOfACutCommit(t *testing.T) {
	for _, alone := range []bool{false, true} {
		r := open(t)
		must(t, r.proxy.Disturb(inject.Trouble{What: pgwire.Cut, Share: 1}))
		done := map[bool]int{}
		for range 24 {
			c := r.dial(r.through)
			there, err := r.insert(c, alone)
			var told *pgconn.PgError
			if err == nil || errors.As(err, &told) || !c.IsClosed() {
				t.Fatalf("told %v, closed: %t", err, c.IsClosed())
			}
			done[there]++
		}
		if len(done) != 2 {
			t.Errorf("rows that are there, and that are not: %v, want both", done)
		}
	}
}

// TestAStormEnds: who tries again gets through, batches and many rows too.
func TestAStormEnds(t *testing.T) {
	r := open(t)
	c := r.dial(r.through)
	must(t, r.proxy.Disturb(inject.Trouble{What: pgwire.Lose, Share: 0.5}))
	for i := range 20 {
		for tries := 0; ; tries++ {
			err := pgx.BeginFunc(t.Context(), c, func(tx pgx.Tx) error {
				batch := &pgx.Batch{}
				for j := range 10 {
					batch.Queue("INSERT INTO seen VALUES ($1)", i*10+j)
				}
				return tx.SendBatch(t.Context(), batch).Close()
			})
			if err == nil {
				break
			}
			var told *pgconn.PgError
			if !errors.As(err, &told) || told.Code != "40001" || tries > 100 {
				t.Fatalf("try %d: %v", tries, err)
			}
		}
	}
	_, err := c.CopyFrom(t.Context(), pgx.Identifier{"seen"}, []string{"n"}, pgx.CopyFromSlice(100, func(i int) ([]any, error) { return []any{1000 + i}, nil }))
	must(t, err)
	var n int
	must(t, r.past.QueryRow(t.Context(), "SELECT count(*) FROM seen").Scan(&n))
	if n != 300 {
		t.Errorf("%d rows, want 300", n)
	}
	if r.proxy.Disturbed() == 0 {
		t.Error("there was no storm")
	}
}
