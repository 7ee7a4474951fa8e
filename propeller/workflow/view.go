package workflow

import (
	"strings"
	"time"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/api/flow"
)

// View is all that a decision about one execution rests on.
type View struct {
	Graph     *Graph
	Execution flow.ExecutionID
	Epoch     flow.Epoch
	Data      string // the epoch's folder in the object store
	Raw       string // where tasks put raw output

	Revision       int64 // of the spec, on which the new status rests
	Abort          bool  // the control plane wants the execution ended
	Cause          string
	MayStart       bool // false: nothing new is started
	MaxParallelism int  // of task nodes; 0: no limit
	Interruptible  *bool
	Policy         Policy
	Now            time.Time
	// StopAt is when what runs is told to stop, so that its grace ends inside
	// the lease; from then on nothing is started. Zero: it may run on.
	StopAt time.Time
	// Recovery is what earlier epochs left of nodes; empty: nothing.
	Recovery []v1alpha1.RecoveredNode

	// Status as it was last written, its nodes decoded.
	Status v1alpha1.FlyteWorkflowStatus
	// Observed holds what is newly known of attempts that were not terminal.
	Observed map[Attempt]Observation
}

// lapses reports whether what runs must stop for the lease's sake.
func (v *View) lapses() bool { return !v.StopAt.IsZero() && !v.Now.Before(v.StopAt) }

// Policy holds the numbers of the rules in contract section 14.
type Policy struct {
	SystemRetries int           // failures that are charged to nobody's retries
	Timeout       time.Duration // of an attempt, where its task has none; 0: none
	Restart       time.Duration // a started attempt that is not found for so long is started again
	Resync        time.Duration // look again at what runs at least so often
	Unsettled     time.Duration // look again at what does not run yet at least so often
	Aborting      time.Duration // look again at what is being stopped
	Lull          time.Duration // an attempt so young that initializes is not written of yet: it soon runs or ends
}

// DefaultPolicy is Flyte's, with our own times to look again.
func DefaultPolicy() Policy {
	return Policy{SystemRetries: 3, Restart: 5 * time.Second, Resync: 5 * time.Minute,
		Unsettled: 30 * time.Second, Aborting: 2 * time.Second, Lull: 100 * time.Millisecond}
}

// Attempt names one attempt of one node by the node's unique id.
type Attempt struct {
	Node   string
	Number int
}

// Observation is how an attempt is, after its outputs were checked.
type Observation struct {
	Phase     flow.TaskPhase
	Missing   bool // nothing of its name exists
	Reason    string
	StartedAt time.Time
	EndedAt   time.Time
	// Failure is set with TaskFailed and TaskRetryableFailed. With a phase that
	// is no end it says: stop the attempt, and then record this.
	Failure   *Failure
	Lingers   bool // it has ended, and something of it runs still
	Lapsed    bool // it was stopped because its lease ended
	State     []byte
	Logs      []v1alpha1.LogLink
	OutputURI string // of outputs.pb, with TaskSucceeded
	DeckURI   string
}

// Failure is why something failed, and whom it is charged to.
type Failure struct {
	Code      string
	Message   string
	URI       string // of the file that says more
	System    bool
	Retryable bool
}

// Patience is how long what the control plane put into the object store may be
// missing before an execution that has not begun fails of it.
const Patience = 5 * time.Minute

// maxMessage bounds what one error takes of the custom resource; the whole is
// in the object store.
const maxMessage = 16 << 10

func (f *Failure) err() *v1alpha1.Error {
	kind := "USER"
	if f.System {
		kind = "SYSTEM"
	}
	message := f.Message
	if len(message) > maxMessage {
		message = strings.ToValidUTF8(message[:maxMessage], "") + " …"
	}
	return &v1alpha1.Error{Code: f.Code, Message: message, Kind: kind, URI: f.URI}
}

// Live gives the attempts that are recorded as not ended.
func Live(nodes map[string]v1alpha1.NodeStatus) []Attempt {
	var live []Attempt
	for id, n := range nodes {
		k := len(n.Attempts) - 1
		if k >= 0 && !flow.NodePhase(n.Phase).Terminal() && !ended(n.Attempts[k]) {
			live = append(live, Attempt{id, k})
		}
	}
	return live
}

func ended(a v1alpha1.AttemptStatus) bool {
	p := flow.TaskPhase(a.Phase)
	return p.Terminal() || p == flow.TaskRetryableFailed
}

// Phase reads the phase of a status; an empty one has not begun.
func Phase(s string) flow.ExecutionPhase {
	for p := flow.ExecutionQueued; p <= flow.ExecutionAborting; p++ {
		if p.String() == s {
			return p
		}
	}
	return flow.ExecutionUndefined
}

// Error prints the code and the message.
func (f *Failure) Error() string { return f.Code + ": " + f.Message }
