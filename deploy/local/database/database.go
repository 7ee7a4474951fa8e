// Package database runs a private database server on loopback: CockroachDB if there is one, else PostgreSQL.
//
// It is not Skein's store and knows none of its tables. `skein demo`, localtest and benches call it. CockroachDB is
// ${COCKROACH_BINARY} or `cockroach` on PATH; PostgreSQL is on PATH or under /usr/lib/postgresql. As root on Debian,
// PostgreSQL is installed if neither is there, after saying so, unless SKEIN_NO_INSTALL=1.
//
// Invariant: the server listens on 127.0.0.1 only and lets nobody in without its generated password (PostgreSQL) or
// client certificate (CockroachDB), which only its owner can read; what it acknowledged survives any end of the
// process, and of the machine too unless NoSync is set. No service of the system is started, stopped or changed.
package database

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/skein-project/skein/deploy/local/ports"
	"github.com/skein-project/skein/deploy/local/proc"
)

const (
	loopback = "127.0.0.1"
	// name is the database, and for PostgreSQL the user too, that Start makes.
	name = "skein"
)

// Options says what to start.
type Options struct {
	// Dir keeps the server's data, password or certificates, and log. As root it must lie where the server's own user
	// can reach it, since PostgreSQL refuses to run as root: not below a folder of mode 0700.
	Dir string
	// Port must be given; deploy/local/ports chooses one.
	Port int
	// NoSync trades safety against a crash of the machine for speed. For tests.
	NoSync bool
	// Log is told of what takes long, such as an installation; nil is silent.
	Log func(string)
}

// Database is a running server with one empty database.
type Database struct {
	// URL connects to the database "skein" as a user who may create others. It holds a secret.
	URL string
	// Engine is "cockroach" or "postgres".
	Engine string
	// Process is the server, for killing and stalling it. The group stops it as well.
	Process *proc.Process
}

// server is what the two engines differ in.
type server struct {
	engine string
	url    *url.URL // of a database that always exists
	spec   proc.Spec
}

// Start starts the server in the group, as "database", waits until it answers, and makes the database if it is not
// there. With the same Dir, what was written before is there again.
func Start(ctx context.Context, group *proc.Group, o Options) (*Database, error) {
	if o.Log == nil {
		o.Log = func(string) {}
	}
	d, err := start(ctx, group, o)
	if err != nil {
		return nil, fmt.Errorf("start the database: %w", err)
	}
	return d, nil
}

func start(ctx context.Context, group *proc.Group, o Options) (*Database, error) {
	if err := ports.Await(ctx, o.Port); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Dir, 0o711); err != nil {
		return nil, err
	}
	found, err := find(ctx, o.Log)
	if err != nil {
		return nil, err
	}
	prepare := preparePostgres
	if found.cockroach != "" {
		prepare = prepareCockroach
	}
	s, err := prepare(ctx, found, o)
	if err != nil {
		return nil, err
	}
	s.spec.Name, s.spec.Log = "database", filepath.Join(o.Dir, "database.log")
	s.spec.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC", "HOME=" + os.TempDir()}
	s.spec.Dir = "/" // the caller's may be closed to the server's user
	s.spec.Ready = func(ctx context.Context) error { return ping(ctx, s.url.String()) }
	s.spec.ReadyTimeout = time.Minute
	process, err := group.Start(ctx, s.spec)
	if err != nil {
		return nil, err
	}
	d := &Database{URL: withDatabase(s.url, name), Engine: s.engine, Process: process}
	if err := d.ensureDatabase(ctx, s.url.String()); err != nil {
		_ = process.Stop(ctx) // the first error is the one to tell
		return nil, err
	}
	return d, nil
}

// Stop stops the server; the data is kept, and Restart brings it back.
func (d *Database) Stop(ctx context.Context) error { return d.Process.Stop(ctx) }

// Restart stops the server if it runs and starts it on the same data and port.
func (d *Database) Restart(ctx context.Context) error { return d.Process.Restart(ctx) }

// Create makes an empty database of that name and returns its URL; one that exists is an error.
func (d *Database) Create(ctx context.Context, name string) (string, error) {
	return Create(ctx, d.URL, name)
}

// Create makes an empty database on the server that serverURL names, as its user, and returns the URL of the new one.
func Create(ctx context.Context, serverURL, name string) (string, error) {
	parsed, err := url.Parse(serverURL)
	if err != nil {
		return "", fmt.Errorf("the database's URL is malformed") // the parser's error would quote the password
	}
	if err := execute(ctx, serverURL, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()); err != nil {
		return "", fmt.Errorf("create database %s: %w", name, err)
	}
	return withDatabase(parsed, name), nil
}

// Drop removes a database with all that is in it, also while clients are connected to it.
func Drop(ctx context.Context, serverURL, name string) error {
	conn, err := pgx.Connect(ctx, serverURL)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	how := " WITH (FORCE)"
	if conn.PgConn().ParameterStatus("crdb_version") != "" {
		how = " CASCADE"
	}
	if _, err = conn.Exec(ctx, "DROP DATABASE IF EXISTS "+pgx.Identifier{name}.Sanitize()+how); err != nil {
		return fmt.Errorf("drop database %s: %w", name, err)
	}
	return nil
}

func (d *Database) ensureDatabase(ctx context.Context, adminURL string) error {
	conn, err := pgx.Connect(ctx, adminURL)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	var there bool
	err = conn.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1)", name).Scan(&there)
	if err != nil || there {
		return err
	}
	_, err = Create(ctx, adminURL, name)
	return err
}

func execute(ctx context.Context, url, sql string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, sql)
	return err
}

// Version is what the server says of itself, such as "PostgreSQL 15.8".
func (d *Database) Version(ctx context.Context) (version string, err error) {
	conn, err := pgx.Connect(ctx, d.URL)
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	if err := conn.QueryRow(ctx, "SELECT version()").Scan(&version); err != nil {
		return "", err
	}
	version, _, _ = strings.Cut(version, " (") // the package that it came in
	return version, nil
}

// ping succeeds once the server that holds our password answers.
func ping(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	return execute(ctx, url, "SELECT 1")
}

func serverURL(user *url.Userinfo, port int, database, query string) *url.URL {
	host := net.JoinHostPort(loopback, strconv.Itoa(port))
	return &url.URL{Scheme: "postgres", User: user, Host: host, Path: "/" + database, RawQuery: query}
}

func withDatabase(server *url.URL, name string) string {
	changed := *server
	changed.Path = "/" + name
	return changed.String()
}
