package capi

import (
	"context"

	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// hookName is the lifecycle hook that holds a deleted cluster's machines.
const hookName = clusterv1.PreDrainDeleteHookAnnotationPrefix + "/skein-data-plane"

// hook holds a cluster's machines, or lets them go. A machine that is deleted
// while its cluster stays is not held: replacing nodes is Kubernetes' business,
// and pods that it evicts are tried again.
func (c *Controller) hook(ctx context.Context, cluster *clusterv1.Cluster, hold bool) error {
	var machines clusterv1.MachineList
	if err := c.client.List(ctx, &machines, client.InNamespace(cluster.Namespace),
		client.MatchingLabels{clusterv1.ClusterNameLabel: cluster.Name}); err != nil {
		return err
	}
	for i := range machines.Items {
		m := &machines.Items[i]
		want := hold && m.DeletionTimestamp.IsZero()
		_, has := m.Annotations[hookName]
		if has == want {
			continue
		}
		before := m.DeepCopy()
		if want {
			if m.Annotations == nil {
				m.Annotations = map[string]string{}
			}
			m.Annotations[hookName] = c.Name
		} else {
			delete(m.Annotations, hookName)
		}
		if err := c.client.Patch(ctx, m, client.MergeFrom(before)); client.IgnoreNotFound(err) != nil {
			return err
		}
	}
	return nil
}
