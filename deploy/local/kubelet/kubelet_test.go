package kubelet_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/skein-project/skein/deploy/local/image"
	"github.com/skein-project/skein/deploy/local/kubelet/kubelettest"
	"github.com/skein-project/skein/deploy/local/nodetest"
	"github.com/skein-project/skein/deploy/local/proc"
)

// TestConformance runs both levels of the suite for node agents.
func TestConformance(t *testing.T) {
	if !kubelettest.Inside(t) {
		return
	}
	r := kubelettest.Start(t, nil)
	env := nodetest.Env{Client: r.Client, Namespace: "default", NodeName: kubelettest.NodeName, Image: image.TaskName, Patience: time.Minute,
		Survive: true, Parallel: true}
	env.Restart = func(t *testing.T) {
		if err := r.Node.Kubelet.Kill9(); err != nil {
			t.Fatal(err)
		}
		if err := r.Node.Kubelet.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("lifecycle", func(t *testing.T) { nodetest.Lifecycle(t, env) })
	t.Run("execution", func(t *testing.T) { nodetest.Execution(t, env) })
	checkMachine(t, r.Dir)
}

// checkMachine sees that the machine is as it was: its sysctls, and the places that the node's own parts write to.
func checkMachine(t *testing.T, dir string) {
	t.Helper()
	for _, name := range []string{"/run/containerd/s", "/var/lib/cni", "/var/lib/kubelet", "/var/log/containers", "/run/netns"} {
		if _, err := os.Stat(name); err == nil {
			t.Errorf("%s was made on the machine", name)
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || strings.Contains(string(mounts), dir) {
		t.Errorf("the node's mounts are seen outside of it (%v)", err)
	}
}

// victim is an environment variable that makes a test the process that is to be killed; it holds the folder.
const victim = "SKEIN_TEST_VICTIM"

func TestAKilledParentLeavesNothing(t *testing.T) {
	if !kubelettest.Inside(t) {
		return
	}
	if os.Getenv(victim) != "" {
		r := kubelettest.Start(t, nil)
		runsForever(t, r.Client)
		fmt.Println("killme", r.Dir, strings.Join(r.Node.ControlGroups(), " "))
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
	var said []string
	for lines := bufio.NewScanner(out); said == nil && lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), "killme "); ok {
			said = strings.Fields(rest)
		}
	}
	if len(said) == 0 {
		t.Fatalf("the other process did not come up: %v", cmd.Wait())
	}
	dir, groups := said[0], said[1:]
	if there := existing(groups); len(groups) == 0 || len(there) != len(groups) {
		t.Fatalf("control groups %q, of which there are %q", groups, there)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	// A control group can be removed only once no process is in it, so containers are gone as well.
	eventually(t, "control groups are removed", func() bool { return len(existing(groups)) == 0 })
	eventually(t, "no process is left", func() bool {
		left, err := proc.Leftovers(dir)
		return err == nil && len(left) == 0
	})
	if err := os.RemoveAll(dir); err != nil {
		t.Errorf("the folder cannot be removed, so something is mounted or running: %v", err)
	}
}

// existing returns those of the folders that are there.
func existing(dirs []string) []string {
	var found []string
	for _, d := range dirs {
		if _, err := os.Stat(d); err == nil {
			found = append(found, d)
		}
	}
	return found
}

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
