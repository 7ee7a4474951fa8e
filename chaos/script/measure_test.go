package script

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func after(ms int) time.Time { return noon.Add(time.Duration(ms) * time.Millisecond) }

// TestPausesOfTroubles: each trouble has the longest pause that reaches into its
// time, also one that began before it, and none of another trouble's.
func TestPausesOfTroubles(t *testing.T) {
	var placed []time.Time
	for ms := 0; ms <= 60_000; ms += 100 {
		switch {
		case ms > 10_000 && ms < 11_500, ms > 20_000 && ms < 20_400, ms > 40_000 && ms < 43_000, ms > 55_000 && ms < 59_000:
		default:
			placed = append(placed, after(ms))
		}
	}
	troubles := []trouble{{lostLeader, after(10_050)}, {newLeader, after(20_050)}, {lostLeader, after(39_000)}}
	leader, err := pausesOf(lostLeader, troubles, noon, placed)
	if err != nil || !slices.Equal(leader, []time.Duration{1500 * time.Millisecond, 3 * time.Second}) {
		t.Errorf("leader: %v, %v", leader, err)
	}
	handed, err := pausesOf(newLeader, troubles, noon, placed)
	if err != nil || !slices.Equal(handed, []time.Duration{400 * time.Millisecond}) {
		t.Errorf("transfer: %v, %v", handed, err)
	}
	for why, try := range map[string]func() error{
		"no trouble": func() error { _, err := pausesOf(newLeader, troubles[2:], noon, placed); return err },
		"nothing was placed for the first time before and after": func() error {
			_, err := pausesOf(lostLeader, []trouble{{lostLeader, after(60_001)}}, noon, placed)
			return err
		},
	} {
		if err := try(); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%v, want one that says %q", err, why)
		}
	}
}

// TestBars: a bar that is missed breaks the scenario's line, and one over
// nothing is a mistake of the scenario.
func TestBars(t *testing.T) {
	r := &run{}
	r.measure("x_ms", 7)
	hold := func(line string) error {
		return bar(t.Context(), r, Step{Verb: "bar", Args: strings.Fields(line)})
	}
	if err := hold("x_ms <= 7"); err != nil || len(r.failed) != 0 {
		t.Errorf("%v, %v", err, r.failed)
	}
	if err := hold("x_ms <= 6.5"); err != nil || len(r.failed) != 1 {
		t.Errorf("%v, %v", err, r.failed)
	}
	if b := r.measured.Bars; len(b) != 2 || !b[0].Met() || b[1].Met() {
		t.Errorf("%+v", b)
	}
	for _, wrong := range []string{"x_ms >= 7", "x_ms <= seven", "y_ms <= 1"} {
		if err := hold(wrong); err == nil {
			t.Errorf("%q was taken", wrong)
		}
	}
}
