package pod

import (
	"encoding/json"
	"maps"

	"google.golang.org/protobuf/types/known/structpb"
	corev1 "k8s.io/api/core/v1"

	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/plugins"
)

// defaultPrimary is the container that is the task where nothing says which.
const defaultPrimary = "primary"

// target is what a task asks to run, before the platform adds its own.
type target struct {
	spec                corev1.PodSpec
	primary             string // name of the container that is the task
	labels, annotations map[string]string
	data                *core.DataLoadingConfig
}

func (t *target) container(name string) *corev1.Container {
	for i := range t.spec.Containers {
		if t.spec.Containers[i].Name == name {
			return &t.spec.Containers[i]
		}
	}
	return nil
}

// read finds what the task asks to run: one container, a pod, or a pod in the
// task's custom field; and what its node puts in the place of it.
func read(task plugins.Task, c Config) (*target, error) {
	t, err := own(task, c)
	if err != nil {
		return nil, err
	}
	over := task.Overrides.GetPodTemplate()
	if over == nil {
		return t, nil
	}
	t.meta(over.GetMetadata().GetLabels(), over.GetMetadata().GetAnnotations())
	if len(over.GetPodSpec().GetFields()) == 0 {
		return t, nil
	}
	if t.spec, err = podSpec(over.GetPodSpec()); err != nil {
		return nil, err
	}
	t.primary = first(over.GetPrimaryContainerName(), defaultPrimary)
	return t, nil
}

func own(task plugins.Task, c Config) (*target, error) {
	tt := task.Template
	if one := tt.GetContainer(); one != nil {
		main, err := containerOf(task.Name, one, c)
		return &target{primary: task.Name, spec: corev1.PodSpec{Containers: []corev1.Container{main}}, data: one.GetDataConfig()}, err
	}
	if pod := tt.GetK8SPod(); pod != nil {
		spec, err := podSpec(pod.GetPodSpec())
		t := &target{spec: spec, data: pod.GetDataConfig(),
			primary: first(pod.GetPrimaryContainerName(), tt.GetConfig()[annotationPrimary], defaultPrimary)}
		t.meta(pod.GetMetadata().GetLabels(), pod.GetMetadata().GetAnnotations())
		return t, err
	}
	if fields := tt.GetCustom().GetFields(); fields["podSpec"] != nil || fields["containers"] != nil {
		return ofCustom(tt)
	}
	return nil, bad("a task of type %q has neither a container nor a pod to run", task.TaskType)
}

// ofCustom reads what old pod plugins left in the custom field: version 0 an
// object with the pod's spec in it, version 1 the spec itself.
func ofCustom(tt *core.TaskTemplate) (*target, error) {
	fields := tt.GetCustom().GetFields()
	t := &target{primary: first(fields["primaryContainerName"].GetStringValue(), tt.GetConfig()[annotationPrimary], defaultPrimary)}
	t.meta(texts(fields["labels"]), texts(fields["annotations"]))
	spec := tt.GetCustom()
	if inner := fields["podSpec"].GetStructValue(); inner != nil {
		spec = inner
	}
	var err error
	t.spec, err = podSpec(spec)
	return t, err
}

// podSpec reads a spec as Kubernetes would: what it does not know it leaves out.
func podSpec(s *structpb.Struct) (corev1.PodSpec, error) {
	var spec corev1.PodSpec
	if s == nil {
		return spec, bad("the task's pod has no spec")
	}
	raw, err := s.MarshalJSON()
	if err == nil {
		err = json.Unmarshal(raw, &spec)
	}
	if err != nil {
		return spec, bad("the task's pod cannot be read: %v", err)
	}
	return spec, nil
}

// meta adds labels and annotations, over those that are there.
func (t *target) meta(labels, annotations map[string]string) {
	if t.labels == nil {
		t.labels, t.annotations = map[string]string{}, map[string]string{}
	}
	maps.Copy(t.labels, labels)
	maps.Copy(t.annotations, annotations)
}

func containerOf(name string, c *core.Container, cfg Config) (corev1.Container, error) {
	out := corev1.Container{Name: name, Image: c.GetImage(), Command: c.GetCommand(), Args: c.GetArgs()}
	for _, p := range c.GetPorts() {
		out.Ports = append(out.Ports, corev1.ContainerPort{Name: p.GetName(), ContainerPort: int32(p.GetContainerPort())})
	}
	for _, e := range c.GetEnv() {
		out.Env = append(out.Env, corev1.EnvVar{Name: e.GetKey(), Value: e.GetValue()})
	}
	var err error
	out.Resources, err = amounts(c.GetResources(), cfg)
	return out, err
}

func texts(v *structpb.Value) map[string]string {
	out := map[string]string{}
	for k, e := range v.GetStructValue().GetFields() {
		out[k] = e.GetStringValue()
	}
	return out
}

func first(words ...string) string {
	for _, w := range words {
		if w != "" {
			return w
		}
	}
	return ""
}
