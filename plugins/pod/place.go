package pod

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/skein-project/skein/plugins"
)

// place says as whom and where the pod runs. What the task's own pod says
// stands, but that it must not hide where interruptible work belongs.
func place(spec *corev1.PodSpec, task plugins.Task, c Config) {
	if spec.RestartPolicy == "" {
		spec.RestartPolicy = corev1.RestartPolicyNever
	}
	spec.ServiceAccountName = first(spec.ServiceAccountName, task.ServiceAccount,
		task.Template.GetSecurityContext().GetRunAs().GetK8SServiceAccount(), c.ServiceAccount)
	spec.SchedulerName = first(spec.SchedulerName, c.SchedulerName)
	spec.NodeSelector = union(c.NodeSelector, spec.NodeSelector)
	spec.Tolerations = append(tolerations(spec, task.Interruptible, c), spec.Tolerations...)
	if task.Interruptible {
		spec.NodeSelector = union(spec.NodeSelector, c.InterruptibleSelector)
	}
	for _, name := range c.ImagePullSecrets {
		ref := corev1.LocalObjectReference{Name: name}
		if !slices.Contains(spec.ImagePullSecrets, ref) {
			spec.ImagePullSecrets = append(spec.ImagePullSecrets, ref)
		}
	}
}

// tolerations are the platform's: for all pods, for what the pod's containers
// ask for, and for interruptible work.
func tolerations(spec *corev1.PodSpec, interruptible bool, c Config) []corev1.Toleration {
	out := slices.Clone(c.Tolerations)
	if interruptible {
		out = append(out, c.InterruptibleTolerations...)
	}
	asked := map[corev1.ResourceName]bool{}
	eachContainer(spec, func(one *corev1.Container) {
		for name, list := range c.ResourceTolerations {
			if _, asks := one.Resources.Limits[name]; asks && !asked[name] {
				asked[name] = true
				out = append(out, list...)
			}
		}
	})
	return out
}
