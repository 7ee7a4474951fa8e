package workflow

import (
	"bytes"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/api/flow"
)

// Phases as the custom resource holds them.
const (
	nodeUndefined = int32(flow.NodeUndefined)
	nodeQueued    = int32(flow.NodeQueued)
	nodeRunning   = int32(flow.NodeRunning)
	nodeSucceeded = int32(flow.NodeSucceeded)
	nodeFailing   = int32(flow.NodeFailing)
	nodeFailed    = int32(flow.NodeFailed)
	nodeAborted   = int32(flow.NodeAborted)
	nodeSkipped   = int32(flow.NodeSkipped)
	taskQueued    = int32(flow.TaskQueued)
	taskRunning   = int32(flow.TaskRunning)
	taskSucceeded = int32(flow.TaskSucceeded)
	taskAborted   = int32(flow.TaskAborted)
	taskFailed    = int32(flow.TaskFailed)
	taskWaiting   = int32(flow.TaskWaitingForResources)
	taskRetryable = int32(flow.TaskRetryableFailed)
)

// node reads a node as it is after this step; false: it has not begun.
func (s *Step) node(id string) (v1alpha1.NodeStatus, bool) {
	if n, ok := s.Nodes[id]; ok {
		return *n, n.Phase != nodeUndefined
	}
	n, ok := s.base[id]
	return n, ok && n.Phase != nodeUndefined
}

// undo takes back what this step recorded of a node that had not begun.
func (s *Step) undo(id string) {
	delete(s.Nodes, id)
	if seed, ok := s.seeds[id]; ok {
		seed = clone(seed)
		s.Nodes[id] = &seed
	}
}

// edit gives a copy of the node that this step may change.
func (s *Step) edit(id string) *v1alpha1.NodeStatus {
	if n, ok := s.Nodes[id]; ok {
		return n
	}
	n := clone(s.base[id])
	s.Nodes[id] = &n
	return &n
}

// Everything below Attempts is replaced and never changed in place.
func clone(n v1alpha1.NodeStatus) v1alpha1.NodeStatus {
	n.Attempts = slices.Clone(n.Attempts)
	return n
}

// ingest records what was observed of a node's last attempt.
func (s *Step) ingest(id string, o Observation) {
	n, _ := s.node(id)
	k := len(n.Attempts) - 1
	old := n.Attempts[k]
	if ended(old) {
		return
	}
	if o.Missing {
		if old.Phase != taskQueued && old.Phase != taskWaiting {
			s.failed(&s.edit(id).Attempts[k], &Failure{Code: "ResourceDeletedExternally",
				Message: "what ran the attempt is gone, and was not deleted by us", System: true, Retryable: true})
		}
		return
	}
	next, changed := s.observed(old, o)
	if changed {
		s.edit(id).Attempts[k] = next
	}
	if flow.TaskPhase(next.Phase).Rank() >= flow.TaskInitializing.Rank() && n.Phase == nodeQueued {
		e := s.edit(id)
		e.Phase, e.Sequence = nodeRunning, s.seq
		if e.StartedAt == nil {
			e.StartedAt = s.at(o.StartedAt)
		}
	}
	if o.DeckURI != "" && n.DeckURI != o.DeckURI {
		e := s.edit(id)
		e.DeckURI, e.Sequence = o.DeckURI, s.seq
	}
}

// observed merges an observation into an attempt's record. A phase never goes
// back; a change within a phase raises the version.
func (s *Step) observed(a v1alpha1.AttemptStatus, o Observation) (v1alpha1.AttemptStatus, bool) {
	was := flow.TaskPhase(a.Phase)
	if o.Phase == flow.TaskUndefined || o.Phase.Rank() < was.Rank() {
		return a, false
	}
	same := o.Phase == was
	if same && a.Reason == o.Reason && bytes.Equal(a.State, o.State) && slices.Equal(a.Logs, o.Logs) {
		return a, false
	}
	if same {
		a.Version++
	} else {
		a.Version = 0
	}
	a.Phase, a.Reason, a.State, a.Logs, a.Sequence = int32(o.Phase), o.Reason, o.State, o.Logs, s.seq
	if a.StartedAt == nil && o.Phase.Rank() >= flow.TaskRunning.Rank() {
		a.StartedAt = s.at(o.StartedAt)
	}
	if ended(a) {
		a.Lapsed = a.Lapsed || o.Lapsed
		a.EndedAt = s.at(o.EndedAt)
		a.OutputURI = o.OutputURI
		a.Error = reasonOf(o)
	}
	return a, true
}

func reasonOf(o Observation) *v1alpha1.Error {
	switch {
	case o.Failure != nil:
		return o.Failure.err()
	case o.Phase == flow.TaskSucceeded:
		return nil
	}
	return (&Failure{Code: "UnknownError", Message: o.Reason, System: true}).err()
}

// at is a time as reported, or now.
func (s *Step) at(t time.Time) *metav1.MicroTime {
	if t.IsZero() {
		return &s.now
	}
	return &metav1.MicroTime{Time: t}
}

// end closes a node.
func (s *Step) end(id string, phase int32, err *v1alpha1.Error) *v1alpha1.NodeStatus {
	n := s.edit(id)
	n.Phase, n.Error, n.EndedAt, n.Sequence = phase, err, &s.now, s.seq
	return n
}

// look asks to be called again at t at the latest.
func (s *Step) look(t time.Time) {
	if s.Next.IsZero() || t.Before(s.Next) {
		s.Next = t
	}
}
