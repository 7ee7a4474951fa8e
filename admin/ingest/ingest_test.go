package ingest

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

// picky is a database that can hold no node named "bad", does not say why it
// holds none named "odd", and is gone when it is to hold one named "away".
type picky struct {
	mu    sync.Mutex
	held  []string
	calls []int // batches of each transaction
}

// over is the generation of a session that has ended.
const over = 99

func (p *picky) RecordBatches(_ context.Context, batches []flow.EventBatch, _ flow.Apply) ([]flow.BatchResult, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls = append(p.calls, len(batches))
	has := func(node string) bool {
		return slices.ContainsFunc(batches, func(b flow.EventBatch) bool {
			return slices.ContainsFunc(b.Events, func(e flow.Event) bool { return e.Node == node })
		})
	}
	switch {
	case has("bad"):
		return nil, fault.E(fault.Invalid, "holds a value that cannot be stored")
	case has("odd"):
		return nil, fault.E(fault.Internal, "the database refused a statement")
	case has("away"):
		return nil, fault.E(fault.Unavailable, "the database is not available")
	}
	answers := make([]flow.BatchResult, len(batches))
	for i, b := range batches {
		if b.From.Generation == over {
			answers[i].Err = fault.E(fault.Stale, "the session is over")
			continue
		}
		answers[i].Results = make([]flow.EventResult, len(b.Events))
		for n, e := range b.Events {
			answers[i].Results[n].Accepted = true
			p.held = append(p.held, e.Execution.Name+e.Node)
		}
	}
	return answers, nil
}

func told(execution string, nodes ...string) (events []flow.Event) {
	for _, n := range nodes {
		events = append(events, flow.Event{Execution: flow.ExecutionID{Name: execution}, Kind: flow.EventNode, Node: n})
	}
	return events
}

func ingester(s Store) *Ingester {
	return New(s, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
}

func TestWhatCannotBeStoredHoldsUpNobody(t *testing.T) {
	for _, c := range []struct {
		name    string
		events  []flow.Event
		refused []int
		held    []string
	}{
		{"nothing bad", slices.Concat(told("a", "1", "2"), told("b", "1")), nil, []string{"a1", "a2", "b1"}},
		{"one of many", slices.Concat(told("a", "1", "2"), told("b", "1", "bad", "3"), told("c", "1", "2")), []int{3}, []string{"a1", "a2", "b1", "b3", "c1", "c2"}},
		{"alone", told("a", "bad"), []int{0}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &picky{}
			results, err := ingester(p).Ingest(t.Context(), flow.Sender{}, c.events)
			if err != nil || len(results) != len(c.events) {
				t.Fatalf("%d results for %d events, %v", len(results), len(c.events), err)
			}
			for i, r := range results {
				if r.Accepted == slices.Contains(c.refused, i) {
					t.Errorf("event %d: %+v", i, r)
				}
			}
			if !slices.Equal(p.held, c.held) {
				t.Errorf("held are %v, want %v", p.held, c.held)
			}
		})
	}
}

func TestADatabaseThatIsAwayIsAnError(t *testing.T) {
	events := slices.Concat(told("a", "bad"), told("b", "away"))
	if _, err := ingester(&picky{}).Ingest(t.Context(), flow.Sender{}, events); !fault.Is(err, fault.Unavailable) {
		t.Errorf("got %v: what was not recorded would be acked", err)
	}
}
