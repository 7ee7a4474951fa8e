package main

import (
	"context"
	"errors"
	"strings"

	"github.com/google/uuid"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skein-project/skein/api/crd/v1alpha1"
)

// objects makes, changes and deletes what one one-node workflow needs at least.
type objects struct {
	api    ctrl.Client
	sample v1alpha1.FlyteWorkflow // a real one that has ended
}

// objects stops propeller and node, which would take the objects up.
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
	p := r.Planes[0]
	return &objects{api: api, sample: list.Items[0]}, errors.Join(p.Propeller.Stop(ctx), p.Node.Stop(ctx))
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
	meta := metav1.ObjectMeta{Namespace: o.sample.Namespace, Name: "raw-" + strings.ReplaceAll(uuid.NewString(), "-", "")}
	w := &v1alpha1.FlyteWorkflow{ObjectMeta: meta, Spec: o.sample.Spec}
	if err := o.api.Create(ctx, w); err != nil {
		return err
	}
	pod := &corev1.Pod{ObjectMeta: meta, Spec: corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "only", Image: "none", Command: []string{"true"}}}}}
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
