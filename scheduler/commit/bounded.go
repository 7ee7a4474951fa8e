package commit

import (
	"context"
	"runtime/debug"
	"time"

	"github.com/skein-project/skein/api/fault"
)

// grace is for a write that notices the end of its context.
const grace = 250 * time.Millisecond

// Bounded waits no longer for a write than the timeout and ctx allow, plus a
// quarter of a second. A store that lost a COMMIT's answer goes on to find out
// what became of it, for longer than a lease lasts if the database is out of
// reach; whoever waits for that keeps the leadership from replicas that could
// lead. What is left behind ends by itself, and its outcome is dropped: so it
// must be harmless if it landed, and must send nothing new once its context has
// ended. Unavailable if it was left behind; a panic of the write is Internal.
func Bounded[T any](ctx context.Context, timeout time.Duration, write func(context.Context) (T, error)) (T, error) {
	type end struct {
		value T
		err   error
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	done := make(chan end, 1)
	go func() {
		var e end
		defer func() {
			if p := recover(); p != nil {
				e.err = fault.E(fault.Internal, "panic in a write: %v\n%s", p, debug.Stack())
			}
			cancel()
			done <- e
		}()
		e.value, e.err = write(ctx)
	}()
	select {
	case e := <-done:
		return e.value, e.err
	case <-ctx.Done():
	}
	select { // what notices the end in time still counts
	case e := <-done:
		return e.value, e.err
	case <-time.After(grace):
		var none T
		return none, fault.Wrap(fault.Unavailable, ctx.Err(), "the write did not end in time")
	}
}
