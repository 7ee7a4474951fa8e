package pod

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
		s.Phase, s.Reason = flow.TaskRunning, join(pod.Status.Reason, pod.Status.Message)
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
	if scheduled(pod, s) {
		containersWait(pod, c, now.Sub(waitsSince(pod)), s)
	}
	if s.Failure == nil && c.PendingTimeout > 0 && now.Sub(pod.CreationTimestamp.Time) >= c.PendingTimeout {
		s.Failure = &plugins.Failure{Code: "PodPendingTimeout", System: true, Retryable: true,
			Message: fmt.Sprintf("the pod was pending for %s. %s", c.PendingTimeout, s.Reason)}
	}
}

// scheduled is false for a pod of which it is known that it has no node.
func scheduled(pod *corev1.Pod, s *plugins.Status) bool {
	for _, cond := range pod.Status.Conditions {
		if cond.Type != corev1.PodScheduled {
			continue
		}
		if cond.Status == corev1.ConditionFalse {
			s.Reason = join(cond.Reason, cond.Message)
			return false
		}
		s.Phase = flow.TaskInitializing
	}
	return true
}

// containersWait looks at why containers have not started. The first that
// waits for what will not come decides.
func containersWait(pod *corev1.Pod, c Config, since time.Duration, s *plugins.Status) {
	for _, cs := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		w := cs.State.Waiting
		if w == nil || w.Reason == "" {
			continue
		}
		s.Phase = flow.TaskInitializing
		s.Reason = join(w.Reason, w.Message)
		if s.Failure = waiting(w, c, since); s.Failure != nil {
			return
		}
	}
	if secrets := unmounted(pod); secrets != "" {
		s.Reason = join(s.Reason, "waits for "+secrets)
		if since >= c.MountGrace {
			s.Failure = &plugins.Failure{Code: "SecretNotMounted", Retryable: true,
				Message: fmt.Sprintf("the pod waited %s for %s: %s", c.MountGrace, secrets, s.Reason)}
		}
	}
}

// waiting says whether a container waits for what will not come.
func waiting(w *corev1.ContainerStateWaiting, c Config, since time.Duration) *plugins.Failure {
	f := &plugins.Failure{Code: w.Reason, Message: first(w.Message, w.Reason)}
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

// unmounted names the secrets that a pod mounts, while its volumes are not
// mounted. A kubelet says so only by a condition, and why only in an event; a
// process node says why.
func unmounted(pod *corev1.Pod) string {
	i := slices.IndexFunc(pod.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == volumeSecrets && v.Projected != nil })
	if i < 0 {
		return ""
	}
	waits := slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReadyToStartContainers && c.Status == corev1.ConditionFalse
	})
	for _, cs := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		w := cs.State.Waiting
		if w == nil {
			return ""
		}
		waits = waits || w.Message != ""
	}
	if !waits {
		return ""
	}
	var names []string
	for _, p := range pod.Spec.Volumes[i].Projected.Sources {
		for _, item := range p.Secret.Items {
			name := fmt.Sprintf("key %s of secret %s", item.Key, p.Secret.Name)
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return strings.Join(names, ", ") + " in namespace " + pod.Namespace
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
	s.Phase, s.Reason = flow.TaskRunning, join(pod.Status.Reason, pod.Status.Message)
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
	s.Lingers = slices.ContainsFunc(pod.Status.ContainerStatuses, func(cs corev1.ContainerStatus) bool { return cs.State.Terminated == nil })
	if p.State.Terminated.ExitCode == 0 {
		s.Phase = flow.TaskSucceeded
		return
	}
	failed(pod, s)
}

func succeeded(pod *corev1.Pod, s *plugins.Status) {
	if cs, t := outOfMemory(pod); t != nil {
		fail(s, &plugins.Failure{Code: oomKilled, Message: describe(cs, t), Retryable: true})
		return
	}
	s.Phase = flow.TaskSucceeded
}

// deleted is about pods that somebody else deletes: an end that follows is the
// system's doing, and a node that never confirms it is given up.
func deleted(pod *corev1.Pod, c Config, now time.Time, s *plugins.Status) {
	if pod.DeletionTimestamp.IsZero() || s.Phase == flow.TaskSucceeded {
		return
	}
	failed := s.Phase == flow.TaskFailed || s.Phase == flow.TaskRetryableFailed
	if failed && endedBefore(pod) {
		return
	}
	f := &plugins.Failure{Code: "UnexpectedObjectDeletion", Message: "the pod was deleted, and not by us", System: true, Retryable: true}
	if why := disruption(pod); why != "" {
		f.Message = "the pod was deleted. " + why
	}
	switch {
	case failed:
		fail(s, f)
	case givenUp(pod, c, now):
		s.Failure = f
	case s.Failure == nil:
		s.Reason = "the pod is being deleted"
	}
}

// endedBefore reports whether the task's own container had ended before the
// pod's deletion was asked for, which then is not why. Both are known to the
// second; in the same one, the signals that a deletion sends tell.
func endedBefore(pod *corev1.Pod) bool {
	p, grace := primary(pod), pod.DeletionGracePeriodSeconds
	if p == nil || p.State.Terminated == nil || grace == nil {
		return false
	}
	end := p.State.Terminated
	asked := pod.DeletionTimestamp.Add(-time.Duration(*grace) * time.Second)
	signalled := end.Reason != oomKilled && (end.ExitCode == 128+15 || end.ExitCode == 128+9)
	return end.FinishedAt.Time.Before(asked) || end.FinishedAt.Time.Equal(asked) && !signalled
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
