package database_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/skein-project/skein/deploy/local/database"
	"github.com/skein-project/skein/deploy/local/ports"
	"github.com/skein-project/skein/deploy/local/proc"
)

// options uses a folder that the server's own user can reach; t.TempDir cannot be reached as root.
func options(t *testing.T) (*proc.Group, database.Options) {
	t.Helper()
	dir, err := os.MkdirTemp("", "skein-database-test-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	free, err := ports.Free(1)
	if err != nil {
		t.Fatal(err)
	}
	group := proc.NewGroup(dir, slog.New(slog.DiscardHandler))
	t.Cleanup(func() {
		if err := group.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		if left, err := proc.Leftovers(dir); err != nil || len(left) > 0 {
			t.Errorf("left over: %q, %v", left, err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return group, database.Options{Dir: filepath.Join(dir, "db"), Port: free[0], Log: func(text string) { t.Log(text) }}
}

func start(t *testing.T, group *proc.Group, o database.Options) *database.Database {
	t.Helper()
	began := time.Now()
	d, err := database.Start(t.Context(), group, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s ready in %s", d.Engine, time.Since(began).Round(10*time.Millisecond))
	return d
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func TestWhatIsCommittedSurvivesEveryEnd(t *testing.T) {
	for _, noSync := range []bool{false, true} {
		t.Run(fmt.Sprintf("NoSync %t", noSync), func(t *testing.T) { survivesEveryEnd(t, noSync) })
	}
}

func survivesEveryEnd(t *testing.T, noSync bool) {
	group, o := options(t)
	o.NoSync = noSync
	d := start(t, group, o)
	ctx := t.Context()
	if _, err := connect(t, d.URL).Exec(ctx, "CREATE TABLE kept (n INT PRIMARY KEY)"); err != nil {
		t.Fatal(err)
	}
	for i, end := range []func() error{d.Process.Kill9, func() error { return d.Stop(ctx) }, func() error { return nil }} {
		if _, err := connect(t, d.URL).Exec(ctx, "INSERT INTO kept VALUES ($1)", i); err != nil { // and stays connected
			t.Fatal(err)
		}
		if err := end(); err != nil {
			t.Fatal(err)
		}
		if err := d.Restart(ctx); err != nil {
			t.Fatal(err)
		}
		var n int
		if err := connect(t, d.URL).QueryRow(ctx, "SELECT count(*) FROM kept").Scan(&n); err != nil || n != i+1 {
			t.Fatalf("after end %d: %d rows, %v", i, n, err)
		}
	}
	if err := group.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	again := start(t, proc.NewGroup(group.State(), slog.New(slog.DiscardHandler)), o)
	if again.URL != d.URL {
		t.Error("a second start has another URL")
	}
	connect(t, again.URL)
	if err := again.Stop(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestDatabasesAreMadeFreshAndDropped(t *testing.T) {
	group, o := options(t)
	o.NoSync = true
	d := start(t, group, o)
	ctx := t.Context()
	fresh, err := d.Create(ctx, `we"ird`)
	if err != nil {
		t.Fatal(err)
	}
	conn := connect(t, fresh)
	var current string
	if err := conn.QueryRow(ctx, "SELECT current_database()").Scan(&current); err != nil || current != `we"ird` {
		t.Errorf("connected to %q, %v", current, err)
	}
	if _, err := d.Create(ctx, `we"ird`); err == nil {
		t.Error("made the same database twice")
	}
	if err := database.Drop(ctx, d.URL, `we"ird`); err != nil {
		t.Error(err)
	}
	if _, err := d.Create(ctx, `we"ird`); err != nil {
		t.Error(err)
	}
}

func TestNobodyEntersWithoutTheSecret(t *testing.T) {
	group, o := options(t)
	o.NoSync = true
	d := start(t, group, o)
	parsed, err := url.Parse(d.URL)
	if err != nil {
		t.Fatal(err)
	}
	parsed.User = url.UserPassword(parsed.User.Username(), "wrong")
	parsed.RawQuery = "sslmode=prefer"
	if conn, err := pgx.Connect(t.Context(), parsed.String()); err == nil {
		_ = conn.Close(t.Context())
		t.Error("entered with a wrong password")
	}
	_ = filepath.WalkDir(o.Dir, func(path string, entry os.DirEntry, err error) error {
		if err == nil && (entry.Name() == "password" || strings.HasSuffix(path, ".key")) {
			if info, _ := entry.Info(); info.Mode().Perm() != 0o600 {
				t.Errorf("%s has mode %v", path, info.Mode())
			}
		}
		return nil
	})
}

func TestPortInUseIsSaid(t *testing.T) {
	group, o := options(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	o.Port = listener.Addr().(*net.TCPAddr).Port
	if _, err := database.Start(t.Context(), group, o); err == nil || !strings.Contains(err.Error(), "in use by another program") {
		t.Errorf("%v", err)
	}
}

func TestUnreachableFolderIsNamed(t *testing.T) {
	if os.Geteuid() != 0 || os.Getenv(database.CockroachVariable) != "" {
		t.Skip("only PostgreSQL under root changes its user")
	}
	group, o := options(t)
	closed := filepath.Join(filepath.Dir(o.Dir), "closed")
	if err := os.Mkdir(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	o.Dir = filepath.Join(closed, "db")
	if _, err := database.Start(t.Context(), group, o); err == nil || !strings.Contains(err.Error(), "cannot enter "+closed) {
		t.Errorf("%v", err)
	}
}

// TestNoSharedMemory: in a namespace without /dev/shm, as in some containers,
// the same data serves that was made with it, and the other way round.
func TestNoSharedMemory(t *testing.T) {
	if os.Geteuid() != 0 || os.Getenv(database.CockroachVariable) != "" {
		t.Skip("only root can take /dev/shm away, and only PostgreSQL uses it")
	}
	const inside = "SKEIN_TEST_NO_SHM"
	if dir := os.Getenv(inside); dir != "" {
		group := proc.NewGroup(dir, slog.New(slog.DiscardHandler))
		free, err := ports.Free(1)
		if err != nil {
			t.Fatal(err)
		}
		d := start(t, group, database.Options{Dir: filepath.Join(dir, "db"), Port: free[0], NoSync: true})
		connect(t, d.URL)
		if err := group.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		return
	}
	group, o := options(t)
	o.NoSync = true
	if err := start(t, group, o).Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "unshare", "--mount", "sh", "-c", `mount -t tmpfs -o ro none /dev/shm && exec "$@"`, "sh",
		os.Args[0], "-test.run=^TestNoSharedMemory$", "-test.v")
	cmd.Env = append(os.Environ(), inside+"="+group.State())
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS") {
		t.Errorf("without /dev/shm: %v\n%s", err, out)
	}
}
