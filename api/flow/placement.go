package flow

import "time"

// Requirement is what an execution asks of the cluster that runs it. It is
// derived once, when the execution is created, and stored with it.
type Requirement struct {
	// Selector is a Kubernetes label selector over cluster labels; empty
	// selects every cluster. A bare word means "has this label key".
	Selector    string       `json:"selector,omitempty"`
	Tolerations []Toleration `json:"tolerations,omitempty"`
	TaskTypes   []string     `json:"taskTypes,omitempty"` // task types the cluster must run, sorted
	Largest     Resources    `json:"largest"`             // the largest single pod; must fit one node
	Peak        Resources    `json:"peak"`                // demand if all that can run in parallel does; scored, never filtered
	Reservation Resources    `json:"reservation"`         // min(peak, max parallelism × largest): held while it runs
}

// Pending is an execution that waits for a cluster.
type Pending struct {
	Execution   ExecutionID
	Epoch       Epoch // its newest epoch; zero if it was never placed
	Requirement Requirement
	CreatedAt   time.Time
	Trace       string // W3C traceparent
}

// Reserved is the capacity that one live placement holds.
type Reserved struct {
	Execution   ExecutionID
	Cluster     string
	Reservation Resources
}

// Placement assigns an execution to a cluster at an epoch of its own.
type Placement struct {
	Execution ExecutionID
	Prior     Epoch // the epoch read in the snapshot; the commit aborts if it has changed
	Cluster   string
	Reasons   []Reason
	Trace     string
}

// Reason is one cluster's line in the explanation of a decision.
type Reason struct {
	Cluster string             `json:"cluster"`
	Filter  string             `json:"filter,omitempty"` // the filter that refused; empty if it passed
	Message string             `json:"message"`
	Score   float64            `json:"score,omitempty"`
	Parts   map[string]float64 `json:"parts,omitempty"` // score parts by name
	Chosen  bool               `json:"chosen,omitempty"`
}

// Wait says why an execution could not be placed now.
type Wait struct {
	Execution ExecutionID
	Reasons   []Reason
}

// Decision is one stored decision about an execution: a placement, or a wait
// with reasons (Cluster empty).
type Decision struct {
	Execution ExecutionID
	Epoch     Epoch  // zero for a wait
	Cluster   string // empty for a wait
	Scheduler Epoch  // epoch of the scheduler that decided
	Reasons   []Reason
	At        time.Time
}

// Desired is what the control plane wants of an assignment.
type Desired string

// What can be wanted of an assignment.
const (
	DesiredRun   Desired = "run"
	DesiredAbort Desired = "abort"
	DesiredGone  Desired = "gone" // the database does not place it here any more
)

// Assignment is the whole desired state of one execution on one cluster, read
// when it is sent: the outbox is level-triggered.
type Assignment struct {
	Execution         ExecutionID
	Cluster           string
	Epoch             Epoch
	Incarnation       uint64
	Revision          uint64 // of the outbox row; acked with this very number
	OwnershipRevision uint64 // of the member, when this was read
	Desired           Desired
	Cause             string // of an abort
	Run               *Run   // set when Desired is run or abort
}

// Run is all that a cluster needs to run an execution, and to rebuild its row.
type Run struct {
	Workflow      EntityID
	LaunchPlan    EntityID
	Closure       []byte // flyteidl.core.CompiledWorkflowClosure; empty if ClosureURI is set
	ClosureURI    string // in the object store, for large closures
	ClosureDigest []byte // sha256 of the closure's bytes
	Inputs        []byte // flyteidl.core.LiteralMap; empty if InputsURI is set
	InputsURI     string
	Spec          []byte // flyteidl.admin.ExecutionSpec, merged and effective
	DataPrefix    string // the execution's folder in the object store (contract section 17: E)
	RawPrefix     string // where tasks put raw output
	CreatedAt     time.Time
	Trace         string // W3C traceparent
}

// Ack says that a member has durably applied an assignment's revision.
type Ack struct {
	Execution ExecutionID
	Epoch     Epoch
	Revision  uint64
}
