package simnode_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/skein-project/skein/deploy/local/cluster"
	"github.com/skein-project/skein/deploy/local/localtest"
	"github.com/skein-project/skein/deploy/local/nodetest"
	"github.com/skein-project/skein/deploy/local/ports"
	"github.com/skein-project/skein/deploy/local/simnode"
	"github.com/skein-project/skein/deploy/local/tools"
)

func TestMain(m *testing.M) { localtest.Main(m) }

// ownCluster starts a cluster that no other test uses: an agent binds all pods.
func ownCluster(t *testing.T) *cluster.Cluster {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a real API server")
	}
	programs, err := tools.Ensure(t.Context(), func(line string) { t.Log(line) })
	if err != nil {
		t.Fatal(err)
	}
	free, err := ports.Free(3)
	if err != nil {
		t.Fatal(err)
	}
	group := localtest.Group(t)
	c, err := cluster.Start(t.Context(), group, cluster.Options{
		Name: "nodes", Dir: filepath.Join(group.State(), "nodes"), Tools: programs,
		EtcdPort: free[0], EtcdPeerPort: free[1], APIPort: free[2],
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// rig is one agent, which can be stopped and started again.
type rig struct {
	t       *testing.T
	opts    simnode.Options
	client  kubernetes.Interface
	space   string
	stop    context.CancelFunc
	stopped chan error
}

func newRig(t *testing.T, c *cluster.Cluster, opts simnode.Options) *rig {
	t.Helper()
	config, err := c.RESTConfig()
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1
	opts.RESTConfig, opts.NodeName, opts.Log = config, "node", slog.New(slog.NewTextHandler(t.Output(), nil))
	r := &rig{t: t, opts: opts}
	if r.client, err = kubernetes.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	space, err := r.client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "simnode-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	r.space = space.Name
	r.start()
	t.Cleanup(r.halt)
	return r
}

func (r *rig) start() {
	agent, err := simnode.New(r.opts)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.stop, r.stopped = cancel, make(chan error, 1)
	go func() { r.stopped <- agent.Run(ctx) }()
}

func (r *rig) halt() {
	r.stop()
	if err := <-r.stopped; err != nil {
		r.t.Errorf("agent: %v", err)
	}
	r.stopped <- nil // halt may be called again
}

// run creates a pod with the annotations and returns it once it has ended, with
// the number of its versions.
func (r *rig) run(t *testing.T, annotations map[string]string, containers int) (*corev1.Pod, int) {
	t.Helper()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{GenerateName: "rule-", Annotations: annotations}, Spec: corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever}}
	for i := range containers {
		pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: fmt.Sprintf("c%d", i), Image: "none"})
	}
	pods := r.client.CoreV1().Pods(r.space)
	created, err := pods.Create(t.Context(), pod, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	watch, err := pods.Watch(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + created.Name, ResourceVersion: created.ResourceVersion})
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Stop()
	versions := 0
	for event := range watch.ResultChan() {
		versions++
		p, ok := event.Object.(*corev1.Pod)
		if ok && (p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed) {
			return p, versions
		}
	}
	t.Fatal("the pod did not end in time")
	return nil, 0
}

// TestAgent runs one agent after the other at one real API server.
func TestAgent(t *testing.T) {
	c := ownCluster(t)
	t.Run("lifecycle", func(t *testing.T) {
		r := newRig(t, c, simnode.Options{})
		nodetest.Lifecycle(t, nodetest.Env{
			Client: r.client, Namespace: r.space, NodeName: "node",
			Restart: func(*testing.T) { r.halt(); r.start() },
			Behave: func(pod *corev1.Pod, d time.Duration, exit int) {
				pod.Annotations = map[string]string{simnode.DelayAnnotation: d.String(), simnode.ExitCodeAnnotation: fmt.Sprint(exit)}
			},
		})
	})
	t.Run("rules", func(t *testing.T) { testRules(t, newRig(t, c, simnode.Options{})) })
	t.Run("startup", func(t *testing.T) {
		r := newRig(t, c, simnode.Options{Startup: 2 * time.Second})
		pod, _ := r.run(t, map[string]string{simnode.DelayAnnotation: "50ms"}, 1)
		if waited := pod.Status.StartTime.Sub(pod.CreationTimestamp.Time); waited < 2*time.Second {
			t.Errorf("the pod began after %s, before the startup time", waited)
		}
	})
	t.Run("outputs", func(t *testing.T) { testOutputs(t, c) })
}

func testRules(t *testing.T, r *rig) {
	for name, want := range map[string]struct {
		annotations map[string]string
		phase       corev1.PodPhase
		reason      string
		exit        []int32
		container   string
		writes      int
	}{
		"at once":     {nil, corev1.PodSucceeded, "", []int32{0, 0}, "Completed", 2},
		"delayed":     {map[string]string{simnode.DelayAnnotation: "50ms"}, corev1.PodSucceeded, "", []int32{0, 0}, "Completed", 3},
		"failed":      {map[string]string{simnode.ResultAnnotation: "fail", simnode.ExitCodeAnnotation: "7"}, corev1.PodFailed, "", []int32{7, 0}, "Error", 2},
		"killed":      {map[string]string{simnode.ResultAnnotation: "oom"}, corev1.PodFailed, "", []int32{137, 0}, "OOMKilled", 2},
		"evicted":     {map[string]string{simnode.ResultAnnotation: "evict"}, corev1.PodFailed, "Evicted", []int32{137, 137}, "Error", 2},
		"no rule":     {map[string]string{simnode.ResultAnnotation: "dance"}, corev1.PodFailed, "BadSimulationRule", []int32{1, 1}, "Error", 2},
		"no duration": {map[string]string{simnode.DelayAnnotation: "soon"}, corev1.PodFailed, "BadSimulationRule", []int32{1, 1}, "Error", 2},
	} {
		t.Run(name, func(t *testing.T) {
			pod, writes := r.run(t, want.annotations, 2)
			if pod.Status.Phase != want.phase || pod.Status.Reason != want.reason || writes != want.writes {
				t.Errorf("%s %q after %d writes, want %s %q after %d", pod.Status.Phase, pod.Status.Reason, writes, want.phase, want.reason, want.writes)
			}
			for i, s := range pod.Status.ContainerStatuses {
				if end := s.State.Terminated; end == nil || end.ExitCode != want.exit[i] || i == 0 && end.Reason != want.container {
					t.Errorf("container %d: %+v, want exit code %d", i, s.State, want.exit[i])
				}
			}
		})
	}
}

func testOutputs(t *testing.T, c *cluster.Cluster) {
	var calls atomic.Int32
	r := newRig(t, c, simnode.Options{Outputs: func(context.Context, *corev1.Pod) error {
		if calls.Add(1) == 1 {
			return fmt.Errorf("not now")
		}
		return nil
	}})
	if pod, _ := r.run(t, map[string]string{simnode.ResultAnnotation: "fail"}, 1); pod.Status.Phase != corev1.PodFailed || calls.Load() != 0 {
		t.Errorf("a failed pod had its outputs written %d times", calls.Load())
	}
	if pod, _ := r.run(t, nil, 1); pod.Status.Phase != corev1.PodSucceeded || calls.Load() != 2 {
		t.Errorf("%s after %d calls, want Succeeded after the second", pod.Status.Phase, calls.Load())
	}
}

func TestWhatIsRefused(t *testing.T) {
	_, err := simnode.New(simnode.Options{RESTConfig: &rest.Config{Host: "https://10.0.0.1"}, Rule: simnode.Rule{Result: "dance"}, Startup: -time.Second})
	for _, want := range []string{"no node name", "loopback", "dance", "startup -1s"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
}
