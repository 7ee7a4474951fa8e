package flow

import "time"

// EventKind says what an event is about.
type EventKind int32

// The kinds of events, with the flyteidl.event message that Detail holds.
const (
	EventWorkflow EventKind = 1 // WorkflowExecutionEvent
	EventNode     EventKind = 2 // NodeExecutionEvent
	EventTask     EventKind = 3 // TaskExecutionEvent
)

// Event is one reported change of state: a typed header that decides, and a
// serialised flyteidl event that is kept for readers.
type Event struct {
	Execution  ExecutionID
	Epoch      Epoch
	Kind       EventKind
	Node       string // unique node id; empty for EventWorkflow
	Parent     string // unique node id of the parent node; empty at top level
	Attempt    uint32 // for EventTask
	Phase      int32  // ExecutionPhase, NodePhase or TaskPhase, by Kind
	Version    uint32 // phase version within a task phase
	Sequence   uint64 // the FlyteWorkflow's status sequence at which this state was written
	Revision   uint64 // the assignment revision that had been applied when the state was written
	OccurredAt time.Time
	// Since phases are coalesced, each event carries the times of all that has
	// happened so far to what it is about; zero if it has not happened.
	QueuedAt  time.Time
	StartedAt time.Time
	EndedAt   time.Time
	Detail    []byte
}

// EventResult answers one event. Every event of a batch gets one; a refused
// event is acked as refused, and never sent again.
type EventResult struct {
	Accepted bool
	Reason   string // why it was refused: a fact to log and count, not an error
	// Unasked says that it was refused since it tells of an abort that nobody asked
	// for. The object that it is about has ended and holds nothing: a store takes
	// the execution from its cluster, to be placed again.
	Unasked bool
}

// EventBatch is what one session said at once: a store may record batches of
// several sessions together.
type EventBatch struct {
	From   Sender
	Events []Event
}

// BatchResult answers one batch: each event of it, or why its sender may not
// speak, and then nothing of the batch was recorded.
type BatchResult struct {
	Results []EventResult
	Err     error
}
