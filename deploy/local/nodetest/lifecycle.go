package nodetest

import (
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Lifecycle tests what every node agent must do.
func Lifecycle(t *testing.T, env Env) {
	env = env.withDefaults()
	env.awaitNode(t)
	for name, test := range map[string]func(*testing.T, Env){
		"the node is ready and keeps a lease":             nodeReady,
		"a pod succeeds":                                  podSucceeds,
		"a pod fails":                                     podFails,
		"a running pod is ready":                          podReady,
		"what does not fit is unschedulable":              unschedulable,
		"a pod becomes schedulable when room is made":     roomMade,
		"the deadline fails a pod":                        deadline,
		"deletion ends the pod, then the object":          gracefulDeletion,
		"forced deletion needs no agent":                  forcedDeletion,
		"a finalizer keeps an ended pod":                  finalizer,
		"a name can be used again at once":                sameName,
		"a restarted agent knows what became of its pods": restart,
		"a restarted agent leaves ended pods as they are": restartKeepsEnded,
	} {
		t.Run(name, func(t *testing.T) { test(t, env) })
	}
}

func (e Env) behaving(d time.Duration, exit int) *corev1.Pod {
	pod := e.pod("")
	e.Behave(pod, d, exit)
	return pod
}

// awaitNode waits until the node is ready.
func (e Env) awaitNode(t *testing.T) *corev1.Node {
	t.Helper()
	var node *corev1.Node
	var err error
	for end := time.Now().Add(e.Patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if node, err = e.Client.CoreV1().Nodes().Get(t.Context(), e.NodeName, metav1.GetOptions{}); err != nil {
			continue
		}
		for _, c := range node.Status.Conditions {
			if c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue {
				return node
			}
		}
	}
	t.Fatalf("node %s is not ready: %+v, %v", e.NodeName, node, err)
	return nil
}

func nodeReady(t *testing.T, env Env) {
	node := env.awaitNode(t)
	if node.Status.Allocatable.Cpu().IsZero() || node.Status.Allocatable.Pods().IsZero() {
		t.Errorf("node status: %+v", node.Status)
	}
	var lease *coordinationv1.Lease
	var err error
	for end := time.Now().Add(env.Patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		lease, err = env.Client.CoordinationV1().Leases(corev1.NamespaceNodeLease).Get(t.Context(), env.NodeName, metav1.GetOptions{})
		if err == nil && time.Since(lease.Spec.RenewTime.Time) < 40*time.Second {
			return
		}
	}
	t.Errorf("no fresh lease: %+v, %v", lease, err)
}

func podSucceeds(t *testing.T, env Env) {
	pod := env.ended(t, env.behaving(200*time.Millisecond, 0))
	end := terminated(t, pod, "main")
	if pod.Status.Phase != corev1.PodSucceeded || end.ExitCode != 0 || end.Reason != "Completed" {
		t.Errorf("phase %s, %+v", pod.Status.Phase, end)
	}
	succeededStatus(t, env, pod)
}

// succeededStatus checks what belongs to the status of a pod that has succeeded.
func succeededStatus(t *testing.T, env Env, pod *corev1.Pod) {
	t.Helper()
	end := terminated(t, pod, "main")
	if pod.Spec.NodeName != env.NodeName || pod.Status.StartTime == nil || pod.Status.HostIP == "" {
		t.Errorf("node %q, start %v, host %q", pod.Spec.NodeName, pod.Status.StartTime, pod.Status.HostIP)
	}
	if end.FinishedAt.Before(&end.StartedAt) || end.StartedAt.IsZero() {
		t.Errorf("started %s, finished %s", end.StartedAt, end.FinishedAt)
	}
	for kind, want := range map[corev1.PodConditionType]corev1.ConditionStatus{
		corev1.PodScheduled: corev1.ConditionTrue, corev1.PodInitialized: corev1.ConditionTrue,
		corev1.PodReady: corev1.ConditionFalse, corev1.ContainersReady: corev1.ConditionFalse,
	} {
		if got := condition(pod, kind); got.Status != want {
			t.Errorf("condition %s: %+v", kind, got)
		}
	}
	if c := condition(pod, corev1.PodReady); c.Reason != "PodCompleted" {
		t.Errorf("ready: %+v", c)
	}
}

func podFails(t *testing.T, env Env) {
	pod := env.ended(t, env.behaving(0, 3))
	end := terminated(t, pod, "main")
	if pod.Status.Phase != corev1.PodFailed || end.ExitCode != 3 || end.Reason != "Error" || pod.Status.Reason != "" {
		t.Errorf("phase %s, reason %q, %+v", pod.Status.Phase, pod.Status.Reason, end)
	}
}

func podReady(t *testing.T, env Env) {
	pod := env.until(t, env.create(t, env.behaving(time.Minute, 0)), "running", running)
	s := state(t, pod, "main")
	if !s.Ready || s.State.Running == nil || s.Started == nil || !*s.Started {
		t.Errorf("container: %+v", s)
	}
	for _, kind := range []corev1.PodConditionType{corev1.PodReady, corev1.ContainersReady, corev1.PodInitialized, corev1.PodScheduled} {
		if c := condition(pod, kind); c.Status != corev1.ConditionTrue {
			t.Errorf("condition %s: %+v", kind, c)
		}
	}
}

func isUnschedulable(p *corev1.Pod) bool {
	c := condition(p, corev1.PodScheduled)
	return c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable && p.Spec.NodeName == ""
}

func unschedulable(t *testing.T, env Env) {
	for what, change := range map[string]func(*corev1.Pod){
		"Insufficient cpu": func(p *corev1.Pod) {
			p.Spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("9000")}
		},
		"Insufficient example.com/gpu": func(p *corev1.Pod) {
			list := corev1.ResourceList{"example.com/gpu": resource.MustParse("1")}
			p.Spec.Containers[0].Resources = corev1.ResourceRequirements{Requests: list, Limits: list}
		},
		"selector": func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{"no": "such"} },
	} {
		pod := env.behaving(0, 0)
		change(pod)
		got := env.until(t, env.create(t, pod), "unschedulable", isUnschedulable)
		if m := condition(got, corev1.PodScheduled).Message; !strings.Contains(m, what) {
			t.Errorf("message %q does not say %q", m, what)
		}
	}
}

// roomMade fills the node with one pod and lets a second wait for its end.
func roomMade(t *testing.T, env Env) {
	node := env.awaitNode(t)
	half := resource.NewMilliQuantity(node.Status.Allocatable.Cpu().MilliValue()*6/10, resource.DecimalSI)
	big := func(d time.Duration) *corev1.Pod {
		pod := env.behaving(d, 0)
		pod.Spec.Containers[0].Resources.Requests[corev1.ResourceCPU] = *half
		return pod
	}
	first := env.until(t, env.create(t, big(time.Minute)), "running", running)
	second := env.until(t, env.create(t, big(0)), "unschedulable", isUnschedulable)
	env.delete(t, first, metav1.DeleteOptions{GracePeriodSeconds: new(int64(1))})
	env.until(t, second, "succeeded", func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodSucceeded })
}

func deadline(t *testing.T, env Env) {
	pod := env.behaving(time.Minute, 0)
	pod.Spec.ActiveDeadlineSeconds = new(int64(1))
	pod = env.ended(t, pod)
	if pod.Status.Phase != corev1.PodFailed || pod.Status.Reason != "DeadlineExceeded" {
		t.Errorf("phase %s, reason %q", pod.Status.Phase, pod.Status.Reason)
	}
}

func gracefulDeletion(t *testing.T, env Env) {
	pod := env.until(t, env.create(t, env.behaving(time.Minute, 0)), "running", running)
	versions := env.delete(t, pod, metav1.DeleteOptions{})
	last := versions[len(versions)-1]
	if last.DeletionTimestamp == nil || last.Status.Phase == corev1.PodRunning {
		t.Errorf("deleted at %v in phase %s: the end was to be reported first", last.DeletionTimestamp, last.Status.Phase)
	}
	terminated(t, last, "main")
}

func forcedDeletion(t *testing.T, env Env) {
	pod := env.until(t, env.create(t, env.behaving(time.Minute, 0)), "running", running)
	began := time.Now()
	env.delete(t, pod, metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))})
	if d := time.Since(began); d > time.Second {
		t.Errorf("it took %s", d)
	}
}

func finalizer(t *testing.T, env Env) {
	pod := env.behaving(time.Minute, 0)
	pod.Finalizers = []string{"skein.dev/nodetest"}
	pod = env.until(t, env.create(t, pod), "running", running)
	pods := env.Client.CoreV1().Pods(env.Namespace)
	release := func() error {
		_, err := pods.Patch(t.Context(), pod.Name, types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
		return err
	}
	if err := pods.Delete(t.Context(), pod.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	env.until(t, pod, "ended but still there", func(p *corev1.Pod) bool {
		return p.DeletionTimestamp != nil && p.Status.Phase == corev1.PodFailed && p.Status.ContainerStatuses[0].State.Terminated != nil
	})
	if err := release(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(env.Patience); ; time.Sleep(20 * time.Millisecond) {
		_, err := pods.Get(t.Context(), pod.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the pod did not go away: %v", err)
		}
	}
}

func sameName(t *testing.T, env Env) {
	first := env.until(t, env.create(t, env.behaving(time.Minute, 0)), "running", running)
	env.delete(t, first, metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))})
	next := env.behaving(0, 0)
	next.GenerateName, next.Name = "", first.Name
	if got := env.ended(t, next); got.Status.Phase != corev1.PodSucceeded || got.UID == first.UID {
		t.Errorf("phase %s", got.Status.Phase)
	}
}

func restart(t *testing.T, env Env) {
	if env.Restart == nil {
		t.Skip("this agent cannot be restarted here")
	}
	pod := env.until(t, env.create(t, env.behaving(time.Minute, 0)), "running", running)
	env.Restart(t)
	if env.Survive {
		env.ended(t, env.behaving(0, 0)) // the new agent works
		pod = env.until(t, pod, "there", func(*corev1.Pod) bool { return true })
		if s := state(t, pod, "main"); s.State.Running == nil || s.RestartCount != 0 || pod.Status.Phase != corev1.PodRunning {
			t.Errorf("phase %s, %+v", pod.Status.Phase, s)
		}
		return
	}
	pod = env.until(t, pod, "failed", func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodFailed })
	if end := terminated(t, pod, "main"); end.ExitCode != 137 {
		t.Errorf("%+v", end)
	}
	env.ended(t, env.behaving(0, 0)) // the new agent works
}

func restartKeepsEnded(t *testing.T, env Env) {
	if env.Restart == nil {
		t.Skip("this agent cannot be restarted here")
	}
	pod := env.ended(t, env.behaving(0, 0))
	env.Restart(t)
	env.ended(t, env.behaving(0, 0))
	now := env.until(t, pod, "there", func(*corev1.Pod) bool { return true })
	was, is := terminated(t, pod, "main"), terminated(t, now, "main")
	if now.Status.Phase != pod.Status.Phase || is.ExitCode != was.ExitCode || !is.FinishedAt.Equal(&was.FinishedAt) {
		t.Errorf("an ended pod was changed: %+v", now.Status)
	}
	if !env.Survive && now.ResourceVersion != pod.ResourceVersion { // a kubelet writes what it knows of the sandbox again
		t.Errorf("an ended pod was written again: %+v", now.Status)
	}
	env.delete(t, pod, metav1.DeleteOptions{})
}
