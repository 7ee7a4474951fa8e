package processnode

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
)

// coalesce is how long changes are gathered before they are written; the end of
// a pod is written at once.
const coalesce = 60 * time.Millisecond

// reporter writes one pod's status, and only what has changed in it.
type reporter struct {
	r      *run
	dirty  chan struct{}
	ending chan struct{}
	ended  chan struct{}
}

func newReporter(r *run) *reporter {
	return &reporter{r: r, dirty: make(chan struct{}, 1), ending: make(chan struct{}), ended: make(chan struct{})}
}

func (p *reporter) wake() {
	select {
	case p.dirty <- struct{}{}:
	default:
	}
}

// run writes until settle takes over.
func (p *reporter) run() {
	defer close(p.ended)
	for {
		select {
		case <-p.ending:
			return
		case <-p.dirty:
		}
		select {
		case <-p.ending:
			return
		case <-time.After(coalesce):
		}
		p.until("status not written", func(ctx context.Context) error { return p.write(ctx) })
	}
}

// settle writes the last status.
func (p *reporter) settle() {
	close(p.ending)
	<-p.ended
	p.until("last status not written", p.write)
}

// remove deletes the object, as a kubelet does once all has ended.
func (p *reporter) remove() {
	uid := p.r.pod.UID
	p.until("pod not deleted", func(ctx context.Context) error {
		return p.r.agent.client.CoreV1().Pods(p.r.pod.Namespace).Delete(ctx, p.r.pod.Name, metav1.DeleteOptions{
			GracePeriodSeconds: new(int64(0)), Preconditions: &metav1.Preconditions{UID: &uid},
		})
	})
}

// until repeats a request until it is accepted, has lost its object, or nothing
// is to be reported any more.
func (p *reporter) until(problem string, request func(context.Context) error) {
	conflicts := 0
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		err := request(p.r.talk)
		if err == nil || p.r.talk.Err() != nil || apierrors.IsNotFound(err) {
			return
		}
		// Mostly another pod has the name; a busy server says so for ours too.
		if apierrors.IsConflict(err) {
			if conflicts++; conflicts == 3 {
				return
			}
		}
		p.r.agent.log.Warn(problem, "pod", p.r.pod.Namespace+"/"+p.r.pod.Name, "error", err)
		if !pause(p.r.talk, wait) {
			return
		}
	}
}

func (p *reporter) write(ctx context.Context) error {
	p.r.mu.Lock()
	v := p.r.view
	v.now = metav1.Now()
	next := v.status()
	p.r.mu.Unlock()
	if equality.Semantic.DeepEqual(next, v.last) {
		return nil
	}
	patch, err := difference(p.r.pod.UID, v.last, next)
	if err != nil {
		return err
	}
	_, err = p.r.agent.client.CoreV1().Pods(p.r.pod.Namespace).Patch(ctx, p.r.pod.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	if err != nil {
		return err
	}
	p.r.mu.Lock()
	p.r.view.last = next
	p.r.mu.Unlock()
	return nil
}

// difference is the patch from one status to the next; with the UID in it, the
// server refuses it for another pod of the same name.
func difference(uid types.UID, last, next corev1.PodStatus) ([]byte, error) {
	before, err := json.Marshal(corev1.Pod{Status: last})
	if err != nil {
		return nil, fmt.Errorf("encode status: %w", err)
	}
	after, err := json.Marshal(corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: uid}, Status: next})
	if err != nil {
		return nil, fmt.Errorf("encode status: %w", err)
	}
	return strategicpatch.CreateTwoWayMergePatch(before, after, corev1.Pod{})
}
