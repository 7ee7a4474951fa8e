package controller

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/propeller/workflow"
)

// Collector deletes tombstones: FlyteWorkflows that ended long ago. What they
// own goes with them, by the finalizer.
type Collector struct {
	Client client.Client
	TTL    time.Duration // after its end, if the control plane has acked it
	// Unacked is how long one is kept of which the control plane may not know.
	Unacked time.Duration
	Every   time.Duration
	Now     func() time.Time
	Log     *slog.Logger
}

// Start collects until the context ends.
func (c *Collector) Start(ctx context.Context) error {
	tick := time.NewTicker(c.Every)
	defer tick.Stop()
	for {
		if err := c.collect(ctx); err != nil && ctx.Err() == nil {
			c.Log.WarnContext(ctx, "tombstones were not collected", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (c *Collector) collect(ctx context.Context) error {
	var list v1alpha1.FlyteWorkflowList
	if err := c.Client.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("list tombstones: %w", err)
	}
	for i := range list.Items {
		wf := &list.Items[i]
		if !c.expired(wf) {
			continue
		}
		uid, version := wf.UID, wf.ResourceVersion
		gone := &v1alpha1.FlyteWorkflow{}
		gone.Name, gone.Namespace = wf.Name, wf.Namespace
		err := c.Client.Delete(ctx, gone, client.Preconditions{UID: &uid, ResourceVersion: &version})
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("delete tombstone %s: %w", types.NamespacedName{Namespace: wf.Namespace, Name: wf.Name}, err)
		}
		collected.Inc()
	}
	return nil
}

func (c *Collector) expired(wf *v1alpha1.FlyteWorkflow) bool {
	if !workflow.Phase(wf.Status.Phase).Terminal() || wf.Status.EndedAt == nil || !wf.DeletionTimestamp.IsZero() {
		return false
	}
	age := c.Now().Sub(wf.Status.EndedAt.Time)
	acked, err := strconv.ParseInt(wf.Annotations[v1alpha1.AnnotationAcked], 10, 64)
	known := err == nil && acked >= wf.Status.PhaseSequence
	return known && age >= c.TTL || age >= c.Unacked
}
