// Package plugins is the contract between the propeller and what runs a task.
//
// A plugin turns one task attempt into something that runs (a pod, a custom
// resource, a call to a service) and reads back how it is. It does not retry,
// does not decide about phases of nodes and does not touch the FlyteWorkflow:
// that is the propeller's. The root is the contract; the explicit list of what
// exists is in plugins/builtin.
//
// Invariant: everything a plugin does is named by Task.Name, so that a repeat
// finds its own work: Start on what exists is success, Abort on what is gone
// is success.
package plugins

import (
	"context"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/core"
)

// Plugin runs the task attempts of some task types.
type Plugin interface {
	// ID is the plugin's identifier in events, such as "container".
	ID() string
	// TaskTypes are the task types that it runs unless told otherwise.
	TaskTypes() []string
	// Start makes the attempt run. It is idempotent by Task.Name and returns
	// once the work is durably asked for. A failure that the user has to see
	// is a *Failure; fault.Exhausted means that the attempt waits for resources;
	// every other error is tried again.
	Start(ctx context.Context, task Task) error
	// Observe reads how the attempt is, from a cache where there is one.
	Observe(ctx context.Context, ref Ref) (Status, error)
	// Abort stops the attempt and removes what it made. It returns done only
	// once nothing of it runs any more; until then it is called again.
	Abort(ctx context.Context, ref Ref) (done bool, err error)
}

// Sweeper is a Plugin that finds what it made by its owner, also what no status
// names: a process may end between a Start and the record of it.
type Sweeper interface {
	// Sweep stops what runs of an execution that is over. It returns done only
	// once nothing of it runs any more; until then it is called again. If it is
	// to be thorough, it goes by the API server and not by a cache, which may not
	// know yet of what was made last.
	Sweep(ctx context.Context, namespace, execution string, owner types.UID, thorough bool) (done bool, err error)
}

// Ref names one attempt to Observe and Abort.
type Ref struct {
	Namespace string
	Name      string // derived object name: at most 50 characters, a DNS label
	TaskType  string
	Template  *core.TaskTemplate
	State     []byte // as the last Status had it
}

// Task is one attempt of one task, ready to start. Its messages are shared
// and must not be changed.
type Task struct {
	Ref
	Execution flow.ExecutionID
	Epoch     flow.Epoch
	// Incarnation of the cluster, for the label by which its API server refuses
	// what is of an earlier one.
	Incarnation uint64
	Workflow    flow.EntityID // workflow of the execution
	LaunchPlan  flow.EntityID
	Node        string // unique node id
	Attempt     uint32
	Overrides   *core.TaskNodeOverrides // may be nil

	Inputs         *core.LiteralMap
	InputsURI      string // of inputs.pb
	OutputPrefix   string // attempt's output folder, no trailing slash
	RawPrefix      string // attempt's own raw output folder
	Checkpoint     string
	PrevCheckpoint string // empty if there is none

	Labels         map[string]string
	Annotations    map[string]string
	Env            []EnvVar // of the execution; appended after the platform's
	ServiceAccount string
	Interruptible  bool
	// MaxGrace bounds what the attempt gets between being told to stop and being
	// killed; 0: its own.
	MaxGrace time.Duration
	Owner    metav1.OwnerReference
	Trace    string // W3C traceparent of the attempt's span
}

// EnvVar is one environment variable of a container.
type EnvVar struct{ Name, Value string }

// Status is how an attempt is.
type Status struct {
	Phase flow.TaskPhase // Undefined: it was never seen (not started, or gone: see Missing)
	// Missing says that nothing of that name exists.
	Missing   bool
	Reason    string // for people
	StartedAt time.Time
	EndedAt   time.Time
	// Failure is set with TaskFailed and TaskRetryableFailed. With a phase that
	// is no end it means: stop the attempt, and then record this failure. The
	// plugin keeps it in State: what it sees after the stop is not the cause.
	Failure *Failure
	// Lingers says of an attempt that has ended that something of it runs still:
	// it is aborted once its end is recorded.
	Lingers bool
	State   []byte // opaque, kept in the FlyteWorkflow
	Logs    []LogLink
}

// LogLink is where a person can read a log.
type LogLink struct{ Name, URI string }

// Failure is why an attempt failed, and whom it is charged to.
type Failure struct {
	Code      string
	Message   string
	System    bool // charged to the system's retries, not to the user's
	Retryable bool
}

// Error prints the code and the message.
func (f *Failure) Error() string { return f.Code + ": " + f.Message }
