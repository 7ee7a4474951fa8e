package capi

import (
	"context"
	"fmt"
	"time"

	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/skein-project/skein/api/fault"
)

// leave drains, removes and lets go.
func (c *Controller) leave(ctx context.Context, cluster *clusterv1.Cluster) (ctrl.Result, error) {
	if !controllerutil.ContainsFinalizer(cluster, Finalizer) {
		return ctrl.Result{}, nil
	}
	plane, err := planeOf(cluster)
	if err != nil { // nothing was ever registered by such a name
		return ctrl.Result{}, c.letGo(ctx, cluster, "let go: it has no data plane")
	}
	gone, why, err := empty(ctx, c.Options, plane, ownerOf(cluster, c.Name))
	switch {
	case fault.Is(err, fault.Conflict) && !installed(cluster):
		if err := c.warn(ctx, cluster, reasonOwner, err.Error()); err != nil {
			return ctrl.Result{}, err
		}
		return ctrl.Result{}, c.letGo(ctx, cluster, "let go: it has no data plane")
	case fault.Is(err, fault.Conflict):
		// Its machines may run what the other owner has placed there.
		return ctrl.Result{RequeueAfter: c.Refresh}, c.warn(ctx, cluster, reasonOwner, err.Error())
	case fault.Of(err).Retryable():
		return ctrl.Result{}, err
	case err != nil:
		if err := c.warn(ctx, cluster, reasonDrain, err.Error()); err != nil {
			return ctrl.Result{}, err
		}
		return ctrl.Result{}, err
	case !gone:
		return ctrl.Result{RequeueAfter: c.Poll}, c.say(ctx, cluster, why)
	}
	return ctrl.Result{}, c.letGo(ctx, cluster, why)
}

// installed reports whether a data plane was ever made of the Cluster.
func installed(cluster *clusterv1.Cluster) bool {
	return cluster.Annotations[AnnotationRegistered] != "" || cluster.Annotations[AnnotationToken] != ""
}

func (c *Controller) letGo(ctx context.Context, cluster *clusterv1.Cluster, why string) error {
	if err := c.hook(ctx, cluster, false); err != nil {
		return err
	}
	if err := c.say(ctx, cluster, why); err != nil {
		return err
	}
	if err := c.patch(ctx, cluster, func() { controllerutil.RemoveFinalizer(cluster, Finalizer) }); err != nil {
		return client.IgnoreNotFound(err)
	}
	c.Log.Info("cluster let go", "cluster", cluster.Name, "namespace", cluster.Namespace, "state", why)
	return nil
}

// empty drains a data plane and removes it; ok says that it may be deleted, and
// why says where it stands.
func empty(ctx context.Context, o Options, plane string, owner Owner) (ok bool, why string, err error) {
	state, err := o.Registry.Drain(ctx, plane, owner, o.Drain)
	switch {
	case fault.Is(err, fault.NotFound):
		return true, "removed", nil
	case err != nil:
		return false, "", fmt.Errorf("drain %s: %w", plane, err)
	case state.Remaining == 0:
		err := o.Registry.Remove(ctx, plane, owner)
		if fault.Is(err, fault.Precondition) { // something was placed there meanwhile
			return false, err.Error(), nil
		}
		if err != nil {
			return false, "", fmt.Errorf("remove %s: %w", plane, err)
		}
		return true, "removed", nil
	case state.Expired && o.AtDeadline == LetGo:
		return true, fmt.Sprintf("let go with %d executions", state.Remaining), nil
	}
	return false, held(state), nil
}

// held says why a data plane is not removed yet.
func held(s State) string {
	switch {
	case s.Lost && s.Pinned > 0:
		return fmt.Sprintf("declared lost with %d executions, %d of which may not move: skein cluster declare-lost %s --fail-pinned ends those",
			s.Remaining, s.Pinned, s.Name)
	case s.Lost:
		return fmt.Sprintf("declared lost with %d executions, which are placed elsewhere", s.Remaining)
	case s.Expired:
		return fmt.Sprintf("drain expired with %d executions", s.Remaining)
	}
	return fmt.Sprintf("draining: %d executions", s.Remaining)
}

// sweeps removes, until ctx ends, what was let go before it was empty: its
// Cluster, which would bring it back here, is deleted.
func (c *Controller) sweeps(ctx context.Context) error {
	tick := time.NewTicker(c.Refresh)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			c.sweep(ctx)
		}
	}
}

// sweep touches only what is leaving already: whether a Cluster exists is never
// concluded from not seeing it here.
func (c *Controller) sweep(ctx context.Context) {
	managed, err := c.Registry.Managed(ctx, c.Name)
	if err != nil {
		c.Log.Warn("registered data planes not listed; tried again", "error", err)
		return
	}
	for _, state := range managed {
		if state.Leaving.IsZero() {
			continue
		}
		if _, why, err := empty(ctx, c.Options, state.Name, state.Owner); err != nil {
			c.Log.Warn("data plane that is leaving not emptied; tried again", "cluster", state.Name, "error", err)
		} else {
			c.Log.Debug("data plane is leaving", "cluster", state.Name, "state", why)
		}
	}
}
