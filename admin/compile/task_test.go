package compile

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/skein-project/skein/api/flyteidl/core"
)

func wrapTrue() *wrapperspb.BoolValue { return wrapperspb.Bool(true) }

func TestTask(t *testing.T) {
	entry := func(name core.Resources_ResourceName, value string) *core.Resources_ResourceEntry {
		return &core.Resources_ResourceEntry{Name: name, Value: value}
	}
	resources := func(r *core.Resources) func(*core.TaskTemplate) {
		return func(t *core.TaskTemplate) { t.GetContainer().Resources = r }
	}
	type entries = []*core.Resources_ResourceEntry
	for _, test := range []struct {
		name   string
		change func(*core.TaskTemplate)
		want   []string
	}{
		{"a task", func(*core.TaskTemplate) {}, nil},
		{"no interface variables", func(t *core.TaskTemplate) { t.Interface = &core.TypedInterface{} }, nil},
		{"no id", func(t *core.TaskTemplate) { t.Id = nil }, []string{"ValueRequired"}},
		{"no type", func(t *core.TaskTemplate) { t.Type = "" }, []string{"ValueRequired"}},
		{"no metadata", func(t *core.TaskTemplate) { t.Metadata = nil }, []string{"ValueRequired"}},
		{"no interface", func(t *core.TaskTemplate) { t.Interface = nil }, []string{"ValueRequired"}},
		{"no image", func(t *core.TaskTemplate) { t.GetContainer().Image = "" }, []string{"ValueRequired"}},
		{"an empty container", func(t *core.TaskTemplate) { t.Target = &core.TaskTemplate_Container{} }, []string{"ValueRequired"}},
		{"no target at all", func(t *core.TaskTemplate) { t.Target = nil }, nil},
		{"SQL", func(t *core.TaskTemplate) { t.Target = &core.TaskTemplate_Sql{Sql: &core.Sql{}} }, nil},
		{"a runtime without a version", func(t *core.TaskTemplate) {
			t.Metadata.Runtime = &core.RuntimeMetadata{Type: core.RuntimeMetadata_FLYTE_SDK}
		}, []string{"ValueRequired"}},
		{"an unknown runtime", func(t *core.TaskTemplate) {
			t.Metadata.Runtime = &core.RuntimeMetadata{Type: 9, Version: "1"}
		}, []string{"UnrecognizedValue"}},
		{"a negative timeout", func(t *core.TaskTemplate) { t.Metadata.Timeout = &durationpb.Duration{Seconds: -1} }, []string{"InvalidValue"}},
		{"an input without a type", func(t *core.TaskTemplate) { t.Interface.Inputs = vars("x", nil) }, []string{"ValueRequired  x"}},
		{"an output without a name", func(t *core.TaskTemplate) { t.Interface.Outputs = vars("", integer) }, []string{"ValueRequired"}},
		{"a collection of nothing", func(t *core.TaskTemplate) { t.Interface.Inputs = vars("x", listOf(nil)) }, []string{"ValueRequired  x"}},
		{"a union of nothing", func(t *core.TaskTemplate) { t.Interface.Inputs = vars("x", union()) }, []string{"ValueRequired  x"}},
		{"resources", resources(&core.Resources{Requests: entries{entry(core.Resources_CPU, "500m"), entry(core.Resources_MEMORY, "1Gi")}, Limits: entries{entry(core.Resources_CPU, "1")}}), nil},
		{"no quantity", resources(&core.Resources{Requests: entries{entry(core.Resources_CPU, "lots")}}), []string{"InvalidValue"}},
		{"an endless quantity", resources(&core.Resources{Requests: entries{entry(core.Resources_CPU, "1e99999999999999999999999999999999999999999999999999999999999999")}}), []string{"InvalidValue"}},
		{"a negative quantity", resources(&core.Resources{Requests: entries{entry(core.Resources_CPU, "-1")}}), []string{"InvalidValue"}},
		{"a request above its limit", resources(&core.Resources{Requests: entries{entry(core.Resources_CPU, "2")}, Limits: entries{entry(core.Resources_CPU, "1")}}), []string{"InvalidValue"}},
		{"a resource given twice", resources(&core.Resources{Requests: entries{entry(core.Resources_CPU, "2"), entry(core.Resources_CPU, "2")}}), []string{"ValueCollision"}},
		{"an unknown resource", resources(&core.Resources{Limits: entries{entry(99, "2")}}), []string{"UnrecognizedValue"}},
		{"half a GPU", resources(&core.Resources{Limits: entries{entry(core.Resources_GPU, "500m")}}), []string{"InvalidValue"}},
		{"fewer GPUs than the limit", resources(&core.Resources{Requests: entries{entry(core.Resources_GPU, "1")}, Limits: entries{entry(core.Resources_GPU, "2")}}), []string{"InvalidValue"}},
		{"a pod", podOf(pod{"containers": items{pod{"name": "primary", "image": "i"}}}), nil},
		{"a pod without a spec", func(t *core.TaskTemplate) { t.Target = &core.TaskTemplate_K8SPod{K8SPod: &core.K8SPod{}} }, []string{"ValueRequired"}},
		{"a pod without the task's container", podOf(pod{"containers": items{pod{"name": "other", "image": "i"}}}), []string{"ValueRequired"}},
		{"a pod whose task has no image", podOf(pod{"containers": items{pod{"name": "primary"}}}), []string{"ValueRequired"}},
		{"secrets", secrets(&core.Secret{Group: "g.h", Key: "K_1", EnvVar: "A"}, &core.Secret{Group: "g.h", Key: "K_1", GroupVersion: "v.2"}), nil},
		{"a secret without a group", secrets(&core.Secret{Key: "k"}), []string{"ValueRequired"}},
		{"a secret without a key", secrets(&core.Secret{Group: "g"}), []string{"ValueRequired"}},
		{"a group that names no Secret", secrets(&core.Secret{Group: "My_Group", Key: "k"}), []string{"InvalidValue"}},
		{"a key that is a path", secrets(&core.Secret{Group: "g", Key: "../k"}), []string{"InvalidValue"}},
		{"a version that is a path", secrets(&core.Secret{Group: "g", Key: "k", GroupVersion: "a/b"}), []string{"InvalidValue"}},
		{"a mount that is not known", secrets(&core.Secret{Group: "g", Key: "k", MountRequirement: 9}), []string{"UnrecognizedValue"}},
		{"a variable that cannot be", secrets(&core.Secret{Group: "g", Key: "k", EnvVar: "1=2"}), []string{"InvalidValue"}},
		{"two secrets in one variable", secrets(&core.Secret{Group: "g", Key: "a", EnvVar: "X"}, &core.Secret{Group: "g", Key: "b", EnvVar: "X"}), []string{"ValueCollision"}},
		{"two keys in one file", secrets(&core.Secret{Group: "g", Key: "a"}, &core.Secret{Group: "g", Key: "A"}), []string{"ValueCollision"}},
		{"shared memory of no size", func(t *core.TaskTemplate) {
			t.ExtendedResources = &core.ExtendedResources{SharedMemory: &core.SharedMemory{SizeLimit: "x"}}
		}, []string{"InvalidValue"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			template := taskOf("t", nil, nil)
			test.change(template)
			_, err := Task(template)
			if diff := cmp.Diff(test.want, problemsOf(t, err)); diff != "" {
				t.Errorf("-want +got\n%s\n%v", diff, err)
			}
		})
	}
}

type (
	pod   = map[string]any
	items = []any
)

func podOf(spec pod) func(*core.TaskTemplate) {
	s, err := structpb.NewStruct(spec)
	if err != nil {
		panic(err)
	}
	return func(t *core.TaskTemplate) { t.Target = &core.TaskTemplate_K8SPod{K8SPod: &core.K8SPod{PodSpec: s}} }
}

func secrets(all ...*core.Secret) func(*core.TaskTemplate) {
	return func(t *core.TaskTemplate) { t.SecurityContext = &core.SecurityContext{Secrets: all} }
}
