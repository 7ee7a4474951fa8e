// Package observe reads the world of one execution into a workflow.View: the
// custom resource, what plugins say of its attempts, and the files that the
// attempts left in the object store.
//
// It writes nothing and decides nothing, but for one thing: whether an attempt
// that ended well left the outputs that its task declares (contract 18.4). It
// is called by package controller, for many executions at once.
//
// Invariant: a View never says more of an attempt than its plugin and its
// output folder do; what cannot be read now is an error, not a failure.
package observe

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"
	"k8s.io/apimachinery/pkg/types"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/plugins"
	"github.com/skein-project/skein/propeller/workflow"
)

// Blobs is the part of an object store that is read here.
type Blobs interface {
	// Read gives a whole object; fault.NotFound if there is none, and
	// fault.Exhausted if it is too large to be read.
	Read(ctx context.Context, uri string) ([]byte, error)
	Exists(ctx context.Context, uri string) (bool, error)
}

// Options are what an Observer needs.
type Options struct {
	Plugins  Plugins
	Blobs    Blobs
	Policy   workflow.Policy
	Parallel int // attempts of one execution that are read at once; 0: 8
}

// Observer reads executions. It remembers what cannot change of each until it
// is told to Forget.
type Observer struct {
	Options
	mu    sync.Mutex
	facts map[types.UID]*facts
}

// World is one execution as it is now.
type World struct {
	View  workflow.View
	Spec  *admin.ExecutionSpec // never nil; shared, read only
	Terms Terms
}

// Terms are the gate's word on what a step starts. Whoever performs the step
// sets them.
type Terms struct {
	Incarnation uint64        // of the cluster
	MaxGrace    time.Duration // of what is started; 0: its own
}

// facts are what never changes of a FlyteWorkflow.
type facts struct {
	graph    *workflow.Graph
	spec     *admin.ExecutionSpec
	recovery []v1alpha1.RecoveredNode
}

// New makes an Observer.
func New(o Options) *Observer {
	if o.Parallel == 0 {
		o.Parallel = 8
	}
	return &Observer{Options: o, facts: map[types.UID]*facts{}}
}

// Forget drops what is remembered of a FlyteWorkflow.
func (o *Observer) Forget(uid types.UID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.facts, uid)
}

// World reads an execution. A *workflow.Failure says that the execution can
// never be run; the View is good for workflow.Fail then. Any other error may
// pass.
func (o *Observer) World(ctx context.Context, wf *v1alpha1.FlyteWorkflow, mayStart bool, now time.Time) (World, error) {
	w := World{View: o.view(wf, mayStart, now), Spec: &admin.ExecutionSpec{}}
	f, err := o.known(ctx, wf)
	if err != nil {
		return w, hopeless(wf, w.View, err)
	}
	w.Spec, w.View.Graph, w.View.Recovery = f.spec, f.graph, f.recovery
	w.View.MaxParallelism = int(f.spec.GetMaxParallelism())
	if i := f.spec.GetInterruptible(); i != nil {
		w.View.Interruptible = &i.Value
	}
	if w.View.Status.Nodes, err = v1alpha1.Nodes(&wf.Status); err != nil {
		return w, err
	}
	w.View.Status.CompressedNodes = nil
	w.View.Observed, err = o.attempts(ctx, wf.Namespace, w.View)
	return w, err
}

// hopeless makes a Failure of an error that would otherwise keep an execution
// that has not begun waiting for ever: one that is to be aborted needs no
// workflow to end, and one whose workflow has been missing for long has none.
func hopeless(wf *v1alpha1.FlyteWorkflow, v workflow.View, err error) error {
	missing := fault.Is(err, fault.NotFound) && v.Now.Sub(wf.CreationTimestamp.Time) > workflow.Patience
	if wf.Status.Phase != "" || !v.Abort && !missing && !fault.Is(err, fault.Exhausted) {
		return err
	}
	return &workflow.Failure{Code: "WorkflowNotFound", System: true, URI: wf.Spec.ClosureURI,
		Message: fmt.Sprintf("%v: does this cluster share the control plane's object store?", err)}
}

func (o *Observer) view(wf *v1alpha1.FlyteWorkflow, mayStart bool, now time.Time) workflow.View {
	s := &wf.Spec
	epoch := flow.Epoch{Era: uint64(s.Era), N: uint64(s.Epoch)}
	return workflow.View{
		Execution: flow.ExecutionID{Project: s.Execution.Project, Domain: s.Execution.Domain, Name: s.Execution.Name}, Epoch: epoch,
		Data: workflow.Folder(s.DataPrefix, epoch), Raw: workflow.Folder(s.RawPrefix, epoch), Revision: s.Revision,
		Abort: s.Desired == v1alpha1.DesiredAbort || !wf.DeletionTimestamp.IsZero(), Cause: s.Cause,
		MayStart: mayStart, Policy: o.Policy, Now: now, Status: wf.Status,
	}
}

func (o *Observer) known(ctx context.Context, wf *v1alpha1.FlyteWorkflow) (*facts, error) {
	o.mu.Lock()
	f := o.facts[wf.UID]
	o.mu.Unlock()
	if f != nil {
		return f, nil
	}
	closure, err := readClosure(ctx, o.Blobs, wf)
	if err != nil {
		return nil, err
	}
	f = &facts{spec: &admin.ExecutionSpec{}}
	if err := proto.Unmarshal(wf.Spec.ExecutionSpec, f.spec); err != nil {
		return nil, invalid("the execution's spec cannot be read: %v", err)
	}
	if f.recovery, err = v1alpha1.RecoveredNodes(wf.Spec.Recovery); err != nil {
		return nil, invalid("%v", err)
	}
	if f.graph, err = workflow.NewGraph(closure); err != nil {
		return nil, invalid("the compiled workflow cannot be run: %v", err)
	}
	o.mu.Lock()
	o.facts[wf.UID] = f
	o.mu.Unlock()
	return f, nil
}

// attempts asks plugins for all attempts that are not recorded as ended.
func (o *Observer) attempts(ctx context.Context, namespace string, v workflow.View) (map[workflow.Attempt]workflow.Observation, error) {
	live := workflow.Live(v.Status.Nodes)
	if len(live) == 0 {
		return nil, nil
	}
	all := make([]workflow.Observation, len(live))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(o.Parallel)
	for i, at := range live {
		g.Go(func() (err error) {
			n := v.Status.Nodes[at.Node]
			all[i], err = o.attempt(ctx, namespace, v, n, at.Number)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return maps.Collect(func(yield func(workflow.Attempt, workflow.Observation) bool) {
		for i, at := range live {
			if !yield(at, all[i]) {
				return
			}
		}
	}), nil
}

func (o *Observer) attempt(ctx context.Context, namespace string, v workflow.View, n v1alpha1.NodeStatus, k int) (workflow.Observation, error) {
	var template *core.TaskTemplate
	if n.Target != nil {
		template = v.Graph.Task(n.Target.EntityRef)
	}
	plugin := o.Plugins.For(n.TaskType, template)
	if plugin == nil {
		return workflow.Observation{Missing: true}, nil
	}
	at := n.Attempts[k]
	st, err := plugin.Observe(ctx, plugins.Ref{Namespace: namespace, Name: at.Object, TaskType: n.TaskType, Template: template, State: at.State})
	if err != nil {
		return workflow.Observation{}, fmt.Errorf("observe attempt %s: %w", at.Object, err)
	}
	seen := observation(st)
	switch seen.Phase {
	case flow.TaskSucceeded, flow.TaskFailed, flow.TaskRetryableFailed:
		err = o.settle(ctx, workflow.OutputPrefix(n.InputURI, k), template, &seen)
	}
	return seen, err
}

func observation(s plugins.Status) workflow.Observation {
	o := workflow.Observation{Phase: s.Phase, Missing: s.Missing, Reason: s.Reason,
		StartedAt: s.StartedAt, EndedAt: s.EndedAt, State: s.State, Lingers: s.Lingers, Failure: Failure(s.Failure)}
	for _, l := range s.Logs {
		o.Logs = append(o.Logs, v1alpha1.LogLink{Name: l.Name, URI: l.URI})
	}
	return o
}

// Failure is a plugin's failure in the words of package workflow; nil for nil.
func Failure(f *plugins.Failure) *workflow.Failure {
	if f == nil {
		return nil
	}
	return &workflow.Failure{Code: f.Code, Message: f.Message, System: f.System, Retryable: f.Retryable}
}
