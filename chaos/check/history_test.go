package check

import (
	"testing"
	"time"

	"github.com/skein-project/skein/api/flow"
)

// TestHistories asks about histories that one order explains, and that none does.
func TestHistories(t *testing.T) {
	id := flow.ExecutionID{Project: "p", Domain: "d", Name: "x"}
	one := flow.Epoch{Era: 1, N: 1}
	queued := Answer{Phase: flow.ExecutionQueued}
	at := func(s int) time.Duration { return time.Duration(s) * time.Second }
	placed := Call{Kind: Place, Epoch: one, Cluster: "a"}
	for _, c := range []struct {
		name string
		fill func(*History)
		bad  bool
	}{
		{"created, then seen", func(h *History) { h.Add(id, Call{Kind: Get}, queued, at(2), at(3)) }, false},
		{"seen on a cluster before it was placed there", func(h *History) {
			h.Add(id, Call{Kind: Get}, Answer{Phase: flow.ExecutionQueued, Epoch: one, Cluster: "a"}, at(2), at(3))
			h.Add(id, placed, Answer{}, at(4), at(4))
		}, true},
		{"accepted, and not there", func(h *History) { h.Add(id, Call{Kind: Get}, Answer{Refused: true}, at(2), at(3)) }, true},
		{"an abort without an answer may have happened", func(h *History) {
			h.Add(id, Call{Kind: Abort}, Answer{Unknown: true}, at(2), at(99))
			h.Add(id, Call{Kind: Get}, Answer{Phase: flow.ExecutionAborted}, at(4), at(5))
		}, false},
		{"or not", func(h *History) {
			h.Add(id, Call{Kind: Abort}, Answer{Unknown: true}, at(2), at(99))
			h.Add(id, placed, Answer{}, at(4), at(4))
		}, false},
		{"placed after its abort was answered", func(h *History) {
			h.Add(id, Call{Kind: Abort}, Answer{Phase: flow.ExecutionAborted}, at(2), at(3))
			h.Add(id, placed, Answer{}, at(4), at(4))
		}, true},
		{"an event of an older epoch", func(h *History) {
			h.Add(id, placed, Answer{}, at(2), at(2))
			h.Add(id, Call{Kind: Place, Epoch: one.Next(), Cluster: "b"}, Answer{}, at(3), at(3))
			h.Add(id, Call{Kind: Event, Epoch: one, Cluster: "a", Phase: flow.ExecutionRunning}, Answer{}, at(4), at(4))
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := NewHistory()
			h.Add(id, Call{Kind: Create}, Answer{}, at(0), at(1))
			c.fill(h)
			if problems := h.Problems(); len(problems) > 0 != c.bad {
				t.Errorf("problems: %v", problems)
			}
		})
	}
}
