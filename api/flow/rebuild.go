package flow

import "time"

// Rebuild is how far the control plane has come with rebuilding what a restored
// backup has forgotten. Since is zero while there is nothing to rebuild.
//
// While it lasts nothing is placed, no lease is granted, and no event is taken:
// members open sessions, say what they hold, and wait.
type Rebuild struct {
	Since time.Time
	Why   string // what gave the restored backup away, for people
	// Reported are the clusters all of whose members have said what they hold, in
	// sessions opened after Since, or which were declared lost; Waiting are the
	// others. Both sorted.
	Reported, Waiting []string
	// Forced says that an operator waits for nobody. Leases are waited for anyway.
	Forced bool
	// Longest is the longest lease that the database remembers.
	Longest time.Duration
}

// Holding is one execution that a member holds, with all that is needed to make
// its row again: asked for when the database has none.
type Holding struct {
	Held       Held
	Assignment Assignment // Cluster is left to the hub; Desired and Run are as the FlyteWorkflow has them
	// Row is what the control plane derives from Assignment.Run, as it did when the
	// execution was created. Members do not send it; nil: only what Run says is
	// known.
	Row *Execution
}

// Execution is the row that is made again, waiting for a cluster: Row, or what
// Run says. Run must be set.
func (h Holding) Execution() Execution {
	run := h.Assignment.Run
	e := Execution{Spec: run.Spec, Inputs: run.Inputs, InputsURI: run.InputsURI, UserInputs: run.Inputs, Workflow: run.Workflow,
		LaunchPlan: run.LaunchPlan, Requirement: Requirement{Workflow: run.Workflow.Name}, DataPrefix: run.DataPrefix,
		RawPrefix: run.RawPrefix, Trace: run.Trace, Failover: run.Failover, CreatedAt: run.CreatedAt}
	if h.Row != nil {
		e = *h.Row
	}
	e.ID, e.Epoch, e.Phase, e.Desired = h.Held.Execution, Epoch{}, ExecutionQueued, DesiredRun
	e.UpdatedAt, e.Revision, e.Version = e.CreatedAt, h.Held.Revision, 1
	switch h.Held.Desired {
	case DesiredGone: // where it was stopped it is not to be placed again at this epoch
		e.Epoch = h.Held.Epoch
	case DesiredAbort:
		e.AbortCause = h.Assignment.Cause
	}
	return e
}

// Rebuilt is what a rebuild came to.
type Rebuilt struct {
	Era      uint64 // that began with its end
	EndedAt  time.Time
	Kept     int64 // rows that were where a member held them
	Moved    int64 // rows that a member held elsewhere, or at a higher epoch
	Created  int64 // rows made again from what a member held
	Released int64 // rows whose cluster did not report them; placed again as usual after that
}
