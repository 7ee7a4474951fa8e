package processnode

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skein-project/skein/deploy/local/processnode/fit"
)

const localhost = "127.0.0.1"

// view is what a pod's status is made of. Making it is pure.
type view struct {
	pod  *corev1.Pod
	last corev1.PodStatus
	now  metav1.Time
	// started is nil until the pod has had a place at the gate.
	started *metav1.Time
	// states has one entry for each container and init container.
	states map[string]corev1.ContainerStatus
	// initialized: the init containers are through and the side-cars started.
	initialized bool
	// ended: nothing of the pod runs, nor will.
	ended bool
	// reason and message of a failure that is the pod's, not a container's.
	reason, message string
}

// status is the status that a kubelet would report.
func (v view) status() corev1.PodStatus {
	s := *v.last.DeepCopy()
	s.ObservedGeneration = v.pod.Generation
	s.InitContainerStatuses = v.statuses(v.pod.Spec.InitContainers)
	s.ContainerStatuses = v.statuses(v.pod.Spec.Containers)
	s.Phase = v.phase()
	s.Reason, s.Message = v.reason, v.message
	if v.started != nil {
		s.StartTime = v.started
		s.HostIP, s.HostIPs = localhost, []corev1.HostIP{{IP: localhost}}
		s.PodIP, s.PodIPs = localhost, []corev1.PodIP{{IP: localhost}}
	}
	for _, c := range v.conditions(s.Phase) {
		s.Conditions = withCondition(s.Conditions, c, v.now)
	}
	return s
}

func (v view) statuses(containers []corev1.Container) []corev1.ContainerStatus {
	var out []corev1.ContainerStatus
	for i := range containers {
		c := &containers[i]
		s := v.states[c.Name]
		running := s.State.Running != nil
		s.Name, s.Image = c.Name, c.Image
		s.Started = &running
		s.Ready = running
		if slices.ContainsFunc(v.pod.Spec.InitContainers, func(i corev1.Container) bool { return i.Name == c.Name }) && !fit.Sidecar(c) {
			s.Ready = s.State.Terminated != nil && s.State.Terminated.ExitCode == 0
		}
		out = append(out, *s.DeepCopy())
	}
	return out
}

// phase follows the kubelet: Pending until a main container has run, Succeeded
// or Failed only when all has ended.
func (v view) phase() corev1.PodPhase {
	if v.ended {
		if v.reason == "" && v.initialized && v.succeeded() {
			return corev1.PodSucceeded
		}
		return corev1.PodFailed
	}
	if !v.initialized {
		return corev1.PodPending
	}
	for _, c := range v.pod.Spec.Containers {
		s := v.states[c.Name]
		if s.State.Waiting != nil && s.LastTerminationState.Terminated == nil {
			return corev1.PodPending
		}
	}
	return corev1.PodRunning
}

func (v view) succeeded() bool {
	for _, c := range v.pod.Spec.Containers {
		t := v.states[c.Name].State.Terminated
		if t == nil || t.ExitCode != 0 {
			return false
		}
	}
	return true
}

func (v view) conditions(phase corev1.PodPhase) []corev1.PodCondition {
	initialized := claim(corev1.PodInitialized, v.initialized, "ContainersNotInitialized", v.incomplete())
	var unready []string
	for _, c := range v.pod.Spec.Containers {
		if v.states[c.Name].State.Running == nil {
			unready = append(unready, c.Name)
		}
	}
	ready := claim(corev1.PodReady, len(unready) == 0, "ContainersNotReady",
		"containers with unready status: ["+strings.Join(unready, " ")+"]")
	switch phase {
	case corev1.PodSucceeded:
		initialized.Reason = "PodCompleted"
		ready = claim(corev1.PodReady, false, "PodCompleted", "")
	case corev1.PodFailed:
		ready = claim(corev1.PodReady, false, "PodFailed", "")
	}
	containersReady := ready
	containersReady.Type = corev1.ContainersReady
	sandbox := claim(corev1.PodReadyToStartContainers, v.started != nil && !v.ended, "", "")
	return []corev1.PodCondition{sandbox, initialized, ready, containersReady}
}

func (v view) incomplete() string {
	var names []string
	for _, c := range v.pod.Spec.InitContainers {
		s := v.states[c.Name].State
		if done := s.Terminated != nil && s.Terminated.ExitCode == 0 || fit.Sidecar(&c) && s.Running != nil; !done {
			names = append(names, c.Name)
		}
	}
	return "containers with incomplete status: [" + strings.Join(names, " ") + "]"
}

// claim is a condition; reason and message are those of False.
func claim(kind corev1.PodConditionType, holds bool, reason, message string) corev1.PodCondition {
	if holds {
		return corev1.PodCondition{Type: kind, Status: corev1.ConditionTrue}
	}
	return corev1.PodCondition{Type: kind, Status: corev1.ConditionFalse, Reason: reason, Message: message}
}

// withCondition puts the condition in; its time changes only with its status.
func withCondition(all []corev1.PodCondition, c corev1.PodCondition, now metav1.Time) []corev1.PodCondition {
	c.LastTransitionTime = now
	for i := range all {
		if all[i].Type != c.Type {
			continue
		}
		if all[i].Status == c.Status {
			c.LastTransitionTime = all[i].LastTransitionTime
		}
		all[i] = c
		return all
	}
	return append(all, c)
}

func waiting(reason, message string) corev1.ContainerState {
	return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
}

func terminal(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}
