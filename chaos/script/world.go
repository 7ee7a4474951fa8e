package script

import (
	"context"
	"time"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/chaos/inject"
)

// World is what a scenario happens to. Fields are needed unless they say
// otherwise.
type World struct {
	Links     *inject.Links
	Traffic   *inject.Traffic // what is said over links that understand it
	Machines  Machines
	Processes Processes
	Users     Users
	Fleet     Fleet
	Planes    Planes
	Gates     Gates
	Market    Market
	Parts     Parts
	// Skein runs the command line and gives its output.
	Skein func(ctx context.Context, args ...string) (string, error)
	// Room is how many executions a cluster may hold at once; 0: nobody knows.
	Room int
	// Progress is told each step as it begins; nil: nobody is.
	Progress func(string)
}

// Processes are real ones, by name: "admin-1", "leader", "database", and
// "CLUSTER/propeller", "CLUSTER/node", "CLUSTER/api", "CLUSTER/etcd".
type Processes interface {
	// Kill ends one by SIGKILL. What is dead stays so.
	Kill(ctx context.Context, name string) error
	// Start starts one again, and waits until it is ready.
	Start(ctx context.Context, name string) error
	// Stop pauses one by SIGSTOP; Continue ends that.
	Stop(ctx context.Context, name string) error
	Continue(ctx context.Context, name string) error
	// Recover continues and starts everything.
	Recover(ctx context.Context) error
}

// Launch is one execution that is to be made.
type Launch struct {
	Name        string
	Tasks       int               // one after the other: 1 or 3
	Seconds     int               // how long each of them runs
	Label       string            // execution cluster label
	Annotations map[string]string // "skein.dev/…"
}

// Users make executions, as Flyte's clients do.
type Users interface {
	// Launch tries until it knows that the execution exists; an error means that
	// nobody promised it.
	Launch(ctx context.Context, l Launch) error
	// Abort asks for an abort until it is recorded, or the execution has ended.
	Abort(ctx context.Context, name string) error
}

// Status is where one execution stands.
type Status struct {
	Name    string
	Phase   flow.ExecutionPhase
	Cluster string    // where it is placed; empty: nowhere
	Changed time.Time // when it last changed, which is when it ended if it has
}

// Seen is what is known of one execution from outside.
type Seen struct {
	Status
	Epoch  flow.Epoch
	Moves  []flow.Move
	Placed []time.Time // of each epoch, oldest first
	Stays  []Stay      // of each epoch, oldest first
}

// Accepted is one event that the control plane has recorded.
type Accepted struct {
	At        time.Time
	Execution string
	Cluster   string
	Epoch     flow.Epoch
	Node      string
	Attempt   uint32
	Kind      flow.EventKind
	Phase     int32
}

// Fleet is what operators see.
type Fleet interface {
	// Statuses lists the executions whose names begin so, at the cost of one page.
	Statuses(ctx context.Context, prefix string) ([]Status, error)
	// Executions lists them with where they have been, at the cost of a call each.
	Executions(ctx context.Context, prefix string) ([]Seen, error)
	Health(ctx context.Context, cluster string) (flow.Health, error)
	// Doubt is why no work is moved; empty: it is.
	Doubt(ctx context.Context) (string, error)
	// Accepted lists the events recorded since the federation began, in order.
	Accepted(ctx context.Context) ([]Accepted, error)
}

// Object is one thing in a cluster that works for an execution.
type Object struct {
	Kind, Name string
	Execution  string
	Epoch      flow.Epoch
}

// Planes is what is seen inside clusters.
type Planes interface {
	// Alive lists the FlyteWorkflows that have not ended, and the pods that have
	// not and are not being deleted, of executions whose names begin so.
	Alive(ctx context.Context, cluster, prefix string) ([]Object, error)
	// Late counts, by cluster, starts whose answer came after the lease's end since
	// that cluster's propeller began.
	Late(ctx context.Context) (map[string]int, error)
}
