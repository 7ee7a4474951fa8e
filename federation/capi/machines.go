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
		if hold && !want {
			stays, err := c.stays(ctx, cluster)
			if err != nil {
				return err
			}
			if !stays {
				continue
			}
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

// stays reports whether a Cluster is not being deleted. Who drops a machine's
// hook may not ask a cache: the deletion of the machine can be seen before that
// of its Cluster, which is why it is deleted.
func (c *Controller) stays(ctx context.Context, cluster *clusterv1.Cluster) (bool, error) {
	var now clusterv1.Cluster
	err := c.live.Get(ctx, client.ObjectKeyFromObject(cluster), &now)
	return err == nil && now.UID == cluster.UID && now.DeletionTimestamp.IsZero(), client.IgnoreNotFound(err)
}
