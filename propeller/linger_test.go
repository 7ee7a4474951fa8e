package propeller_test

import (
	"testing"

	"google.golang.org/protobuf/types/known/structpb"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/core"
)

// TestSideCarsEndWithTheirTask: what runs on beside a task that has ended is
// stopped, but not before the end is recorded: else the task would run again.
func TestSideCarsEndWithTheirTask(t *testing.T) {
	r := newRig(t)
	closure := fanOut(1, 0)
	spec, err := structpb.NewStruct(map[string]any{"containers": []any{
		map[string]any{"name": "primary", "image": "x", "args": []any{"{{.input}}", "{{.outputPrefix}}"}}, map[string]any{"name": "side", "image": "x"}}})
	if err != nil {
		t.Fatal(err)
	}
	closure.Tasks[0].Template.Target = &core.TaskTemplate_K8SPod{K8SPod: &core.K8SPod{PodSpec: spec}}
	beside := func(pod *corev1.Pod) {
		r.succeed(pod)
		pod.Status.Phase = corev1.PodRunning
		pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses,
			corev1.ContainerStatus{Name: "side", Image: "x", ImageID: "x", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}})
	}
	names := []string{"sides-n0-0", "sides-n1-0", "sides-last-0"}
	for _, name := range names {
		r.fate(name, beside)
	}
	wf := r.submit("sides", closure)
	r.ended(wf, flow.ExecutionSucceeded)
	r.await(wf, "no pod is left", func(*v1alpha1.FlyteWorkflow) bool {
		var pods corev1.PodList
		return r.client.List(t.Context(), &pods, client.InNamespace(r.namespace)) == nil && len(pods.Items) == 0
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, name := range names {
		if r.seen[name] != 1 {
			t.Errorf("%s ran %d times", name, r.seen[name])
		}
	}
}
