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

// ownerIndex finds the pods of a FlyteWorkflow in the cache.
const ownerIndex = "skein.dev/owner"

// Index tells the cache to keep what Sweep looks up. It is called once, before
// the cache is started.
func Index(ctx context.Context, indexer client.FieldIndexer) error {
	return indexer.IndexField(ctx, &corev1.Pod{}, ownerIndex, ownerOf)
}

func ownerOf(o client.Object) []string {
	if by := metav1.GetControllerOf(o); by != nil {
		return []string{string(by.UID)}
	}
	return nil
}

// Sweep aborts each pod that the owner controls and of which something runs.
func (r *Runner) Sweep(ctx context.Context, namespace, execution string, owner types.UID, thorough bool) (bool, error) {
	done, err := r.sweep(ctx, r.Client, owner, client.InNamespace(namespace), client.MatchingFields{ownerIndex: string(owner)},
		client.UnsafeDisableDeepCopy)
	if err != nil || !done || !thorough {
		return done, err
	}
	return r.sweep(ctx, r.Live, owner, client.InNamespace(namespace), client.MatchingLabels{v1alpha1.LabelExecution: labelValue(execution)})
}

func (r *Runner) sweep(ctx context.Context, from client.Reader, owner types.UID, which ...client.ListOption) (bool, error) {
	var pods corev1.PodList
	if err := from.List(ctx, &pods, which...); err != nil {
		return false, fmt.Errorf("list the pods of an execution: %w", err)
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
