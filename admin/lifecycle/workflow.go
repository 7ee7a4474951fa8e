package lifecycle

import (
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/api/flyteidl/event"
)

// rank orders the phases of an execution as they can follow each other.
var rank = map[flow.ExecutionPhase]int{
	flow.ExecutionUndefined:  0,
	flow.ExecutionQueued:     1,
	flow.ExecutionRunning:    2,
	flow.ExecutionSucceeding: 3,
	flow.ExecutionFailing:    3,
	flow.ExecutionAborting:   4,
	flow.ExecutionSucceeded:  5,
	flow.ExecutionFailed:     5,
	flow.ExecutionAborted:    5,
	flow.ExecutionTimedOut:   5,
}

// applyWorkflow moves the execution's own phase.
func applyWorkflow(r flow.Recorded, e flow.Event) (flow.Recorded, flow.EventResult) {
	from, to := r.Execution.Phase, flow.ExecutionPhase(e.Phase)
	toRank, known := rank[to]
	switch {
	case !known || to == flow.ExecutionUndefined:
		return r, refuse("execution phase %s cannot be reported", to)
	case from == to:
		return r, accept()
	case from.Terminal():
		return r, refuse("execution is %s already, %s comes too late", from, to)
	case to == flow.ExecutionAborted && r.Execution.Desired == flow.DesiredRun:
		return r, unasked(r.Execution)
	case from == flow.ExecutionAborting && !to.Terminal():
		// The data plane has not seen the abort yet: a fact, and no change.
		return r, accept()
	case toRank < rank[from]:
		return r, refuse("execution cannot go back from %s to %s", from, to)
	}
	var detail event.WorkflowExecutionEvent
	if err := proto.Unmarshal(e.Detail, &detail); err != nil {
		return r, refuse("detail of a workflow event cannot be read")
	}
	return moveWorkflow(r, e, &detail), accept()
}

// unasked refuses an abort that nobody asked for: such an end ends nothing. What
// is being moved goes on elsewhere when its cluster has acked that; any other
// execution is to be taken from the cluster, whose object has ended.
func unasked(x flow.Execution) flow.EventResult {
	if x.Revoking != "" {
		return refuse("nobody asked to abort the execution: it is being moved (%s), and goes on elsewhere", x.Revoking)
	}
	result := refuse("nobody asked to abort the execution: it is taken from its cluster, and goes on elsewhere")
	result.Unasked = true
	return result
}

func moveWorkflow(r flow.Recorded, e flow.Event, detail *event.WorkflowExecutionEvent) flow.Recorded {
	x := &r.Execution
	x.Phase = flow.ExecutionPhase(e.Phase)
	x.UpdatedAt = e.OccurredAt
	if x.StartedAt.IsZero() && !e.StartedAt.IsZero() {
		x.StartedAt = e.StartedAt
	}
	if x.StartedAt.IsZero() && x.Phase == flow.ExecutionRunning {
		x.StartedAt = e.OccurredAt
	}
	if failure := detail.GetError(); failure != nil {
		setError(x, failure)
	}
	if x.Phase.Terminal() {
		x.EndedAt = e.OccurredAt
		if !e.EndedAt.IsZero() {
			x.EndedAt = e.EndedAt
		}
		x.OutputURI = text(detail.GetOutputUri())
	}
	return r
}

func setError(x *flow.Execution, failure *core.ExecutionError) {
	// A message that was unmarshalled a moment ago marshals again.
	if raw, err := proto.Marshal(failure); err == nil {
		x.Error = raw
	}
	x.ErrorKind = failure.GetKind().String()
	x.ErrorCode = text(failure.GetCode())
}

// text is what the database can hold of what tasks wrote: it knows no NUL, and
// an end that it cannot hold would never be recorded.
func text(s string) string { return strings.ReplaceAll(s, "\x00", "") }
