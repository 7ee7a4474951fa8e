package kubelet_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/skein-project/skein/deploy/local/cluster"
	"github.com/skein-project/skein/deploy/local/image"
	"github.com/skein-project/skein/deploy/local/kubelet"
	"github.com/skein-project/skein/deploy/local/namespace"
	"github.com/skein-project/skein/deploy/local/namespace/namespacetest"
	"github.com/skein-project/skein/deploy/local/nodetest"
	"github.com/skein-project/skein/deploy/local/ports"
	"github.com/skein-project/skein/deploy/local/proc"
	"github.com/skein-project/skein/deploy/local/tools"
)

// inside starts the test again in a network of its own, once all that needs the world is there.
func inside(t *testing.T) bool {
	t.Helper()
	if testing.Short() {
		t.Skip("runs a real cluster")
	}
	return namespacetest.Rerun(t, namespace.Options{Network: true, Processes: true}, func() {
		log := func(text string) { t.Log(text) }
		if _, err := tools.Ensure(t.Context(), log); err != nil {
			t.Fatal(err)
		}
		if _, err := tools.EnsureNode(t.Context(), log); err != nil {
			t.Fatal(err)
		}
		if err := kubelet.Ensure(t.Context(), log); err != nil {
			t.Fatal(err)
		}
	})
}

// rig is a cluster with one real node.
type rig struct {
	dir     string
	group   *proc.Group
	cluster *cluster.Cluster
	node    *kubelet.Node
}

func start(t *testing.T, change func(*cluster.Options, *kubelet.Options)) *rig {
	t.Helper()
	dir, err := os.MkdirTemp("/var/tmp", "skein-kubelet-") // short, for sockets
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{dir: dir, group: proc.NewGroup(dir, slog.New(slog.DiscardHandler))}
	t.Cleanup(func() { r.stop(t) })
	log := func(text string) { t.Log(text) }
	built, err := tools.Ensure(t.Context(), log)
	if err != nil {
		t.Fatal(err)
	}
	nodes, err := tools.EnsureNode(t.Context(), log)
	if err != nil {
		t.Fatal(err)
	}
	free, err := ports.Free(5)
	if err != nil {
		t.Fatal(err)
	}
	c := cluster.Options{Name: "east", Dir: filepath.Join(dir, "c"), Tools: built, EtcdPort: free[0], EtcdPeerPort: free[1], APIPort: free[2], Controllers: true}
	n := kubelet.Options{Name: "east-node", Dir: filepath.Join(dir, "n"), Number: 1, Port: free[3], HealthPort: free[4], Tools: nodes, Log: log}
	if change != nil {
		change(&c, &n)
	}
	if r.cluster, err = cluster.Start(t.Context(), r.group, c); err != nil {
		t.Fatal(err)
	}
	n.Cluster, n.Images = r.cluster, images(t)
	began := time.Now()
	if r.node, err = kubelet.Start(t.Context(), r.group, n); err != nil {
		t.Fatal(err)
	}
	t.Logf("node ready in %s", time.Since(began).Round(10*time.Millisecond))
	return r
}

// images are a pause image and one with a shell.
func images(t *testing.T) []*image.Image {
	t.Helper()
	root, err := tools.CacheRoot()
	if err != nil {
		t.Fatal(err)
	}
	cache := filepath.Join(root, "image")
	pause, err := image.Pause(t.Context(), cache)
	if err != nil {
		t.Fatal(err)
	}
	task, err := image.Task(t.Context(), image.TaskOptions{Cache: cache, Work: cache})
	if err != nil {
		t.Fatal(err)
	}
	return []*image.Image{pause, task}
}

// stop stops everything and sees that nothing is left of it.
func (r *rig) stop(t *testing.T) {
	ctx := context.Background()
	if r.node != nil {
		if err := r.node.Stop(ctx); err != nil {
			t.Error(err)
		}
	}
	if err := r.group.Stop(ctx); err != nil {
		t.Error(err)
	}
	if left, err := proc.Leftovers(r.dir); err != nil || len(left) > 0 {
		t.Errorf("left over: %q, %v", left, err)
	}
	if os.Getenv("SKEIN_KEEP_STATE") == "" {
		if err := os.RemoveAll(r.dir); err != nil {
			t.Errorf("the folder cannot be removed, so something is mounted or running: %v", err)
		}
	}
}

// client speaks to the cluster as its administrator.
func (r *rig) client(t *testing.T) kubernetes.Interface {
	t.Helper()
	config, err := r.cluster.RESTConfig()
	if err != nil {
		t.Fatal(err)
	}
	config.QPS, config.Burst = 200, 400
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// TestConformance runs both levels of the suite for node agents.
func TestConformance(t *testing.T) {
	if !inside(t) {
		return
	}
	r := start(t, nil)
	env := nodetest.Env{Client: r.client(t), Namespace: "default", NodeName: "east-node", Image: image.TaskName, Patience: time.Minute,
		Survive: true, Parallel: true}
	env.Restart = func(t *testing.T) {
		if err := r.node.Kubelet.Kill9(); err != nil {
			t.Fatal(err)
		}
		if err := r.node.Kubelet.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("lifecycle", func(t *testing.T) { nodetest.Lifecycle(t, env) })
	t.Run("execution", func(t *testing.T) { nodetest.Execution(t, env) })
	r.checkMachine(t)
}

// checkMachine sees that the machine is as it was: its sysctls, and the places that the node's own parts write to.
func (r *rig) checkMachine(t *testing.T) {
	t.Helper()
	for _, name := range []string{"/run/containerd/s", "/var/lib/cni", "/var/lib/kubelet", "/var/log/containers", "/run/netns"} {
		if _, err := os.Stat(name); err == nil {
			t.Errorf("%s was made on the machine", name)
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || strings.Contains(string(mounts), r.dir) {
		t.Errorf("the node's mounts are seen outside of it (%v)", err)
	}
}

// victim is an environment variable that makes a test the process that is to be killed; it holds the folder.
const victim = "SKEIN_TEST_VICTIM"

func TestAKilledParentLeavesNothing(t *testing.T) {
	if !inside(t) {
		return
	}
	if os.Getenv(victim) != "" {
		r := start(t, nil)
		runsForever(t, r.client(t))
		fmt.Println("killme", r.dir)
		select {}
	}
	cmd := exec.Command(os.Args[0], os.Args[1:]...)
	cmd.Env = append(os.Environ(), victim+"=1")
	cmd.SysProcAttr = proc.Attributes(nil)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := proc.Start(cmd); err != nil {
		t.Fatal(err)
	}
	var dir string
	for lines := bufio.NewScanner(out); dir == "" && lines.Scan(); {
		dir, _ = strings.CutPrefix(lines.Text(), "killme ")
		if dir == lines.Text() {
			dir = ""
		}
	}
	if dir == "" {
		t.Fatalf("the other process did not come up: %v", cmd.Wait())
	}
	if n := len(groups(t)); n == 0 {
		t.Fatal("there are no control groups to be removed")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	// A control group can be removed only once no process is in it, so containers are gone as well.
	eventually(t, "control groups are removed", func() bool { return len(groups(t)) == 0 })
	eventually(t, "no process is left", func() bool {
		left, err := proc.Leftovers(dir)
		return err == nil && len(left) == 0
	})
	if err := os.RemoveAll(dir); err != nil {
		t.Errorf("the folder cannot be removed, so something is mounted or running: %v", err)
	}
}

// groups are the control groups of nodes on this machine. Tests of other packages may have some: those that were there
// at the start do not count.
func groups(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob("/sys/fs/cgroup/*/skein-*")
	if err != nil {
		t.Fatal(err)
	}
	var ours []string
	for _, g := range found {
		if !before[g] {
			ours = append(ours, g)
		}
	}
	return ours
}

var before = func() map[string]bool {
	there := map[string]bool{}
	found, _ := filepath.Glob("/sys/fs/cgroup/*/skein-*")
	for _, g := range found {
		there[g] = true
	}
	return there
}()

// runsForever starts a pod and waits until it runs.
func runsForever(t *testing.T, client kubernetes.Interface) {
	t.Helper()
	pods := client.CoreV1().Pods("default")
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "forever"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{
		Name: "main", Image: image.TaskName, Command: []string{"sleep", "infinity"}}}}}
	if _, err := pods.Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the pod runs", func() bool {
		got, err := pods.Get(t.Context(), "forever", metav1.GetOptions{})
		return err == nil && got.Status.Phase == corev1.PodRunning
	})
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within 30 s", what)
		}
	}
}
