package flytekit

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// namespace is where pods of the target run, on each cluster.
const namespace = "flytesnacks-development"

// clusters are clients of all clusters.
func (s *suite) clusters(t *testing.T) []kubernetes.Interface {
	t.Helper()
	var all []kubernetes.Interface
	for _, plane := range s.fed.Planes {
		config, err := plane.Admin()
		if err != nil {
			t.Fatal(err)
		}
		one, err := kubernetes.NewForConfig(config)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
	return all
}

// everywhere makes something in the namespace of each cluster, as an operator
// would before the first execution there.
func (s *suite) everywhere(t *testing.T, make func(kubernetes.Interface) error) {
	t.Helper()
	for _, cluster := range s.clusters(t) {
		_, err := cluster.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			t.Fatal(err)
		}
		if err := make(cluster); err != nil {
			t.Fatal(err)
		}
	}
}

// pod waits for the pod of an execution that has one, on whichever cluster.
func (s *suite) pod(t *testing.T, execution string) corev1.Pod {
	t.Helper()
	clusters := s.clusters(t)
	var found corev1.Pod
	eventually(t, "the pod of "+execution, func() bool {
		for _, cluster := range clusters {
			pods, err := cluster.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{})
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range pods.Items {
				if strings.HasPrefix(p.Name, execution+"-") {
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

// secrets are read by a task from variables and from a file.
func (s *suite) secrets(t *testing.T) {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "weavers"},
		StringData: map[string]string{"loom": "jacquard", "thread": "silk", "dye": "woad"}}
	s.everywhere(t, func(cluster kubernetes.Interface) error {
		_, err := cluster.CoreV1().Secrets(namespace).Create(t.Context(), secret, metav1.CreateOptions{})
		return err
	})
	output("pods.revealing", nil, values{"o0": "jacquard silk woad"})(s, t)
}

// template is a pod of two containers, with labels of its own.
func (s *suite) template(t *testing.T) {
	var e execution
	s.driver.ask(t, "launch", launch{Name: "pods.weaving", Execution: "weaving"}.full(), &e)
	pod := s.pod(t, "weaving")
	want(t, "label", pod.Labels["craft"], "weaving")
	want(t, "annotation", pod.Annotations["cloth"], "linen")
	want(t, "containers", len(pod.Spec.Containers), 2)
	e = s.show(t, "weaving")
	e.succeeded(t)
	want(t, "what the container beside it made", e.Outputs["o0"], "spun")
}

// namedTemplate is one in the cluster, by its name.
func (s *suite) namedTemplate(t *testing.T) {
	template := &corev1.PodTemplate{ObjectMeta: metav1.ObjectMeta{Name: "weavers"}, Template: corev1.PodTemplateSpec{
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "default", Image: "example.com/any:1",
			Env: []corev1.EnvVar{{Name: "PATTERN", Value: "herringbone"}}}}}}}
	s.everywhere(t, func(cluster kubernetes.Interface) error {
		_, err := cluster.CoreV1().PodTemplates(namespace).Create(t.Context(), template, metav1.CreateOptions{})
		return err
	})
	output("pods.following", nil, values{"o0": "herringbone"})(s, t)
}
