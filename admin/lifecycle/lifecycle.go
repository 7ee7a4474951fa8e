// Package lifecycle is the pure state machine of executions, nodes and task
// attempts: what an event changes in what is recorded, or why it is refused.
//
// It reads no clock and touches no store; admin/ingest hands Apply to the
// store, which calls it inside a transaction. It does not decide who may speak
// (the store compares the sender's session first), but it does compare epochs,
// before anything else, so that no caller can forget to.
//
//	execution:  UNDEFINED → QUEUED → RUNNING → SUCCEEDING → SUCCEEDED
//	                                    │    └→ FAILING ───→ FAILED
//	            any of these ──────────→ ABORTING ─→ ABORTED | what it ended as
//
// Invariants (docs/invariants.md): I2 only the current epoch is accepted, I3
// terminal is terminal and recorded once, I4 phases never go backwards.
package lifecycle

import (
	"fmt"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/mutant"
)

// Apply folds one event into what is recorded. It satisfies flow.Apply: a
// refused event leaves the record as it was, and a repeated one is accepted
// without effect.
func Apply(r flow.Recorded, e flow.Event) (flow.Recorded, flow.EventResult) {
	if c := e.Epoch.Compare(r.Execution.Epoch); c != 0 && !mutant.On("no-epoch-check") && !mutant.On("fence-by-name-only") {
		return r, refuse("epoch %s is not the current epoch %s", e.Epoch, r.Execution.Epoch)
	}
	var (
		next flow.Recorded
		res  flow.EventResult
	)
	switch e.Kind {
	case flow.EventWorkflow:
		next, res = applyWorkflow(r, e)
	case flow.EventNode:
		next, res = applyNode(r, e)
	case flow.EventTask:
		next, res = applyTask(r, e)
	default:
		return r, refuse("event kind %d is unknown", e.Kind)
	}
	if !res.Accepted {
		return r, res
	}
	if e.Sequence > next.Execution.Sequence {
		next.Execution.Sequence = e.Sequence
	}
	return next, res
}

func refuse(format string, args ...any) flow.EventResult {
	return flow.EventResult{Reason: fmt.Sprintf(format, args...)}
}

func accept() flow.EventResult { return flow.EventResult{Accepted: true} }
