// Package workflow decides: from what is known of one execution in one cluster
// (a View) it says all that can move now (a Step).
//
// It is pure. It reads no clock (View.Now is data), does no I/O and starts
// nothing; package act performs a Step, and Step.Settle folds what came of it
// back into the status, so that a step costs one write.
//
//	              ┌────────── inputs cannot be resolved ─────────┐
//	(absent) ─► QUEUED ─► RUNNING ─► SUCCEEDED                   ▼
//	    │          │         ├─ last attempt failed for good ─► FAILED
//	    │          │         ├─ retryable, budget left ─► next attempt
//	    │          └─────────┴─ workflow stops ─► ABORTED
//	    └─ an upstream node failed or was skipped, or it is a case that was
//	       not taken ─► SKIPPED
//
// What a caller owes: View.Status.Nodes is decoded and is not changed while
// Advance runs; an Observation is never older than one given before it for the
// same attempt; results are given to Settle in the order of the actions.
//
// Invariants: a terminal phase never changes; phases of one attempt never go
// backwards; a node has at most one attempt that is not terminal, and it is the
// last; a new attempt starts only when the one before it is recorded as ended;
// of the cases of a branch node one is not skipped, and no other ever runs.
package workflow
