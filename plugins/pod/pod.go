// Package pod makes the pod of a task attempt and says what a pod means for its
// attempt. The plugins whose tasks are pods (container, sidecar) share it.
//
// It does not retry and does not read outputs: whether a pod's exit code 0 is a
// success is for the propeller to find out. It reads no secrets: pods refer to
// them by name, and the kubelet resolves them.
//
// Build goes from what the task wants to what the platform adds: target (the
// task's container or its own pod), customize (arguments, environment,
// resources), place (where it may run), merge (the pod template below it all),
// extend (accelerator, shared memory, image), addSecrets.
//
// Invariant: a pod's spec is a function of the attempt, the Config and the pod
// template (Build), and what a pod means is a function of the pod, the Config
// and the time (Read).
package pod

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skein-project/skein/plugins"
)

const volumeStore = "skein-store"

// Build makes the pod of an attempt over a pod template, which may be nil. Its
// error is a *plugins.Failure.
func Build(task plugins.Task, c Config, base *corev1.PodTemplate) (*corev1.Pod, error) {
	t, err := read(task, c)
	if err != nil {
		return nil, err
	}
	if t.container(t.primary) == nil {
		return nil, bad("the pod has no container %q, which should be the task: name it as primary_container_name", t.primary)
	}
	if err := customize(task, t, c); err != nil {
		return nil, err
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Labels: t.labels, Annotations: t.annotations}, Spec: t.spec}
	primaryInit := ""
	if t.data.GetEnabled() {
		if primaryInit, err = addCopilot(pod, task, t.primary, t.data, c); err != nil {
			return nil, err
		}
	}
	place(&pod.Spec, task, c)
	if base != nil {
		if pod, err = merge(pod, base, t.primary, primaryInit); err != nil {
			return nil, err
		}
	}
	if err := extend(pod, task, t.primary, c); err != nil {
		return nil, err
	}
	if err := addSecrets(pod, task.Template.GetSecurityContext().GetSecrets()); err != nil {
		return nil, err
	}
	mountStore(pod, c.StoreHostPath)
	boundGrace(&pod.Spec, task.MaxGrace)
	describePod(pod, task, t.primary, c)
	return pod, nil
}

// mountStore gives every container the folder of the object store.
func mountStore(pod *corev1.Pod, folder string) {
	if folder == "" {
		return
	}
	pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: volumeStore,
		VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: folder}}})
	eachContainer(&pod.Spec, func(c *corev1.Container) {
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: volumeStore, MountPath: folder})
	})
}

// boundGrace holds a pod's grace to the most that its execution allows.
func boundGrace(spec *corev1.PodSpec, most time.Duration) {
	if most <= 0 {
		return
	}
	grace := int64(corev1.DefaultTerminationGracePeriodSeconds)
	if spec.TerminationGracePeriodSeconds != nil {
		grace = *spec.TerminationGracePeriodSeconds
	}
	grace = min(grace, int64(most/time.Second))
	spec.TerminationGracePeriodSeconds = &grace
}

// eachContainer calls do for init containers, and then for containers.
func eachContainer(spec *corev1.PodSpec, do func(*corev1.Container)) {
	for i := range spec.InitContainers {
		do(&spec.InitContainers[i])
	}
	for i := range spec.Containers {
		do(&spec.Containers[i])
	}
}

// bad is the failure of a task that can never be a pod.
func bad(format string, args ...any) *plugins.Failure {
	return &plugins.Failure{Code: "BadTaskSpecification", Message: fmt.Sprintf(format, args...)}
}
