package flytekit

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// podTasks are the cases of what a task asks of its pod.
var podTasks = []testCase{
	{"secrets that are not there fail by name", 0, (*suite).noSecrets},
	{"a pod with a side-car", 0, func(s *suite, t *testing.T) { s.sidecar(t, "podtasks.beside", "said by %s of a") }},
	{"a pod with a side-car, given by a node", 0, func(s *suite, t *testing.T) { s.sidecar(t, "podtasks.given_a_pod", "%s of c") }},
	{"a failure beside a side-car", 0, (*suite).failsBeside},
	{"a pod template that is not there", 0, (*suite).noPodTemplate},
	{"shared memory given by a node", 0, (*suite).sharedMemory},
}

// podsOf are all pods of an execution, wherever it runs, by their nodes.
func (s *suite) podsOf(t *testing.T, execution string) map[string]corev1.Pod {
	t.Helper()
	found := map[string]corev1.Pod{}
	for _, c := range s.clusters(t) {
		list, err := c.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "execution-id=" + execution})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range list.Items {
			found[p.Labels["node-id"]] = p
		}
	}
	return found
}

// ofPod runs a task or workflow of podtasks.py to its end.
func (s *suite) ofPod(t *testing.T, entity string) execution {
	t.Helper()
	file, task, _ := strings.Cut(entity, ".")
	name := strings.ReplaceAll(task, "_", "-")
	if out, err := s.run(t, name, file+".py", task, nil); err != nil && !strings.Contains(out, name) {
		t.Fatalf("%v\n%s", err, out)
	}
	return s.show(t, name)
}

// noSecrets lacks a secret, and a key of one: no value is told of either.
func (s *suite) noSecrets(t *testing.T) {
	s.everywhere(t, func(c kubernetes.Interface) error {
		half := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "half"}, StringData: map[string]string{"there": "sesame"}}
		_, err := c.CoreV1().Secrets(namespace).Create(t.Context(), half, metav1.CreateOptions{})
		return err
	})
	for task, names := range map[string][]string{"no_secret": {`"nowhere"`}, "no_key": {"missing", "half"}} {
		e := s.ofPod(t, "podtasks."+task)
		want(t, "phase and code", e.Phase+" "+e.Code, "FAILED CreateContainerConfigError")
		for _, name := range names {
			if !strings.Contains(e.Error, name) || strings.Contains(e.Error, "sesame") {
				t.Errorf("%s: %q, want %s, and no value", task, e.Error, name)
			}
		}
	}
}

// sidecar hears the side-car, and sees that it does not outlive its task.
func (s *suite) sidecar(t *testing.T, entity, says string) {
	e := s.ofPod(t, entity)
	e.succeeded(t)
	want(t, "what was heard", e.Outputs["o0"], strings.ReplaceAll(says, "%s", e.Name))
	eventually(t, "the side-car is gone", func() bool { return len(s.podsOf(t, e.Name)) == 0 })
}

func (s *suite) failsBeside(t *testing.T) {
	e := s.ofPod(t, "podtasks.unlucky_beside")
	want(t, "phase", e.Phase, "FAILED")
	if !strings.Contains(e.Error, "no luck beside unlucky-beside of b") {
		t.Errorf("%q, want the task's own words", e.Error)
	}
	eventually(t, "the side-car is gone", func() bool { return len(s.podsOf(t, e.Name)) == 0 })
}

func (s *suite) noPodTemplate(t *testing.T) {
	e := s.ofPod(t, "podtasks.no_template")
	want(t, "phase and code", e.Phase+" "+e.Code, "FAILED BadTaskSpecification")
	if !strings.Contains(e.Error, `pod template "no-such-template" is neither in namespace `+namespace) {
		t.Errorf("%q, want the template's name and where it was looked for", e.Error)
	}
}

// sharedMemory is given by a node; amounts and images are in other cases.
func (s *suite) sharedMemory(t *testing.T) {
	out, err := s.run(t, "spacious", "podtasks.py", "spacious", nil, "--a", "1")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want(t, "output", s.show(t, "spacious").Outputs["o0"], 2)
	spec := s.podsOf(t, "spacious")["n0"].Spec
	at := slices.IndexFunc(spec.Volumes, func(v corev1.Volume) bool {
		return v.EmptyDir != nil && v.EmptyDir.Medium == corev1.StorageMediumMemory
	})
	if at < 0 || spec.Volumes[at].EmptyDir.SizeLimit.String() != "64Mi" ||
		!slices.ContainsFunc(spec.Containers[0].VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == spec.Volumes[at].Name }) {
		t.Errorf("volumes %+v, mounts %+v", spec.Volumes, spec.Containers[0].VolumeMounts)
	}
}
