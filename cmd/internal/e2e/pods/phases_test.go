package pods

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/deploy/local/image"
	"github.com/skein-project/skein/deploy/local/kubelet"
	"github.com/skein-project/skein/deploy/local/kubelet/kubelettest"
	"github.com/skein-project/skein/deploy/local/node"
	"github.com/skein-project/skein/plugins"
	taskpod "github.com/skein-project/skein/plugins/pod"
)

// patience bounds how long a pod may take to become what is expected.
const patience = 90 * time.Second

// grace is short, so that tests see both sides of it.
const grace = 4 * time.Second

func config() taskpod.Config {
	c := taskpod.Default()
	c.ImagePullGrace, c.CreateContainerGrace, c.DeletionGrace = grace, grace, grace
	return c
}

// task makes a pod as the plugin does for a task, less what only the propeller knows.
func task(script string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "phases-", Annotations: map[string]string{"primary_container_name": "main"}},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever, TerminationGracePeriodSeconds: new(int64(1)),
			Containers: []corev1.Container{{Name: "main", Image: image.TaskName, Command: []string{"sh", "-c", script},
				TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError}},
		},
	}
}

// want is what a pod has to be read as in the end.
type want struct {
	phase             flow.TaskPhase
	code              string // of the failure; empty: none
	system, retryable bool
	says              string // a part of the failure's message, or of the reason if there is none
}

func (w want) met(s plugins.Status) bool {
	if s.Phase != w.phase || (s.Failure == nil) != (w.code == "") {
		return false
	}
	if s.Failure == nil {
		return strings.Contains(s.Reason, w.says)
	}
	return s.Failure.Code == w.code && s.Failure.System == w.system && s.Failure.Retryable == w.retryable &&
		strings.Contains(s.Failure.Message, w.says)
}

func limited(pod *corev1.Pod, name corev1.ResourceName, amount string) {
	pod.Spec.Containers[0].Resources.Limits = corev1.ResourceList{name: resource.MustParse(amount)}
}

// rows are the table: a script, what is special about its pod, and what it comes to.
var rows = []struct {
	name   string
	script string
	change func(*corev1.Pod)
	want   want
}{
	{"unschedulable", "true", func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{"no": "such"} },
		want{phase: flow.TaskQueued, says: "Unschedulable"}},
	{"a volume that never comes", "true", func(p *corev1.Pod) {
		p.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: "none"}}}}}
		p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "v", MountPath: "/v"}}
	}, want{phase: flow.TaskInitializing, says: "ContainerCreating"}},
	{"running", "sleep 300", nil, want{phase: flow.TaskRunning}},
	{"succeeded", "true", nil, want{phase: flow.TaskSucceeded}},
	{"an exit code", "echo the last words >&2; exit 7", nil,
		want{phase: flow.TaskRetryableFailed, code: "Error", retryable: true, says: "exit code (7). Reason [Error]. Message:\nthe last words"}},
	{"a program that is not there", "", func(p *corev1.Pod) { p.Spec.Containers[0].Command = []string{"no-such-program"} },
		want{phase: flow.TaskRetryableFailed, code: "StartError", retryable: true, says: "no-such-program"}},
	{"out of memory", "tail /dev/zero", func(p *corev1.Pod) { limited(p, corev1.ResourceMemory, "32Mi") },
		want{phase: flow.TaskRetryableFailed, code: "OOMKilled", retryable: true, says: "Reason [OOMKilled]"}},
	// The first process of a process table cannot kill itself, so the pod shares one; two signs stand for one.
	{"killed by a signal", "kill -9 $$$$", func(p *corev1.Pod) { p.Spec.ShareProcessNamespace = new(true) },
		want{phase: flow.TaskRetryableFailed, code: "Interrupted", system: true, retryable: true, says: "exit code (137)"}},
	{"the deadline", "sleep 300", func(p *corev1.Pod) { p.Spec.ActiveDeadlineSeconds = new(int64(2)) },
		want{phase: flow.TaskRetryableFailed, code: "DeadlineExceeded", retryable: true, says: "DeadlineExceeded"}},
	{"an init container fails", "true", func(p *corev1.Pod) {
		init := p.Spec.Containers[0]
		init.Name, init.Command = "first", []string{"sh", "-c", "exit 3"}
		p.Spec.InitContainers = []corev1.Container{init}
	}, want{phase: flow.TaskRetryableFailed, code: "Error", retryable: true, says: "[first] terminated with exit code (3)"}},
	{"the task ends before a second container", "true", func(p *corev1.Pod) {
		second := p.Spec.Containers[0]
		second.Name, second.Command = "second", []string{"sleep", "300"}
		p.Spec.Containers = append(p.Spec.Containers, second)
	}, want{phase: flow.TaskSucceeded}},
	{"a native side-car is ended after the task", "sleep 1", func(p *corev1.Pod) {
		side := p.Spec.Containers[0]
		side.Name, side.Command, side.RestartPolicy = "side", []string{"sh", "-c", "trap 'exit 9' TERM; while :; do sleep 0.1; done"}, new(corev1.ContainerRestartPolicyAlways)
		p.Spec.InitContainers = []corev1.Container{side}
	}, want{phase: flow.TaskSucceeded}},
	{"a secret that is not there", "true", func(p *corev1.Pod) {
		p.Spec.Containers[0].EnvFrom = []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "none"}}}}
	}, want{phase: flow.TaskInitializing, code: "CreateContainerConfigError", says: `secret "none" not found`}},
	{"an image name that is none", "true", func(p *corev1.Pod) { p.Spec.Containers[0].Image = "Not//A:Name" },
		want{phase: flow.TaskInitializing, code: "InvalidImageName"}},
	{"no command", "", func(p *corev1.Pod) { p.Spec.Containers[0].Command = nil },
		want{phase: flow.TaskInitializing, code: "CreateContainerError", says: "no command specified"}},
	{"evicted for its disk", "dd if=/dev/zero of=/v/large bs=1M count=20; sleep 300", func(p *corev1.Pod) {
		p.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: resource.NewQuantity(1<<20, resource.BinarySI)}}}}
		p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "v", MountPath: "/v"}}
	}, want{phase: flow.TaskRetryableFailed, code: "Evicted", retryable: true, says: "exceeds the limit"}},
	{"refused by the node for its labels", "true", func(p *corev1.Pod) {
		p.Spec.NodeName, p.Spec.NodeSelector = kubelettest.NodeName, map[string]string{"no": "such"}
	}, want{phase: flow.TaskRetryableFailed, code: "NodeAffinity", system: true, retryable: true}},
	{"refused by the node for lack of room", "true", func(p *corev1.Pod) {
		p.Spec.NodeName = kubelettest.NodeName
		limited(p, corev1.ResourceCPU, "1000")
	}, want{phase: flow.TaskRetryableFailed, code: "OutOfcpu", retryable: true}},
}

// TestEveryPhaseIsSeenOnARealNode makes each kind of pod once and reads what the kubelet says of it.
func TestEveryPhaseIsSeenOnARealNode(t *testing.T) {
	if !kubelettest.Inside(t) {
		return
	}
	r := kubelettest.Start(t, func(o *kubelet.Options) { o.Silence = 15 * time.Second })
	t.Run("one by one", func(t *testing.T) {
		for _, row := range rows {
			t.Run(row.name, func(t *testing.T) {
				t.Parallel()
				pod := task(row.script)
				if row.change != nil {
					row.change(pod)
				}
				seen{rig: r}.becomes(t, pod, row.want)
			})
		}
		t.Run("an image that is not there", func(t *testing.T) { t.Parallel(); missingImage(t, r) })
		t.Run("deleted by somebody else", func(t *testing.T) { t.Parallel(); deletedByOthers(t, r) })
		t.Run("evicted through the API", func(t *testing.T) { t.Parallel(); evicted(t, r) })
	})
	t.Run("a node that is lost", func(t *testing.T) { nodeLost(t, r) })
}

// seen follows a pod and remembers what it was read as.
type seen struct {
	rig     *kubelettest.Rig
	history []string
}

// becomes creates the pod and waits until it is read as wanted; an end that is another one fails at once.
func (s seen) becomes(t *testing.T, pod *corev1.Pod, w want) *corev1.Pod {
	t.Helper()
	return s.until(t, create(t, s.rig, pod), w)
}

func create(t *testing.T, r *kubelettest.Rig, pod *corev1.Pod) *corev1.Pod {
	t.Helper()
	created, err := r.Client.CoreV1().Pods("default").Create(t.Context(), pod, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return created
}

func (s *seen) until(t *testing.T, pod *corev1.Pod, w want) *corev1.Pod {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		got, err := s.rig.Client.CoreV1().Pods("default").Get(t.Context(), pod.Name, metav1.GetOptions{})
		if err != nil {
			t.Fatalf("read as %q, then: %v", s.history, err)
		}
		status := taskpod.Read(got, config(), time.Now())
		s.note(status)
		if w.met(status) {
			t.Logf("read as %q", s.history)
			return got
		}
		if status.Phase == flow.TaskSucceeded || status.Phase == flow.TaskFailed || status.Phase == flow.TaskRetryableFailed || status.Failure != nil && w.code == "" {
			t.Fatalf("read as %q, want %+v; the pod's status is %+v", s.history, w, got.Status)
		}
	}
	t.Fatalf("not within %s: read as %q, want %+v", patience, s.history, w)
	return nil
}

func (s *seen) note(status plugins.Status) {
	text := fmt.Sprintf("%v %s", status.Phase, status.Reason)
	if f := status.Failure; f != nil {
		text = fmt.Sprintf("%v, fails: %s, system %v, retryable %v: %s", status.Phase, f.Code, f.System, f.Retryable, f.Message)
	}
	if !slices.Contains(s.history, text) {
		s.history = append(s.history, text)
	}
}

// missingImage sees both reasons, and both sides of the grace.
func missingImage(t *testing.T, r *kubelettest.Rig) {
	pod := task("true")
	pod.Spec.Containers[0].Image = "127.0.0.1:1/none:1"
	s := seen{rig: r}
	began := time.Now()
	s.becomes(t, pod, want{phase: flow.TaskInitializing, says: "ErrImagePull"})
	pod = task("true")
	pod.Spec.Containers[0].Image = "127.0.0.1:1/none:1"
	s.becomes(t, pod, want{phase: flow.TaskInitializing, code: "ImagePullBackOff", retryable: true, says: "none:1"})
	if d := time.Since(began); d < grace {
		t.Errorf("given up after %s, before the grace was over", d)
	}
}

// deletedByOthers holds the pod by a finalizer, so that its end can be read.
func deletedByOthers(t *testing.T, r *kubelettest.Rig) {
	pods := r.Client.CoreV1().Pods("default")
	pod := task("sleep 300")
	pod.Finalizers = []string{"skein.dev/test"}
	s := seen{rig: r}
	pod = s.becomes(t, pod, want{phase: flow.TaskRunning})
	if err := pods.Delete(t.Context(), pod.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	s.until(t, pod, want{phase: flow.TaskRetryableFailed, code: "UnexpectedObjectDeletion", system: true, retryable: true})
	if _, err := pods.Patch(t.Context(), pod.Name, types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
}

// evicted is what draining a node does.
func evicted(t *testing.T, r *kubelettest.Rig) {
	pods := r.Client.CoreV1().Pods("default")
	pod := task("sleep 300")
	pod.Finalizers = []string{"skein.dev/test"}
	s := seen{rig: r}
	pod = s.becomes(t, pod, want{phase: flow.TaskRunning})
	if err := pods.EvictV1(t.Context(), &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: pod.Name, Namespace: "default"}}); err != nil {
		t.Fatal(err)
	}
	s.until(t, pod, want{phase: flow.TaskRetryableFailed, code: "UnexpectedObjectDeletion", system: true, retryable: true})
	if _, err := pods.Patch(t.Context(), pod.Name, types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
}

// nodeLost kills the kubelet for good: the node is marked, its pods are deleted by a controller, and nobody confirms.
// Where all nodes are lost, Kubernetes takes it for its own fault and deletes nothing, so there is a second one.
func nodeLost(t *testing.T, r *kubelettest.Rig) {
	none := resource.MustParse("0")
	other := node.New(node.Options{Client: r.Client, Name: "other", Kind: "test", Message: "ready, and takes nothing", Log: slog.New(slog.DiscardHandler),
		Capacity: corev1.ResourceList{corev1.ResourceCPU: none, corev1.ResourceMemory: none, corev1.ResourcePods: none}})
	if !other.Register(t.Context()) {
		t.Fatal("the second node is not there")
	}
	go other.Heartbeat(t.Context())
	pod := task("sleep 300")
	pod.Spec.Tolerations = []corev1.Toleration{{Key: corev1.TaintNodeUnreachable, Operator: corev1.TolerationOpExists,
		Effect: corev1.TaintEffectNoExecute, TolerationSeconds: new(int64(1))}}
	s := seen{rig: r}
	pod = s.becomes(t, pod, want{phase: flow.TaskRunning})
	if err := r.Node.Kubelet.Kill9(); err != nil {
		t.Fatal(err)
	}
	s.until(t, pod, want{phase: flow.TaskRunning, says: "the pod is being deleted"})
	got := s.until(t, pod, want{phase: flow.TaskRunning, code: "UnexpectedObjectDeletion", system: true, retryable: true})
	if !slices.ContainsFunc(got.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.DisruptionTarget && c.Reason == "DeletionByTaintManager"
	}) {
		t.Errorf("it was not the node's loss that deleted it: %+v", got.Status.Conditions)
	}
	if err := r.Node.Kubelet.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
}
