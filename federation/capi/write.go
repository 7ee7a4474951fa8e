package capi

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Reasons of the events that a Cluster gets.
const (
	reasonName  = "NoDataPlaneName"
	reasonOwner = "DataPlaneOfAnother"
	reasonDrain = "NotDrained"
)

// patch writes a change of a Cluster. It sends only what has changed: the server
// may know a newer version of the API, with fields that we do not. The lock is
// for finalizers, a list that a patch replaces whole.
func (c *Controller) patch(ctx context.Context, cluster *clusterv1.Cluster, change func()) error {
	before := cluster.DeepCopy()
	change()
	return c.client.Patch(ctx, cluster, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
}

func (c *Controller) say(ctx context.Context, cluster *clusterv1.Cluster, state string) error {
	return c.annotate(ctx, cluster, map[string]string{AnnotationState: state})
}

// warn says what somebody has to change, and tells it once by an event.
func (c *Controller) warn(ctx context.Context, cluster *clusterv1.Cluster, reason, state string) error {
	if cluster.Annotations[AnnotationState] != state && c.events != nil {
		c.events.Eventf(cluster, nil, corev1.EventTypeWarning, reason, "Reconcile", "%s", state)
	}
	return c.say(ctx, cluster, state)
}

// annotate writes what has changed.
func (c *Controller) annotate(ctx context.Context, o client.Object, set map[string]string) error {
	before := o.DeepCopyObject().(client.Object)
	have := o.GetAnnotations()
	if have == nil {
		have = map[string]string{}
	}
	changed := false
	for k, v := range set {
		changed = changed || have[k] != v
		have[k] = v
	}
	if !changed {
		return nil
	}
	o.SetAnnotations(have)
	return client.IgnoreNotFound(c.client.Patch(ctx, o, client.MergeFrom(before)))
}
