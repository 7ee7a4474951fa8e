package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// FlyteWorkflowStatus is the whole state of the run, and the outbox of what
// was not yet acked by the control plane: every record carries the sequence at
// which it last changed, and a member sends what lies above the acked one.
type FlyteWorkflowStatus struct {
	// Sequence rises by one with each patch of the status.
	Sequence int64 `json:"sequence,omitempty"`
	// ObservedRevision is the spec.revision on which this status rests.
	ObservedRevision int64 `json:"observedRevision,omitempty"`
	// Phase is Flyte's name: QUEUED, RUNNING, SUCCEEDING, SUCCEEDED, FAILING,
	// FAILED, ABORTING or ABORTED. Empty before the first step.
	Phase string `json:"phase,omitempty"`
	// PhaseSequence is the sequence at which Phase last changed.
	PhaseSequence int64             `json:"phaseSequence,omitempty"`
	StartedAt     *metav1.MicroTime `json:"startedAt,omitempty"`
	EndedAt       *metav1.MicroTime `json:"endedAt,omitempty"`
	Error         *Error            `json:"error,omitempty"`
	OutputURI     string            `json:"outputURI,omitempty"`
	// Nodes by unique node id. Empty if CompressedNodes is set.
	Nodes map[string]NodeStatus `json:"nodes,omitempty"`
	// CompressedNodes is the gzipped JSON of Nodes, used when that is large.
	CompressedNodes []byte `json:"compressedNodes,omitempty"`
	// SystemErrors counts failed rounds in a row that were nobody's input.
	SystemErrors int32 `json:"systemErrors,omitempty"`
}

// NodeStatus is the state of one node; it appears when the node is queued,
// skipped or otherwise decided.
type NodeStatus struct {
	// Sequence at which anything but Attempts last changed.
	Sequence int64 `json:"seq"`
	// Phase is the number of flyteidl.core.NodeExecution.Phase; 0 for one that
	// earlier epochs left open and that has not begun again.
	Phase int32 `json:"phase"`
	// SpecID is the node's id in its template; empty if equal to the key.
	SpecID string `json:"specID,omitempty"`
	// Name for people, from the node's metadata.
	Name string `json:"name,omitempty"`
	// Parent is the unique id of the node whose sub-workflow this one is in.
	Parent     string `json:"parent,omitempty"`
	RetryGroup string `json:"retryGroup,omitempty"`
	IsParent   bool   `json:"isParent,omitempty"`
	// Target is the task, workflow or launch plan that the node runs.
	Target *Target `json:"target,omitempty"`
	// TaskType of a task node.
	TaskType  string            `json:"taskType,omitempty"`
	QueuedAt  *metav1.MicroTime `json:"queuedAt,omitempty"`
	StartedAt *metav1.MicroTime `json:"startedAt,omitempty"`
	EndedAt   *metav1.MicroTime `json:"endedAt,omitempty"`
	InputURI  string            `json:"inputURI,omitempty"`
	OutputURI string            `json:"outputURI,omitempty"`
	DeckURI   string            `json:"deckURI,omitempty"`
	Error     *Error            `json:"error,omitempty"`
	// SystemFailures counts the attempts that were charged to the system's retries.
	SystemFailures int32 `json:"systemFailures,omitempty"`
	// Uncharged counts the attempts that were charged to no retries at all: a lost
	// cluster or the end of a lease ended them.
	Uncharged int32 `json:"uncharged,omitempty"`
	// Checkpoint is where the newest attempt keeps its checkpoints.
	Checkpoint string `json:"checkpoint,omitempty"`
	// Attempts of earlier epochs have no object and sequence 0.
	Attempts []AttemptStatus `json:"attempts,omitempty"`
}

// Target names what a node runs.
type Target struct {
	// Kind is the number of flyteidl.core.ResourceType.
	Kind      int32 `json:"kind"`
	EntityRef `json:",inline"`
}

// AttemptStatus is the state of one attempt of a task node; its index in
// Attempts is the attempt's number.
type AttemptStatus struct {
	// Sequence at which the attempt last changed.
	Sequence int64 `json:"seq"`
	// Phase is the number of flyteidl.core.TaskExecution.Phase.
	Phase int32 `json:"phase"`
	// Version rises when something but the phase changed.
	Version int32 `json:"version,omitempty"`
	// Object is the derived name of what the plugin made.
	Object    string            `json:"object"`
	QueuedAt  *metav1.MicroTime `json:"queuedAt,omitempty"`
	StartedAt *metav1.MicroTime `json:"startedAt,omitempty"`
	EndedAt   *metav1.MicroTime `json:"endedAt,omitempty"`
	Reason    string            `json:"reason,omitempty"`
	OutputURI string            `json:"outputURI,omitempty"`
	Error     *Error            `json:"error,omitempty"`
	// Lapsed says that it is being stopped because its lease ends.
	Lapsed bool `json:"lapsed,omitempty"`
	// Plugin that ran it, and its opaque state.
	Plugin string    `json:"plugin,omitempty"`
	State  []byte    `json:"state,omitempty"`
	Logs   []LogLink `json:"logs,omitempty"`
}

// Error is a flyteidl.core.ExecutionError.
type Error struct {
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
	// Kind is USER, SYSTEM or UNKNOWN.
	Kind string `json:"kind,omitempty"`
	URI  string `json:"uri,omitempty"`
}

// LogLink is a place where a person can read a log.
type LogLink struct {
	Name string `json:"name"`
	URI  string `json:"uri"`
}
