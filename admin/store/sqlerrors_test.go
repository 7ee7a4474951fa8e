package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/skein-project/skein/api/fault"
)

func pgError(code string) error {
	return fmt.Errorf("query: %w", &pgconn.PgError{Code: code, Message: "driver text"})
}

func dying(severity, code string) error {
	return fmt.Errorf("query: %w", &pgconn.PgError{SeverityUnlocalized: severity, Code: code, Message: "driver text"})
}

func TestAnErrorAtCommitIsSorted(t *testing.T) {
	for _, c := range []struct {
		err             error
		lost, ambiguous bool
		why             string
	}{
		{pgError("40001"), true, false, "the server said that it rolled back"},
		{pgError("40P01"), true, false, "a deadlock's victim was rolled back"},
		{pgError("40003"), false, true, "the server itself does not know"},
		{pgError("08006"), false, true, "the connection broke"},
		{pgError("57P01"), false, true, "the server was shut down, perhaps after it committed"},
		{io.ErrUnexpectedEOF, false, true, "the connection broke"},
		{context.DeadlineExceeded, false, true, "the answer did not come in time"},
		{pgError("23505"), false, false, "a plain no"},
		{dying("ERROR", "53100"), false, false, "a plain no: no room for the row"},
		{dying("PANIC", "53100"), false, true, "no room for the log, of which a part with the COMMIT may be written"},
		{dying("FATAL", "58030"), false, true, "the server's last word"},
		{pgx.ErrTxCommitRollback, false, false, "a plain no"},
	} {
		got := atCommit(c.err)
		if isLostRace(got) != c.lost || isAmbiguous(got) != c.ambiguous {
			t.Errorf("%v: lost race %t, ambiguous %t; want %t, %t: %s", c.err, isLostRace(got), isAmbiguous(got), c.lost, c.ambiguous, c.why)
		}
	}
}

func TestACallerIsToldAKindAndNoDriverText(t *testing.T) {
	for _, c := range []struct {
		err  error
		kind fault.Kind
	}{
		{pgError("40001"), fault.Unavailable}, {pgError("23505"), fault.Conflict}, {pgError("53100"), fault.Exhausted},
		{pgError("53200"), fault.Exhausted}, {pgError("58030"), fault.Unavailable}, {pgError("58P01"), fault.Unavailable},
		{pgError("53300"), fault.Unavailable}, {pgError("08006"), fault.Unavailable}, {pgError("57P01"), fault.Unavailable},
		{pgError("22021"), fault.Invalid}, {pgError("54000"), fault.Invalid}, {pgError("42601"), fault.Internal}, {pgError("42P01"), fault.Unavailable},
		{pgx.ErrNoRows, fault.NotFound}, {pgx.ScanArgError{Err: io.EOF}, fault.Internal}, {context.Canceled, fault.Unavailable}, {io.EOF, fault.Unavailable},
		{fault.E(fault.Stale, "old"), fault.Stale},
	} {
		var told1 *fault.Error
		if err := told(c.err, "Op"); !errors.As(err, &told1) || told1.Kind != c.kind {
			t.Errorf("%v is told as %v, want kind %s", c.err, err, c.kind)
		} else if strings.Contains(told1.Public(), "driver text") {
			t.Errorf("%v: the public text %q holds the driver's", c.err, told1.Public())
		}
	}
}
