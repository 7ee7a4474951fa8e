package processnode

import (
	"context"
	"encoding/json"
	"maps"
	"sort"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"github.com/skein-project/skein/deploy/local/processnode/fit"
)

// bindPause lets the events of one moment be handled in one round.
const bindPause = 20 * time.Millisecond

// binder stands in for the scheduler: it knows one node only.
type binder struct {
	agent *Agent
	pods  cache.Store
	nodes cache.Store
	// assumed are bound pods that the watch does not show as bound yet.
	assumed map[types.UID]*corev1.Pod
	// told is the last Unschedulable message of each pod, until it is bound.
	told map[types.UID]string
}

// run binds what fits after each nudge.
func (b *binder) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.agent.nudge:
		}
		b.round(ctx)
		pause(ctx, bindPause)
	}
}

func (b *binder) round(ctx context.Context) {
	item, ok, _ := b.nodes.GetByKey(b.agent.opts.NodeName)
	if !ok {
		return // its arrival nudges
	}
	node := item.(*corev1.Node)
	used, pending := b.survey()
	for _, pod := range pending {
		if why := fit.Why(pod, node, used); why != "" {
			b.tell(ctx, pod, why)
			continue
		}
		if b.bind(ctx, pod) {
			fit.Add(used, fit.Requests(pod))
		}
	}
}

// survey sums up what is on the node and lists what waits, oldest first.
func (b *binder) survey() (corev1.ResourceList, []*corev1.Pod) {
	used := corev1.ResourceList{}
	var pending []*corev1.Pod
	seen := map[types.UID]bool{}
	for _, item := range b.pods.List() {
		pod := item.(*corev1.Pod)
		seen[pod.UID] = true
		if pod.Spec.NodeName != "" {
			delete(b.assumed, pod.UID)
			delete(b.told, pod.UID)
		}
		switch {
		case pod.Spec.NodeName == b.agent.opts.NodeName || b.assumed[pod.UID] != nil:
			if !terminal(pod) {
				fit.Add(used, fit.Requests(pod))
			}
		case waitsForUs(pod):
			pending = append(pending, pod)
		}
	}
	maps.DeleteFunc(b.assumed, func(uid types.UID, _ *corev1.Pod) bool { return !seen[uid] })
	maps.DeleteFunc(b.told, func(uid types.UID, _ string) bool { return !seen[uid] })
	sort.Slice(pending, func(i, j int) bool { return older(pending[i], pending[j]) })
	return used, pending
}

func waitsForUs(pod *corev1.Pod) bool {
	name := pod.Spec.SchedulerName
	return pod.Spec.NodeName == "" && pod.DeletionTimestamp == nil && !terminal(pod) &&
		len(pod.Spec.SchedulingGates) == 0 && (name == "" || name == corev1.DefaultSchedulerName)
}

func older(a, b *corev1.Pod) bool {
	if !a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.CreationTimestamp.Before(&b.CreationTimestamp)
	}
	return a.Namespace+"/"+a.Name < b.Namespace+"/"+b.Name
}

// bind binds the pod. Another agent may have been faster: then it is no longer ours.
func (b *binder) bind(ctx context.Context, pod *corev1.Pod) bool {
	err := b.agent.client.CoreV1().Pods(pod.Namespace).Bind(ctx, &corev1.Binding{
		ObjectMeta: metav1.ObjectMeta{Name: pod.Name, Namespace: pod.Namespace, UID: pod.UID},
		Target:     corev1.ObjectReference{Kind: "Node", Name: b.agent.opts.NodeName},
	}, metav1.CreateOptions{})
	switch {
	case err == nil:
		b.assumed[pod.UID] = pod
		return true
	case apierrors.IsConflict(err), apierrors.IsNotFound(err), ctx.Err() != nil:
	default:
		b.agent.log.Warn("pod not bound", "pod", pod.Namespace+"/"+pod.Name, "error", err)
		b.agent.nudgeAfter(time.Second)
	}
	return false
}

// tell puts the reason on the pod, once.
func (b *binder) tell(ctx context.Context, pod *corev1.Pod, why string) {
	if b.told[pod.UID] == why {
		return
	}
	now := metav1.Now()
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": pod.UID},
		"status": map[string]any{"conditions": []corev1.PodCondition{{
			Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable,
			Message: why, LastTransitionTime: now,
		}}},
	})
	if err == nil {
		_, err = b.agent.client.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	}
	if err == nil {
		b.told[pod.UID] = why
	} else if !apierrors.IsNotFound(err) && ctx.Err() == nil {
		b.agent.log.Warn("pod not marked unschedulable", "pod", pod.Namespace+"/"+pod.Name, "error", err)
		b.agent.nudgeAfter(time.Second)
	}
}
