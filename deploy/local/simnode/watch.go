package simnode

import (
	"context"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"github.com/skein-project/skein/deploy/local/processnode/fit"
)

// watch starts what follows the cluster's pods and our Node.
func (a *Agent) watch(ctx context.Context, loops *sync.WaitGroup) {
	rc := a.client.CoreV1().RESTClient()
	nodes := cache.NewSharedInformer(cache.NewListWatchFromClient(rc, "nodes", "",
		fields.OneTermEqualSelector("metadata.name", a.opts.NodeName)), &corev1.Node{}, 0)
	pods := cache.NewSharedInformer(cache.NewListWatchFromClient(rc, "pods", "", fields.Everything()), &corev1.Pod{}, 0)
	_ = pods.SetTransform(dropManagedFields) // errors of both: only after the start
	_, _ = nodes.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    a.observeNode,
		UpdateFunc: func(_, obj any) { a.observeNode(obj) },
	})
	_, _ = pods.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(obj any) { a.observe(obj.(*corev1.Pod)) },
		UpdateFunc: func(before, obj any) {
			// After a break of the watch, another pod may have taken the name.
			if old, pod := before.(*corev1.Pod), obj.(*corev1.Pod); old.UID != pod.UID {
				a.forget(old)
			}
			a.observe(obj.(*corev1.Pod))
		},
		DeleteFunc: a.forget,
	})
	loops.Go(func() { nodes.Run(ctx.Done()) })
	loops.Go(func() { pods.Run(ctx.Done()) })
}

func dropManagedFields(obj any) (any, error) {
	if pod, ok := obj.(*corev1.Pod); ok {
		pod.ManagedFields = nil
	}
	return obj, nil
}

func (a *Agent) observeNode(obj any) {
	a.mu.Lock()
	a.node = obj.(*corev1.Node)
	a.mu.Unlock()
	a.queue.Add(room)
}

// observe takes the newest form of a pod.
func (a *Agent) observe(seen *corev1.Pod) {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.pods[seen.UID]
	if p == nil {
		p = newPod(seen, a.opts.NodeName)
		a.pods[seen.UID] = p
	}
	p.latest = seen
	switch {
	case seen.Spec.NodeName == a.opts.NodeName:
		if !p.ours {
			a.assign(p) // bound by an earlier agent, by someone else, or by a call whose answer was lost
			a.queue.Add(seen.UID)
		} else if seen.DeletionTimestamp != nil {
			a.queue.Add(seen.UID)
		}
	case p.ours || !waitsForUs(seen):
	case !slices.Contains(a.waiting, seen.UID):
		if a.place(p); !p.ours {
			a.waiting = append(a.waiting, seen.UID)
		}
	}
	if terminal(seen) {
		a.release(p)
	}
}

func (a *Agent) forget(obj any) {
	if unknown, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		obj = unknown.Obj
	}
	gone, ok := obj.(*corev1.Pod)
	if !ok {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if p := a.pods[gone.UID]; p != nil {
		a.release(p)
		delete(a.pods, gone.UID)
	}
}

// place assigns the pod if it fits, or notes why it does not. The lock is held.
func (a *Agent) place(p *pod) {
	if a.node == nil {
		return // its arrival looks again
	}
	why := fit.Why(p.latest, a.node, a.used)
	if why == "" {
		a.assign(p)
	}
	if why == "" || why != p.why {
		p.why = why
		a.queue.Add(p.latest.UID)
	}
}

// placeWaiting looks again at all pods that wait. Those that were told already
// are passed over while the node can take no pod at all.
func (a *Agent) placeWaiting() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waiting = slices.DeleteFunc(a.waiting, func(uid types.UID) bool {
		p := a.pods[uid]
		if p == nil || !waitsForUs(p.latest) {
			return true
		}
		if p.why == "" || !a.full() {
			a.place(p)
		}
		return p.ours
	})
}

func (a *Agent) full() bool {
	if a.node == nil {
		return true
	}
	used := a.used[corev1.ResourcePods]
	return used.Cmp(a.node.Status.Allocatable[corev1.ResourcePods]) >= 0
}

// assign counts the pod in. The lock is held.
func (a *Agent) assign(p *pod) {
	p.ours, p.counted = true, fit.Requests(p.latest)
	fit.Add(a.used, p.counted)
}

// release counts the pod out, once, and lets others have its room. The lock is
// held.
func (a *Agent) release(p *pod) {
	if p.counted == nil {
		return
	}
	for name, quantity := range p.counted {
		rest := a.used[name].DeepCopy()
		rest.Sub(quantity)
		a.used[name] = rest
	}
	p.counted = nil
	if len(a.waiting) > 0 {
		a.queue.Add(room)
	}
}

func waitsForUs(pod *corev1.Pod) bool {
	name := pod.Spec.SchedulerName
	return pod.Spec.NodeName == "" && pod.DeletionTimestamp == nil && !terminal(pod) &&
		len(pod.Spec.SchedulingGates) == 0 && (name == "" || name == corev1.DefaultSchedulerName)
}

func terminal(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}
