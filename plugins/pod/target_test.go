package pod

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/structpb"
	corev1 "k8s.io/api/core/v1"

	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/plugins"
)

func object(t *testing.T, v map[string]any) *structpb.Struct {
	t.Helper()
	s, err := structpb.NewStruct(v)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// twoContainers is a pod as flytekit writes it.
func twoContainers() map[string]any {
	return map[string]any{
		"containers": []any{
			map[string]any{"name": "primary", "image": "img", "args": []any{"run", "{{.input}}"},
				"env":       []any{map[string]any{"name": "A", "value": "1"}},
				"resources": map[string]any{"requests": map[string]any{"cpu": "1", "gpu": "1"}}},
			map[string]any{"name": "side", "image": "side", "command": []any{"watch", "{{.outputPrefix}}"},
				"ports":     []any{map[string]any{"containerPort": 8080}},
				"resources": map[string]any{"limits": map[string]any{"memory": "9Gi"}}},
		},
		"nodeSelector": map[string]any{"disk": "fast"}, "serviceAccountName": "own",
	}
}

func ofPod(t *testing.T, spec map[string]any) plugins.Task {
	task := attempt()
	task.Template.Target = &core.TaskTemplate_K8SPod{K8SPod: &core.K8SPod{PodSpec: object(t, spec),
		Metadata: &core.K8SObjectMetadata{Labels: map[string]string{"team": "a", "skein.dev/managed": "no"}, Annotations: map[string]string{"note": "b"}}}}
	return task
}

// TestAPodOfTheTasksOwn is contract 19.1 for flytekit's PodTemplate.
func TestAPodOfTheTasksOwn(t *testing.T) {
	task := ofPod(t, twoContainers())
	task.ServiceAccount = "execution's"
	pod, err := Build(task, Default(), nil)
	if err != nil {
		t.Fatal(err)
	}
	main, side := pod.Spec.Containers[0], pod.Spec.Containers[1]
	if main.Args[1] != "/s/E/n0/data/inputs.pb" || side.Command[1] != "/s/E/n0/data/1" {
		t.Errorf("arguments: %q, %q", main.Args, side.Command)
	}
	for _, c := range pod.Spec.Containers {
		if !slices.ContainsFunc(c.Env, func(e corev1.EnvVar) bool { return e.Name == "FLYTE_INTERNAL_EXECUTION_ID" && e.Value == "ex" }) {
			t.Errorf("%s has none of the platform's environment", c.Name)
		}
	}
	if main.Env[0].Name != "A" || main.Env[0].Value != "1" {
		t.Errorf("the task's own environment comes first: %v", main.Env)
	}
	gpu := main.Resources.Limits["nvidia.com/gpu"]
	if main.Resources.Requests.Cpu().String() != "1" || main.Resources.Requests.Memory().String() != "512Mi" || gpu.String() != "1" {
		t.Errorf("the task asks for %v", main.Resources)
	}
	if side.Resources.Limits.Memory().String() != "1Gi" || !side.Resources.Requests.Cpu().IsZero() {
		t.Errorf("the side-car asks for %v", side.Resources)
	}
	if pod.Spec.ServiceAccountName != "own" || pod.Spec.NodeSelector["disk"] != "fast" || pod.Spec.RestartPolicy != corev1.RestartPolicyNever {
		t.Errorf("spec: %+v", pod.Spec)
	}
	if pod.Labels["team"] != "a" || pod.Annotations["note"] != "b" || pod.Labels["skein.dev/managed"] != "true" || pod.Annotations[annotationPrimary] != "primary" {
		t.Errorf("labels %v, annotations %v", pod.Labels, pod.Annotations)
	}
}

func TestWhichContainerIsTheTask(t *testing.T) {
	named := twoContainers()
	named["containers"].([]any)[0].(map[string]any)["name"] = "mine"
	for _, c := range []struct {
		name   string
		change func(*core.TaskTemplate)
		want   string
		wrong  string
	}{
		{"by the task's config", func(tt *core.TaskTemplate) { tt.Config = map[string]string{"primary_container_name": "mine"} }, "mine", ""},
		{"by the pod", func(tt *core.TaskTemplate) { tt.GetK8SPod().PrimaryContainerName = "mine" }, "mine", ""},
		{"by nothing, and there is no such", func(*core.TaskTemplate) {}, "", `no container "primary"`},
		{"by version 0 of the pod plugin", func(tt *core.TaskTemplate) {
			tt.Target, tt.Custom = nil, object(t, map[string]any{"podSpec": named, "primaryContainerName": "mine", "labels": map[string]any{"l": "v"}})
		}, "mine", ""},
		{"by version 1 of the pod plugin", func(tt *core.TaskTemplate) {
			tt.Target, tt.Custom, tt.Config = nil, object(t, named), map[string]string{"primary_container_name": "mine"}
		}, "mine", ""},
		{"no target at all", func(tt *core.TaskTemplate) { tt.Target = nil }, "", "neither a container nor a pod"},
		{"a pod without a spec", func(tt *core.TaskTemplate) { tt.GetK8SPod().PodSpec = nil }, "", "has no spec"},
		{"a pod that is none", func(tt *core.TaskTemplate) { tt.GetK8SPod().PodSpec = object(t, map[string]any{"containers": 3.0}) }, "", "cannot be read"},
	} {
		t.Run(c.name, func(t *testing.T) {
			task := ofPod(t, named)
			c.change(task.Template)
			pod, err := Build(task, Default(), nil)
			switch {
			case c.wrong != "":
				var f *plugins.Failure
				if !errors.As(err, &f) || f.Retryable || !strings.Contains(f.Message, c.wrong) {
					t.Errorf("%v, want a failure for good that says %q", err, c.wrong)
				}
			case err != nil || pod.Annotations[annotationPrimary] != c.want || len(pod.Spec.Containers) != 2:
				t.Errorf("%v, %+v", err, pod)
			}
		})
	}
}

// TestANodesWordGoesOverTheTasks: image, pod and resources of with_overrides.
func TestANodesWordGoesOverTheTasks(t *testing.T) {
	task := attempt("x")
	task.Overrides = &core.TaskNodeOverrides{ContainerImage: "other:1",
		Resources:   &core.Resources{Requests: []*core.Resources_ResourceEntry{{Name: core.Resources_CPU, Value: "7"}}},
		PodTemplate: &core.K8SPod{PodSpec: object(t, twoContainers()), PrimaryContainerName: "primary", Metadata: &core.K8SObjectMetadata{Labels: map[string]string{"o": "v"}}}}
	c := Default()
	c.Limits.CPU = "4"
	pod, err := Build(task, c, nil)
	if err != nil {
		t.Fatal(err)
	}
	main := pod.Spec.Containers[0]
	if main.Name != "primary" || main.Image != "other:1" || len(pod.Spec.Containers) != 2 || pod.Labels["o"] != "v" {
		t.Errorf("%+v", pod)
	}
	if main.Resources.Requests.Cpu().String() != "4" {
		t.Errorf("a node may not ask for more than the platform allows: %v", main.Resources.Requests)
	}
	if pod.Spec.Containers[1].Image != "side" {
		t.Errorf("the image is the task's, not the side-car's: %+v", pod.Spec.Containers[1])
	}
}
