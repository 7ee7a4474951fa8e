package rig

import (
	"slices"

	"github.com/skein-project/skein/api/flow"
)

// retries is how often a node may fail before its execution does.
const retries = 1

// advance decides what can move of an object now: pods to start, and a change
// of its status. While a lease ends, strict work starts nothing.
func (e *engine) advance(o *object, lapses bool) (func(*object), []podKey) {
	if o.desired == flow.DesiredAbort {
		return func(o *object) {
			o.c.stop(o)
			o.finish(flow.ExecutionAborted)
		}, nil
	}
	if o.phase == flow.ExecutionQueued {
		return func(o *object) {
			o.bump()
			o.phase, o.phaseSeq = flow.ExecutionRunning, o.sequence
		}, nil
	}
	for i := range o.nodes {
		n := &o.nodes[i]
		if n.phase.Terminal() {
			if n.phase == flow.NodeFailed {
				return func(o *object) { o.finish(flow.ExecutionFailed) }, nil
			}
			continue
		}
		return e.node(o, i, lapses)
	}
	return func(o *object) { o.finish(flow.ExecutionSucceeded) }, nil
}

// node moves the one node that is not done.
func (e *engine) node(o *object, i int, lapses bool) (func(*object), []podKey) {
	n := &o.nodes[i]
	last := len(n.attempts) - 1
	if last < 0 || n.attempts[last].phase.Terminal() {
		k := podKey{o.place, i, n.first + uint32(len(n.attempts))}
		if p := o.c.pods[k]; p == nil {
			if lapses {
				return nil, nil
			}
			return e.begun(i), []podKey{k}
		}
		return e.begun(i), nil
	}
	p := o.c.pods[podKey{o.place, i, n.first + uint32(last)}]
	if p == nil || !p.done {
		return nil, nil
	}
	return func(o *object) {
		n := &o.nodes[i]
		if len(n.attempts) != last+1 {
			return
		}
		n.attempts = slices.Clone(n.attempts)
		o.bump()
		n.attempts[last] = attemptStatus{p.phase, o.sequence}
		switch {
		case p.phase == flow.TaskSucceeded:
			n.phase, n.sequence = flow.NodeSucceeded, o.sequence
		case p.phase == flow.TaskFailed && failed(n.attempts) > retries:
			n.phase, n.sequence = flow.NodeFailed, o.sequence
		}
	}, nil
}

// failed counts the attempts that are charged to the retries: not those that a
// lapse has stopped.
func failed(list []attemptStatus) (n int) {
	for _, a := range list {
		if a.phase == flow.TaskFailed {
			n++
		}
	}
	return n
}

// begun records the attempt whose pod is there.
func (e *engine) begun(i int) func(*object) {
	return func(o *object) {
		n := &o.nodes[i]
		if o.c.pods[podKey{o.place, i, n.first + uint32(len(n.attempts))}] == nil {
			return // it was not started: the gate is shut
		}
		o.bump()
		n.attempts = append(slices.Clone(n.attempts), attemptStatus{flow.TaskRunning, o.sequence})
		n.phase, n.sequence = flow.NodeRunning, o.sequence
	}
}

// bump raises the status sequence, and notes which spec the status knows of.
func (o *object) bump() {
	o.sequence++
	o.observed = o.revision
}

// finish ends an object; what was open is closed.
func (o *object) finish(p flow.ExecutionPhase) {
	o.bump()
	o.phase, o.phaseSeq = p, o.sequence
	for i := range o.nodes {
		n := &o.nodes[i]
		if n.phase.Terminal() || n.phase == flow.NodeUndefined {
			continue
		}
		n.phase, n.sequence = flow.NodeAborted, o.sequence
		n.attempts = slices.Clone(n.attempts)
		if k := len(n.attempts) - 1; k >= 0 && !n.attempts[k].phase.Terminal() {
			n.attempts[k] = attemptStatus{flow.TaskAborted, o.sequence}
		}
	}
}
