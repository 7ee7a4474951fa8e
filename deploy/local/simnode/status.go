package simnode

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skein-project/skein/deploy/local/processnode/fit"
)

const localhost = "127.0.0.1"

// runningStatus is what a kubelet reports of a pod whose containers all run.
func runningStatus(pod *corev1.Pod, since metav1.Time) corev1.PodStatus {
	running := corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: since}}
	s := begun(pod, since)
	s.Phase = corev1.PodRunning
	s.ContainerStatuses = containers(pod.Spec.Containers, func(int) corev1.ContainerState { return running })
	s.InitContainerStatuses = containers(pod.Spec.InitContainers, func(i int) corev1.ContainerState {
		if fit.Sidecar(&pod.Spec.InitContainers[i]) {
			return running
		}
		return completed(since, since)
	})
	s.Conditions = conditions(since, corev1.ConditionTrue, "")
	return s
}

// endedStatus is what a kubelet reports of a pod that has ended so.
func endedStatus(pod *corev1.Pod, since, now metav1.Time, o outcome) corev1.PodStatus {
	s := begun(pod, since)
	s.Phase, s.Reason, s.Message = corev1.PodFailed, o.reason, o.message
	why := "PodFailed"
	if o.succeeded {
		s.Phase, why = corev1.PodSucceeded, "PodCompleted"
	}
	s.ContainerStatuses = containers(pod.Spec.Containers, func(i int) corev1.ContainerState {
		if i > 0 && !o.all {
			return completed(since, now)
		}
		return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
			ExitCode: o.exit, Reason: o.container, StartedAt: since, FinishedAt: now}}
	})
	s.InitContainerStatuses = containers(pod.Spec.InitContainers, func(i int) corev1.ContainerState {
		if fit.Sidecar(&pod.Spec.InitContainers[i]) {
			return completed(since, now)
		}
		return completed(since, since)
	})
	s.Conditions = conditions(now, corev1.ConditionFalse, why)
	return s
}

func begun(pod *corev1.Pod, since metav1.Time) corev1.PodStatus {
	return corev1.PodStatus{
		ObservedGeneration: pod.Generation, StartTime: &since,
		HostIP: localhost, HostIPs: []corev1.HostIP{{IP: localhost}},
		PodIP: localhost, PodIPs: []corev1.PodIP{{IP: localhost}},
	}
}

func completed(since, now metav1.Time) corev1.ContainerState {
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Completed", StartedAt: since, FinishedAt: now}}
}

func containers(list []corev1.Container, state func(int) corev1.ContainerState) []corev1.ContainerStatus {
	var out []corev1.ContainerStatus
	for i, c := range list {
		s := corev1.ContainerStatus{Name: c.Name, Image: c.Image, State: state(i)}
		running := s.State.Running != nil
		s.Started, s.Ready = &running, running
		out = append(out, s)
	}
	return out
}

func conditions(at metav1.Time, ready corev1.ConditionStatus, why string) []corev1.PodCondition {
	return []corev1.PodCondition{
		{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: at},
		{Type: corev1.PodInitialized, Status: corev1.ConditionTrue, LastTransitionTime: at},
		{Type: corev1.ContainersReady, Status: ready, Reason: why, LastTransitionTime: at},
		{Type: corev1.PodReady, Status: ready, Reason: why, LastTransitionTime: at},
	}
}
