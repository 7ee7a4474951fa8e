package pod

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/plugins"
)

const (
	oomKilled    = "OOMKilled"
	interrupted  = "Interrupted"
	unknownError = "UnknownError"
)

// The reasons that a node gives for pods that it did not end for their own
// sake. The first four are those of contract 19.3; the others are preemption
// and node loss, which contract 14.1 charges to the system too. Eviction by
// pressure is not among them: it is charged to the user.
var nodeReasons = []string{"Shutdown", "Terminated", "NodeShutdown", "NodeAffinity", "Preempting", "NodeLost"}

// failed says why a pod failed, in this order: the node's own reasons, memory,
// the pod's reason, and the container that matters. A task whose container had
// ended well has succeeded, whatever ended its side-cars.
func failed(pod *corev1.Pod, s *plugins.Status) {
	p := primary(pod)
	f := &plugins.Failure{Code: unknownError, Message: "the pod failed, and nothing says why", System: true, Retryable: true}
	if why := disruption(pod); why != "" {
		f.Message = why
	}
	reason := pod.Status.Reason
	if slices.Contains(nodeReasons, reason) {
		f.Code, f.Message = reason, join(reason, pod.Status.Message)
		if !endedWell(pod, p) {
			fail(s, f)
			return
		}
	}
	oom, t := outOfMemory(pod)
	switch cs, end := culprit(pod, p); {
	case t != nil && (end == nil || end.Reason == oomKilled || cs != p):
		f.Code, f.Message, f.System = oomKilled, describe(oom, t), false
	case endedWell(pod, p):
		s.Phase = flow.TaskSucceeded
		return
	case reason != "":
		f.Code, f.Message, f.System = reason, join(reason, pod.Status.Message), false
	case end != nil:
		f.Code, f.Message, f.System = orError(end.Reason), describe(cs, end), false
		if cs == p && (end.ExitCode == 137 || end.ExitCode == 247) {
			f.Code, f.System = interrupted, true
		}
	}
	fail(s, f)
}

// endedWell reports whether the task's own container is over and well, and
// nothing is left to be done for it.
func endedWell(pod *corev1.Pod, p *corev1.ContainerStatus) bool {
	return p != nil && p.State.Terminated != nil && p.State.Terminated.ExitCode == 0 && !hasCopilot(pod)
}

// culprit is the container that matters: the task's own if it ended badly; else
// an init container, without which the task did not begin; else a side-car.
func culprit(pod *corev1.Pod, p *corev1.ContainerStatus) (*corev1.ContainerStatus, *corev1.ContainerStateTerminated) {
	if p != nil && badly(p) {
		return p, p.State.Terminated
	}
	for _, list := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses} {
		for i := range list {
			if badly(&list[i]) {
				return &list[i], list[i].State.Terminated
			}
		}
	}
	return nil, nil
}

func badly(cs *corev1.ContainerStatus) bool {
	return cs.State.Terminated != nil && cs.State.Terminated.ExitCode != 0
}

// outOfMemory is a container that was killed for its memory, the task's own
// first; one that was started again counts too.
func outOfMemory(pod *corev1.Pod) (*corev1.ContainerStatus, *corev1.ContainerStateTerminated) {
	var found *corev1.ContainerStatus
	var how *corev1.ContainerStateTerminated
	name := pod.Annotations[annotationPrimary]
	for _, list := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses} {
		for i := range list {
			for _, t := range []*corev1.ContainerStateTerminated{list[i].State.Terminated, list[i].LastTerminationState.Terminated} {
				if t != nil && t.Reason == oomKilled && (found == nil || list[i].Name == name) {
					found, how = &list[i], t
				}
			}
		}
	}
	return found, how
}

// disruption is what Kubernetes says of a pod that it ended for others' sake:
// preemption, eviction through the API, a taint, a node that is gone.
func disruption(pod *corev1.Pod) string {
	for _, cond := range pod.Status.Conditions {
		if cond.Type == corev1.DisruptionTarget && cond.Status == corev1.ConditionTrue {
			return join(cond.Reason, cond.Message)
		}
	}
	return ""
}

func orError(reason string) string {
	if reason == "" {
		return "Error"
	}
	return reason
}

func fail(s *plugins.Status, f *plugins.Failure) {
	s.Failure, s.Reason, s.Phase = f, f.Message, flow.TaskFailed
	if f.Retryable {
		s.Phase = flow.TaskRetryableFailed
	}
}

func describe(cs *corev1.ContainerStatus, t *corev1.ContainerStateTerminated) string {
	text := fmt.Sprintf("[%s] terminated with exit code (%d). Reason [%s].", cs.Name, t.ExitCode, t.Reason)
	if t.Message != "" {
		text += " Message:\n" + strings.TrimSpace(t.Message)
	}
	return text
}
