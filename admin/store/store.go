// Package store is the control plane's database. It holds every fact about
// projects, entities, executions, placements and the fleet, and is the only
// package that opens a connection. It speaks the common subset of CockroachDB
// and PostgreSQL.
//
// It is not a place for rules: which phase may follow which, where an
// execution should run and who leads are decided by its callers, who reach it
// through small ports of their own that *Store satisfies.
//
// Invariants: every write is one serialisable transaction, and its outcome is
// known before its method returns: a COMMIT whose answer was lost is read back
// by an idempotency key. Every scheduling transaction begins with an UPDATE of
// the fence. What comes with an older epoch or session is refused before
// anything else about it is looked at. Every error is a fault.Error, and driver
// text stays beneath it.
package store

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/skein-project/skein/api/fault"
)

// Store is a pool of connections to the one database. It is safe for
// concurrent use, and keeps nothing in memory that another replica could
// change, but that it has noticed a restored backup.
type Store struct {
	config  Config
	pool    *pgxpool.Pool
	metrics *metrics
	noticed atomic.Pointer[sign] // of a restored backup, until REBUILD is entered
}

// Open makes a pool and checks that the database answers. It does not migrate:
// see Migrate and WaitMigrated. Invalid if the configuration is.
func Open(ctx context.Context, config Config) (*Store, error) {
	config = config.withDefaults()
	if err := config.Validate(); err != nil {
		return nil, err
	}
	poolConfig, err := config.pool()
	if err != nil {
		return nil, err
	}
	s := &Store{config: config}
	poolConfig.AfterConnect = s.connected
	if s.metrics, err = newMetrics(config.Registerer); err != nil {
		return nil, err
	}
	if s.pool, err = pgxpool.NewWithConfig(ctx, poolConfig); err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "cannot open the database")
	}
	if err := s.Ping(ctx); err != nil {
		s.pool.Close()
		return nil, err
	}
	return s, nil
}

// Close ends all connections, after those in use have been given back.
func (s *Store) Close() { s.pool.Close() }

// Ping reports whether the database answers now; Unavailable if not.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.pool.Ping(ctx); err != nil {
		return fault.Wrap(fault.Unavailable, err, "the database does not answer")
	}
	return nil
}

// ControlPlaneID is the identity that the first migration gave this control
// plane; it guards the bootstrap of raft.
func (s *Store) ControlPlaneID(ctx context.Context) (string, error) {
	var id string
	err := s.read(ctx, "ControlPlaneID", func(ctx context.Context) error {
		return s.pool.QueryRow(ctx, "SELECT id FROM control_plane WHERE one = 1").Scan(&id)
	})
	return id, err
}

func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// setUp prepares each new connection.
func setUp(ctx context.Context, conn *pgx.Conn) error {
	conn.TypeMap().RegisterType(&pgtype.Type{
		Name: "timestamptz", OID: pgtype.TimestamptzOID, Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC},
	})
	if conn.PgConn().ParameterStatus("crdb_version") != "" {
		return nil
	}
	// PostgreSQL locks a whole table for serialisable readers that scan it, which
	// it does while tables are small; by index it locks pages. It plans lists of
	// keys for ten of them unless it sees the list, which is quadratic for 500.
	// And it compiles plans that it thinks dear, for 100 ms.
	if _, err := conn.Exec(ctx, "SET enable_seqscan = off; SET plan_cache_mode = force_custom_plan; SET jit = off"); err != nil {
		return fmt.Errorf("set up a connection: %w", err)
	}
	return nil
}
