package check

import (
	"fmt"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/skein-project/skein/api/flow"
)

// Kind is a kind of call in a history.
type Kind string

// The kinds of calls: the first three are users', the others the planes' own.
const (
	Create Kind = "create"
	Abort  Kind = "abort"
	Get    Kind = "get"
	Place  Kind = "place" // also from one cluster to another
	Leave  Kind = "leave" // a cluster gave it up or lost it
	Event  Kind = "event" // one that moved the execution's own phase
)

// Call is one call about one execution.
type Call struct {
	Kind    Kind
	Epoch   flow.Epoch // of an event, of what left; the new one of a placement
	Cluster string
	Phase   flow.ExecutionPhase // what it came to
}

// Answer is what its caller was told.
type Answer struct {
	Unknown bool // no answer came: it may have happened, or not
	Refused bool
	Phase   flow.ExecutionPhase
	Epoch   flow.Epoch
	Cluster string
}

// History holds what was called and answered of each execution, with times. It
// is to be linearisable: every call takes effect at one moment between its
// beginning and its answer (I7, I9).
type History struct {
	ops   map[flow.ExecutionID][]porcupine.Operation
	order []flow.ExecutionID
	next  int
}

// NewHistory makes an empty one.
func NewHistory() *History {
	return &History{ops: map[flow.ExecutionID][]porcupine.Operation{}}
}

// Add notes a call that began and ended then. Of one that got no answer, until
// is the end of the history.
func (h *History) Add(id flow.ExecutionID, c Call, a Answer, from, until time.Duration) {
	if _, known := h.ops[id]; !known {
		h.order = append(h.order, id)
	}
	h.next++
	h.ops[id] = append(h.ops[id], porcupine.Operation{ClientId: h.next, Input: c, Output: a,
		Call: int64(from), Return: int64(until)})
}

// Problems lists the executions whose history no order of its calls explains.
func (h *History) Problems() []string {
	model := sequential.ToModel()
	var out []string
	for _, id := range h.order {
		if porcupine.CheckOperationsTimeout(model, h.ops[id], 2*time.Second) == porcupine.Illegal {
			out = append(out, fmt.Sprintf("no order of %d calls explains what callers were told of %s", len(h.ops[id]), id))
		}
	}
	return out
}

// seen is an execution as a user can see it.
type seen struct {
	exists  bool
	phase   flow.ExecutionPhase
	epoch   flow.Epoch
	cluster string
}

// sequential is what one execution does if calls come one after the other.
var sequential = porcupine.NondeterministicModel{
	Init: func() []any { return []any{seen{}} },
	Step: func(state, input, output any) []any {
		s, c, a := state.(seen), input.(Call), output.(Answer)
		next, ok := s.apply(c, a)
		switch {
		case a.Unknown && ok:
			return []any{s, next}
		case a.Unknown:
			return []any{s}
		case ok:
			return []any{next}
		}
		return nil
	},
	Equal: func(a, b any) bool { return a == b },
}

// apply gives the state after a call that was answered so; not ok if it cannot
// have been.
func (s seen) apply(c Call, a Answer) (seen, bool) {
	switch c.Kind {
	case Create:
		if a.Refused {
			return s, s.exists
		}
		return seen{exists: true, phase: flow.ExecutionQueued}, !s.exists
	case Get:
		same := s.phase == a.Phase && s.epoch == a.Epoch && s.cluster == a.Cluster
		return s, s.exists == !a.Refused && (a.Refused || same)
	case Abort:
		return s.abort(a)
	}
	return s.inside(c)
}

// abort is what a user's abort does.
func (s seen) abort(a Answer) (seen, bool) {
	switch {
	case !s.exists, a.Refused:
		return s, a.Refused && (!s.exists || s.phase.Terminal())
	case s.phase.Terminal():
		return s, a.Phase == s.phase && s.phase == flow.ExecutionAborted
	case s.cluster == "":
		s.phase = flow.ExecutionAborted
	default:
		s.phase = flow.ExecutionAborting
	}
	return s, a.Unknown || a.Phase == s.phase
}

// inside is what the federation does by itself: only with what has not ended.
func (s seen) inside(c Call) (seen, bool) {
	if !s.exists || s.phase.Terminal() {
		return s, false
	}
	switch c.Kind {
	case Place:
		return seen{true, flow.ExecutionQueued, c.Epoch, c.Cluster}, s.phase != flow.ExecutionAborting && c.Epoch.N == s.epoch.N+1
	case Leave:
		ok := s.cluster != "" && c.Epoch == s.epoch
		s.cluster, s.phase = "", c.Phase
		return s, ok
	case Event:
		ok := s.cluster == c.Cluster && s.epoch == c.Epoch
		s.phase = c.Phase
		return s, ok
	}
	return s, false
}
