package controller

import (
	"reflect"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/skein-project/skein/api/crd/v1alpha1"
)

// Setup puts the reconciler into a manager. It is woken by FlyteWorkflows, by
// the pods that they own, and by what comes through wake.
func (r *Reconciler) Setup(mgr ctrl.Manager, workers int, wake <-chan event.GenericEvent) error {
	r.workers = workers
	shared := true // several propellers in one process, as in tests
	return ctrl.NewControllerManagedBy(mgr).Named("flyteworkflow").
		For(&v1alpha1.FlyteWorkflow{}).
		Owns(&corev1.Pod{}, builder.WithPredicates(podMoved())).
		WatchesRawSource(source.Channel(wake, &handler.EnqueueRequestForObject{})).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: workers,
			SkipNameValidation:      &shared,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](20*time.Millisecond, 10*time.Second),
		}).
		Complete(r)
}

// podMoved lets pass what can change an attempt. That a pod of ours exists is
// no news.
func podMoved() predicate.Predicate {
	return predicate.Funcs{
		CreateFunc:  func(event.CreateEvent) bool { return false },
		DeleteFunc:  func(event.DeleteEvent) bool { return true },
		GenericFunc: func(event.GenericEvent) bool { return false },
		UpdateFunc: func(e event.UpdateEvent) bool {
			before, ok1 := e.ObjectOld.(*corev1.Pod)
			now, ok2 := e.ObjectNew.(*corev1.Pod)
			if !ok1 || !ok2 {
				return true
			}
			return !reflect.DeepEqual(before.Status, now.Status) || before.DeletionTimestamp.IsZero() != now.DeletionTimestamp.IsZero()
		},
	}
}
