package processnode

import (
	"context"
	"path/filepath"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skein-project/skein/deploy/local/processnode/gate"
)

// ending says why a pod is to end. A later one in this list overrules an earlier.
type ending int

const (
	endNone     ending = iota
	endDeadline        // activeDeadlineSeconds: the object stays, Failed
	endDeleted         // deletion was asked for: the object is deleted once all has ended
	endGone            // the object is gone: nothing is reported any more
	endShutdown        // the agent stops: nothing is reported, the next agent does
)

// run is the life of one pod on this node. Its goroutine, main, is the only one
// that moves the pod on; stop and update may be called by any.
type run struct {
	agent *Agent
	pod   *corev1.Pod // as first seen; a pod's spec does not change in what matters here
	place *gate.Place
	// lost: an earlier agent had started the pod, and its processes are gone.
	lost bool

	// soft ends when the main containers are to be TERMed, hard is closed when
	// all is to be KILLed, talk ends when nothing is to be reported any more.
	soft, talk     context.Context
	cancel, silent context.CancelFunc
	hard           chan struct{}
	// released is closed when the object may go, finished when main has returned.
	released, finished chan struct{}
	reporter           *reporter

	mu        sync.Mutex
	end       ending
	hardTimer *time.Timer
	hardAt    time.Time
	view      view
	volumes   map[string]string
	sidecars  []*side
}

// newRun makes the run of a pod that is bound to this node.
func newRun(a *Agent, pod *corev1.Pod) *run {
	r := &run{
		agent: a, pod: pod, place: a.gate.At(),
		hard: make(chan struct{}), released: make(chan struct{}), finished: make(chan struct{}),
		view: view{pod: pod, last: *pod.Status.DeepCopy(), states: map[string]corev1.ContainerStatus{}},
	}
	r.soft, r.cancel = context.WithCancel(context.Background())
	r.talk, r.silent = context.WithCancel(context.Background())
	r.reporter = newReporter(r)
	started, _ := filepath.Glob(filepath.Join(a.podFolder(pod), "*", pidName)) // the pattern is good
	r.lost = !terminal(pod) && (pod.Status.StartTime != nil || len(started) > 0)
	r.view.started = pod.Status.StartTime
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for _, c := range list {
			r.view.states[c.Name] = corev1.ContainerStatus{State: waiting("ContainerCreating", "")}
		}
	}
	for _, list := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses} {
		for _, s := range list {
			r.view.states[s.Name] = s
		}
	}
	return r
}

// main lives as long as the pod does on this node.
func (r *run) main() {
	defer close(r.finished)
	defer r.cancel()
	defer r.silent()
	if !terminal(r.pod) {
		go r.reporter.run()
		if r.lost {
			r.loseAll()
		} else {
			r.sequence()
		}
		r.cancel() // no deadline any more
		r.change(func(v *view) { v.ended = true })
		r.reporter.settle()
		r.agent.nudgeNow()
	}
	<-r.released
	r.mu.Lock()
	deleted := r.end == endDeleted
	r.mu.Unlock()
	if deleted {
		r.reporter.remove()
	}
}

// update takes the newest form of the pod: what can change is its deletion.
func (r *run) update(pod *corev1.Pod) {
	if pod.DeletionTimestamp == nil {
		return
	}
	grace := int64(0)
	if pod.DeletionGracePeriodSeconds != nil {
		grace = *pod.DeletionGracePeriodSeconds
	}
	r.stop(endDeleted, time.Duration(grace)*time.Second)
}

// stop ends the pod: TERM now, KILL after the grace, or earlier if an earlier
// stop said so. It does not wait.
func (r *run) stop(end ending, grace time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if end >= endDeleted && r.end < endDeleted {
		close(r.released)
	}
	if end == endDeadline && r.end == endNone && !r.view.ended {
		r.view.reason = "DeadlineExceeded"
		r.view.message = "Pod was active on the node longer than the specified deadline"
	}
	r.end = max(r.end, end)
	if r.end >= endGone {
		r.silent()
	}
	r.cancel()
	r.killAfter(grace)
}

// killAfter sets when all is killed; the caller holds the lock.
func (r *run) killAfter(grace time.Duration) {
	at := time.Now().Add(grace)
	if r.hardTimer != nil {
		if !at.Before(r.hardAt) || !r.hardTimer.Stop() {
			return
		}
	}
	r.hardAt = at
	r.hardTimer = time.AfterFunc(grace, func() { close(r.hard) })
}

// change changes the view and has it reported.
func (r *run) change(f func(*view)) {
	r.mu.Lock()
	f(&r.view)
	r.mu.Unlock()
	r.reporter.wake()
}

// setState changes one container's state.
func (r *run) setState(name string, f func(*corev1.ContainerStatus)) {
	r.change(func(v *view) {
		s := v.states[name]
		f(&s)
		v.states[name] = s
	})
}

func (r *run) grace() time.Duration {
	if r.pod.Spec.TerminationGracePeriodSeconds == nil {
		return corev1.DefaultTerminationGracePeriodSeconds * time.Second
	}
	return time.Duration(*r.pod.Spec.TerminationGracePeriodSeconds) * time.Second
}

// begin marks the pod as taken up by the node and starts its deadline. Waiting
// at the gate does not count: this node's queue is not the pod's fault.
func (r *run) begin() {
	now := metav1.Now()
	r.change(func(v *view) { v.started = &now })
	if d := r.pod.Spec.ActiveDeadlineSeconds; d != nil {
		timer := time.AfterFunc(time.Duration(*d)*time.Second, func() { r.stop(endDeadline, r.grace()) })
		context.AfterFunc(r.soft, func() { timer.Stop() })
	}
}

// loseAll reports what an earlier agent had started as killed. The reason is
// one that Flyte's engine takes for a failure of the system, not of the user.
func (r *run) loseAll() {
	now := metav1.Now()
	r.change(func(v *view) {
		v.reason = "NodeShutdown"
		v.message = "the process node agent was restarted, and the pod's processes are gone"
		for name, s := range v.states {
			if s.State.Terminated != nil {
				continue
			}
			t := &corev1.ContainerStateTerminated{
				ExitCode: 137, Reason: "ContainerStatusUnknown", FinishedAt: now, ContainerID: s.ContainerID,
				Message: "the process was gone when the node agent was restarted",
			}
			if s.State.Running != nil {
				t.StartedAt = s.State.Running.StartedAt
			}
			s.State = corev1.ContainerState{Terminated: t}
			v.states[name] = s
		}
	})
}

func (r *run) volumeFolder() string { return filepath.Join(r.agent.podFolder(r.pod), volumesName) }
