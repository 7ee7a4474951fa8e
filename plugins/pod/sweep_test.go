package pod

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/skein-project/skein/api/crd/v1alpha1"
)

// TestSweepStopsOnlyTheOwnersRunningPods: what ended is kept, what belongs to
// others runs on.
func TestSweepStopsOnlyTheOwnersRunningPods(t *testing.T) {
	scheme := runtime.NewScheme()
	_ = corev1.AddToScheme(scheme)
	pod := func(name string, phase corev1.PodPhase) *corev1.Pod {
		return &corev1.Pod{Status: corev1.PodStatus{Phase: phase}, ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "ns",
			Labels: map[string]string{v1alpha1.LabelExecution: "ex"}, OwnerReferences: []metav1.OwnerReference{
				{APIVersion: "skein.dev/v1alpha1", Kind: "FlyteWorkflow", Name: "ex-e1", UID: "u-0", Controller: ptr(true)}}}}
	}
	other := pod("other", corev1.PodRunning)
	other.OwnerReferences[0].UID = "another"
	ended := pod("ended", corev1.PodRunning) // as a kubelet says it first
	ended.Spec.RestartPolicy, ended.Spec.Containers = corev1.RestartPolicyNever, []corev1.Container{{Name: "ended"}}
	ended.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "ended", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 3}}}}
	half := ended.DeepCopy()
	half.Name, half.Spec.Containers = "half", append(half.Spec.Containers, corev1.Container{Name: "beside"})
	half.Status.ContainerStatuses = append(half.Status.ContainerStatuses, corev1.ContainerStatus{Name: "beside"})
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(pod("a", corev1.PodRunning), pod("b", corev1.PodPending),
		pod("done", corev1.PodSucceeded), pod("failed", corev1.PodFailed), other, ended, half).WithIndex(&corev1.Pod{}, ownerIndex, ownerOf).Build()
	p := NewRunner(Options{Client: c, Live: c})
	done, err := p.Sweep(t.Context(), "ns", "ex", "u-0", false)
	if err != nil || !done {
		t.Fatalf("%v %v", done, err)
	}
	var left corev1.PodList
	if err := c.List(t.Context(), &left); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, l := range left.Items {
		names = append(names, l.Name)
	}
	slices.Sort(names)
	if got := strings.Join(names, " "); got != "done ended failed other" {
		t.Errorf("left are %s, want done, ended, failed and other", got)
	}
}
