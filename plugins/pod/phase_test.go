package pod

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skein-project/skein/api/flow"
)

func ended(code int32, reason string) corev1.ContainerStatus { return endedAs("main", code, reason) }

func endedAs(name string, code int32, reason string) corev1.ContainerStatus {
	return corev1.ContainerStatus{Name: name, State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
		ExitCode: code, Reason: reason, Message: name + " says so"}}}
}

func waits(reason string) corev1.ContainerStatus {
	return corev1.ContainerStatus{Name: "main", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: "because"}}}
}

func runs(name string) corev1.ContainerStatus {
	return corev1.ContainerStatus{Name: name, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}
}

func status(phase corev1.PodPhase, reason string, containers ...corev1.ContainerStatus) corev1.PodStatus {
	return corev1.PodStatus{Phase: phase, Reason: reason, ContainerStatuses: containers}
}

// with adds init containers' statuses, or conditions.
func with(s corev1.PodStatus, more ...any) corev1.PodStatus {
	for _, m := range more {
		switch m := m.(type) {
		case corev1.ContainerStatus:
			s.InitContainerStatuses = append(s.InitContainerStatuses, m)
		case corev1.PodCondition:
			s.Conditions = append(s.Conditions, m)
		}
	}
	return s
}

// charge is whom a failure counts against, and whether it may be tried again.
type charge string

const (
	none      charge = ""
	user      charge = "USER retryable"
	system    charge = "SYSTEM retryable"
	permanent charge = "USER permanent"
)

// phaseRow is one row of contract 19.3, or one case of it.
type phaseRow struct {
	row    string // of the contract's table, and which case
	status corev1.PodStatus
	phase  flow.TaskPhase
	code   string
	charge charge
	says   string // what the reason or the failure's message has in it
}

// phases are the rows of contract 19.3, in its order, seen long after the pod
// was made.
var phases = []phaseRow{
	{"Pending, new", status("Pending", ""), flow.TaskQueued, "", none, ""},
	{"Pending, PodScheduled False", with(status("Pending", ""), corev1.PodCondition{Type: "PodScheduled", Status: "False", Reason: "Unschedulable",
		Message: "0/3 nodes are available: 3 Insufficient cpu."}), flow.TaskQueued, "", none, "Unschedulable: 0/3 nodes are available: 3 Insufficient cpu."},
	{"Pending, ContainerCreating", status("Pending", "", waits("ContainerCreating")), flow.TaskInitializing, "", none, "because"},
	{"Pending, PodInitializing", status("Pending", "", waits("PodInitializing")), flow.TaskInitializing, "", none, ""},
	{"Pending, ErrImagePull", status("Pending", "", waits("ErrImagePull")), flow.TaskInitializing, "", none, "ErrImagePull: because"},
	{"ImagePullBackOff, after the grace", status("Pending", "", waits("ImagePullBackOff")), flow.TaskInitializing, "ImagePullBackOff", user, "because"},
	{"CreateContainerError, after the grace", status("Pending", "", waits("CreateContainerError")), flow.TaskInitializing, "CreateContainerError", permanent, "because"},
	{"CreateContainerConfigError", status("Pending", "", waits("CreateContainerConfigError")), flow.TaskInitializing, "CreateContainerConfigError", permanent, "because"},
	{"InvalidImageName", status("Pending", "", waits("InvalidImageName")), flow.TaskInitializing, "InvalidImageName", permanent, "because"},
	{"other waiting reason", status("Pending", "", waits("CrashLoopBackOff")), flow.TaskInitializing, "CrashLoopBackOff", system, "because"},
	{"other waiting reason, of an init container", with(status("Pending", "", waits("PodInitializing")), waits("RunContainerError")),
		flow.TaskInitializing, "RunContainerError", system, "because"},

	{"Running", status("Running", "", runs("main")), flow.TaskRunning, "", none, ""},
	{"Running, primary exit 0", status("Running", "", ended(0, "Completed"), runs("side")), flow.TaskSucceeded, "", none, ""},
	{"Running, primary exit 2", status("Running", "", ended(2, "Error"), runs("side")), flow.TaskRetryableFailed, "Error", user, "main says so"},
	{"Running, primary OOM", status("Running", "", ended(137, "OOMKilled"), runs("side")), flow.TaskRetryableFailed, "OOMKilled", user, "main says so"},
	{"Running, a side-car failed", status("Running", "", runs("main"), endedAs("side", 1, "Error")), flow.TaskRunning, "", none, ""},
	{"Running, node lost", status("Running", "NodeLost", runs("main")), flow.TaskRunning, "", none, "NodeLost"},

	{"Succeeded", status("Succeeded", "", ended(0, "Completed")), flow.TaskSucceeded, "", none, ""},
	{"Succeeded, primary OOMKilled though", status("Succeeded", "", ended(0, "OOMKilled")), flow.TaskRetryableFailed, "OOMKilled", user, "main says so"},
	{"Succeeded, a side-car OOMKilled though", status("Succeeded", "", ended(0, "Completed"), endedAs("side", 137, "OOMKilled")),
		flow.TaskRetryableFailed, "OOMKilled", user, "side says so"},
	{"Succeeded, a side-car OOMKilled and started again", with(status("Succeeded", "", ended(0, "Completed")),
		corev1.ContainerStatus{Name: "side", LastTerminationState: endedAs("side", 137, "OOMKilled").State}), flow.TaskRetryableFailed, "OOMKilled", user, "side says so"},

	{"Failed, OOMKilled", status("Failed", "", ended(137, "OOMKilled")), flow.TaskRetryableFailed, "OOMKilled", user, "exit code (137)"},
	{"Failed, a side-car OOMKilled", status("Failed", "", ended(0, "Completed"), endedAs("side", 137, "OOMKilled")), flow.TaskRetryableFailed, "OOMKilled", user, "side says so"},
	{"Failed, primary exit 137", status("Failed", "", ended(137, "Error")), flow.TaskRetryableFailed, "Interrupted", system, "main says so"},
	{"Failed, primary exit 247", status("Failed", "", ended(247, "Error")), flow.TaskRetryableFailed, "Interrupted", system, "main says so"},
	{"Failed, a side-car exit 137", status("Failed", "", ended(1, "Error"), endedAs("side", 137, "Error")), flow.TaskRetryableFailed, "Error", user, "main says so"},
	{"Failed, Shutdown", status("Failed", "Shutdown"), flow.TaskRetryableFailed, "Shutdown", system, "Shutdown"},
	{"Failed, Terminated", status("Failed", "Terminated", ended(143, "Error")), flow.TaskRetryableFailed, "Terminated", system, "Terminated"},
	{"Failed, NodeShutdown", status("Failed", "NodeShutdown", ended(137, "Error")), flow.TaskRetryableFailed, "NodeShutdown", system, "NodeShutdown"},
	{"Failed, NodeAffinity", status("Failed", "NodeAffinity"), flow.TaskRetryableFailed, "NodeAffinity", system, "NodeAffinity"},
	{"Failed, preempted (contract 14.1)", status("Failed", "Preempting"), flow.TaskRetryableFailed, "Preempting", system, "Preempting"},
	{"Failed, node lost (contract 14.1)", status("Failed", "NodeLost"), flow.TaskRetryableFailed, "NodeLost", system, "NodeLost"},
	{"Failed, exit code", status("Failed", "", ended(3, "Error")), flow.TaskRetryableFailed, "Error", user, "exit code (3)"},
	{"Failed, cannot be run", status("Failed", "", ended(128, "StartError")), flow.TaskRetryableFailed, "StartError", user, "exit code (128)"},
	{"Failed, exit code of an init container", with(status("Failed", "", waits("PodInitializing")), endedAs("init", 4, "Error")),
		flow.TaskRetryableFailed, "Error", user, "init says so"},
	{"Failed, Evicted", status("Failed", "Evicted", ended(137, "Error")), flow.TaskRetryableFailed, "Evicted", user, "Evicted"},
	{"Failed, DeadlineExceeded", status("Failed", "DeadlineExceeded", ended(137, "Error")), flow.TaskRetryableFailed, "DeadlineExceeded", user, "DeadlineExceeded"},
	{"Failed, after the primary's exit 0", status("Failed", "Evicted", ended(0, "Completed"), endedAs("side", 137, "Error")), flow.TaskSucceeded, "", none, ""},
	{"Failed, nothing recorded", status("Failed", ""), flow.TaskRetryableFailed, "UnknownError", system, "nothing says why"},
	{"Failed, nothing recorded but a disruption", with(status("Failed", ""), corev1.PodCondition{Type: corev1.DisruptionTarget, Status: "True",
		Reason: "DeletionByPodGC", Message: "node no longer exists"}), flow.TaskRetryableFailed, "UnknownError", system, "DeletionByPodGC: node no longer exists"},
	{"Primary absent from statuses", status("Running", "", runs("other")), flow.TaskRunning, "PrimaryContainerNotFound", permanent, `no container "main"`},
	{"Unknown", corev1.PodStatus{Phase: "Unknown", Reason: "NodeLost", Message: "node is lost"}, flow.TaskRunning, "", none, "NodeLost: node is lost"},
}

// TestPhases is the table of contract 19.3.
func TestPhases(t *testing.T) {
	now := time.Now()
	old := metav1.NewTime(now.Add(-10 * time.Minute))
	for _, c := range phases {
		t.Run(c.row, func(t *testing.T) {
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: old, Annotations: map[string]string{annotationPrimary: "main"}}, Status: c.status}
			s := Read(pod, Default(), now)
			if s.Phase != c.phase {
				t.Errorf("%s, want %s", s.Phase, c.phase)
			}
			code, charged, says := "", none, s.Reason
			if f := s.Failure; f != nil {
				code, says, charged = f.Code, f.Message, user
				switch {
				case f.System:
					charged = system
				case !f.Retryable:
					charged = permanent
				}
				if f.System && !f.Retryable {
					t.Error("no row charges the system for good")
				}
			}
			if code != c.code || charged != c.charge || !strings.Contains(says, c.says) {
				t.Errorf("%q, %q, %q; want %q, %q, %q", code, charged, says, c.code, c.charge, c.says)
			}
			fresh := pod.DeepCopy()
			fresh.CreationTimestamp = metav1.NewTime(now)
			if f := Read(fresh, Default(), now).Failure; f != nil && (f.Code == "ImagePullBackOff" || f.Code == "CreateContainerError") {
				t.Errorf("%s has no grace", f.Code)
			}
		})
	}
}

// TestOnlyTheContainerThatMattersSpeaks: what side-cars say at their end is no
// part of what the user reads of a task that failed.
func TestOnlyTheContainerThatMattersSpeaks(t *testing.T) {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{annotationPrimary: "main"}},
		Status: with(status("Failed", "", endedAs("side", 1, "Error"), ended(3, "Error")), endedAs(uploaderName, 1, "Error"))}
	if f := Read(pod, Default(), time.Now()).Failure; f == nil || !strings.Contains(f.Message, "main says so") ||
		strings.Contains(f.Message, "side") || strings.Contains(f.Message, uploaderName) {
		t.Errorf("%+v", f)
	}
}

// TestWhatRunsOnIsToBeStopped: a task is over with its own container, its pod
// only with the last.
func TestWhatRunsOnIsToBeStopped(t *testing.T) {
	for _, c := range []struct {
		name    string
		status  corev1.PodStatus
		lingers bool
	}{
		{"a side-car runs on", status("Running", "", ended(0, "Completed"), runs("side")), true},
		{"a side-car runs on after a failure", status("Running", "", ended(1, "Error"), runs("side")), true},
		{"all have ended", status("Running", "", ended(0, "Completed"), endedAs("side", 0, "Completed")), false},
		{"the task runs", status("Running", "", runs("main"), runs("side")), false},
		{"the pod has ended", status("Succeeded", "", ended(0, "Completed")), false},
	} {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{annotationPrimary: "main"}}, Status: c.status}
		if s := Read(pod, Default(), time.Now()); s.Lingers != c.lingers {
			t.Errorf("%s: lingers is %t", c.name, s.Lingers)
		}
	}
}

func TestDeletedPods(t *testing.T) {
	now := time.Now()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{DeletionTimestamp: &metav1.Time{Time: now}}, Status: corev1.PodStatus{Phase: "Running"}}
	if s := Read(pod, Default(), now); s.Phase != flow.TaskRunning || s.Failure != nil {
		t.Errorf("within its grace: %+v", s)
	}
	if s := Read(pod, Default(), now.Add(2*time.Minute)); s.Failure == nil || s.Phase != flow.TaskRunning || !s.Failure.System {
		t.Errorf("given up: %+v", s)
	}
	pod.Status.Phase = "Failed"
	if s := Read(pod, Default(), now); s.Failure == nil || s.Failure.Code != "UnexpectedObjectDeletion" || s.Phase != flow.TaskRetryableFailed {
		t.Errorf("ended: %+v", s)
	}
	pod.Status = with(pod.Status, corev1.PodCondition{Type: corev1.DisruptionTarget, Status: "True", Reason: "PreemptionByScheduler", Message: "made room"})
	if s := Read(pod, Default(), now); s.Failure == nil || !s.Failure.System || !strings.Contains(s.Failure.Message, "PreemptionByScheduler: made room") {
		t.Errorf("preempted: %+v", s.Failure)
	}
}

// TestAnEndBeforeADeletionIsItsOwn: a real node says that a container has ended
// before it says so of the pod, which may be deleted in between.
func TestAnEndBeforeADeletionIsItsOwn(t *testing.T) {
	asked, grace := time.Unix(1000, 0), int64(30)
	for _, c := range []struct {
		name     string
		code     int32
		reason   string
		finished time.Duration // since the deletion was asked for
		want     string
	}{
		{"killed for memory, a second before", 247, "OOMKilled", -time.Second, "OOMKilled"},
		{"killed for memory, in the same second", 137, "OOMKilled", 0, "OOMKilled"},
		{"failed in the same second", 3, "Error", 0, "Error"},
		{"terminated in the same second", 143, "Error", 0, "UnexpectedObjectDeletion"},
		{"killed in the same second", 137, "Error", 0, "UnexpectedObjectDeletion"},
		{"failed later", 3, "Error", time.Second, "UnexpectedObjectDeletion"},
	} {
		main := ended(c.code, c.reason)
		main.State.Terminated.FinishedAt = metav1.NewTime(asked.Add(c.finished))
		pod := &corev1.Pod{Status: status("Running", "", main), ObjectMeta: metav1.ObjectMeta{
			Annotations:       map[string]string{annotationPrimary: "main"},
			DeletionTimestamp: &metav1.Time{Time: asked.Add(time.Duration(grace) * time.Second)}, DeletionGracePeriodSeconds: &grace}}
		s := Read(pod, Default(), asked)
		if s.Failure == nil || s.Failure.Code != c.want {
			t.Errorf("%s: %+v, want %s", c.name, s.Failure, c.want)
		}
	}
}

func TestPendingTimeout(t *testing.T) {
	now, c := time.Now(), Default()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(now.Add(-time.Hour))}, Status: phases[1].status}
	if s := Read(pod, c, now); s.Failure != nil {
		t.Errorf("without a time-out: %+v", s.Failure)
	}
	c.PendingTimeout = time.Minute
	if s := Read(pod, c, now); s.Failure == nil || !s.Failure.System || !s.Failure.Retryable || !strings.Contains(s.Failure.Message, "Insufficient cpu") {
		t.Errorf("with one: %+v", s.Failure)
	}
}
