package ingest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

// gated is a picky database whose transactions wait to be let through.
type gated struct {
	picky
	gate chan struct{}
}

func (g *gated) RecordBatches(ctx context.Context, batches []flow.EventBatch, apply flow.Apply) ([]flow.BatchResult, error) {
	select {
	case <-g.gate:
	case <-ctx.Done():
		return nil, fault.Wrap(fault.Unavailable, ctx.Err(), "nobody wants it any more")
	}
	return g.picky.RecordBatches(ctx, batches, apply)
}

// busy is an ingester all of whose writers wait at the gate with a batch each.
func busy(t *testing.T) (*gated, *Ingester, *sync.WaitGroup) {
	g := &gated{gate: make(chan struct{})}
	i := ingester(g)
	var group sync.WaitGroup
	for n := range writers {
		group.Go(func() {
			if _, err := i.Ingest(t.Context(), flow.Sender{}, told(fmt.Sprintf("first%d", n), "1")); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait() // each has a writer of its own
	}
	return g, i, &group
}

func (i *Ingester) state() (waiting, writing int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.waiting), i.writing
}

func TestBatchesThatWaitShareATransaction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, i, group := busy(t)
		for n := range 50 {
			group.Go(func() {
				results, err := i.Ingest(t.Context(), flow.Sender{}, told(fmt.Sprintf("e%d", n), "1", "2"))
				if err != nil || len(results) != 2 {
					t.Errorf("%v, %v", results, err)
				}
			})
		}
		synctest.Wait()
		if waiting, _ := i.state(); waiting != 50 || len(g.calls) != 0 {
			t.Fatalf("%d wait, %v were recorded", waiting, g.calls)
		}
		close(g.gate)
		group.Wait()
		synctest.Wait()
		if slices.Sort(g.calls); !slices.Equal(g.calls, []int{1, 1, 50}) {
			t.Errorf("transactions of %v batches", g.calls)
		}
		if _, writing := i.state(); writing != 0 {
			t.Errorf("%d writers are under way when nothing waits", writing)
		}
	})
}

func TestNothingIsAnsweredBeforeItsTransaction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, i, group := busy(t)
		answered := false
		group.Go(func() {
			_, err := i.Ingest(t.Context(), flow.Sender{}, told("late", "1"))
			g.mu.Lock()
			defer g.mu.Unlock()
			if answered = true; err != nil || !slices.Contains(g.held, "late1") {
				t.Errorf("answered %v with %v held", err, g.held)
			}
		})
		synctest.Wait()
		if answered {
			t.Error("answered while no transaction had begun")
		}
		close(g.gate)
		group.Wait()
	})
}

func TestATransactionIsBounded(t *testing.T) {
	i := ingester(&picky{})
	big := told("a", "1")
	big[0].Detail = make([]byte, groupBytes)
	add := func(events []flow.Event, bytes int) {
		i.waiting = append(i.waiting, &batch{EventBatch: flow.EventBatch{Events: events}, ctx: t.Context(), bytes: bytes})
	}
	for range 5 {
		add(make([]flow.Event, groupEvents/2), 0)
	}
	add(big, 2*groupBytes)
	add(big, groupBytes)
	var got []int
	for range 5 {
		got = append(got, len(i.take()))
	}
	i.writing = 1
	if got = append(got, len(i.take())); !slices.Equal(got, []int{2, 2, 1, 1, 1, 0}) || i.writing != 0 {
		t.Errorf("groups of %v batches, then %d writers", got, i.writing)
	}
}

// Whatever is wrong with one session's batch is told to that session alone.
func TestOneSessionFailsNoOther(t *testing.T) {
	for _, c := range []struct {
		name   string
		from   flow.Sender
		events []flow.Event
		kind   fault.Kind // of the error; Internal with refused: none
		fails  bool
	}{
		{name: "a session that is over", from: flow.Sender{Generation: over}, events: told("x", "1"), kind: fault.Stale, fails: true},
		{name: "an event that cannot be stored", events: told("x", "1", "bad")},
		{name: "a batch that the database refuses for no reason that it says", events: told("x", "odd"), kind: fault.Internal, fails: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, i, group := busy(t)
				group.Go(func() {
					_, err := i.Ingest(t.Context(), c.from, c.events)
					if (err != nil) != c.fails || c.fails && !fault.Is(err, c.kind) {
						t.Errorf("got %v", err)
					}
				})
				for n := range 4 {
					group.Go(func() {
						results, err := i.Ingest(t.Context(), flow.Sender{}, told(fmt.Sprintf("e%d", n), "1"))
						if err != nil || !results[0].Accepted {
							t.Errorf("%v, %v", results, err)
						}
					})
				}
				synctest.Wait()
				close(g.gate)
				group.Wait()
			})
		})
	}
}

func TestACallerThatGoesTakesNobodyWithIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gated{gate: make(chan struct{})}
		i := ingester(g)
		gone, leave := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() {
			if _, err := i.Ingest(gone, flow.Sender{}, told("gone", "1")); !fault.Is(err, fault.Unavailable) {
				t.Errorf("got %v", err)
			}
		})
		synctest.Wait()
		first := i.whole(t, &group, "first")
		for n := range 2 { // both writers are busy: these wait, one of them in vain
			ctx := t.Context()
			if n == 0 {
				ctx = gone
			}
			group.Go(func() { _, _ = i.Ingest(ctx, flow.Sender{}, told(fmt.Sprintf("waits%d", n), "1")) })
		}
		synctest.Wait()
		leave() // the transaction that nobody wants ends, and what waits is taken
		synctest.Wait()
		close(g.gate)
		group.Wait()
		if first(); slices.Contains(g.held, "gone1") || slices.Contains(g.held, "waits01") || !slices.Contains(g.held, "waits11") {
			t.Errorf("held are %v", g.held)
		}
	})
}

// whole ingests a batch that must be recorded, and gives the check that it was.
func (i *Ingester) whole(t *testing.T, group *sync.WaitGroup, name string) (check func()) {
	var results []flow.EventResult
	var err error
	group.Go(func() { results, err = i.Ingest(t.Context(), flow.Sender{}, told(name, "1")) })
	synctest.Wait()
	return func() {
		if err != nil || len(results) != 1 || !results[0].Accepted {
			t.Errorf("%s: %v, %v", name, results, err)
		}
	}
}
