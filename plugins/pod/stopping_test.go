package pod

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/skein-project/skein/api/flow"
)

// TestWhyAnAttemptIsStoppedIsKept: between the deletion of a pod that cannot
// start and the record of it, the attempt has failed of what it was stopped
// for, and not of its deletion.
func TestWhyAnAttemptIsStoppedIsKept(t *testing.T) {
	scheme := runtime.NewScheme()
	_ = corev1.AddToScheme(scheme)
	task := attempt("x")
	stuck := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: task.Namespace, Name: task.Name, Finalizers: []string{"test/node"},
		Annotations: map[string]string{annotationPrimary: "main"}}, Status: status("Pending", "", waits("CreateContainerConfigError"))}
	for _, c := range []struct {
		name  string
		then  *corev1.Pod // nil: it is gone
		phase flow.TaskPhase
		code  string
	}{
		{"it is gone", nil, flow.TaskFailed, "CreateContainerConfigError"},
		{"it is being deleted", inState(stuck, status("Pending", ""), true), flow.TaskQueued, "CreateContainerConfigError"},
		{"it was ended by the deletion", inState(stuck, status("Failed", "", ended(137, "Error")), true), flow.TaskFailed, "CreateContainerConfigError"},
		{"it succeeded after all", inState(stuck, status("Succeeded", "", ended(0, "Completed")), false), flow.TaskSucceeded, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := NewRunner(Options{Client: fake.NewClientBuilder().WithScheme(scheme).WithObjects(stuck.DeepCopy()).Build(), Config: Default()})
			first, err := r.Observe(t.Context(), task.Ref)
			if err != nil || first.Failure == nil || len(first.State) == 0 {
				t.Fatalf("%+v, %v", first, err)
			}
			b := fake.NewClientBuilder().WithScheme(scheme)
			if c.then != nil {
				b = b.WithObjects(c.then)
			}
			r.Client = b.Build()
			ref := task.Ref
			ref.State = first.State
			then, err := r.Observe(t.Context(), ref)
			if err != nil || then.Phase != c.phase || then.Missing || (then.Failure == nil) != (c.code == "") || c.code != "" && then.Failure.Code != c.code {
				t.Errorf("%s, missing %t, %+v, %v; want %s, %s", then.Phase, then.Missing, then.Failure, err, c.phase, c.code)
			}
		})
	}
}

// inState is the pod in another state, perhaps while it is deleted.
func inState(pod corev1.Pod, s corev1.PodStatus, deleted bool) *corev1.Pod {
	out := pod.DeepCopy()
	out.Status = s
	if deleted {
		out.DeletionTimestamp = &metav1.Time{Time: time.Now()}
	}
	return out
}
