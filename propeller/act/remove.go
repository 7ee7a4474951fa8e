package act

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/plugins"
)

// Strays stops what still runs of an execution that has ended: what a process
// left that died between recording an end and stopping what lingered, and what
// an API server made late. It reports whether nothing does.
func (a *Actor) Strays(ctx context.Context, wf *v1alpha1.FlyteWorkflow) (bool, error) {
	return a.Plugins.Sweep(ctx, wf.Namespace, wf.Spec.Execution.Name, wf.UID, false)
}

// Remove deletes all that plugins made for an object, and then lets the object
// go. It is called again until there is nothing left: nobody else collects
// garbage. It reports whether the object may go.
func (a *Actor) Remove(ctx context.Context, wf *v1alpha1.FlyteWorkflow) (bool, error) {
	if !controllerutil.ContainsFinalizer(wf, v1alpha1.Finalizer) {
		return true, nil
	}
	a.spans.forget(wf)
	nodes, err := v1alpha1.Nodes(&wf.Status)
	if err != nil {
		return false, err
	}
	var left atomic.Int64
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(a.Parallel)
	for _, n := range nodes {
		for _, at := range n.Attempts {
			if at.Object == "" {
				continue // of an earlier epoch, in another cluster
			}
			g.Go(func() error {
				ref := plugins.Ref{Namespace: wf.Namespace, Name: at.Object, TaskType: n.TaskType, State: at.State}
				p := a.Plugins.Runs(at.Plugin, n.TaskType)
				if p == nil {
					return nil
				}
				done, err := p.Abort(gctx, ref)
				if err == nil && !done {
					left.Add(1)
				}
				return err
			})
		}
	}
	if err := g.Wait(); err != nil {
		return false, fmt.Errorf("delete what was made: %w", err)
	}
	swept, err := a.Plugins.Sweep(ctx, wf.Namespace, wf.Spec.Execution.Name, wf.UID, true)
	if err != nil || !swept || left.Load() > 0 {
		return false, err
	}
	rest := slices.DeleteFunc(slices.Clone(wf.Finalizers), func(f string) bool { return f == v1alpha1.Finalizer })
	t := &turn{Actor: a, wf: wf, version: wf.ResourceVersion}
	if _, err := t.patch(ctx, a.Client, map[string]any{"metadata": map[string]any{"finalizers": rest}}); err != nil {
		return false, fmt.Errorf("take the finalizer away: %w", err)
	}
	return true, nil
}
