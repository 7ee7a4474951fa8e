// Package act performs a workflow.Step: it resolves inputs, starts and aborts
// attempts through plugins, writes outputs, and then writes the status once.
//
// It decides nothing, and each thing that it does may be done again: objects
// have derived names, files are written whole, and the status is patched only
// if nobody wrote the status since it was read. It is called by package controller.
//
// Invariant: the finalizer is there before the first side effect, and all side
// effects of a step come before the status that tells of them.
package act

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/plugins"
	"github.com/skein-project/skein/propeller/observe"
	"github.com/skein-project/skein/propeller/workflow"
)

// Blobs is the part of an object store that is used here.
type Blobs interface {
	// Read gives a whole object; fault.NotFound if there is none.
	Read(ctx context.Context, uri string) ([]byte, error)
	// Write puts a whole object, or none of it; it overwrites.
	Write(ctx context.Context, uri string, data []byte) error
}

// Options are what an Actor needs.
type Options struct {
	Client   client.Client
	Live     client.Reader // reads from the API server itself
	Plugins  observe.Plugins
	Blobs    Blobs
	Cluster  string // name of the cluster, for spans
	Log      *slog.Logger
	Parallel int // actions of one step that are done at once; 0: 16
	// MayStart is asked right before each start: may the execution start something
	// new, and until when (zero: for ever); else why not. Nil: it may, for ever.
	MayStart func(id flow.ExecutionID, epoch flow.Epoch) (until time.Time, reason string, ok bool)
	// Late is told of each start that came back after the lease had ended: whether
	// something was made, or that nobody knows. May be nil.
	Late func(made bool)
}

// Actor performs steps.
type Actor struct {
	Options
	spans spans
}

// New makes an Actor.
func New(o Options) *Actor {
	if o.Parallel == 0 {
		o.Parallel = 16
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return &Actor{Options: o, spans: spans{open: map[string]trace.Span{}}}
}

// Do performs a step and writes the status that it leads to. The context's
// deadline is the end of the lease; a start is left for a later step if MayStart
// does not let it pass by then. It gives the sequence that it wrote, or 0.
// An error may pass: what could be done was done and written, and the rest is
// decided anew. But a *workflow.Failure says that nothing was done, and that the
// execution can never begin.
func (a *Actor) Do(ctx context.Context, wf *v1alpha1.FlyteWorkflow, w observe.World, s workflow.Step) (int64, error) {
	if s.Empty() {
		return 0, nil
	}
	t := &turn{Actor: a, wf: wf, w: w, read: reader{blobs: a.Blobs}, version: wf.ResourceVersion}
	if err := t.finalizer(ctx); err != nil {
		return 0, err
	}
	if s.Begin != nil {
		if err := t.begin(ctx, s.Begin.URI); err != nil {
			return 0, err
		}
	}
	s.Settle(t.all(ctx, &s))
	if over := workflow.Phase(s.Status.Phase); over.Terminal() && over != flow.ExecutionSucceeded {
		if err := t.sweep(ctx); err != nil {
			return 0, errors.Join(append(t.errs, err)...)
		}
	}
	seq, err := t.write(ctx, &s)
	if err == nil {
		t.release(ctx, &s)
		a.spans.ended(a.Cluster, wf, w.View.Status.Nodes, &s)
	}
	return seq, errors.Join(append(t.errs, err)...)
}

// ErrStopping says that an execution cannot end yet: something of it that no
// status names is being stopped.
var ErrStopping = errors.New("what no status names is being stopped")

// sweep stops what an earlier process, or a step whose status was not written,
// has started and nobody knows of.
func (t *turn) sweep(ctx context.Context) error {
	done, err := t.Plugins.Sweep(ctx, t.wf.Namespace, t.wf.Spec.Execution.Name, t.wf.UID, true)
	if err == nil && !done {
		err = ErrStopping
	}
	return err
}

// turn is one Do.
type turn struct {
	*Actor
	wf      *v1alpha1.FlyteWorkflow
	w       observe.World
	read    reader
	version string // resource version on which the status is written

	mu   sync.Mutex
	errs []error
}

// finalizer makes sure that the object outlives what it owns.
func (t *turn) finalizer(ctx context.Context) error {
	if controllerutil.ContainsFinalizer(t.wf, v1alpha1.Finalizer) || !t.wf.DeletionTimestamp.IsZero() {
		return nil
	}
	meta := map[string]any{"finalizers": append(t.wf.Finalizers[:len(t.wf.Finalizers):len(t.wf.Finalizers)], v1alpha1.Finalizer)}
	version, err := t.patch(ctx, t.Client, map[string]any{"metadata": meta})
	if err != nil {
		return fmt.Errorf("put the finalizer: %w", err)
	}
	t.version = version
	return nil
}

func (t *turn) begin(ctx context.Context, uri string) error {
	data := t.wf.Spec.Inputs
	if t.wf.Spec.InputsURI != "" {
		var err error
		if data, err = t.Blobs.Read(ctx, t.wf.Spec.InputsURI); err != nil {
			return t.hopeless(err)
		}
	}
	if err := t.Blobs.Write(ctx, uri, data); err != nil {
		return fmt.Errorf("write the inputs of the execution: %w", err)
	}
	return nil
}

// hopeless makes a Failure of inputs that have been missing for long or cannot
// be read at all: nothing has begun, and nothing ever would.
func (t *turn) hopeless(err error) error {
	err = fmt.Errorf("read the inputs of the execution: %w", err)
	missing := fault.Is(err, fault.NotFound) && t.w.View.Now.Sub(t.wf.CreationTimestamp.Time) > workflow.Patience
	if !missing && !fault.Is(err, fault.Exhausted) {
		return err
	}
	return &workflow.Failure{Code: "InputsNotFound", System: true, URI: t.wf.Spec.InputsURI,
		Message: fmt.Sprintf("%v: does this cluster share the control plane's object store?", err)}
}

// all performs the independent actions of a step, several at once.
func (t *turn) all(ctx context.Context, s *workflow.Step) workflow.Results {
	r := workflow.Results{
		Enters: make([]workflow.Result, len(s.Enters)), Starts: make([]workflow.Result, len(s.Starts)),
		Ends: make([]workflow.Result, len(s.Ends)), Aborts: make([]workflow.Result, len(s.Aborts)),
	}
	var g errgroup.Group
	g.SetLimit(t.Parallel)
	for i := range s.Aborts {
		g.Go(func() error { r.Aborts[i] = t.result(t.abort(ctx, s.Aborts[i])); return nil })
	}
	for i := range s.Enters {
		g.Go(func() error { r.Enters[i] = t.result(t.resolve(ctx, s.Enters[i].Inputs)); return nil })
	}
	for i := range s.Ends {
		g.Go(func() error { r.Ends[i] = t.result(t.end(ctx, s.Ends[i])); return nil })
	}
	for i := range s.Starts {
		g.Go(func() error { r.Starts[i] = t.result(t.start(ctx, s.Starts[i])); return nil })
	}
	_ = g.Wait() // what went wrong is in the results
	return r
}

// result keeps the errors that may pass, and makes the others results.
func (t *turn) result(r workflow.Result, err error) workflow.Result {
	var failure *workflow.Failure
	var refused *plugins.Failure
	switch {
	case err == nil:
		return r
	case errors.As(err, &refused):
		r.Failure = observe.Failure(refused)
	case errors.As(err, &failure):
		r.Failure = failure
	case fault.Is(err, fault.Exhausted):
		r.Waiting, r.Reason = true, err.Error()
	default:
		t.mu.Lock()
		t.errs = append(t.errs, err)
		t.mu.Unlock()
	}
	r.Done = false
	return r
}

func (t *turn) abort(ctx context.Context, e workflow.Abort) (workflow.Result, error) {
	n := t.w.View.Status.Nodes[e.Node]
	at := n.Attempts[e.Number]
	ref := plugins.Ref{Namespace: t.wf.Namespace, Name: at.Object, TaskType: n.TaskType, State: at.State}
	if n.Target != nil {
		ref.Template = t.w.View.Graph.Task(n.Target.EntityRef)
	}
	plugin := t.Plugins.For(n.TaskType, ref.Template)
	if plugin == nil {
		return workflow.Result{Done: true}, nil
	}
	done, err := plugin.Abort(ctx, ref)
	if err != nil {
		return workflow.Result{}, fmt.Errorf("abort attempt %s: %w", at.Object, err)
	}
	return workflow.Result{Done: done}, nil
}

func (t *turn) end(ctx context.Context, e workflow.End) (workflow.Result, error) {
	_, data, err := t.read.inputs(ctx, e.Inputs)
	if err != nil {
		return workflow.Result{Inputs: true}, err
	}
	for _, uri := range e.URIs {
		if err := t.Blobs.Write(ctx, uri, data); err != nil {
			return workflow.Result{}, fmt.Errorf("write the outputs of the workflow: %w", transient(err))
		}
	}
	return workflow.Result{Done: true}, nil
}

// transient hides the kind of an error that says nothing about the task.
func transient(err error) error { return fault.Wrap(fault.Unavailable, err, "the object store") }

func owner(wf *v1alpha1.FlyteWorkflow) metav1.OwnerReference {
	return *metav1.NewControllerRef(wf, v1alpha1.GroupVersion.WithKind("FlyteWorkflow"))
}

func since(t *metav1.MicroTime) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.Time
}
