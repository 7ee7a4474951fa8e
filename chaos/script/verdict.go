package script

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/skein-project/skein/api/flow"
)

// Figures are what a scenario came to.
type Figures struct {
	Scenario   string  `json:"scenario"`
	Executions int     `json:"executions"`
	Ended      int     `json:"ended"`
	Moves      int     `json:"moves"`
	Events     int     `json:"events"`
	Lost       int     `json:"lost"`        // accepted, and not ended or unknown
	Overlaps   int     `json:"overlaps"`    // accepted work of two epochs interleaved
	Doubled    int     `json:"doubled"`     // executions with two ends
	Stale      int     `json:"stale"`       // events accepted of what had not placed them
	Rerun      int     `json:"rerun"`       // nodes that had succeeded and ran again
	Over       int     `json:"overcommits"` // executions more on a cluster than it has room for
	Late       int     `json:"late"`        // starts answered after the lease's end; shown, and not forbidden
	Seconds    float64 `json:"seconds"`
	// Measured is what verbs measured, by the figure's name, which ends with its
	// unit: failover_max_ms. Of several values of one name the highest counts.
	Measured map[string]float64 `json:"measured,omitempty"`
	// Bars are what measured figures were held to. One that was missed is in
	// Failed as well.
	Bars   []Bar    `json:"bars,omitempty"`
	Failed []string `json:"failed,omitempty"`
}

// Bar is what a figure was held to.
type Bar struct {
	Figure string  `json:"figure"`
	Most   float64 `json:"most"`
	Value  float64 `json:"value"`
}

// Met reports whether the figure was good enough.
func (b Bar) Met() bool { return b.Value <= b.Most }

// measure notes a value of a figure.
func (f *Figures) measure(name string, value float64) {
	if f.Measured == nil {
		f.Measured = map[string]float64{}
	}
	if had, known := f.Measured[name]; !known || value > had {
		f.Measured[name] = value
	}
}

// OK reports whether all promises held and all steps did what they say.
func (f Figures) OK() bool {
	return f.Lost+f.Overlaps+f.Doubled+f.Stale+f.Rerun+f.Over == 0 && len(f.Failed) == 0
}

// Add adds another scenario's figures up; of what both measured, the higher
// value stays.
func (f *Figures) Add(o Figures) {
	f.Executions, f.Ended, f.Moves, f.Events = f.Executions+o.Executions, f.Ended+o.Ended, f.Moves+o.Moves, f.Events+o.Events
	f.Lost, f.Overlaps, f.Doubled = f.Lost+o.Lost, f.Overlaps+o.Overlaps, f.Doubled+o.Doubled
	f.Stale, f.Rerun, f.Over, f.Late = f.Stale+o.Stale, f.Rerun+o.Rerun, f.Over+o.Over, f.Late+o.Late
	for name, value := range o.Measured {
		f.measure(name, value)
	}
	f.Bars = append(f.Bars, o.Bars...)
	for _, why := range o.Failed {
		f.fail("%s: %s", o.Scenario, why)
	}
}

// String is one machine-readable line.
func (f Figures) String() string {
	raw, err := json.Marshal(f)
	if err != nil {
		return fmt.Sprintf("CHAOS %q cannot be printed: %v", f.Scenario, err)
	}
	return "CHAOS " + string(raw)
}

// Verdict judges what was seen of the executions that their users were promised.
// Restarted executions may run a node again; resumed ones may not. Room is how
// many executions a cluster may hold at once; 0: nobody knows.
func Verdict(promised []string, seen []Seen, accepted []Accepted, room int) Figures {
	f := Figures{Executions: len(promised), Events: len(accepted)}
	rows := map[string]Seen{}
	var stays []Stay
	for _, s := range seen {
		rows[s.Name] = s
		f.Moves += len(s.Moves)
		stays = append(stays, s.Stays...)
	}
	for cluster, more := range overcommits(stays, room) {
		f.Over += more
		f.fail("%s held %d executions more than it has room for", cluster, more)
	}
	for _, name := range promised {
		switch row, known := rows[name]; {
		case !known:
			f.lose("%s was promised and is not known", name)
		case !row.Phase.Terminal():
			f.lose("%s was promised and is %s on %q at epoch %s", name, row.Phase, row.Cluster, row.Epoch)
		default:
			f.Ended++
		}
	}
	of := map[string][]Accepted{}
	for _, a := range accepted {
		of[a.Execution] = append(of[a.Execution], a)
	}
	for name, events := range of {
		f.judge(name, rows[name], events)
	}
	slices.Sort(f.Failed)
	return f
}

func (f *Figures) lose(format string, args ...any) {
	f.Lost++
	f.fail(format, args...)
}

// fail keeps the first of many.
func (f *Figures) fail(format string, args ...any) {
	if len(f.Failed) < 20 {
		f.Failed = append(f.Failed, fmt.Sprintf(format, args...))
	}
}

// judge looks at the accepted events of one execution, in their order.
func (f *Figures) judge(name string, row Seen, events []Accepted) {
	slices.SortStableFunc(events, func(a, b Accepted) int { return a.At.Compare(b.At) })
	var highest flow.Epoch
	owner := map[flow.Epoch]string{}
	succeeded := map[string]flow.Epoch{}
	ends := map[int32]bool{}
	for _, e := range events {
		if e.Epoch.Less(highest) {
			f.Overlaps++
			f.fail("%s: work of epoch %s was accepted at %s, after work of epoch %s", name, e.Epoch, e.At.Format(time.TimeOnly), highest)
		}
		highest = maxEpoch(highest, e.Epoch)
		if had, known := owner[e.Epoch]; known && had != e.Cluster {
			f.Overlaps++
			f.fail("%s: epoch %s was accepted from %s and from %s", name, e.Epoch, had, e.Cluster)
		}
		owner[e.Epoch] = e.Cluster
		if e.Epoch.N > row.Epoch.N && e.Epoch.Era >= row.Epoch.Era {
			f.Stale++
			f.fail("%s: an event of epoch %s was accepted, which was never placed", name, e.Epoch)
		}
		if at, done := succeeded[e.Node]; done && at.Less(e.Epoch) && e.Kind == flow.EventTask {
			f.Rerun++
			f.fail("%s: node %s ran again at epoch %s, after it had succeeded at %s", name, e.Node, e.Epoch, at)
		}
		if e.Kind == flow.EventNode && flow.NodePhase(e.Phase) == flow.NodeSucceeded {
			succeeded[e.Node] = e.Epoch
		}
		if e.Kind == flow.EventWorkflow && flow.ExecutionPhase(e.Phase).Terminal() {
			ends[e.Phase] = true
		}
	}
	if len(ends) > 1 {
		f.Doubled++
		f.fail("%s: %d different ends were accepted", name, len(ends))
	}
}

func maxEpoch(a, b flow.Epoch) flow.Epoch {
	if a.Less(b) {
		return b
	}
	return a
}
