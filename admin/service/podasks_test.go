package service

import (
	"testing"

	"google.golang.org/protobuf/types/known/structpb"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/core"
)

func podSpec(t *testing.T, spec map[string]any) *structpb.Struct {
	t.Helper()
	s, err := structpb.NewStruct(spec)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestWhatOnePodNeeds is contract 19.2 as placement sees it: what the pod will
// ask Kubernetes for, before there is one.
func TestWhatOnePodNeeds(t *testing.T) {
	type obj = map[string]any
	amounts := func(kind, cpu, memory string) obj { return obj{kind: obj{"cpu": cpu, "memory": memory}} }
	entries := func(cpu string) []*core.Resources_ResourceEntry {
		return []*core.Resources_ResourceEntry{{Name: core.Resources_CPU, Value: cpu}}
	}
	two := obj{"containers": []any{
		obj{"name": "primary", "resources": obj{"requests": obj{"cpu": "500m"}, "limits": obj{"gpu": "2", "cpu": "4"}}},
		obj{"name": "side", "resources": obj{"requests": obj{"cpu": 1.0, "memory": "1Gi"}}},
		obj{"name": "bare"}, obj{"name": "odd", "resources": amounts("requests", "much", "more")}}}
	inits := obj{"containers": []any{obj{"name": "primary"}}, "initContainers": []any{
		obj{"name": "big", "resources": amounts("requests", "3", "1Gi")},
		obj{"name": "stays", "restartPolicy": "Always", "resources": amounts("limits", "1", "1Gi")}}}
	container := func(r *core.Resources) *core.TaskTemplate {
		return &core.TaskTemplate{Target: &core.TaskTemplate_Container{Container: &core.Container{Resources: r}}}
	}
	pod := func(spec obj) *core.TaskTemplate {
		return &core.TaskTemplate{Target: &core.TaskTemplate_K8SPod{K8SPod: &core.K8SPod{PodSpec: podSpec(t, spec)}}}
	}
	for _, c := range []struct {
		name string
		task *core.TaskTemplate
		over *core.TaskNodeOverrides
		want flow.Resources
	}{
		{"nothing is said", container(nil), nil, flow.Resources{MilliCPU: 100, Memory: 512 << 20}},
		{"a limit for a request", container(&core.Resources{Limits: entries("2")}), nil, flow.Resources{MilliCPU: 2000, Memory: 512 << 20}},
		{"the node's word", container(&core.Resources{Requests: entries("1")}), &core.TaskNodeOverrides{Resources: &core.Resources{Requests: entries("3")}},
			flow.Resources{MilliCPU: 3000, Memory: 512 << 20}},
		{"the node's request above the task's limit", container(&core.Resources{Limits: entries("1")}), &core.TaskNodeOverrides{Resources: &core.Resources{Requests: entries("3")}},
			flow.Resources{MilliCPU: 1000, Memory: 512 << 20}},
		{"more than the platform allows", container(&core.Resources{Requests: entries("99")}), nil, flow.Resources{MilliCPU: 8000, Memory: 512 << 20}},
		{"a pod", pod(two), nil, flow.Resources{MilliCPU: 1500, Memory: 1<<30 + 512<<20, GPUs: 2}},
		{"a pod with the node's word", pod(two), &core.TaskNodeOverrides{Resources: &core.Resources{Requests: entries("2")}},
			flow.Resources{MilliCPU: 3000, Memory: 1<<30 + 512<<20, GPUs: 2}},
		{"a pod of the node's", container(&core.Resources{Requests: entries("7")}), &core.TaskNodeOverrides{PodTemplate: &core.K8SPod{PodSpec: podSpec(t, two)}},
			flow.Resources{MilliCPU: 1500, Memory: 1<<30 + 512<<20, GPUs: 2}},
		{"init containers", pod(inits), nil, flow.Resources{MilliCPU: 3000, Memory: 1<<30 + 512<<20}},
		{"version 0 of the pod plugin", &core.TaskTemplate{Custom: podSpec(t, obj{"podSpec": two})}, nil, flow.Resources{MilliCPU: 1500, Memory: 1<<30 + 512<<20, GPUs: 2}},
		{"version 1 of the pod plugin", &core.TaskTemplate{Custom: podSpec(t, two)}, nil, flow.Resources{MilliCPU: 1500, Memory: 1<<30 + 512<<20, GPUs: 2}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.task.Id, c.want.Pods = &core.Identifier{Name: "a"}, 1
			node := runs("n0", "a")
			node.GetTaskNode().Overrides = c.over
			got, err := New(Config{TaskLimits: flow.Resources{MilliCPU: 8000}}, Deps{}).demandOf(&core.CompiledWorkflowClosure{
				Primary: &core.CompiledWorkflow{Template: &core.WorkflowTemplate{Nodes: []*core.Node{node}}},
				Tasks:   []*core.CompiledTask{{Template: c.task}}})
			if err != nil || got.largest != c.want {
				t.Errorf("needs %+v (%v), want %+v", got.largest, err, c.want)
			}
		})
	}
}
