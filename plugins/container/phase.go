package container

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/plugins"
)

// Read says what a pod means for its attempt (contract 19.3). A Failure on a
// phase that is not an end means: stop the pod, and then record this.
func Read(pod *corev1.Pod, c Config, now time.Time) plugins.Status {
	s := plugins.Status{Reason: pod.Status.Message}
	if t := pod.Status.StartTime; t != nil {
		s.StartedAt = t.Time
	}
	if t := primary(pod); t != nil {
		times(&s, t)
	}
	switch pod.Status.Phase {
	case corev1.PodPending:
		pending(pod, c, now, &s)
	case corev1.PodSucceeded:
		succeeded(pod, &s)
	case corev1.PodFailed:
		failed(pod, &s)
	case corev1.PodRunning:
		running(pod, &s)
	case corev1.PodUnknown:
		s.Phase = flow.TaskRunning
	default:
		s.Phase = flow.TaskQueued
	}
	deleted(pod, c, now, &s)
	return s
}

func times(s *plugins.Status, c *corev1.ContainerStatus) {
	if r := c.State.Running; r != nil {
		s.StartedAt = r.StartedAt.Time
	}
	if t := c.State.Terminated; t != nil {
		s.StartedAt, s.EndedAt = t.StartedAt.Time, t.FinishedAt.Time
	}
}

// primary is the status of the container that is the task, or nil.
func primary(pod *corev1.Pod) *corev1.ContainerStatus {
	name := pod.Annotations[annotationPrimary]
	for i := range pod.Status.ContainerStatuses {
		if pod.Status.ContainerStatuses[i].Name == name {
			return &pod.Status.ContainerStatuses[i]
		}
	}
	return nil
}

func pending(pod *corev1.Pod, c Config, now time.Time, s *plugins.Status) {
	s.Phase = flow.TaskQueued
	for _, cond := range pod.Status.Conditions {
		if cond.Type != corev1.PodScheduled {
			continue
		}
		if cond.Status == corev1.ConditionFalse {
			s.Reason = join(cond.Reason, cond.Message)
			return
		}
		s.Phase = flow.TaskInitializing
	}
	for _, cs := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		if w := cs.State.Waiting; w != nil && w.Reason != "" {
			s.Phase = flow.TaskInitializing
			s.Reason = join(w.Reason, w.Message)
			s.Failure = waiting(w, c, now.Sub(waitsSince(pod)))
		}
		if s.Failure != nil {
			return
		}
	}
}

// waiting says whether a container waits for what will not come.
func waiting(w *corev1.ContainerStateWaiting, c Config, since time.Duration) *plugins.Failure {
	f := &plugins.Failure{Code: w.Reason, Message: w.Message}
	switch w.Reason {
	case "ContainerCreating", "PodInitializing", "ErrImagePull":
		return nil
	case "ImagePullBackOff":
		f.Retryable = true
		if since < c.ImagePullGrace {
			return nil
		}
	case "CreateContainerError":
		if since < c.CreateContainerGrace {
			return nil
		}
	case "CreateContainerConfigError", "InvalidImageName":
	default:
		f.System, f.Retryable = true, true
	}
	return f
}

// waitsSince is when the pod last became unready.
func waitsSince(pod *corev1.Pod) time.Time {
	since := pod.CreationTimestamp.Time
	for _, cond := range pod.Status.Conditions {
		if cond.Type == corev1.ContainersReady || cond.Type == corev1.PodReady || cond.Type == corev1.PodScheduled {
			if cond.LastTransitionTime.After(since) {
				since = cond.LastTransitionTime.Time
			}
		}
	}
	return since
}

func running(pod *corev1.Pod, s *plugins.Status) {
	s.Phase = flow.TaskRunning
	p := primary(pod)
	if p == nil {
		if len(pod.Status.ContainerStatuses) > 0 {
			s.Failure = &plugins.Failure{Code: "PrimaryContainerNotFound",
				Message: fmt.Sprintf("the pod has no container %q", pod.Annotations[annotationPrimary])}
		}
		return
	}
	// A copilot that still uploads ends before the pod does.
	if p.State.Terminated == nil || hasCopilot(pod) {
		return
	}
	if p.State.Terminated.ExitCode == 0 {
		s.Phase = flow.TaskSucceeded
		return
	}
	failed(pod, s)
}

func succeeded(pod *corev1.Pod, s *plugins.Status) {
	s.Phase = flow.TaskSucceeded
	for _, cs := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		if t := cs.State.Terminated; t != nil && t.Reason == oomKilled {
			fail(s, &plugins.Failure{Code: oomKilled, Message: describe(cs.Name, t), Retryable: true})
			return
		}
	}
}

const (
	oomKilled   = "OOMKilled"
	interrupted = "Interrupted"
)

// The reasons that a node gives for pods that it did not end for their own sake.
var nodeReasons = []string{"Shutdown", "Terminated", "NodeShutdown", "NodeAffinity"}

func failed(pod *corev1.Pod, s *plugins.Status) {
	f := &plugins.Failure{Code: "UnknownError", Message: "the pod failed, and nothing says why", System: true, Retryable: true}
	if r := pod.Status.Reason; r != "" {
		f.Code, f.System = r, slices.Contains(nodeReasons, r)
		f.Message = join(r, pod.Status.Message)
	}
	name := pod.Annotations[annotationPrimary]
	for _, cs := range slices.Concat(pod.Status.ContainerStatuses, pod.Status.InitContainerStatuses) {
		t := cs.State.Terminated
		if t == nil || t.ExitCode == 0 {
			continue
		}
		if f.Code == "UnknownError" {
			f.Message = ""
		}
		f.Message = strings.TrimSpace(f.Message + "\n" + describe(cs.Name, t))
		switch {
		case t.Reason == oomKilled:
			f.Code, f.System = oomKilled, false
		case f.Code == oomKilled || slices.Contains(nodeReasons, f.Code):
		case cs.Name == name && (t.ExitCode == 137 || t.ExitCode == 247) && pod.Status.Reason == "":
			f.Code, f.System = interrupted, true
		case f.Code == "UnknownError":
			f.Code, f.System = orError(t.Reason), false
		}
	}
	fail(s, f)
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

func describe(name string, t *corev1.ContainerStateTerminated) string {
	text := fmt.Sprintf("[%s] terminated with exit code (%d). Reason [%s].", name, t.ExitCode, t.Reason)
	if t.Message != "" {
		text += " Message:\n" + t.Message
	}
	return text
}

// deleted is about pods that somebody else deletes: an end that follows is the
// system's doing, and a node that never confirms it is given up.
func deleted(pod *corev1.Pod, c Config, now time.Time, s *plugins.Status) {
	if pod.DeletionTimestamp.IsZero() || s.Phase == flow.TaskSucceeded {
		return
	}
	f := &plugins.Failure{Code: "UnexpectedObjectDeletion", Message: "the pod was deleted, and not by us", System: true, Retryable: true}
	switch {
	case s.Phase == flow.TaskFailed || s.Phase == flow.TaskRetryableFailed:
		fail(s, f)
	case givenUp(pod, c, now):
		s.Failure = f
	case s.Failure == nil:
		s.Reason = "the pod is being deleted"
	}
}

// givenUp reports whether a deleted pod has long outlived its grace.
func givenUp(pod *corev1.Pod, c Config, now time.Time) bool {
	// The timestamp includes the grace already.
	return !pod.DeletionTimestamp.IsZero() && now.After(pod.DeletionTimestamp.Add(c.DeletionGrace))
}

func join(reason, message string) string {
	switch {
	case reason == "":
		return message
	case message == "":
		return reason
	}
	return reason + ": " + message
}
