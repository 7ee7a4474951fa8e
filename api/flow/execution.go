package flow

import "time"

// Execution is an execution's row: what was asked, what is wanted, what is so.
type Execution struct {
	ID          ExecutionID
	Spec        []byte // flyteidl.admin.ExecutionSpec, merged and effective
	Inputs      []byte // flyteidl.core.LiteralMap, effective; empty if InputsURI is set
	InputsURI   string
	UserInputs  []byte // as the caller gave them, for a relaunch
	Workflow    EntityID
	LaunchPlan  EntityID
	Task        EntityID // set for a single-task execution
	Requirement Requirement
	DataPrefix  string
	RawPrefix   string
	Principal   string
	Mode        int32 // flyteidl.admin.ExecutionMetadata.ExecutionMode
	Archived    bool
	Trace       string // W3C traceparent of the creating call

	Phase          ExecutionPhase
	Desired        Desired
	Epoch          Epoch  // zero until placed
	Cluster        string // empty until placed
	Revision       uint64 // wanted revision of its outbox row
	Sequence       uint64 // highest status sequence recorded of the current epoch
	AbortCause     string
	AbortPrincipal string
	Error          []byte // flyteidl.core.ExecutionError
	ErrorKind      string
	ErrorCode      string
	OutputURI      string
	CreatedAt      time.Time
	UpdatedAt      time.Time
	StartedAt      time.Time // zero until running
	EndedAt        time.Time // zero until terminal
	Version        uint64    // raised by each write of the row; guards read-modify-write

	Failover Failover
	Moves    int // forced moves so far
	// Revoking is why it is being taken from its cluster by a planned move;
	// empty: it is not. It is placed elsewhere after the cluster has acked.
	Revoking MoveKind
	// Resumed says that the current epoch took over what earlier ones left.
	Resumed   bool
	NotBefore time.Time // end of the back-off before its next placement
}

// ReasonClusterLost is the Reason of what was closed because its execution was
// taken from a cluster that no longer holds it; charged to no retry budget.
const ReasonClusterLost = "ClusterLost"

// NodeExecution is the recorded state of one node.
type NodeExecution struct {
	ID        NodeID
	Parent    string // unique node id of the parent; empty at top level
	Epoch     Epoch
	Phase     NodePhase
	Sequence  uint64
	Detail    []byte // the newest flyteidl.event.NodeExecutionEvent
	Reason    string // why the control plane itself closed it; empty if an event did
	CreatedAt time.Time
	UpdatedAt time.Time
	StartedAt time.Time
	EndedAt   time.Time
}

// TaskExecution is the recorded state of one task attempt.
type TaskExecution struct {
	Node      NodeID
	Task      EntityID
	Attempt   uint32
	Epoch     Epoch
	Phase     TaskPhase
	Version   uint32
	Sequence  uint64
	Detail    []byte // the newest flyteidl.event.TaskExecutionEvent
	Reason    string // why the control plane itself closed it; empty if an event did
	CreatedAt time.Time
	UpdatedAt time.Time
	StartedAt time.Time
	EndedAt   time.Time
}
