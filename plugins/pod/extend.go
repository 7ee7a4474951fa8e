package pod

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/plugins"
)

// extend is what a node or task asks for beyond amounts: an accelerator, shared
// memory, another image. The node's word replaces the task's, each by itself.
func extend(pod *corev1.Pod, task plugins.Task, primary string, c Config) error {
	i := slices.IndexFunc(pod.Spec.Containers, func(one corev1.Container) bool { return one.Name == primary })
	main := &pod.Spec.Containers[i]
	if image := task.Overrides.GetContainerImage(); image != "" {
		main.Image = image
	}
	own, over := task.Template.GetExtendedResources(), task.Overrides.GetExtendedResources()
	gpu, shared := own.GetGpuAccelerator(), own.GetSharedMemory()
	if over.GetGpuAccelerator() != nil {
		gpu = over.GetGpuAccelerator()
	}
	if over.GetSharedMemory() != nil {
		shared = over.GetSharedMemory()
	}
	if asksGPU(pod, c) && gpu != nil {
		accelerate(&pod.Spec, gpu, c)
	}
	if shared != nil {
		return shareMemory(pod, main, shared)
	}
	return nil
}

func asksGPU(pod *corev1.Pod, c Config) bool {
	return slices.ContainsFunc(pod.Spec.Containers, func(one corev1.Container) bool {
		_, asks := one.Resources.Limits[corev1.ResourceName(c.GPUResource)]
		return asks
	})
}

// accelerate keeps the pod to nodes of a device, and of a partition of it, and
// lets it pass their taints.
func accelerate(spec *corev1.PodSpec, gpu *core.GPUAccelerator, c Config) {
	if device := gpu.GetDevice(); device != "" {
		require(spec, corev1.NodeSelectorRequirement{Key: c.GPUDeviceLabel, Operator: corev1.NodeSelectorOpIn, Values: []string{device}})
		tolerate(spec, c.GPUDeviceLabel, device)
	}
	switch size := gpu.GetPartitionSizeValue().(type) {
	case *core.GPUAccelerator_Unpartitioned:
		if size.Unpartitioned {
			require(spec, corev1.NodeSelectorRequirement{Key: c.GPUPartitionLabel, Operator: corev1.NodeSelectorOpDoesNotExist})
		}
	case *core.GPUAccelerator_PartitionSize:
		require(spec, corev1.NodeSelectorRequirement{Key: c.GPUPartitionLabel, Operator: corev1.NodeSelectorOpIn, Values: []string{size.PartitionSize}})
		tolerate(spec, c.GPUPartitionLabel, size.PartitionSize)
	}
}

func tolerate(spec *corev1.PodSpec, key, value string) {
	spec.Tolerations = append(spec.Tolerations, corev1.Toleration{Key: key, Operator: corev1.TolerationOpEqual, Value: value,
		Effect: corev1.TaintEffectNoSchedule})
}

// require adds a requirement to each of the alternatives that there are.
func require(spec *corev1.PodSpec, r corev1.NodeSelectorRequirement) {
	if spec.Affinity == nil {
		spec.Affinity = &corev1.Affinity{}
	}
	if spec.Affinity.NodeAffinity == nil {
		spec.Affinity.NodeAffinity = &corev1.NodeAffinity{}
	}
	node := spec.Affinity.NodeAffinity
	if node.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		node.RequiredDuringSchedulingIgnoredDuringExecution = &corev1.NodeSelector{}
	}
	s := node.RequiredDuringSchedulingIgnoredDuringExecution
	if len(s.NodeSelectorTerms) == 0 {
		s.NodeSelectorTerms = []corev1.NodeSelectorTerm{{}}
	}
	for i := range s.NodeSelectorTerms {
		s.NodeSelectorTerms[i].MatchExpressions = append(s.NodeSelectorTerms[i].MatchExpressions, r)
	}
}

// shareMemory gives the task a folder in memory. Without a size it may fill all
// of the memory that the task may use.
func shareMemory(pod *corev1.Pod, main *corev1.Container, m *core.SharedMemory) error {
	if m.GetMountName() == "" || m.GetMountPath() == "" {
		return bad("shared memory needs a mount name and a mount path")
	}
	memory := &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory}
	if text := m.GetSizeLimit(); text != "" {
		size, err := resource.ParseQuantity(text)
		if err != nil {
			return bad("shared memory: the size limit %q is not an amount", text)
		}
		memory.SizeLimit = &size
	}
	pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: m.GetMountName(), VolumeSource: corev1.VolumeSource{EmptyDir: memory}})
	main.VolumeMounts = append(main.VolumeMounts, corev1.VolumeMount{Name: m.GetMountName(), MountPath: m.GetMountPath()})
	return nil
}
