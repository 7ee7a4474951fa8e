package ingest

import (
	"context"
	"slices"
	"sync/atomic"

	"github.com/skein-project/skein/admin/lifecycle"
	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

const (
	// writers is how many transactions of events are under way at once.
	writers = 2
	// groupEvents and groupBytes bound what one transaction takes, by events and by
	// the bytes of their details. One batch is taken however large it is.
	groupEvents = 2000
	groupBytes  = 4 << 20
)

// batch is what one caller waits for.
type batch struct {
	flow.EventBatch
	ctx    context.Context
	bytes  int
	done   chan struct{}
	answer flow.BatchResult // once done is closed
}

// recorded waits until a transaction that holds the batch has committed. When ctx
// ends first, nobody knows whether the batch is recorded; it may come again.
func (i *Ingester) recorded(ctx context.Context, b flow.EventBatch) ([]flow.EventResult, error) {
	one := &batch{EventBatch: b, ctx: ctx, done: make(chan struct{})}
	for _, e := range b.Events {
		one.bytes += len(e.Detail)
	}
	i.mu.Lock()
	i.waiting = append(i.waiting, one)
	begin := i.writing < writers
	if begin {
		i.writing++
	}
	i.mu.Unlock()
	if begin {
		go i.write()
	}
	select {
	case <-one.done:
		return one.answer.Results, one.answer.Err
	case <-ctx.Done():
		return nil, fault.Wrap(fault.Unavailable, ctx.Err(), "whoever brought the events has gone")
	}
}

// write records group after group until nothing waits.
func (i *Ingester) write() {
	for {
		group := i.take()
		if len(group) == 0 {
			return
		}
		i.groups.Observe(float64(len(group)))
		ctx, end := whileWanted(group)
		i.recordAll(ctx, group)
		end()
		for _, b := range group {
			close(b.done)
		}
	}
}

// take takes what one transaction may hold of what waits, in its order. Without
// anything it gives the writer's place up.
func (i *Ingester) take() (group []*batch) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.waiting = slices.DeleteFunc(i.waiting, func(b *batch) bool { return b.ctx.Err() != nil }) // they have gone
	events, bytes, n := 0, 0, 0
	for _, b := range i.waiting {
		events, bytes = events+len(b.Events), bytes+b.bytes
		if n > 0 && (events > groupEvents || bytes > groupBytes) {
			break
		}
		n++
	}
	group, i.waiting = slices.Clone(i.waiting[:n]), slices.Delete(i.waiting, 0, n)
	if n == 0 {
		i.writing--
	}
	return group
}

// whileWanted is a context that lasts until every caller of the group has gone:
// one that gives up must not fail the others.
func whileWanted(group []*batch) (ctx context.Context, end func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(group[0].ctx))
	left := new(atomic.Int64)
	left.Store(int64(len(group)))
	stops := make([]func() bool, len(group))
	for n, b := range group {
		stops[n] = context.AfterFunc(b.ctx, func() {
			if left.Add(-1) == 0 {
				cancel()
			}
		})
	}
	return ctx, func() {
		for _, stop := range stops {
			stop()
		}
		cancel()
	}
}

// recordAll answers every batch of a group. What the database can never hold of
// one must not hold up the others: if it refuses the group for what it holds, or
// for a reason that it does not say, each batch is recorded alone.
func (i *Ingester) recordAll(ctx context.Context, group []*batch) {
	batches := make([]flow.EventBatch, len(group))
	for n, b := range group {
		batches[n] = b.EventBatch
	}
	answers, err := i.store.RecordBatches(ctx, batches, lifecycle.Apply)
	alone := err != nil && len(group) > 1 && !fault.Of(err).Retryable()
	for n, b := range group {
		switch {
		case alone:
			b.answer.Results, b.answer.Err = i.record(ctx, b.From, b.Events)
		case fault.Is(err, fault.Invalid):
			b.answer.Results, b.answer.Err = i.split(ctx, b.From, b.Events, err)
		case err != nil:
			b.answer.Err = err
		default:
			b.answer = answers[n]
		}
	}
}

// record records one batch, or what the database can hold of it.
func (i *Ingester) record(ctx context.Context, from flow.Sender, events []flow.Event) ([]flow.EventResult, error) {
	answers, err := i.store.RecordBatches(ctx, []flow.EventBatch{{From: from, Events: events}}, lifecycle.Apply)
	switch {
	case fault.Is(err, fault.Invalid):
		return i.split(ctx, from, events, err)
	case err != nil:
		return nil, err
	}
	return answers[0].Results, answers[0].Err
}

// split keeps what the database can never hold from holding up the rest of its
// batch: one that it calls Invalid is recorded execution by execution, and the
// execution that it concerns event by event, so that the one event is refused.
// Otherwise it would be sent again for ever, and all that its cluster says with
// it.
func (i *Ingester) split(ctx context.Context, from flow.Sender, events []flow.Event, invalid error) (results []flow.EventResult, err error) {
	if len(events) == 1 {
		return []flow.EventResult{{Reason: "cannot be stored: " + invalid.Error()}}, nil
	}
	alone := firsts(events) == len(events)
	for len(events) > 0 {
		n := firsts(events)
		if alone {
			n = 1
		}
		some, err := i.record(ctx, from, events[:n])
		if err != nil {
			return nil, err
		}
		results, events = append(results, some...), events[n:]
	}
	return results, nil
}

// firsts is how many events at the front are of one execution.
func firsts(events []flow.Event) int {
	n := slices.IndexFunc(events, func(e flow.Event) bool { return e.Execution != events[0].Execution })
	if n < 0 {
		return len(events)
	}
	return n
}
