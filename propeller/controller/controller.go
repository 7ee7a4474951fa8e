// Package controller is the glue between controller-runtime and the loop of
// one execution: observe, decide, act.
//
// It has no rules of its own but two: nothing is started unless the Gate says
// so, and a status that is older than the one written last is not acted upon.
// What it reconciles is woken by events; time is asked for only where a
// deadline runs.
//
// Invariant: each write to the API server carries the end of the lease as its
// deadline, if there is a lease.
package controller

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/propeller/act"
	"github.com/skein-project/skein/propeller/observe"
	"github.com/skein-project/skein/propeller/workflow"
)

// Reconciler drives FlyteWorkflows.
type Reconciler struct {
	Client   client.Client
	Observer *observe.Observer
	Actor    *act.Actor
	Gate     Gate
	Log      *slog.Logger
	Now      func() time.Time
	Timeout  time.Duration // of a write that no lease bounds
	// Grace is what pods of strict executions get between being told to stop and
	// being killed.
	Grace time.Duration

	workers int
	lane    lane

	mu      sync.Mutex
	written map[types.UID]int64 // the sequence written last
}

// Reconcile lets one execution go as far as it can.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	wf := &v1alpha1.FlyteWorkflow{}
	// Nothing below changes the object, so the cache's own is good enough.
	if err := r.Client.Get(ctx, req.NamespacedName, wf, client.UnsafeDisableDeepCopy); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if r.behind(wf) {
		return ctrl.Result{}, nil // the cache will tell of our own write
	}
	if over(wf) {
		return r.over(ctx, wf)
	}
	if !r.lane.enter(wf.UID, r.workers) {
		return ctrl.Result{RequeueAfter: slowPause}, nil
	}
	begun := time.Now()
	defer func() { r.lane.leave(wf.UID, time.Since(begun)) }()
	p := r.ask(wf)
	ctx, cancel := r.bound(ctx, p.until, p.may)
	defer cancel()
	world, err := r.Observer.World(ctx, wf, p.may, r.Now())
	p.onto(&world)
	step, err := decide(world, err)
	if err != nil {
		return result(err)
	}
	seq, err := r.Actor.Do(ctx, wf, world, step)
	if never := (*workflow.Failure)(nil); errors.As(err, &never) {
		step = workflow.Fail(world.View, never)
		seq, err = r.Actor.Do(ctx, wf, world, step)
	}
	r.wrote(wf.UID, seq)
	count(step, time.Since(begun), err)
	if step.Held > 0 && !p.may {
		r.Log.DebugContext(ctx, "nothing is started", "execution", executionID(wf).String(), "reason", p.reason)
	}
	if err != nil {
		return result(err)
	}
	return ctrl.Result{RequeueAfter: r.after(step.Next)}, nil
}

// decide advances, or ends what can never be run.
func decide(w observe.World, err error) (workflow.Step, error) {
	var never *workflow.Failure
	switch {
	case errors.As(err, &never):
		return workflow.Fail(w.View, never), nil
	case err != nil:
		return workflow.Step{}, err
	}
	return workflow.Advance(w.View), nil
}

// over keeps an ended execution as a tombstone, or removes it.
func (r *Reconciler) over(ctx context.Context, wf *v1alpha1.FlyteWorkflow) (ctrl.Result, error) {
	r.Observer.Forget(wf.UID)
	r.lane.forget(wf.UID)
	ctx, cancel := r.bound(ctx, time.Time{}, false)
	defer cancel()
	if wf.DeletionTimestamp.IsZero() {
		if done, err := r.Actor.Strays(ctx, wf); err != nil || !done {
			return ctrl.Result{RequeueAfter: 2 * time.Second}, err
		}
		return ctrl.Result{}, nil
	}
	gone, err := r.Actor.Remove(ctx, wf)
	if err != nil {
		return result(err)
	}
	if !gone {
		return ctrl.Result{RequeueAfter: 2 * time.Second}, nil
	}
	r.mu.Lock()
	delete(r.written, wf.UID)
	r.mu.Unlock()
	return ctrl.Result{}, nil
}

// over reports whether nothing can follow and the spec holds nothing unseen.
func over(wf *v1alpha1.FlyteWorkflow) bool {
	return workflow.Phase(wf.Status.Phase).Terminal() &&
		(wf.Status.ObservedRevision >= wf.Spec.Revision || !wf.DeletionTimestamp.IsZero())
}

// bound gives the context in which a step is done.
func (r *Reconciler) bound(ctx context.Context, until time.Time, may bool) (context.Context, context.CancelFunc) {
	if may && !until.IsZero() {
		return context.WithDeadline(ctx, until)
	}
	return context.WithTimeout(ctx, r.Timeout)
}

// result of what went wrong: a conflict says only that somebody was faster.
func result(err error) (ctrl.Result, error) {
	if apierrors.IsConflict(err) {
		return ctrl.Result{RequeueAfter: 10 * time.Millisecond}, nil
	}
	if apierrors.IsNotFound(err) {
		return ctrl.Result{}, nil
	}
	if errors.Is(err, act.ErrStopping) {
		return ctrl.Result{RequeueAfter: 2 * time.Second}, nil
	}
	return ctrl.Result{}, err
}

func (r *Reconciler) behind(wf *v1alpha1.FlyteWorkflow) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return wf.Status.Sequence < r.written[wf.UID]
}

func (r *Reconciler) wrote(uid types.UID, seq int64) {
	if seq == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.written == nil {
		r.written = map[types.UID]int64{}
	}
	r.written[uid] = max(seq, r.written[uid])
}

func (r *Reconciler) after(next time.Time) time.Duration {
	if next.IsZero() {
		return 0
	}
	return max(next.Sub(r.Now()), 10*time.Millisecond)
}

func executionID(wf *v1alpha1.FlyteWorkflow) flow.ExecutionID {
	e := wf.Spec.Execution
	return flow.ExecutionID{Project: e.Project, Domain: e.Domain, Name: e.Name}
}
