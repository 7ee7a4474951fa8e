package ingest

import (
	"context"
	"log/slog"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

// picky is a database that can hold no node named "bad", and is gone when it
// is to hold one named "away".
type picky struct{ held []string }

func (p *picky) RecordEvents(_ context.Context, _ flow.Sender, events []flow.Event, _ flow.Apply) ([]flow.EventResult, error) {
	has := func(node string) bool {
		return slices.ContainsFunc(events, func(e flow.Event) bool { return e.Node == node })
	}
	switch {
	case has("bad"):
		return nil, fault.E(fault.Invalid, "holds a value that cannot be stored")
	case has("away"):
		return nil, fault.E(fault.Unavailable, "the database is not available")
	}
	results := make([]flow.EventResult, len(events))
	for i, e := range events {
		results[i].Accepted = true
		p.held = append(p.held, e.Execution.Name+e.Node)
	}
	return results, nil
}

func told(execution string, nodes ...string) (events []flow.Event) {
	for _, n := range nodes {
		events = append(events, flow.Event{Execution: flow.ExecutionID{Name: execution}, Kind: flow.EventNode, Node: n})
	}
	return events
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
			results, err := New(p, slog.New(slog.DiscardHandler), prometheus.NewRegistry()).Ingest(t.Context(), flow.Sender{}, c.events)
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
	if _, err := New(&picky{}, slog.New(slog.DiscardHandler), prometheus.NewRegistry()).Ingest(t.Context(), flow.Sender{}, events); !fault.Is(err, fault.Unavailable) {
		t.Errorf("got %v: what was not recorded would be acked", err)
	}
}
