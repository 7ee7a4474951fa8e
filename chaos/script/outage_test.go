package script

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

// stall is a market whose answers are given by the last letter of a name.
type stall struct {
	Market
	Fleet
	exist []Status
	held  map[string]int64
}

func (s *stall) Offer(_ context.Context, l Launch) error {
	switch l.Name[len(l.Name)-1] {
	case '0':
		return nil
	case '1':
		return fault.E(fault.Unavailable, "away")
	}
	return errors.New("broken")
}

func (s *stall) Statuses(context.Context, string) ([]Status, error) { return s.exist, nil }

func (s *stall) Memory() (map[string]int64, error) { return s.held, nil }

// What was offered and not answered has to end if it exists, and nobody waits
// for the rest; any other answer is a broken promise.
func TestOffers(t *testing.T) {
	s := &stall{exist: []Status{{Name: "0", Phase: flow.ExecutionSucceeded}, {Name: "a1", Phase: flow.ExecutionSucceeded}}}
	r := &run{World: World{Market: s, Fleet: s}, unsure: map[string]bool{}, launched: 4}
	for _, name := range []string{"0", "a1", "b1", "2"} {
		r.offered(t.Context(), Launch{Name: name})
	}
	if err := r.reckon(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(r.promised, " "); got != "0 a1" || r.launched != 3 || r.measured.Measured["launches_refused"] != 1 {
		t.Errorf("promised %q of %d, measured %v", got, r.launched, r.measured.Measured)
	}
	if len(r.refused) != 1 || !strings.Contains(r.refused[0].Error(), "2: broken") {
		t.Errorf("refused %v", r.refused)
	}
}

func TestGrowthIsOfTheOneThatGrewMost(t *testing.T) {
	r := &run{World: World{Progress: func(string) {}}}
	done := make(chan error, 1)
	done <- nil
	r.scales = &scales{stop: func() {}, done: done, before: map[string]int64{"a": 100 << 20, "b": 50 << 20},
		since: map[string]int64{"a": 110 << 20, "b": 80 << 20}}
	if err := weighed(t.Context(), r, Step{}); err != nil || r.measured.Measured["member_growth_mb"] != 30 {
		t.Errorf("%v, %v", err, r.measured.Measured)
	}
	if err := weighed(t.Context(), r, Step{}); !fault.Is(err, fault.Invalid) {
		t.Errorf("without weigh: %v", err)
	}
}
