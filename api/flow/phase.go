package flow

import "fmt"

// ExecutionPhase is the phase of an execution; the numbers are those of
// flyteidl.core.WorkflowExecution.Phase.
type ExecutionPhase int32

// The phases of an execution.
const (
	ExecutionUndefined  ExecutionPhase = 0
	ExecutionQueued     ExecutionPhase = 1
	ExecutionRunning    ExecutionPhase = 2
	ExecutionSucceeding ExecutionPhase = 3
	ExecutionSucceeded  ExecutionPhase = 4
	ExecutionFailing    ExecutionPhase = 5
	ExecutionFailed     ExecutionPhase = 6
	ExecutionAborted    ExecutionPhase = 7
	ExecutionTimedOut   ExecutionPhase = 8
	ExecutionAborting   ExecutionPhase = 9
)

var executionPhases = [...]string{"UNDEFINED", "QUEUED", "RUNNING", "SUCCEEDING",
	"SUCCEEDED", "FAILING", "FAILED", "ABORTED", "TIMED_OUT", "ABORTING"}

// String prints Flyte's name of the phase.
func (p ExecutionPhase) String() string { return name(executionPhases[:], int32(p)) }

// Terminal reports whether nothing can follow the phase.
func (p ExecutionPhase) Terminal() bool {
	switch p {
	case ExecutionSucceeded, ExecutionFailed, ExecutionAborted, ExecutionTimedOut:
		return true
	}
	return false
}

// NodePhase is the phase of a node; the numbers are those of
// flyteidl.core.NodeExecution.Phase.
type NodePhase int32

// The phases of a node.
const (
	NodeUndefined      NodePhase = 0
	NodeQueued         NodePhase = 1
	NodeRunning        NodePhase = 2
	NodeSucceeded      NodePhase = 3
	NodeFailing        NodePhase = 4
	NodeFailed         NodePhase = 5
	NodeAborted        NodePhase = 6
	NodeSkipped        NodePhase = 7
	NodeTimedOut       NodePhase = 8
	NodeDynamicRunning NodePhase = 9
	NodeRecovered      NodePhase = 10
)

var nodePhases = [...]string{"UNDEFINED", "QUEUED", "RUNNING", "SUCCEEDED", "FAILING",
	"FAILED", "ABORTED", "SKIPPED", "TIMED_OUT", "DYNAMIC_RUNNING", "RECOVERED"}

// String prints Flyte's name of the phase.
func (p NodePhase) String() string { return name(nodePhases[:], int32(p)) }

// Terminal reports whether nothing can follow the phase.
func (p NodePhase) Terminal() bool {
	switch p {
	case NodeSucceeded, NodeFailed, NodeAborted, NodeSkipped, NodeTimedOut, NodeRecovered:
		return true
	}
	return false
}

// TaskPhase is the phase of one task attempt; the numbers are those of
// flyteidl.core.TaskExecution.Phase.
type TaskPhase int32

// The phases of a task attempt.
const (
	TaskUndefined           TaskPhase = 0
	TaskQueued              TaskPhase = 1
	TaskRunning             TaskPhase = 2
	TaskSucceeded           TaskPhase = 3
	TaskAborted             TaskPhase = 4
	TaskFailed              TaskPhase = 5
	TaskInitializing        TaskPhase = 6
	TaskWaitingForResources TaskPhase = 7
	TaskRetryableFailed     TaskPhase = 8
)

var taskPhases = [...]string{"UNDEFINED", "QUEUED", "RUNNING", "SUCCEEDED", "ABORTED",
	"FAILED", "INITIALIZING", "WAITING_FOR_RESOURCES", "RETRYABLE_FAILED"}

// String prints Flyte's name of the phase.
func (p TaskPhase) String() string { return name(taskPhases[:], int32(p)) }

// Terminal reports whether nothing can follow the phase within the attempt.
func (p TaskPhase) Terminal() bool {
	return p == TaskSucceeded || p == TaskAborted || p == TaskFailed
}

// Rank orders the phases of one attempt as they can follow each other: a
// phase of lower rank never follows one of higher rank.
func (p TaskPhase) Rank() int {
	switch p {
	case TaskQueued:
		return 1
	case TaskWaitingForResources:
		return 2
	case TaskInitializing:
		return 3
	case TaskRunning:
		return 4
	case TaskSucceeded, TaskAborted, TaskFailed, TaskRetryableFailed:
		return 5
	}
	return 0
}

func name(names []string, p int32) string {
	if p < 0 || int(p) >= len(names) {
		return fmt.Sprintf("PHASE_%d", p)
	}
	return names[p]
}
