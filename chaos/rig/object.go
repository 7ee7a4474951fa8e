package rig

import (
	"fmt"
	"slices"
	"time"

	"github.com/skein-project/skein/api/flow"
)

// object is a FlyteWorkflow: its spec is written by members, its status by the
// propeller that drives it.
type object struct {
	place
	c        *cluster
	desired  flow.Desired
	revision uint64
	run      *flow.Run
	job      job
	version  uint64 // of the object, as an API server counts

	phase    flow.ExecutionPhase
	phaseSeq uint64
	sequence uint64
	observed uint64 // the revision that the status knows of
	nodes    []nodeStatus
	marked   bool // the control plane has all of it
	started  bool // something of it was started
	unowned  bool // it was stopped, as nobody places it here
	leaving  bool // a planned move has aborted it: that is not told
}

type nodeStatus struct {
	phase    flow.NodePhase
	sequence uint64
	first    uint32 // number of the first attempt at this epoch
	attempts []attemptStatus
}

type attemptStatus struct {
	phase    flow.TaskPhase
	sequence uint64
}

func nodeName(i int) string { return fmt.Sprintf("n%d", i) }

func (o *object) ended() bool { return o.phase.Terminal() }

// want changes the spec. A revision never sinks, and an abort is never taken back.
func (o *object) want(d flow.Desired, revision uint64) {
	if d == flow.DesiredAbort {
		o.desired = d
	}
	o.revision = max(o.revision, revision)
	o.version++
	o.c.changed(o)
}

// recover takes over what earlier epochs left behind.
func (o *object) recover(r flow.Recovery) {
	o.nodes = make([]nodeStatus, len(o.job.nodes))
	for _, n := range r.Nodes {
		var i int
		if _, err := fmt.Sscanf(n.Node, "n%d", &i); err != nil || i >= len(o.nodes) {
			continue
		}
		o.nodes[i].first = n.NextAttempt
		if n.Phase.Terminal() {
			o.nodes[i].phase = n.Phase
		}
	}
}

// events is what the status says above the acked sequence: the workflow's
// running first, nodes with their attempts, the workflow's end last.
func (o *object) events(acked uint64) []flow.Event {
	var list []flow.Event
	event := func(kind flow.EventKind, sequence uint64, phase int32) *flow.Event {
		list = append(list, flow.Event{Execution: o.id, Epoch: o.epoch, Kind: kind, Sequence: sequence, Phase: phase,
			Revision: o.observed, OccurredAt: epoch0.Add(time.Duration(sequence) * time.Millisecond)})
		return &list[len(list)-1]
	}
	if o.phaseSeq > acked && !o.phase.Terminal() && o.phase == flow.ExecutionRunning {
		event(flow.EventWorkflow, o.phaseSeq, int32(o.phase))
	}
	for i, n := range o.nodes {
		if n.sequence > acked {
			event(flow.EventNode, n.sequence, int32(n.phase)).Node = nodeName(i)
		}
		for k, a := range n.attempts {
			if a.sequence > acked {
				e := event(flow.EventTask, a.sequence, int32(a.phase))
				e.Node, e.Attempt = nodeName(i), n.first+uint32(k)
			}
		}
	}
	if o.phaseSeq > acked && o.phase.Terminal() {
		event(flow.EventWorkflow, o.phaseSeq, int32(o.phase))
	}
	if o.leaving {
		list = slices.DeleteFunc(list, aborted)
	}
	return list
}

// aborted reports whether an event tells of an abort.
func aborted(e flow.Event) bool {
	switch e.Kind {
	case flow.EventWorkflow:
		return e.Phase == int32(flow.ExecutionAborted)
	case flow.EventNode:
		return e.Phase == int32(flow.NodeAborted)
	}
	return e.Phase == int32(flow.TaskAborted)
}
