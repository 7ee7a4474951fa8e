// Package fault says why something failed, in machine and in human form.
//
// It is the one error type that crosses packages. It is not a logger, and it
// does not know gRPC: the middleware maps kinds to wire codes by the table
// that Kind's methods give. Invariant: kinds are append-only, and each has a
// code, an HTTP status, an exit code and a word on retrying.
package fault

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Kind classifies a failure by what the caller can do about it.
type Kind uint8

// The kinds of failure. Append only; numbers never change.
const (
	Internal     Kind = iota // our fault; details are logged, not told
	Invalid                  // the request can never succeed: names the field and the way out
	NotFound                 // the named thing does not exist
	Conflict                 // it exists already
	Precondition             // right request, wrong state
	Unauthorized             // who are you
	Forbidden                // not you
	Exhausted                // a limit or a resource ran out
	Stale                    // an older epoch, generation or revision than the recorded one
	Unavailable              // try again
	Unsupported              // a valid thing that is not built yet
)

type row struct {
	name string
	code uint32 // gRPC code
	http int
	exit int
	try  bool
}

// One table fixes what each kind means outside: gRPC code, HTTP status, exit
// code of the CLI, and whether a repeat may help.
var table = [...]row{
	Internal:     {"Internal", 13, 500, 1, false},
	Invalid:      {"Invalid", 3, 400, 2, false},
	NotFound:     {"NotFound", 5, 404, 3, false},
	Conflict:     {"Conflict", 6, 409, 4, false},
	Precondition: {"Precondition", 9, 400, 5, false},
	Unauthorized: {"Unauthorized", 16, 401, 6, false},
	Forbidden:    {"Forbidden", 7, 403, 6, false},
	Exhausted:    {"Exhausted", 8, 429, 7, true},
	Stale:        {"Stale", 9, 400, 5, false},
	Unavailable:  {"Unavailable", 14, 503, 8, true},
	Unsupported:  {"Unsupported", 12, 501, 9, false},
}

// String prints the kind's name.
func (k Kind) String() string {
	if int(k) >= len(table) {
		return fmt.Sprintf("Kind(%d)", uint8(k))
	}
	return table[k].name
}

// Code is the number of the gRPC status code that tells this kind on the wire.
func (k Kind) Code() uint32 { return table[k].code }

// FromCode is the kind that a gRPC status code tells: the first that has it.
// OK, and codes that no kind has, are none.
func FromCode(code uint32) (Kind, bool) {
	for k, row := range table {
		if row.code == code {
			return Kind(k), true
		}
	}
	return Internal, false
}

// HTTP is the HTTP status that tells this kind.
func (k Kind) HTTP() int { return table[k].http }

// Exit is the exit code of a command that failed with this kind.
func (k Kind) Exit() int { return table[k].exit }

// Retryable reports whether the same request may succeed later.
func (k Kind) Retryable() bool { return table[k].try }

// Error is a failure with a kind and, for bad input, the field at fault.
type Error struct {
	Kind    Kind
	Field   string // path of the offending field, if one is
	Message string // for people; never holds driver text or secrets
	Err     error  // what lies beneath, for logs only; may be nil
}

// Error prints the field, the message and what lies beneath.
func (e *Error) Error() string {
	s := e.Message
	if e.Field != "" {
		s = e.Field + ": " + s
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Public prints what may be told to a caller: the field and the message,
// without what lies beneath.
func (e *Error) Public() string {
	if e.Field != "" {
		return e.Field + ": " + e.Message
	}
	return e.Message
}

// Unwrap gives what lies beneath.
func (e *Error) Unwrap() error { return e.Err }

// E makes an error of a kind with a formatted message.
func E(kind Kind, format string, args ...any) error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// Field makes an Invalid error about one field of a request.
func Field(field, format string, args ...any) error {
	return &Error{Kind: Invalid, Field: field, Message: fmt.Sprintf(format, args...)}
}

// Wrap gives an error a kind and says what we were doing. A nil err is nil.
func Wrap(kind Kind, err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...), Err: err}
}

// Of gives the kind of an error; one that has none is Internal.
func Of(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// Is reports whether err is a failure of the given kind.
func Is(err error, kind Kind) bool {
	var e *Error
	return errors.As(err, &e) && e.Kind == kind
}

// longestQuote is how much of a caller's text a message repeats, in bytes.
const longestQuote = 100

// Quote shows a caller's text in a message, in quotes and escaped; of a long
// one its beginning, so that no message grows with what it is about.
func Quote(s string) string {
	if len(s) <= longestQuote {
		return strconv.Quote(s)
	}
	return strconv.Quote(strings.ToValidUTF8(s[:longestQuote], "")) + "… (" + strconv.Itoa(len(s)) + " bytes)"
}
