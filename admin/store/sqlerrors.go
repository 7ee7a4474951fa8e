package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/skein-project/skein/api/fault"
)

// The SQLSTATEs that mean something to us. No other file knows any.
const (
	stateSerialization = "40001" // lost a race: run the transaction again
	stateDeadlock      = "40P01" // likewise
	stateCompletion    = "40003" // ambiguous: may have been committed
	stateUnique        = "23505"
	stateNotNull       = "23502"
	stateDiskFull      = "53100"
	stateOutOfMemory   = "53200"
	stateNoTable       = "42P01"
	classConnection    = "08"
	classOperator      = "57" // shutdown, crash, cancel
	classResources     = "53"
	classData          = "22"
	classLimit         = "54" // of the server: a key too long for an index
	classSystem        = "58" // its machine: a disk that fails
)

// ambiguousError says that a write was sent and its outcome is not known.
// It never leaves the package: methods read back.
type ambiguousError struct{ err error }

func (e *ambiguousError) Error() string {
	return "the outcome of a commit is not known: " + e.err.Error()
}
func (e *ambiguousError) Unwrap() error { return e.err }

func isAmbiguous(err error) bool {
	var a *ambiguousError
	return errors.As(err, &a)
}

// lostRace marks an error after which the transaction is run again. It shows
// the only SQLSTATE that crdb.ExecuteCtx retries on.
type lostRace struct{ err error }

func (e *lostRace) Error() string  { return e.err.Error() }
func (e *lostRace) Unwrap() error  { return e.err }
func (*lostRace) SQLState() string { return stateSerialization }

func sqlState(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

func isUnique(err error) bool { return sqlState(err) == stateUnique }

func isLostRace(err error) bool {
	state := sqlState(err)
	var lost *lostRace
	return state == stateSerialization || state == stateDeadlock || errors.As(err, &lost)
}

// uniqueRace turns a unique violation that only a concurrent transaction can
// have caused into a lost race.
func uniqueRace(err error) error {
	if isUnique(err) {
		return &lostRace{err}
	}
	return err
}

// died reports whether the server's process said the error as its last word.
// Its code is then no plain no: a PANIC over a full disk (53100) may come after
// the record of the COMMIT was written.
func died(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.SeverityUnlocalized == "FATAL" || pg.SeverityUnlocalized == "PANIC")
}

// atCommit sorts an error of COMMIT, or of a statement that commits by itself:
// unless the server said a plain no, nobody knows what happened.
func atCommit(err error) error {
	if err == nil || errors.Is(err, pgx.ErrTxCommitRollback) {
		return err
	}
	state := sqlState(err)
	switch {
	case isLostRace(err):
		return &lostRace{err}
	case state == "", state == stateCompletion, died(err),
		strings.HasPrefix(state, classConnection), strings.HasPrefix(state, classOperator):
		return &ambiguousError{err}
	}
	return err
}

// before sorts an error of a statement before COMMIT: nothing was committed,
// whatever happened to the connection.
func before(err error) error {
	switch {
	case err == nil:
		return nil
	case isLostRace(err):
		return &lostRace{err}
	case sqlState(err) == stateCompletion:
		return &ambiguousError{err}
	}
	return err
}

// told gives an error the kind and the words that a caller may see.
func told(err error, op string) error {
	var known *fault.Error
	if err == nil || isAmbiguous(err) || (errors.As(err, &known) && !isLostRace(err)) {
		return err
	}
	kind, message := meaning(err)
	return fault.Wrap(kind, fmt.Errorf("%s: %w", op, err), "%s", message)
}

func meaning(err error) (fault.Kind, string) {
	state := sqlState(err)
	var scan pgx.ScanArgError
	switch {
	case errors.As(err, &scan):
		return fault.Internal, "the database holds what this program cannot read"
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fault.Unavailable, "the database did not answer in time"
	case errors.Is(err, pgx.ErrNoRows):
		return fault.NotFound, "does not exist"
	case isLostRace(err):
		return fault.Unavailable, "too many writers at once"
	case state == stateUnique:
		return fault.Conflict, "exists already"
	case state == stateDiskFull:
		return fault.Exhausted, "the database's disk is full and nothing was stored; try again when its operator has made room"
	case state == stateOutOfMemory:
		return fault.Exhausted, "the database is out of memory and nothing was stored; try again later"
	case state == stateNoTable:
		return fault.Unavailable, "the database is not migrated yet"
	case state == "", strings.HasPrefix(state, classConnection),
		strings.HasPrefix(state, classOperator), strings.HasPrefix(state, classResources), strings.HasPrefix(state, classSystem):
		return fault.Unavailable, "the database is not available"
	case strings.HasPrefix(state, classData), strings.HasPrefix(state, classLimit):
		return fault.Invalid, "holds a value that cannot be stored"
	}
	return fault.Internal, "the database refused a statement"
}
