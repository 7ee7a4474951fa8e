package hub

import (
	"context"
	"time"

	"github.com/skein-project/skein/api/fault"
)

// How long a stream waits for the database. A connection that was cut without a
// word is waited for by TCP for a quarter of an hour: a call that gives up has
// its connection closed, and the next one gets another.
const (
	callWait = 10 * time.Second
	// heldPerSecond is by what an inventory adds to the wait for its verdicts. One of
	// 100,000 was seen to take half a second, a tenth of that.
	heldPerSecond = 20_000
	// batchWait is what each session of this hub adds to the wait for an ingest: of
	// each, one batch may stand before this one, and no more of the database is
	// supposed than 2,000 events a second. Less would be no bound but a trap: when all
	// wait, every batch would be given up just before its turn.
	batchWait = 250 * time.Millisecond
)

// judgeWait is the wait for what is done with an inventory at once.
func judgeWait(held int) time.Duration {
	return callWait + time.Duration(held)*time.Second/heldPerSecond
}

func (h *Hub) ingestWait() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return callWait + time.Duration(len(h.streams))*batchWait
}

// bounded makes one call to the database that lasts no longer than wait; then it
// is Unavailable, whatever a port makes of a context that has ended.
func bounded[T any](ctx context.Context, wait time.Duration, call func(context.Context) (T, error)) (T, error) {
	short, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	got, err := call(short)
	if fault.Of(err) == fault.Internal && err != nil && short.Err() != nil && ctx.Err() == nil {
		err = fault.Wrap(fault.Unavailable, err, "the database did not answer within %s", wait)
	}
	return got, err
}

// within is bounded for a call that answers nothing.
func within(ctx context.Context, wait time.Duration, call func(context.Context) error) error {
	_, err := bounded(ctx, wait, func(ctx context.Context) (struct{}, error) { return struct{}{}, call(ctx) })
	return err
}
