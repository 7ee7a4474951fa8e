package flow

import "time"

// FailoverMode says what becomes of an execution whose cluster is lost.
type FailoverMode string

// The failover modes. Without one, an execution is resumed.
const (
	// FailoverResume places it elsewhere; nodes that have succeeded keep their
	// outputs. Where the two clusters share no object store it is restarted.
	FailoverResume FailoverMode = "resume"
	// FailoverRestart places it elsewhere and begins anew.
	FailoverRestart FailoverMode = "restart"
	// FailoverNever leaves it where it is, for as long as it takes: its work goes
	// on through a lapse, and only declaring the cluster lost can end it.
	FailoverNever FailoverMode = "never"
)

// Failover is an execution's failover policy, fixed when it is created.
type Failover struct {
	Mode FailoverMode `json:"mode,omitempty"` // empty: resume
	// Strict kills what runs early enough that its grace ends inside the lease:
	// no attempt of an old owner overlaps with its successor.
	Strict bool `json:"strict,omitempty"`
	// MaxMoves bounds forced moves; 0 means DefaultMaxMoves. What has used them
	// up stays where it is, as with FailoverNever.
	MaxMoves int `json:"maxMoves,omitempty"`
}

// DefaultMaxMoves bounds the forced moves of an execution that says nothing.
const DefaultMaxMoves = 5

// Moves reports whether an execution that was moved so often may be moved by
// force once more.
func (f Failover) Moves(already int) bool {
	limit := f.MaxMoves
	if limit == 0 {
		limit = DefaultMaxMoves
	}
	return f.Mode != FailoverNever && already < limit
}

// Pinned reports whether the data plane may go on with the execution's work
// through a lapse: nobody will place it elsewhere while its cluster stands.
func (f Failover) Pinned() bool { return f.Mode == FailoverNever }

// MoveKind says why an execution left a cluster.
type MoveKind string

// The kinds of moves.
const (
	MoveLapse    MoveKind = "Lapse"    // its cluster's leases ended
	MoveLost     MoveKind = "Lost"     // its cluster was declared lost
	MoveReleased MoveKind = "Released" // the cluster had acked it, and holds it no more
	MoveDrain    MoveKind = "Drain"    // its cluster is being drained
	MoveTaint    MoveKind = "Taint"    // a NoExecute taint that it does not tolerate any more
	MovePreempt  MoveKind = "Preempt"  // work of higher priority needs the room
	MoveRebuild  MoveKind = "Rebuild"  // a restored backup knew another owner
)

// Forced reports whether such a move counts against the move limit, and raises
// the ownership revision: it asks no owner.
func (k MoveKind) Forced() bool { return k == MoveLapse || k == MoveLost || k == MoveReleased }

// Move is one line of an execution's placement history: it left a cluster.
type Move struct {
	Execution ExecutionID
	From      string
	Epoch     Epoch // at which From held it
	Kind      MoveKind
	Reason    string // for people
	At        time.Time
}

// LeaseMark is what a snapshot saw of one member's lease row. A transaction that
// takes work from its cluster reads the row again, and takes nothing if another
// lease was granted since.
type LeaseMark struct {
	Member
	Generation uint64 // of the session for which the lease was recorded; 0: no row
	RecordedAt time.Time
}

// Takeover guards the forced removal of work from a lapsed or lost cluster:
// these are all its members' lease rows, as the snapshot saw them.
type Takeover struct {
	Cluster string
	Marks   []LeaseMark
	// Lost says that only an operator's word frees the cluster's work: nothing is
	// taken if the cluster was declared found meanwhile, since a lease from before
	// the loss may live.
	Lost bool
}

// Recovery is what earlier epochs of an execution left behind for the next one.
// It is read when an assignment is sent, and empty at the first epoch and after
// a restart.
type Recovery struct {
	Nodes []RecoveredNode `json:"nodes,omitempty"`
}

// RecoveredNode is what is known of one node of a resumed execution.
type RecoveredNode struct {
	Node   string `json:"node"`             // unique node id
	Parent string `json:"parent,omitempty"` // unique node id; empty at top level
	// Phase is NodeSucceeded, NodeSkipped, NodeRecovered, NodeFailed or
	// NodeTimedOut for what has ended by an event and stands; NodeUndefined for
	// what has to go on, as does all that was aborted or closed as lost.
	Phase     NodePhase `json:"phase"`
	OutputURI string    `json:"outputURI,omitempty"` // of what succeeded
	Error     []byte    `json:"error,omitempty"`     // flyteidl.core.ExecutionError of what failed
	// NextAttempt is one above the highest attempt stored, whatever ended it.
	NextAttempt uint32 `json:"nextAttempt,omitempty"`
	// Charged counts the stored attempts that its retry budget paid for: those
	// that failed, and not by an error of kind SYSTEM.
	Charged uint32 `json:"charged,omitempty"`
	// Checkpoint is the folder of the newest attempt's checkpoint, or empty: the
	// checkpoint_uri of the task_node_metadata of the node's newest event.
	Checkpoint string    `json:"checkpoint,omitempty"`
	StartedAt  time.Time `json:"startedAt,omitzero"` // gates and timeouts count from here
}

// LossReport says what declaring a cluster lost does to its executions.
type LossReport struct {
	Cluster  Cluster
	Movable  int64 // placed elsewhere, as room allows
	Pinned   int64 // stay, or end as FAILED if that was asked for
	Aborting int64 // ABORTED at once
	// LeaseUntil is the latest end of a lease that may still be out; until then
	// its members may start work. Zero: none is.
	LeaseUntil time.Time
}
