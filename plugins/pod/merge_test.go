package pod

import (
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/plugins"
)

func podTemplate(namespace, name string) *corev1.PodTemplate {
	amount := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("8"), corev1.ResourceEphemeralStorage: resource.MustParse("5Gi")}
	return &corev1.PodTemplate{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Template: corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"from": namespace, "team": "template"}, Annotations: map[string]string{"t": "1"}},
		Spec: corev1.PodSpec{
			Tolerations: []corev1.Toleration{{Key: "template"}}, NodeSelector: map[string]string{"disk": "slow", "zone": "z"},
			ServiceAccountName: "template", PriorityClassName: "low", RestartPolicy: corev1.RestartPolicyAlways,
			SecurityContext: &corev1.PodSecurityContext{RunAsUser: ptr(int64(7)), RunAsNonRoot: ptr(true)},
			Volumes:         []corev1.Volume{{Name: "template"}},
			Containers: []corev1.Container{
				{Name: "default", Image: "ignored", Env: []corev1.EnvVar{{Name: "ALL", Value: "1"}}, Resources: corev1.ResourceRequirements{Requests: amount, Limits: amount}},
				{Name: "primary", WorkingDir: "/work", Env: []corev1.EnvVar{{Name: "ONE", Value: "1"}}},
				{Name: "stray", Image: "never"},
			},
			InitContainers: []corev1.Container{{Name: "default-init", WorkingDir: "/init"}, {Name: "stray-init"}},
		}}}
}

// TestAPodOverItsTemplate is contract 19.1: what the task says wins, lists come
// together, and the template's containers lie below the pod's.
func TestAPodOverItsTemplate(t *testing.T) {
	spec := twoContainers()
	spec["initContainers"] = []any{map[string]any{"name": "fetch", "image": "f", "command": []any{"f"}}}
	spec["tolerations"] = []any{map[string]any{"key": "own"}}
	base := podTemplate("p-d", "t")
	before := base.DeepCopy()
	pod, err := Build(ofPod(t, spec), Default(), base)
	if err != nil {
		t.Fatal(err)
	}
	if base.String() != before.String() {
		t.Error("the template, which others read too, was changed")
	}
	s := pod.Spec
	if keys(s) != "template own" || s.NodeSelector["disk"] != "fast" || s.NodeSelector["zone"] != "z" || s.ServiceAccountName != "own" ||
		s.PriorityClassName != "low" || s.RestartPolicy != corev1.RestartPolicyNever || *s.SecurityContext.RunAsUser != 7 || len(s.Volumes) != 1 {
		t.Errorf("spec: %+v", s)
	}
	if len(s.Containers) != 2 || len(s.InitContainers) != 1 || s.InitContainers[0].WorkingDir != "/init" {
		t.Fatalf("containers %+v, init containers %+v", s.Containers, s.InitContainers)
	}
	main, side := s.Containers[0], s.Containers[1]
	if main.Image != "img" || main.WorkingDir != "/work" || main.Env[0].Name != "ALL" || main.Env[1].Name != "ONE" || main.Env[2].Name != "A" {
		t.Errorf("the task: %+v", main)
	}
	if side.Image != "side" || side.WorkingDir != "" || side.Env[0].Name != "ALL" || side.Env[1].Name == "ONE" {
		t.Errorf("the side-car: %+v", side)
	}
	// What the task says of an amount wins, what it does not say is the template's.
	if main.Resources.Requests.Cpu().String() != "1" || main.Resources.Requests.StorageEphemeral().String() != "5Gi" {
		t.Errorf("the task asks for %v", main.Resources.Requests)
	}
	if pod.Labels["team"] != "a" || pod.Labels["from"] != "p-d" || pod.Annotations["t"] != "1" || pod.Name != "ex-n0-1" {
		t.Errorf("%v %v", pod.Labels, pod.Annotations)
	}
}

// TestWhereATemplateIsLookedUp: in the task's namespace, then in the
// platform's; in the cache, and then at the API server.
func TestWhereATemplateIsLookedUp(t *testing.T) {
	scheme := runtime.NewScheme()
	_ = corev1.AddToScheme(scheme)
	there := func(objects ...client.Object) client.Client {
		return fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).Build()
	}
	full := there(podTemplate("p-d", "both"), podTemplate("flyte", "both"), podTemplate("flyte", "far"), podTemplate("flyte", "default"))
	for _, c := range []struct {
		name, named, fallback string
		cached                client.Client
		from                  string // namespace; empty: none; "!": a failure
	}{
		{"the task's namespace first", "both", "default", full, "p-d"},
		{"the platform's then", "far", "", full, "flyte"},
		{"none is named", "", "default", full, "flyte"},
		{"none is named, and there is no default", "", "absent", full, ""},
		{"none is wanted", "", "", full, ""},
		{"the named one is missing", "absent", "default", full, "!"},
		{"the cache has not heard of it", "both", "", there(), "p-d"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := NewRunner(Options{Client: c.cached, Live: full, Config: Default()})
			r.Config.Template, r.Config.TemplateNamespace = c.fallback, "flyte"
			task := attempt("x")
			task.Template.Metadata = &core.TaskMetadata{PodTemplateName: c.named}
			err := r.Start(t.Context(), task)
			if c.from == "!" {
				var f *plugins.Failure
				if !errors.As(err, &f) || f.Retryable || !strings.Contains(f.Message, `pod template "absent" is neither in namespace p-d nor in flyte`) {
					t.Errorf("%v", err)
				}
				return
			}
			pod := &corev1.Pod{}
			if err == nil {
				err = c.cached.Get(t.Context(), client.ObjectKey{Namespace: "p-d", Name: task.Name}, pod)
			}
			if err != nil || pod.Labels["from"] != c.from {
				t.Errorf("%v: from %q, want %q", err, pod.Labels["from"], c.from)
			}
			if err := c.cached.Delete(t.Context(), pod); err != nil {
				t.Fatal(err)
			}
		})
	}
}
