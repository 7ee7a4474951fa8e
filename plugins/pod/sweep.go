package pod

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/plugins"
)

// Sweep aborts each pod that the owner controls and of which something runs.
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
		if by == nil || by.UID != owner || nothingRuns(pod) {
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

// nothingRuns reports whether nothing of a pod runs, nor will. A kubelet says that
// the containers have ended a moment before it says so of the pod.
func nothingRuns(pod *corev1.Pod) bool {
	if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
		return true
	}
	if pod.Spec.RestartPolicy != corev1.RestartPolicyNever || len(pod.Status.ContainerStatuses) < max(1, len(pod.Spec.Containers)) {
		return false
	}
	runs := func(cs corev1.ContainerStatus) bool { return cs.State.Terminated == nil }
	return !slices.ContainsFunc(pod.Status.ContainerStatuses, runs) && !slices.ContainsFunc(pod.Status.InitContainerStatuses, runs)
}
