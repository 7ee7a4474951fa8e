package pod

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/skein-project/skein/api/flyteidl/core"
)

// TestWhereAPodRuns is contract 14.4 and 19.1: what the platform's
// configuration does to pods.
func TestWhereAPodRuns(t *testing.T) {
	c := Default()
	c.NodeSelector, c.Tolerations = map[string]string{"pool": "tasks"}, []corev1.Toleration{{Key: "tasks"}}
	c.InterruptibleSelector, c.InterruptibleTolerations = map[string]string{"spot": "yes"}, []corev1.Toleration{{Key: "spot"}}
	c.ResourceTolerations = map[corev1.ResourceName][]corev1.Toleration{"nvidia.com/gpu": {{Key: "gpu"}}}
	c.ImagePullSecrets, c.ServiceAccount, c.SchedulerName, c.Labels = []string{"registry"}, "tasks", "volcano", map[string]string{"site": "a"}
	task := attempt("x")
	plain, err := Build(task, c, nil)
	if err != nil {
		t.Fatal(err)
	}
	task.Interruptible, task.ServiceAccount = true, "mine"
	task.Template.GetContainer().Resources = &core.Resources{Limits: []*core.Resources_ResourceEntry{{Name: core.Resources_GPU, Value: "2"}}}
	full, err := Build(task, c, nil)
	if err != nil {
		t.Fatal(err)
	}
	if s := plain.Spec; s.ServiceAccountName != "tasks" || s.SchedulerName != "volcano" || s.NodeSelector["pool"] != "tasks" || s.NodeSelector["spot"] != "" ||
		keys(s) != "tasks" || s.ImagePullSecrets[0].Name != "registry" || plain.Labels["interruptible"] != "false" || plain.Labels["site"] != "a" {
		t.Errorf("plain: %+v", s)
	}
	if s := full.Spec; s.ServiceAccountName != "mine" || s.NodeSelector["pool"] != "tasks" || s.NodeSelector["spot"] != "yes" ||
		keys(s) != "tasks spot gpu" || full.Labels["interruptible"] != "true" {
		t.Errorf("interruptible, with a GPU: %+v", s)
	}
}

func keys(s corev1.PodSpec) string {
	var out []string
	for _, t := range s.Tolerations {
		out = append(out, t.Key)
	}
	return strings.Join(out, " ")
}

// TestExtendedResources is contract 19.1: accelerators and shared memory, of
// the task, and of its node over it.
func TestExtendedResources(t *testing.T) {
	task := attempt("x")
	task.Template.ExtendedResources = &core.ExtendedResources{
		GpuAccelerator: &core.GPUAccelerator{Device: "t4"},
		SharedMemory:   &core.SharedMemory{MountName: "shm", MountPath: "/dev/shm", SizeLimit: "2Gi"},
	}
	pod, err := Build(task, Default(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if pod.Spec.Affinity != nil {
		t.Errorf("a task without a GPU is kept to GPU nodes: %+v", pod.Spec.Affinity)
	}
	if v := pod.Spec.Volumes[0]; v.EmptyDir.Medium != corev1.StorageMediumMemory || v.EmptyDir.SizeLimit.String() != "2Gi" || pod.Spec.Containers[0].VolumeMounts[0].MountPath != "/dev/shm" {
		t.Errorf("shared memory: %+v", pod.Spec)
	}
	task.Template.GetContainer().Resources = &core.Resources{Requests: []*core.Resources_ResourceEntry{{Name: core.Resources_GPU, Value: "1"}}}
	for name, c := range map[string]struct {
		gpu  *core.GPUAccelerator
		want string
	}{
		"the task's": {nil, "k8s.amazonaws.com/accelerator In [t4]"},
		"the node's": {&core.GPUAccelerator{Device: "a100", PartitionSizeValue: &core.GPUAccelerator_PartitionSize{PartitionSize: "1g.5gb"}},
			"k8s.amazonaws.com/accelerator In [a100] k8s.amazonaws.com/gpu-partition-size In [1g.5gb]"},
		"a whole one": {&core.GPUAccelerator{Device: "a100", PartitionSizeValue: &core.GPUAccelerator_Unpartitioned{Unpartitioned: true}},
			"k8s.amazonaws.com/accelerator In [a100] k8s.amazonaws.com/gpu-partition-size DoesNotExist []"},
	} {
		task.Overrides = &core.TaskNodeOverrides{ExtendedResources: &core.ExtendedResources{GpuAccelerator: c.gpu}}
		pod, err := Build(task, Default(), nil)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range pod.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms[0].MatchExpressions {
			got = append(got, r.Key, string(r.Operator), "["+strings.Join(r.Values, ",")+"]")
		}
		if strings.Join(got, " ") != c.want || len(pod.Spec.Tolerations) == 0 {
			t.Errorf("%s: %q, want %q; %v", name, got, c.want, pod.Spec.Tolerations)
		}
	}
	task.Overrides = &core.TaskNodeOverrides{ExtendedResources: &core.ExtendedResources{SharedMemory: &core.SharedMemory{MountName: "m", MountPath: "/m", SizeLimit: "much"}}}
	if _, err := Build(task, Default(), nil); err == nil || !strings.Contains(err.Error(), `"much" is not an amount`) {
		t.Errorf("%v", err)
	}
}
