package simnode

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// pod is what we know about one pod. The first group belongs to the agent's
// lock; the second to the worker that has the pod, which is one at a time.
type pod struct {
	latest  *corev1.Pod
	ours    bool                // assigned to our node
	counted corev1.ResourceList // what it holds of the node; nil: nothing
	why     string              // it does not fit

	bound, running, ended, removed bool
	lost                           bool // an earlier agent had started it
	told                           string
	since                          metav1.Time
}

func newPod(seen *corev1.Pod, self string) *pod {
	p := &pod{ended: terminal(seen)}
	if start := seen.Status.StartTime; start != nil && seen.Spec.NodeName == self {
		p.since, p.running, p.lost = *start, true, !p.ended
	}
	return p
}

// step writes what is next to be written about the pod, and tells when to look
// again. A pod that is gone is none of our business any more.
func (a *Agent) step(ctx context.Context, uid types.UID) (time.Duration, error) {
	a.mu.Lock()
	p := a.pods[uid]
	if p == nil {
		a.mu.Unlock()
		return 0, nil
	}
	seen, ours, why := p.latest, p.ours, p.why
	a.mu.Unlock()
	var again time.Duration
	var err error
	if ours {
		again, err = a.move(ctx, p, seen)
	} else {
		err = a.tell(ctx, p, seen, why)
	}
	if apierrors.IsNotFound(err) {
		return 0, nil
	}
	return again, err
}

// move brings a pod of ours as far as it can be brought now.
func (a *Agent) move(ctx context.Context, p *pod, seen *corev1.Pod) (time.Duration, error) {
	if wait := time.Until(seen.CreationTimestamp.Add(a.opts.Startup)); wait > 0 && seen.DeletionTimestamp == nil {
		return wait, nil
	}
	if seen.Spec.NodeName == "" && !p.bound {
		if err := a.bind(ctx, p, seen); err != nil || !p.bound {
			return 0, err
		}
	}
	if p.since.IsZero() {
		p.since = metav1.Now()
	}
	if !p.ended {
		if o, wait := a.judge(p, seen, time.Now()); wait > 0 {
			return wait, a.run(ctx, p, seen)
		} else if err := a.end(ctx, p, seen, o); err != nil {
			return 0, err
		}
	}
	if seen.DeletionTimestamp == nil || p.removed {
		return 0, nil
	}
	err := a.client.CoreV1().Pods(seen.Namespace).Delete(ctx, seen.Name, metav1.DeleteOptions{
		GracePeriodSeconds: new(int64(0)), Preconditions: &metav1.Preconditions{UID: &seen.UID},
	})
	p.removed = err == nil
	return 0, err
}

// judge tells how the pod ends, or how long it still runs.
func (a *Agent) judge(p *pod, seen *corev1.Pod, now time.Time) (outcome, time.Duration) {
	rule, err := a.opts.Rule.of(seen)
	switch {
	case p.lost:
		return lost, 0
	case seen.DeletionTimestamp != nil:
		return deleted, 0
	case err != nil:
		return badRule(err), 0
	}
	o, delay := rule.outcome(), rule.Delay
	if d := seen.Spec.ActiveDeadlineSeconds; d != nil && time.Duration(*d)*time.Second < delay {
		o, delay = pastDeadline, time.Duration(*d)*time.Second
	}
	return o, max(delay-now.Sub(p.since.Time), 0)
}

// bind binds the pod. Someone else may have been faster: then it is no longer
// ours, until the watch says otherwise.
func (a *Agent) bind(ctx context.Context, p *pod, seen *corev1.Pod) error {
	err := a.client.CoreV1().Pods(seen.Namespace).Bind(ctx, &corev1.Binding{
		ObjectMeta: metav1.ObjectMeta{Name: seen.Name, Namespace: seen.Namespace, UID: seen.UID},
		Target:     corev1.ObjectReference{Kind: "Node", Name: a.opts.NodeName},
	}, metav1.CreateOptions{})
	p.bound = err == nil
	if apierrors.IsConflict(err) {
		a.mu.Lock()
		p.ours = p.latest.Spec.NodeName == a.opts.NodeName
		if !p.ours {
			a.release(p)
		}
		a.mu.Unlock()
		return nil
	}
	return err
}

func (a *Agent) run(ctx context.Context, p *pod, seen *corev1.Pod) error {
	if p.running {
		return nil
	}
	err := a.write(ctx, seen, runningStatus(seen, p.since))
	p.running = err == nil
	return err
}

func (a *Agent) end(ctx context.Context, p *pod, seen *corev1.Pod, o outcome) error {
	if o.succeeded && a.opts.Outputs != nil {
		if err := a.opts.Outputs(ctx, seen); err != nil {
			return fmt.Errorf("write outputs of pod %s/%s: %w", seen.Namespace, seen.Name, err)
		}
	}
	if err := a.write(ctx, seen, endedStatus(seen, p.since, metav1.Now(), o)); err != nil {
		return err
	}
	p.ended = true
	a.mu.Lock()
	a.release(p)
	a.mu.Unlock()
	return nil
}

// tell puts the reason why the pod does not fit on it, once.
func (a *Agent) tell(ctx context.Context, p *pod, seen *corev1.Pod, why string) error {
	if why == p.told || !waitsForUs(seen) {
		return nil
	}
	status := seen.Status.DeepCopy()
	status.Conditions = append(slices.DeleteFunc(status.Conditions, func(c corev1.PodCondition) bool { return c.Type == corev1.PodScheduled }),
		corev1.PodCondition{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable,
			Message: why, LastTransitionTime: metav1.Now()})
	err := a.write(ctx, seen, *status)
	if err == nil {
		p.told = why
	}
	return err
}

// write replaces the status, whatever it is now: nobody else writes it. The
// server refuses it for another pod of the same name, by the UID. A patch, as a
// kubelet sends it, would take the server twice the time.
func (a *Agent) write(ctx context.Context, seen *corev1.Pod, status corev1.PodStatus) error {
	next := seen.DeepCopy()
	status.QOSClass = seen.Status.QOSClass // it may not change
	next.Status, next.ResourceVersion = status, ""
	_, err := a.client.CoreV1().Pods(seen.Namespace).UpdateStatus(ctx, next, metav1.UpdateOptions{})
	return err
}
