package script

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/skein-project/skein/api/flow"
)

// TestMissing shows that each end that was not told is noticed.
func TestMissing(t *testing.T) {
	whole := []Accepted{
		event(1, "a", 1, flow.EventTask, "n0", int32(flow.TaskRunning)), event(2, "a", 1, flow.EventTask, "n0", int32(flow.TaskSucceeded)),
		event(3, "a", 1, flow.EventNode, "n0", int32(flow.NodeSucceeded)), event(4, "a", 1, flow.EventTask, "n1", int32(flow.TaskSucceeded)),
		event(5, "a", 1, flow.EventNode, "n1", int32(flow.NodeSucceeded)), event(6, "a", 1, flow.EventWorkflow, "", int32(flow.ExecutionSucceeded)),
	}
	seen := []Status{{Name: "x", Phase: flow.ExecutionSucceeded}, {Name: "y", Phase: flow.ExecutionAborted}}
	if out := missing(seen, whole, 2); len(out) != 0 {
		t.Errorf("nothing is missing, and it says %v", out)
	}
	for without := 1; without < len(whole); without++ {
		some := append(append([]Accepted{}, whole[:without]...), whole[without+1:]...)
		if out := missing(seen, some, 2); len(out) == 0 {
			t.Errorf("event %d is missing, and nobody says so", without)
		}
	}
	if out := missing(seen, whole, 3); len(out) != 1 {
		t.Errorf("of three nodes two were told: %v", out)
	}
}

// ledger has rows of what the logs do not tell.
type ledger struct {
	Market
	Fleet
	logged, rows []Accepted
	seen         []Status
}

func (l ledger) Statuses(context.Context, string) ([]Status, error)   { return l.seen, nil }
func (l ledger) Accepted(context.Context) ([]Accepted, error)         { return l.logged, nil }
func (l ledger) Recorded(context.Context, string) ([]Accepted, error) { return l.rows, nil }

// A COMMIT whose answer was lost is told by nobody, and its rows are there: that
// is no loss. What is in neither is.
func TestWhatNobodyToldIsLookedForInTheRows(t *testing.T) {
	whole := []Accepted{event(1, "a", 1, flow.EventTask, "n0", int32(flow.TaskSucceeded)),
		event(2, "a", 1, flow.EventNode, "n0", int32(flow.NodeSucceeded)), event(3, "a", 1, flow.EventWorkflow, "", int32(flow.ExecutionSucceeded))}
	for _, tc := range []struct {
		rows []Accepted
		lost float64
	}{{whole, 0}, {whole[1:], 1}} {
		l := ledger{logged: whole[2:], rows: tc.rows, seen: []Status{{Name: "x", Phase: flow.ExecutionSucceeded}}}
		r := &run{World: World{Fleet: l, Market: l}}
		err := told(t.Context(), r, Step{Verb: "told", Args: []string{"1"}})
		if (err != nil) != (tc.lost > 0) || r.measured.Measured["events_lost"] != tc.lost {
			t.Errorf("%v, %v; want %g lost", err, r.measured.Measured, tc.lost)
		}
	}
}

func TestTurns(t *testing.T) {
	opened := func(second int, serial string) Opened {
		return Opened{At: noon.Add(time.Duration(second) * time.Second), Cluster: "a", Serial: serial}
	}
	list := []Opened{opened(3, "2"), opened(1, "1"), opened(4, "1"), opened(5, "2"), opened(6, "3"), {At: noon, Cluster: "b", Serial: "9"}}
	if got := turns(list, noon.Add(2*time.Second)); got["a"] != 2 || got["b"] != 0 || len(got) != 2 {
		t.Errorf("%v, want a to have turned twice (2, 3), and b never", got)
	}
}

// doors are gates whose answers are given.
type doors struct {
	Gates
	told error
}

func (d doors) Intrude(context.Context, string, string) error { return d.told }

func TestAnIntruderMustBeToldAndSeen(t *testing.T) {
	line := "2026-01-01 member/a/b token.use.refused cluster/a the join token was used with another key"
	for _, tc := range []struct {
		name  string
		told  error
		audit string
		want  string
	}{
		{"it is", errors.New("no"), "x\n" + line + "\n", ""},
		{"it is let in", nil, line, "let in"},
		{"for another reason", errors.New("no"), strings.ReplaceAll(line, "another key", "a comma"), "the audit of cluster/a has no token.use.refused"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ctx, stop := context.WithTimeout(t.Context(), time.Second)
			defer stop()
			r := &run{World: World{Gates: doors{told: tc.told}, Progress: func(string) {},
				Skein: func(_ context.Context, args ...string) (string, error) {
					if strings.Join(args[:2], " ") != "audit cluster/a" {
						t.Errorf("asked %v", args)
					}
					return tc.audit, nil
				}}}
			err := intrude(ctx, r, Step{Verb: "intrude", Args: []string{"used-token", "a"}})
			if (err == nil) != (tc.want == "") || err != nil && tc.want == "let in" && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want one that says %q", err, tc.want)
			}
		})
	}
}
