package flytekit

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// pod waits for the pod of an execution that has one, on whichever cluster.
func (s *suite) pod(t *testing.T, execution string) corev1.Pod {
	t.Helper()
	var found corev1.Pod
	eventually(t, "the pod of "+execution, func() bool {
		for _, plane := range s.fed.Planes {
			config, err := plane.Admin()
			if err != nil {
				t.Fatal(err)
			}
			pods, err := kubernetes.NewForConfigOrDie(config).CoreV1().Pods("flytesnacks-development").List(t.Context(), metav1.ListOptions{})
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range pods.Items {
				if strings.HasPrefix(p.Name, execution) {
					found = p
					return true
				}
			}
		}
		return false
	})
	return found
}

// running launches what runs for long, looks at its pod, and ends it.
func (s *suite) running(t *testing.T, l launch) (execution, corev1.Pod) {
	t.Helper()
	var e execution
	s.driver.ask(t, "launch", l.full(), &e)
	pod := s.pod(t, e.Name)
	s.driver.ask(t, "terminate", map[string]any{"execution": e.Name, "cause": "seen"}, nil)
	return e, pod
}

// decorated gives the pod what the launch says.
func (s *suite) decorated(t *testing.T) {
	_, pod := s.running(t, launch{Name: "runs.sleeping", Execution: "decorated", Options: options{
		Labels: map[string]string{"team": "looms"}, Annotations: map[string]string{"why": "because"}, Account: "weaver", Parallelism: 2}})
	want(t, "label", pod.Labels["team"], "looms")
	want(t, "annotation", pod.Annotations["why"], "because")
	want(t, "account", pod.Spec.ServiceAccountName, "weaver")
}

// planned gives the pod what the launch plan says.
func (s *suite) planned(t *testing.T) {
	_, pod := s.running(t, launch{Name: "runs.sleeping", Plan: "textkit.labelled", Execution: "planned"})
	want(t, "label", pod.Labels["team"], "plan")
}

// resources are those of the task.
func (s *suite) resources(t *testing.T) {
	_, pod := s.running(t, launch{Name: "runs.sleeping", Execution: "untouched"})
	main := pod.Spec.Containers[0]
	want(t, "image", main.Image, "example.com/sleeper:1")
	want(t, "cpu", main.Resources.Requests.Cpu(), "150m")
	want(t, "memory", main.Resources.Requests.Memory(), "64Mi")
}

// overrides of a node win over the task.
func (s *suite) overrides(t *testing.T) {
	_, pod := s.running(t, launch{Name: "runs.tailored", Execution: "tailored"})
	main := pod.Spec.Containers[0]
	want(t, "image", main.Image, "example.com/tailored:2")
	want(t, "requests", main.Resources.Requests.Cpu().String()+" "+main.Resources.Requests.Memory().String(), "250m 96Mi")
	want(t, "limits", main.Resources.Limits.Cpu().String()+" "+main.Resources.Limits.Memory().String(), "500m 128Mi")
}
