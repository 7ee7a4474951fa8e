package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skein-project/skein/api/crd/v1alpha1"
)

// objects makes, changes and deletes what one one-node workflow needs at least.
type objects struct {
	api    ctrl.Client
	sample v1alpha1.FlyteWorkflow // a real one that has ended
}

// objects finds a sample of what the propeller has made.
func (r *rig) objects(ctx context.Context) (*objects, error) {
	api, err := r.cluster()
	if err != nil {
		return nil, err
	}
	var list v1alpha1.FlyteWorkflowList
	if err := api.List(ctx, &list, ctrl.Limit(1)); err != nil {
		return nil, err
	}
	if len(list.Items) == 0 {
		return nil, errors.New("no workflow is there to copy")
	}
	return &objects{api: api, sample: list.Items[0]}, nil
}

// bare marks pods that belong to no workflow.
var bare = ctrl.MatchingLabels{"bench": "bare"}

// pods creates so many pods and waits until the node has ended them all; it
// gives how many a second. They are deleted after that.
func (o *objects) pods(ctx context.Context, n int) (float64, error) {
	begin := time.Now()
	if err := times(ctx, clients, n, func(ctx context.Context, _ int) error {
		pod := o.pod()
		pod.Labels = bare
		return o.api.Create(ctx, pod)
	}); err != nil {
		return 0, err
	}
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := until(waiting, 20*time.Millisecond, func(ctx context.Context) (bool, error) {
		var list corev1.PodList
		err := o.api.List(ctx, &list, ctrl.InNamespace(o.sample.Namespace), bare, ctrl.Limit(1),
			ctrl.MatchingFieldsSelector{Selector: fields.OneTermNotEqualSelector("status.phase", string(corev1.PodSucceeded))})
		return err == nil && len(list.Items) == 0, err
	}); err != nil {
		return 0, fmt.Errorf("the node has not ended all %d pods: %w", n, err)
	}
	took := time.Since(begin)
	return float64(n) / took.Seconds(), o.api.DeleteAllOf(ctx, &corev1.Pod{}, ctrl.InNamespace(o.sample.Namespace), bare, grace)
}

func (o *objects) pod() *corev1.Pod {
	return &corev1.Pod{ObjectMeta: o.meta(), Spec: corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "only", Image: "none", Command: []string{"true"}}}}}
}

func (o *objects) meta() metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: o.sample.Namespace, Name: "raw-" + strings.ReplaceAll(uuid.NewString(), "-", "")}
}

var (
	grace = ctrl.GracePeriodSeconds(0)
	done  = []byte(`{"status":{"phase":"Succeeded","conditions":[{"type":"Ready","status":"False","reason":"PodCompleted"}],` +
		`"containerStatuses":[{"name":"only","image":"none","imageID":"","ready":false,"restartCount":0,` +
		`"state":{"terminated":{"exitCode":0,"reason":"Completed"}}}]}}`)
)

// cycle is: create the custom resource, create the pod, patch the pod's status,
// patch the resource's status, delete both.
func (o *objects) cycle(ctx context.Context, _ int) error {
	w := &v1alpha1.FlyteWorkflow{ObjectMeta: o.meta(), Spec: o.sample.Spec}
	if err := o.api.Create(ctx, w); err != nil {
		return err
	}
	pod := o.pod()
	if err := o.api.Create(ctx, pod); err != nil {
		return err
	}
	if err := o.api.Status().Patch(ctx, pod, ctrl.RawPatch(types.StrategicMergePatchType, done)); err != nil {
		return err
	}
	before := w.DeepCopy()
	o.sample.Status.DeepCopyInto(&w.Status)
	if err := o.api.Status().Patch(ctx, w, ctrl.MergeFrom(before)); err != nil {
		return err
	}
	return errors.Join(o.api.Delete(ctx, pod, grace), o.api.Delete(ctx, w))
}
