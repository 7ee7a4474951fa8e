package pod

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/plugins"
)

// Sweep aborts each pod that the owner controls and that has not ended.
func (r *Runner) Sweep(ctx context.Context, namespace, execution string, owner types.UID) (bool, error) {
	var pods corev1.PodList
	err := r.Client.List(ctx, &pods, client.InNamespace(namespace), client.MatchingLabels{v1alpha1.LabelExecution: labelValue(execution)},
		client.UnsafeDisableDeepCopy)
	if err != nil {
		return false, fmt.Errorf("list pods of %s: %w", execution, err)
	}
	done := true
	for i := range pods.Items {
		pod := &pods.Items[i]
		by := metav1.GetControllerOf(pod)
		if by == nil || by.UID != owner || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
			continue
		}
		gone, err := r.Abort(ctx, plugins.Ref{Namespace: pod.Namespace, Name: pod.Name})
		if err != nil {
			return false, err
		}
		done = done && gone
	}
	return done, nil
}
