package flow

import (
	"cmp"
	"time"
)

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

	// Workflow is the name that workflow policies and stickiness go by.
	Workflow string `json:"workflow,omitempty"`
	// Pool names a selector of the policies that hold for it; from Flyte's
	// ClusterAssignment.
	Pool string `json:"pool,omitempty"`
	// Class names a priority of the policies; empty: their default.
	Class string `json:"class,omitempty"`
	// Architectures and Accelerators that some node of the cluster must have.
	Architectures []string `json:"architectures,omitempty"` // like "arm64"; one of them
	Accelerators  []string `json:"accelerators,omitempty"`  // like "nvidia-tesla-a100"; all of them
	// Preferred clusters, besides those that policies prefer.
	Preferred []Preference `json:"preferred,omitempty"`
	// Group is what the affinity of others names; Near and Apart name groups of
	// executions of the same tenant to be close to, or on other clusters than.
	Group string   `json:"group,omitempty"`
	Near  []string `json:"near,omitempty"`
	Apart []string `json:"apart,omitempty"`
	// Data are places (scheme and bucket, or a folder) of inputs and raw output.
	Data []string `json:"data,omitempty"`
	// MinVersion of the cluster's propeller, if the work needs one.
	MinVersion string `json:"minVersion,omitempty"`
}

// Pending is an execution that waits for a cluster.
type Pending struct {
	Execution   ExecutionID
	Epoch       Epoch // its newest epoch; zero if it was never placed
	Requirement Requirement
	CreatedAt   time.Time
	Trace       string // W3C traceparent

	// Digest names its requirement: equal digests, equal requirements.
	Digest string
	// NotBefore is the end of a back-off; zero: none.
	NotBefore time.Time
	// From is the cluster that is to lose it, by force; empty: it waits for a
	// cluster. Its quota is counted already.
	From string
	// Last is the cluster that held Epoch: what it left behind lies in that
	// cluster's store. Empty if it was never placed, or if that is not known.
	Last     string
	Failover Failover
	Moves    int // forced ones so far
}

// Key is its place in the order of those that wait, the oldest first.
func (p Pending) Key() PendingKey { return PendingKey{At: p.CreatedAt, Execution: p.Execution} }

// PendingKey is a place in that order: just after the execution that it names.
// The zero key is before all.
type PendingKey struct {
	At        time.Time
	Execution ExecutionID
}

// Compare orders by time, and then by name.
func (k PendingKey) Compare(o PendingKey) int {
	a, b := k.Execution, o.Execution
	return cmp.Or(k.At.Compare(o.At), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Project, b.Project), cmp.Compare(a.Domain, b.Domain))
}

// Reserved is the capacity that one live placement holds.
type Reserved struct {
	Execution   ExecutionID
	Cluster     string
	Reservation Resources
}

// Load is what live placements hold on one cluster: those of one tenant, group and
// workflow, summed up.
type Load struct {
	Cluster     string    `json:"cluster"`
	Tenant      Tenant    `json:"tenant"`
	Group       string    `json:"group,omitempty"`
	Workflow    string    `json:"workflow,omitempty"`
	Executions  int64     `json:"executions"`
	Reservation Resources `json:"reservation"`
}

// Placement assigns an execution to a cluster at an epoch of its own.
type Placement struct {
	Execution ExecutionID
	Prior     Epoch // the epoch read in the snapshot; the commit aborts if it has changed
	Cluster   string
	Reasons   []Reason
	Trace     string

	// From is the cluster that loses it, by force: its lease rows are read again.
	From string
	Kind MoveKind // of that move
	// Fallback says why an execution that was to be resumed is restarted; empty
	// if it is resumed, or was to be restarted.
	Fallback string
	Restart  bool // earlier epochs' nodes are archived, not resumed
	Trail    string
	Score    float64
}

// Reason is one cluster's line in the explanation of a decision.
type Reason struct {
	Cluster string  `json:"cluster"`
	Filter  string  `json:"filter,omitempty"` // the filter that refused; empty if it passed
	Message string  `json:"message"`
	Score   float64 `json:"score,omitempty"`
	Parts   Parts   `json:"parts,omitempty"` // of the score
	Chosen  bool    `json:"chosen,omitempty"`
}

// Wait says why an execution could not be placed now.
type Wait struct {
	Execution ExecutionID
	Reasons   []Reason
	Trail     string // its digest; see Trail
}

// Trail is what the clusters of one snapshot said to one requirement class: per
// cluster the filter that refused, or the parts of its score. It is stored once,
// and referred to by all decisions that it explains.
type Trail struct {
	Digest  string // of class and snapshot
	Class   string // digest of the requirement and of the policies that held
	Round   string // the Round in which it came up first
	Reasons []Reason
}

// Round is one decision as a whole: enough to take it again. View and Plan are
// the scheduler's own encodings.
type Round struct {
	ID        string // of the term and of the first beat of the round: "era.epoch/beat"
	Scheduler Epoch
	At        time.Time
	View      []byte // the frozen world, compressed
	Plan      []byte // digests of what was decided, in order
	Decisions int
}

// Before names the rounds that are older than this one, to read on from it.
func (r Round) Before() RoundKey { return RoundKey{At: r.At, ID: r.ID} }

// RoundKey is a place in the order of rounds, the newest first: just after the
// round that it names. Zero is before all of them.
type RoundKey struct {
	At time.Time
	ID string
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

	Trail    string // digest of the trail that Reasons were read from
	Round    string
	Score    float64 // when it was chosen
	Fallback string  // why it was restarted instead of resumed
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
	Failover      Failover
	Recovery      Recovery // of epochs above the first
}

// Ack says that a member has durably applied an assignment's revision.
type Ack struct {
	Execution ExecutionID
	Epoch     Epoch
	Revision  uint64
}

// Nack says that a member could not apply an assignment's revision.
type Nack struct {
	Ack
	Reason string // for people
}
