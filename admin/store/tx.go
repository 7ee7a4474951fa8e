package store

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/cockroachdb/cockroach-go/v2/crdb"
	"github.com/jackc/pgx/v5"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/codes"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/mutant"
)

var tracer = otel.Tracer("github.com/skein-project/skein/admin/store")

// settleTries bounds how often a write whose outcome is unknown is tried again.
const settleTries = 4

// inTx runs fn in one serialisable transaction, and runs the whole of BEGIN,
// fn and COMMIT again when it lost a race. fn must not keep what it computed
// in a failed run. nil means that COMMIT was confirmed.
//
// crdbpgxv5.ExecuteTx is no choice: it drops the error of COMMIT, which is
// right where a RELEASE has committed before, and loses writes on PostgreSQL.
func (s *Store) inTx(ctx context.Context, op string, options pgx.TxOptions, fn func(context.Context, pgx.Tx) error) error {
	return s.again(ctx, op, func(ctx context.Context) error { return s.attempt(ctx, options, fn) })
}

func (s *Store) attempt(ctx context.Context, options pgx.TxOptions, fn func(context.Context, pgx.Tx) error) error {
	tx, err := s.pool.BeginTx(ctx, options)
	if err != nil {
		return before(err)
	}
	if err := fn(ctx, tx); err != nil {
		s.rollback(ctx, tx)
		return before(err)
	}
	return s.commit(ctx, tx)
}

// commit ends a transaction. It goes on when the caller gives up meanwhile: a
// cancelled COMMIT is one whose outcome nobody knows.
func (s *Store) commit(ctx context.Context, tx pgx.Tx) error {
	if err := ctx.Err(); err != nil {
		s.rollback(ctx, tx)
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.config.CommitTimeout)
	defer cancel()
	err := tx.Commit(ctx)
	if mutant.On("commit-error-ignored") {
		return nil
	}
	return atCommit(err)
}

func (s *Store) rollback(ctx context.Context, tx pgx.Tx) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.config.CommitTimeout)
	defer cancel()
	_ = tx.Rollback(ctx) // a connection that cannot roll back is closed, which does
}

// once runs one statement that is a transaction by itself.
func (s *Store) once(ctx context.Context, op, sql string, args ...any) error {
	return s.again(ctx, op, func(ctx context.Context) error {
		conn, err := s.pool.Acquire(ctx)
		if err != nil {
			return before(err)
		}
		defer conn.Release()
		if err := ctx.Err(); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.config.CommitTimeout)
		defer cancel()
		_, err = conn.Exec(ctx, sql, args...)
		if mutant.On("commit-error-ignored") && !isUnique(err) {
			return nil
		}
		return atCommit(err)
	})
}

// again repeats attempt, with growing and random pauses, while it loses races.
func (s *Store) again(ctx context.Context, op string, attempt func(context.Context) error) error {
	tries := 0
	err := crdb.ExecuteCtx(crdb.WithMaxRetries(ctx, s.config.MaxRetries), func(ctx context.Context, _ ...any) error {
		if tries++; tries > 1 {
			s.metrics.retries.WithLabelValues(op).Inc()
			if err := pause(ctx, tries); err != nil {
				return err
			}
		}
		return attempt(ctx)
	})
	return told(err, op)
}

func pause(ctx context.Context, tries int) error {
	longest := min(time.Millisecond<<min(tries, 7), 100*time.Millisecond)
	timer := time.NewTimer(rand.N(longest))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// change is a write with its way of finding out whether it landed.
type change struct {
	op  string
	run func(context.Context) error
	// landed reports whether an earlier run of this very change is in the
	// database. nil: running again does no harm, and answers as well.
	landed func(context.Context) (bool, error)
}

// write runs a change until its outcome is known. Once a run's outcome was
// unknown, any later failure may be the echo of that run, so it is read back
// too. A later run cannot pass a run that is still in flight: both write the
// same row.
func (s *Store) write(ctx context.Context, c change) error {
	return s.observe(ctx, c.op, func(ctx context.Context) error {
		err := c.run(ctx)
		if !isAmbiguous(err) {
			return err
		}
		if mutant.On("ambiguous-not-read-back") {
			return fault.Wrap(fault.Unavailable, err, "the outcome of a write is not known")
		}
		s.metrics.ambiguous.WithLabelValues(c.op).Inc()
		return s.settle(ctx, c, err)
	})
}

// settle finds out what became of a change. It asks the database also after the
// caller has given up, but runs the change again for no caller that has: in the
// meantime somebody else may act on its absence. (A replica that lost leadership
// must not begin a term any more: it would end its successor's.)
func (s *Store) settle(ctx context.Context, c change, last error) error {
	limit := time.Duration(settleTries) * s.config.CommitTimeout
	asking, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	running, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for range settleTries {
		if c.landed != nil {
			landed, err := c.landed(asking)
			if err == nil && landed {
				return nil
			}
			if err != nil {
				return fault.Wrap(fault.Unavailable, errors.Join(last, err), "the outcome of a write is not known")
			}
			if !isAmbiguous(last) {
				return ofAll(last)
			}
		}
		if err := running.Err(); err != nil {
			last = errors.Join(last, err)
			break
		}
		if last = c.run(running); last == nil || (c.landed == nil && !isAmbiguous(last)) {
			return ofAll(last)
		}
	}
	return fault.Wrap(fault.Unavailable, last, "the outcome of a write is not known")
}

// ofAll gives what a later run's failure says of all runs. A full disk says no
// to that run only: an earlier one may be in flight still, and land.
func ofAll(last error) error {
	if kind := fault.Of(last); last != nil && (kind == fault.Exhausted || kind == fault.Internal) {
		return fault.Wrap(fault.Unavailable, last, "the outcome of a write is not known")
	}
	return last
}

// change runs fn in a transaction until its outcome is known.
func (s *Store) change(ctx context.Context, op string, fn func(context.Context, pgx.Tx) error,
	landed func(context.Context) (bool, error)) error {
	run := func(ctx context.Context) error { return s.inTx(ctx, op, pgx.TxOptions{}, fn) }
	return s.write(ctx, change{op: op, run: run, landed: landed})
}

// read runs a query that is a transaction by itself.
func (s *Store) read(ctx context.Context, op string, query func(context.Context) error) error {
	return s.observe(ctx, op, func(ctx context.Context) error {
		return s.again(ctx, op, func(ctx context.Context) error { return before(query(ctx)) })
	})
}

// readTx runs several queries that see the same state.
func (s *Store) readTx(ctx context.Context, op string, fn func(context.Context, pgx.Tx) error) error {
	return s.observe(ctx, op, func(ctx context.Context) error {
		err := s.inTx(ctx, op, pgx.TxOptions{AccessMode: pgx.ReadOnly}, fn)
		if isAmbiguous(err) { // nothing was written, so this is a plain failure
			return fault.Wrap(fault.Unavailable, err, "the database is not available")
		}
		return err
	})
}

// observe makes one span and one measurement of one operation.
func (s *Store) observe(ctx context.Context, op string, fn func(context.Context) error) error {
	ctx, span := tracer.Start(ctx, "store."+op)
	defer span.End()
	start := time.Now()
	err := fn(ctx)
	result := "OK"
	if err != nil {
		result = fault.Of(err).String()
		span.SetStatus(codes.Error, result)
	}
	s.metrics.duration.WithLabelValues(op, result).Observe(time.Since(start).Seconds())
	return err
}
