package store

import (
	"context"
	"embed"
	"io/fs"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/skein-project/skein/api/fault"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

const (
	lockTime  = 20 * time.Second // a holder that died is waited for this long
	lockPause = 200 * time.Millisecond
)

// Migrate brings the schema to this program's version. Any number of replicas
// may call it at once: a row is the lock (advisory locks are PostgreSQL's own),
// and the others wait and then find nothing to do.
func (s *Store) Migrate(ctx context.Context, log *slog.Logger) error {
	holder := uuid.NewString()
	if err := s.lockMigrations(ctx, holder, log); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.keepLock(ctx, holder, cancel)
	}()
	err := s.migrate(ctx, log)
	if cause := context.Cause(ctx); cause != nil && err != nil {
		err = cause
	}
	cancel(nil)
	<-done
	s.unlock(context.WithoutCancel(ctx), holder)
	return fault.Wrap(fault.Of(err), err, "cannot migrate the database")
}

func (s *Store) provider() (*goose.Provider, func(), error) {
	files, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		return nil, nil, err
	}
	db := stdlib.OpenDBFromPool(s.pool)
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		_ = db.Close()
		return nil, nil, err
	}
	return provider, func() { _ = db.Close() }, nil
}

func (s *Store) migrate(ctx context.Context, log *slog.Logger) error {
	provider, closeDB, err := s.provider()
	if err != nil {
		return told(err, "Migrate")
	}
	defer closeDB()
	results, err := provider.Up(ctx)
	for _, r := range results {
		log.Info("migrated the database", "migration", r.Source.Path, "took", r.Duration)
	}
	return told(err, "Migrate")
}

// WaitMigrated waits until the schema has this program's version.
func (s *Store) WaitMigrated(ctx context.Context) error {
	provider, closeDB, err := s.provider()
	if err != nil {
		return told(err, "WaitMigrated")
	}
	defer closeDB()
	sources := provider.ListSources()
	newest := sources[len(sources)-1].Version
	for {
		// Not provider.HasPending: it makes goose's table, and several replicas
		// would race for it.
		ready, err := s.holds(ctx, "SELECT COALESCE(MAX(version_id), 0) >= $1 FROM goose_db_version WHERE is_applied", newest)
		if err == nil && ready {
			return nil
		}
		if err := sleep(ctx, lockPause); err != nil {
			return fault.Wrap(fault.Unavailable, err, "the database has not been migrated to version %d", newest)
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// lockMigrations waits for the lock, and says so now and then.
func (s *Store) lockMigrations(ctx context.Context, holder string, log *slog.Logger) error {
	for waited := time.Duration(0); ; waited += lockPause {
		mine, err := s.tryLock(ctx, holder)
		if mine {
			return nil
		}
		if waited%(5*time.Second) == 0 {
			log.Info("another replica migrates the database: waiting", "waited", waited, "error", err)
		}
		if sleepErr := sleep(ctx, lockPause); sleepErr != nil {
			if err == nil {
				err = sleepErr
			}
			return fault.Wrap(fault.Unavailable, err, "another replica has held the migration lock for %s", waited)
		}
	}
}

func (s *Store) tryLock(ctx context.Context, holder string) (bool, error) {
	// Two replicas may create the table at once; the loser's error passes.
	_, _ = s.pool.Exec(ctx, `CREATE TABLE IF NOT EXISTS skein_migration_lock (
		one INT8 PRIMARY KEY CHECK (one = 1), holder TEXT NOT NULL, expires_at TIMESTAMPTZ NOT NULL)`)
	return s.takeLock(ctx, holder, `INSERT INTO skein_migration_lock AS l (one, holder, expires_at)
		VALUES (1, $1, now() + $2::INT8 * INTERVAL '1 second') ON CONFLICT (one) DO UPDATE
		SET holder = excluded.holder, expires_at = excluded.expires_at
		WHERE l.holder = excluded.holder OR l.expires_at < now()`)
}

func (s *Store) takeLock(ctx context.Context, holder, sql string) (bool, error) {
	mine := false
	err := s.inTx(ctx, "MigrationLock", pgx.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, sql, holder, int64(lockTime/time.Second))
		mine = err == nil && tag.RowsAffected() == 1
		return uniqueRace(err)
	})
	return mine && err == nil, err // if the answer was lost, the next try finds out: the holder may take it again
}

// keepLock renews the lock until ctx ends, and ends ctx if it was lost.
func (s *Store) keepLock(ctx context.Context, holder string, lost context.CancelCauseFunc) {
	for sleep(ctx, lockTime/4) == nil {
		mine, err := s.takeLock(ctx, holder, `UPDATE skein_migration_lock SET expires_at = now() + $2::INT8 * INTERVAL '1 second'
			WHERE one = 1 AND holder = $1`)
		if err == nil && !mine {
			lost(fault.E(fault.Unavailable, "another replica took the migration lock"))
			return
		}
	}
}

func (s *Store) unlock(ctx context.Context, holder string) {
	ctx, cancel := context.WithTimeout(ctx, s.config.CommitTimeout)
	defer cancel()
	_, _ = s.pool.Exec(ctx, "DELETE FROM skein_migration_lock WHERE one = 1 AND holder = $1", holder) // else it expires
}
