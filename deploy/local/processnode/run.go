package processnode

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/skein-project/skein/deploy/local/processnode/container"
	"github.com/skein-project/skein/deploy/local/processnode/fit"
)

// A container that ended is started again at once the first time, then after
// these pauses, as by a kubelet; a refusal is tried again sooner.
const (
	firstBackoff = 10 * time.Second
	lastBackoff  = 5 * time.Minute
	calmAfter    = 10 * time.Minute
	retryPause   = time.Second
)

// side is one running side-car.
type side struct {
	cancel context.CancelFunc
	done   chan struct{}
}

// sequence brings the pod from bound to ended.
func (r *run) sequence() {
	if !r.mount() || r.place.Hold(r.soft) != nil {
		return
	}
	r.begin()
	if r.initialise() {
		r.change(func(v *view) { v.initialized = true })
		r.runMains()
	} else {
		r.place.Drop()
	}
	r.stopSidecars()
}

// mount makes the volumes; what is missing is waited for, as by a kubelet, but
// without a place at the gate.
func (r *run) mount() bool {
	for wait := retryPause; ; wait = min(2*wait, 30*time.Second) {
		volumes, err := r.agent.build.Volumes(r.soft, r.pod, r.volumeFolder())
		if err == nil {
			r.mu.Lock()
			r.volumes = volumes
			r.mu.Unlock()
			r.unstarted("")
			return r.soft.Err() == nil
		}
		if r.soft.Err() != nil {
			return false
		}
		r.unstarted(err.Error())
		if !pause(r.soft, wait) {
			return false
		}
	}
}

// unstarted reports all containers as not started yet, and why.
func (r *run) unstarted(why string) {
	reason := "ContainerCreating"
	if len(r.pod.Spec.InitContainers) > 0 {
		reason = "PodInitializing"
	}
	r.change(func(v *view) {
		for name, s := range v.states {
			s.State = waiting(reason, why)
			v.states[name] = s
		}
	})
}

// initialise runs the init containers in order and starts the side-cars among
// them. It holds the place, except while it waits with nothing running.
func (r *run) initialise() bool {
	for i := range r.pod.Spec.InitContainers {
		c := &r.pod.Spec.InitContainers[i]
		if fit.Sidecar(c) {
			r.startSidecar(c)
			continue
		}
		exit, ok := r.repeat(r.soft, c, r.again)
		if !ok || exit != 0 {
			return false
		}
	}
	return r.soft.Err() == nil
}

// startSidecar starts a side-car and returns when it has started (see probe) or
// is being tried again.
func (r *run) startSidecar(c *corev1.Container) {
	ctx, cancel := context.WithCancel(context.Background())
	s := &side{cancel: cancel, done: make(chan struct{})}
	r.sidecars = append(r.sidecars, s)
	_ = r.place.Hold(r.soft) // never waits: the caller holds the place
	running := make(chan struct{})
	var once sync.Once
	go func() {
		defer close(s.done)
		defer r.place.Drop()
		defer once.Do(func() { close(running) })
		r.repeatFrom(ctx, c, func(int) bool { return true }, func() { once.Do(func() { close(running) }) })
	}()
	<-running
}

// stopSidecars ends the side-cars in the reverse order of their start, each
// after the next has ended. If the pod ends by itself, its grace begins now.
func (r *run) stopSidecars() {
	if len(r.sidecars) == 0 {
		return
	}
	r.mu.Lock()
	r.killAfter(r.grace())
	r.mu.Unlock()
	for i := len(r.sidecars) - 1; i >= 0; i-- {
		r.sidecars[i].cancel()
		<-r.sidecars[i].done
	}
}

// runMains runs the main containers and gives up the caller's hold of the place.
func (r *run) runMains() {
	var mains sync.WaitGroup
	for i := range r.pod.Spec.Containers {
		_ = r.place.Hold(r.soft) // never waits: the caller holds the place
		mains.Go(func() {
			defer r.place.Drop()
			r.repeat(r.soft, &r.pod.Spec.Containers[i], r.again)
		})
	}
	r.place.Drop()
	mains.Wait()
}

// again follows the pod's restart policy.
func (r *run) again(exit int) bool {
	switch r.pod.Spec.RestartPolicy {
	case corev1.RestartPolicyNever:
		return false
	case corev1.RestartPolicyOnFailure:
		return exit != 0
	}
	return true
}

func (r *run) repeat(ctx context.Context, c *corev1.Container, again func(int) bool) (int, bool) {
	return r.repeatFrom(ctx, c, again, func() {})
}

// repeatFrom runs a container until it is not to run again, and gives its last
// exit code; false if it was stopped, or never started. The caller holds the
// place and does so again afterwards; onStart is called at each start or refusal.
func (r *run) repeatFrom(ctx context.Context, c *corev1.Container, again func(int) bool, onStart func()) (int, bool) {
	backoff := time.Duration(0)
	for {
		began := time.Now()
		exit, refusal := r.attempt(ctx, c, onStart)
		onStart()
		wait := retryPause
		switch {
		case refusal != nil:
			r.setState(c.Name, func(s *corev1.ContainerStatus) { s.State = waiting(refusal.Reason, refusal.Message) })
		case ctx.Err() != nil:
			return exit, false
		case !again(exit):
			return exit, true
		default:
			if time.Since(began) > calmAfter {
				backoff = 0
			}
			wait, backoff = backoff, min(max(2*backoff, firstBackoff), lastBackoff)
			r.crashed(c.Name, wait)
		}
		if !r.wait(ctx, wait) {
			return 0, false
		}
	}
}

// crashed notes one more restart, and the pause before it.
func (r *run) crashed(name string, wait time.Duration) {
	r.setState(name, func(s *corev1.ContainerStatus) {
		s.LastTerminationState = s.State
		s.RestartCount++
		if wait > 0 {
			s.State = waiting("CrashLoopBackOff", "back-off "+wait.String()+" restarting failed container="+name)
		}
	})
}

// wait gives up the place, waits, and takes the place again, which may take
// longer. When it returns, true or false, the place is held.
func (r *run) wait(ctx context.Context, d time.Duration) bool {
	if d == 0 {
		return ctx.Err() == nil
	}
	r.place.Drop()
	alive := pause(ctx, d)
	if err := r.place.Hold(ctx); err != nil {
		r.place.Borrow()
		return false
	}
	return alive
}

// folder is the folder of one container of the pod.
func (r *run) folder(c *corev1.Container) container.Folder { return r.agent.folder(r.pod, c.Name) }
