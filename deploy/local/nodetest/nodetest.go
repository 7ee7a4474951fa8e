// Package nodetest is the conformance suite for node agents: what the engine and
// its users rely on when a pod runs. It has two levels. Lifecycle is for every
// agent: binding, phases, conditions, deadline, deletion. Execution is for those
// that run programs: exit codes, signals, environment, volumes, init containers,
// side-cars, logs, termination messages.
//
// It tests what is seen through the API server, never how an agent works. The
// same suite runs against the process agent and against a real kubelet, so each
// expectation in it must hold for the kubelet.
//
// Invariant: a test uses only pods, secrets and config maps of its own in the
// namespace that it is given, with generated names, and deletes its pods.
package nodetest

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/kubernetes"
)

// Env is the cluster under test. Exactly one node is expected to take the pods.
type Env struct {
	Client    kubernetes.Interface
	Namespace string
	// NodeName is the node that must take the pods.
	NodeName string
	// Image has a POSIX shell, sleep, cat, env and setsid. Default: "none".
	Image string
	// Behave makes a pod's only container run so long and then exit with the
	// code. By default it is a shell that does; an agent that runs no programs
	// sets what it goes by.
	Behave func(pod *corev1.Pod, d time.Duration, exit int)
	// Adapt, if set, changes every pod before it is created.
	Adapt func(pod *corev1.Pod)
	// Restart, if set, stops the node agent without a farewell and starts it again.
	Restart func(t *testing.T)
	// Survive says that pods do not end with their agent: their containers are not its children.
	Survive bool
	// Parallel lets the tests of the level Execution run side by side.
	Parallel bool
	// Patience bounds each wait. Default: 30 seconds.
	Patience time.Duration
}

func (e Env) withDefaults() Env {
	if e.Image == "" {
		e.Image = "none"
	}
	if e.Behave == nil {
		e.Behave = func(pod *corev1.Pod, d time.Duration, exit int) {
			pod.Spec.Containers[0].Command = []string{"sh", "-c", fmt.Sprintf("sleep %.1f; exit %d", d.Seconds(), exit)}
		}
	}
	if e.Patience == 0 {
		e.Patience = 30 * time.Second
	}
	return e
}

// pod makes a pod with one container that runs the shell script.
func (e Env) pod(script string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "nodetest-", Namespace: e.Namespace, Labels: map[string]string{"app": "nodetest"}},
		Spec: corev1.PodSpec{
			RestartPolicy:                 corev1.RestartPolicyNever,
			AutomountServiceAccountToken:  new(false),
			TerminationGracePeriodSeconds: new(int64(2)),
			Containers:                    []corev1.Container{e.container("main", script)},
		},
	}
}

func (e Env) container(name, script string) corev1.Container {
	return corev1.Container{
		Name: name, Image: e.Image, ImagePullPolicy: corev1.PullIfNotPresent,
		Command: []string{"sh", "-c", script},
		Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{
			corev1.ResourceCPU: resource.MustParse("10m"), corev1.ResourceMemory: resource.MustParse("8Mi"),
		}},
	}
}

// sidecar is a native side-car.
func (e Env) sidecar(name, script string) corev1.Container {
	c := e.container(name, script)
	c.RestartPolicy = new(corev1.ContainerRestartPolicyAlways)
	return c
}

// share mounts one emptyDir into all containers.
func share(pod *corev1.Pod, path string) {
	pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: "shared", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}})
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range list {
			list[i].VolumeMounts = append(list[i].VolumeMounts, corev1.VolumeMount{Name: "shared", MountPath: path})
		}
	}
}

// create creates the pod and deletes it, by force, after the test.
func (e Env) create(t *testing.T, pod *corev1.Pod) *corev1.Pod {
	t.Helper()
	if e.Adapt != nil {
		e.Adapt(pod)
	}
	pods := e.Client.CoreV1().Pods(e.Namespace)
	created, err := pods.Create(t.Context(), pod, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("create pod: %v", err)
	}
	t.Cleanup(func() {
		err := pods.Delete(context.Background(), created.Name, metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))})
		if err != nil && !apierrors.IsNotFound(err) {
			t.Errorf("delete pod %s: %v", created.Name, err)
		}
	})
	return created
}

// until waits until the pod is as wanted and returns it.
func (e Env) until(t *testing.T, pod *corev1.Pod, what string, wanted func(*corev1.Pod) bool) *corev1.Pod {
	t.Helper()
	var last *corev1.Pod
	for end := time.Now().Add(e.Patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		got, err := e.Client.CoreV1().Pods(e.Namespace).Get(t.Context(), pod.Name, metav1.GetOptions{})
		if err != nil {
			t.Fatalf("get pod %s while waiting for: %s: %v", pod.Name, what, err)
		}
		if last = got; wanted(got) {
			return got
		}
	}
	t.Fatalf("pod %s was not seen as: %s; its status is %+v", pod.Name, what, last.Status)
	return nil
}

// ended creates the pod and returns it once it has ended.
func (e Env) ended(t *testing.T, pod *corev1.Pod) *corev1.Pod {
	t.Helper()
	return e.until(t, e.create(t, pod), "ended", func(p *corev1.Pod) bool {
		return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
	})
}

func running(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodRunning }

// delete deletes the pod and returns its versions from now until it is gone.
func (e Env) delete(t *testing.T, pod *corev1.Pod, options metav1.DeleteOptions) []*corev1.Pod {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), e.Patience)
	defer cancel()
	pods := e.Client.CoreV1().Pods(e.Namespace)
	now, err := pods.Get(ctx, pod.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatalf("get pod %s: %v", pod.Name, err)
	}
	watch, err := pods.Watch(ctx, metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector("metadata.name", pod.Name).String(), ResourceVersion: now.ResourceVersion,
	})
	if err != nil {
		t.Fatalf("watch pod %s: %v", pod.Name, err)
	}
	defer watch.Stop()
	if err := pods.Delete(ctx, pod.Name, options); err != nil {
		t.Fatalf("delete pod %s: %v", pod.Name, err)
	}
	var versions []*corev1.Pod
	for event := range watch.ResultChan() {
		if p, ok := event.Object.(*corev1.Pod); ok {
			versions = append(versions, p)
		}
		if event.Type == "DELETED" {
			return versions
		}
	}
	t.Fatalf("pod %s was not deleted; seen: %d versions", pod.Name, len(versions))
	return nil
}

// logs reads a container's log through the API server, without what an agent
// puts before it.
func (e Env) logs(t *testing.T, pod *corev1.Pod, options corev1.PodLogOptions) string {
	t.Helper()
	stream, err := e.Client.CoreV1().Pods(e.Namespace).GetLogs(pod.Name, &options).Stream(t.Context())
	if err != nil {
		t.Fatalf("logs of pod %s: %v", pod.Name, err)
	}
	defer stream.Close()
	raw, err := io.ReadAll(stream)
	if err != nil {
		t.Fatalf("logs of pod %s: %v", pod.Name, err)
	}
	var lines []string
	for _, line := range strings.SplitAfter(string(raw), "\n") {
		if !strings.Contains(line, "[skein process node]") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

// state finds a container's status by its name.
func state(t *testing.T, pod *corev1.Pod, name string) corev1.ContainerStatus {
	t.Helper()
	for _, list := range [][]corev1.ContainerStatus{pod.Status.ContainerStatuses, pod.Status.InitContainerStatuses} {
		for _, s := range list {
			if s.Name == name {
				return s
			}
		}
	}
	t.Fatalf("pod %s has no status for container %q: %+v", pod.Name, name, pod.Status)
	return corev1.ContainerStatus{}
}

// terminated is the end of a container, which must be there.
func terminated(t *testing.T, pod *corev1.Pod, name string) *corev1.ContainerStateTerminated {
	t.Helper()
	s := state(t, pod, name)
	if s.State.Terminated == nil {
		t.Fatalf("container %q of pod %s has not terminated: %+v", name, pod.Name, s)
	}
	return s.State.Terminated
}

func condition(pod *corev1.Pod, kind corev1.PodConditionType) corev1.PodCondition {
	for _, c := range pod.Status.Conditions {
		if c.Type == kind {
			return c
		}
	}
	return corev1.PodCondition{}
}
