package script

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/skein-project/skein/api/fault"
)

// measuring are the verbs that measure, and that hold what was measured to bars.
var measuring = map[string]verb{
	"mark":     {0, nil, func(_ context.Context, r *run, _ Step) error { r.marked = time.Now(); return nil }},
	"transfer": {0, nil, transfer},
	"gap":      {1, nil, gap},
	"bar":      {3, nil, bar},
}

// trouble is what was done to the leadership, and when it began.
type trouble struct {
	kind string // as "gap" names it
	at   time.Time
}

const (
	lostLeader = "leader"
	newLeader  = "transfer"
	// aftermath is how long after a trouble a pause still counts as its own.
	aftermath = 10 * time.Second
)

func kill(ctx context.Context, r *run, s Step) error {
	if s.Args[0] == lostLeader {
		defer r.suffer(trouble{lostLeader, time.Now()})
	}
	return r.Processes.Kill(ctx, s.Args[0])
}

// transfer hands leadership over, as an operator does.
func transfer(ctx context.Context, r *run, s Step) error {
	r.suffer(trouble{newLeader, time.Now()})
	s.Args = []string{"admin", "replicas", "transfer"}
	return skein(ctx, r, s)
}

func (r *run) suffer(t trouble) { r.troubles = append(r.troubles, t) }

// gap measures pauses between first placements: the longest since the mark, or
// the longest of each trouble since then, of which the median counts as well.
func gap(ctx context.Context, r *run, s Step) error {
	seen, err := r.executions(ctx)
	if err != nil {
		return err
	}
	var at []time.Time
	for _, x := range seen {
		if len(x.Placed) > 0 {
			at = append(at, x.Placed[0])
		}
	}
	slices.SortFunc(at, time.Time.Compare)
	kind := s.Args[0]
	switch kind {
	case "placements":
		r.measure("placement_gap_ms", milliseconds(longest(at, r.marked, time.Now())))
		return nil
	case lostLeader, newLeader:
	default:
		return fault.E(fault.Invalid, "gap of placements, leader or transfer, not of %q", kind)
	}
	pauses, err := pausesOf(kind, r.troubles, r.marked, at)
	if err != nil {
		return err
	}
	r.measure(kind+"_gap_p50_ms", milliseconds(pauses[(len(pauses)-1)/2]))
	r.measure(kind+"_gap_max_ms", milliseconds(pauses[len(pauses)-1]))
	return nil
}

// pausesOf gives the longest pause of each trouble of a kind, shortest first: of
// all pauses that reach into the time from its beginning to the next trouble, or
// to the end of its aftermath.
func pausesOf(kind string, troubles []trouble, since time.Time, placed []time.Time) (pauses []time.Duration, err error) {
	for i, t := range troubles {
		if t.kind != kind || t.at.Before(since) {
			continue
		}
		end := t.at.Add(aftermath)
		if i+1 < len(troubles) && troubles[i+1].at.Before(end) {
			end = troubles[i+1].at
		}
		if len(placed) == 0 || !placed[0].Before(t.at) || !placed[len(placed)-1].After(t.at) {
			return nil, fmt.Errorf("nothing was placed for the first time before and after %s: launch for longer", t.at.Format(time.TimeOnly))
		}
		pauses = append(pauses, longest(placed, t.at, end))
	}
	if len(pauses) == 0 {
		return nil, fmt.Errorf("there was no trouble of the kind %q since the mark", kind)
	}
	slices.Sort(pauses)
	return pauses, nil
}

// longest is the longest time between two neighbours in a sorted list, of those
// that reach into the time between begin and end.
func longest(at []time.Time, begin, end time.Time) (pause time.Duration) {
	for i := 1; i < len(at); i++ {
		if at[i].After(begin) && at[i-1].Before(end) {
			pause = max(pause, at[i].Sub(at[i-1]))
		}
	}
	return pause
}

func milliseconds(d time.Duration) float64 { return float64(d.Milliseconds()) }

// bar holds a figure that was measured to the most that it may be.
func bar(_ context.Context, r *run, s Step) error {
	most, err := strconv.ParseFloat(s.Args[2], 64)
	if err != nil || s.Args[1] != "<=" {
		return fault.E(fault.Invalid, `want "bar FIGURE <= NUMBER", got %q`, strings.Join(s.Args, " "))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	value, known := r.measured.Measured[s.Args[0]]
	if !known {
		return fault.E(fault.Invalid, "nothing has measured %s", s.Args[0])
	}
	b := Bar{Figure: s.Args[0], Most: most, Value: value}
	r.measured.Bars = append(r.measured.Bars, b)
	if !b.Met() { // what follows can still be played
		r.failed = append(r.failed, fmt.Sprintf("line %d: %s is %g, and %g is the most that it may be", s.Line, b.Figure, b.Value, b.Most))
	}
	return nil
}
