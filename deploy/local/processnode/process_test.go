package processnode_test

import (
	"context"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/skein-project/skein/deploy/local/cluster"
	"github.com/skein-project/skein/deploy/local/processnode"
)

// This file tests what is particular to running pods as plain processes.

const patience = 30 * time.Second

func script(text string) corev1.Container {
	return corev1.Container{Name: "main", Image: "example.com/image:1", Command: []string{"sh", "-c", text}}
}

func (r *rig) create(t *testing.T, containers ...corev1.Container) *corev1.Pod {
	t.Helper()
	return r.createPod(t, &corev1.Pod{Spec: corev1.PodSpec{Containers: containers}})
}

func (r *rig) createPod(t *testing.T, pod *corev1.Pod) *corev1.Pod {
	t.Helper()
	if pod.Name == "" {
		pod.GenerateName = "process-"
	}
	pod.Spec.RestartPolicy = corev1.RestartPolicyNever
	pod.Spec.TerminationGracePeriodSeconds = new(int64(1))
	created, err := r.client.CoreV1().Pods(r.env.Namespace).Create(t.Context(), pod, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.delete(t, created) })
	return created
}

func (r *rig) delete(t *testing.T, pod *corev1.Pod) {
	t.Helper()
	_ = r.client.CoreV1().Pods(pod.Namespace).Delete(context.Background(), pod.Name, metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))}) // it may be gone
}

func (r *rig) until(t *testing.T, pod *corev1.Pod, what string, wanted func(*corev1.Pod) bool) *corev1.Pod {
	t.Helper()
	var got *corev1.Pod
	eventually(t, what, func() bool {
		var err error
		if got, err = r.client.CoreV1().Pods(pod.Namespace).Get(t.Context(), pod.Name, metav1.GetOptions{}); err != nil {
			t.Fatal(err)
		}
		return wanted(got)
	})
	return got
}

func (r *rig) ended(t *testing.T, pod *corev1.Pod) *corev1.Pod {
	t.Helper()
	return r.until(t, pod, "the pod ends", func(p *corev1.Pod) bool {
		return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
	})
}

func phase(want corev1.PodPhase) func(*corev1.Pod) bool {
	return func(p *corev1.Pod) bool { return p.Status.Phase == want }
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

func (r *rig) folder(pod *corev1.Pod) string {
	return filepath.Join(r.opts.Dir, "pods", pod.Namespace+"_"+pod.Name+"_"+string(pod.UID))
}

// log is the container's log as it lies in its file.
func (r *rig) log(t *testing.T, pod *corev1.Pod, container string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(r.folder(pod), container, "log"))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func testFolder(t *testing.T, r *rig) {
	t.Setenv("CANARY", "of the agent")
	stored := filepath.Join(r.opts.StorePrefix, "made by a task")
	c := script(`env; pwd; touch "$HOME/h" "$TMPDIR/t" ./c /opt/x/w; mktemp; echo stored >"$STORE"`)
	c.WorkingDir = "/opt/x"
	c.Env = []corev1.EnvVar{{Name: "STORE", Value: stored}}
	c.VolumeMounts = []corev1.VolumeMount{{Name: "store", MountPath: r.opts.StorePrefix}}
	pod := r.ended(t, r.createPod(t, &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{c}, Volumes: []corev1.Volume{{
		Name: "store", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: r.opts.StorePrefix}},
	}}}}))
	log := r.log(t, pod, "main")
	if pod.Status.Phase != corev1.PodSucceeded {
		t.Fatalf("phase %s: %s", pod.Status.Phase, log)
	}
	if first, _, _ := strings.Cut(log, "\n"); !strings.Contains(first, `image "example.com/image:1" is ignored and nothing is isolated`) {
		t.Errorf("the log begins with %q", first)
	}
	if strings.Contains(log, "CANARY") {
		t.Errorf("a variable of the agent's own: %s", log)
	}
	if raw, err := os.ReadFile(stored); err != nil || string(raw) != "stored\n" {
		t.Errorf("store: %q, %v", raw, err)
	}
	found := map[string]bool{}
	_ = filepath.WalkDir(r.folder(pod), func(path string, _ fs.DirEntry, _ error) error { found[filepath.Base(path)] = true; return nil })
	for _, name := range []string{"h", "t", "c", "w"} {
		if !found[name] {
			t.Errorf("%s does not lie in the pod's folder: %v", name, found)
		}
	}
	if _, err := os.Stat("/opt/x"); err == nil {
		t.Error("/opt/x was made")
	}
	r.delete(t, pod)
	eventually(t, "the folder is removed", func() bool {
		_, err := os.Stat(r.folder(pod))
		links, _ := os.ReadDir(filepath.Join(r.opts.Dir, "t"))
		return os.IsNotExist(err) && len(links) == 0
	})
}

func testNotFound(t *testing.T, r *rig) {
	pod := r.ended(t, r.create(t, corev1.Container{Name: "main", Image: "i", Args: []string{"no-such-program"}, TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError}))
	end := pod.Status.ContainerStatuses[0].State.Terminated
	if end.ExitCode != 127 || !strings.Contains(end.Message, `"no-such-program": not found`) {
		t.Errorf("%+v", end)
	}
}

func testRefusals(t *testing.T, r *rig) {
	reason := func(want, message string) func(*corev1.Pod) bool {
		return func(p *corev1.Pod) bool {
			return len(p.Status.ContainerStatuses) == 1 && p.Status.ContainerStatuses[0].State.Waiting != nil &&
				p.Status.ContainerStatuses[0].State.Waiting.Reason == want && strings.Contains(p.Status.ContainerStatuses[0].State.Waiting.Message, message)
		}
	}
	r.until(t, r.create(t, corev1.Container{Name: "main", Image: "i"}), "CreateContainerError", reason("CreateContainerError", "no command"))
	r.until(t, r.createPod(t, &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{script("true")}, Volumes: []corev1.Volume{{
		Name: "etc", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/etc"}},
	}}}}), "a hostPath outside the store waits", reason("ContainerCreating", "object store"))
}

// pidIn waits until a script has written its process's number.
func pidIn(t *testing.T, path string) int {
	t.Helper()
	var pid int
	eventually(t, path+" is written", func() bool {
		raw, _ := os.ReadFile(path)
		pid, _ = strconv.Atoi(strings.TrimSpace(string(raw)))
		return strings.HasSuffix(string(raw), "\n")
	})
	return pid
}

func alive(pid int) bool {
	raw, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && !strings.Contains(string(raw), ") Z ")
}

// escaping starts a process in a session of its own.
func escaping(file string) corev1.Container {
	return script(`trap '' TERM; setsid sh -c 'echo $$ >` + file + `; exec sleep 1000' & while :; do sleep 0.1; done`)
}

func testDescendants(t *testing.T, r *rig) {
	for _, grace := range []int64{0, 1} {
		file := filepath.Join(r.opts.StorePrefix, "pid"+strconv.Itoa(int(grace)))
		pod := r.create(t, escaping(file))
		pid := pidIn(t, file)
		err := r.client.CoreV1().Pods(pod.Namespace).Delete(t.Context(), pod.Name, metav1.DeleteOptions{GracePeriodSeconds: &grace})
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "the descendant is dead", func() bool { return !alive(pid) })
	}
}

func testRestart(t *testing.T, r *rig) {
	file := filepath.Join(r.opts.StorePrefix, "pid-restart")
	pod := r.create(t, escaping(file))
	pid := pidIn(t, file)
	r.until(t, pod, "running", phase(corev1.PodRunning))
	r.halt()
	if alive(pid) {
		t.Error("a descendant outlived the agent")
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	node, err := r.client.CoreV1().Nodes().Get(t.Context(), r.opts.NodeName, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady && c.Status != corev1.ConditionFalse {
			t.Errorf("ready is %s after the agent's end", c.Status)
		}
	}
	orphan := exec.Command("sleep", "1000") // as a killed agent leaves one
	orphan.Env, orphan.SysProcAttr = []string{"HOME=" + filepath.Join(r.folder(pod), "main", "home")}, &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := orphan.Start(); err != nil {
		t.Fatal(err)
	}
	r.start()
	if err := orphan.Wait(); err == nil {
		t.Error("the orphan was not killed")
	}
	got := r.until(t, pod, "failed", phase(corev1.PodFailed))
	if s := got.Status.ContainerStatuses[0].State.Terminated; got.Status.Reason != "NodeShutdown" || s == nil || s.ExitCode != 137 {
		t.Errorf("%+v", got.Status)
	}
}

// testQueue has one place: pods with init containers and side-cars must still
// all get through, in the order of their arrival, and one that cannot start
// must not hold the place.
func testQueue(t *testing.T, r *rig) {
	r.until(t, r.create(t, corev1.Container{Name: "main", Image: "i"}), "refused", func(p *corev1.Pod) bool {
		return len(p.Status.ContainerStatuses) == 1 && p.Status.ContainerStatuses[0].State.Waiting.Reason == "CreateContainerError"
	})
	file := filepath.Join(r.opts.StorePrefix, "busy")
	always := corev1.ContainerRestartPolicyAlways
	var pods []*corev1.Pod
	for range 4 {
		first, side, second := script("mkdir "+file), script("trap 'exit 0' TERM; while :; do sleep 0.02; done"), script("true")
		first.Name, side.Name, second.Name = "first", "side", "second"
		side.RestartPolicy = &always
		pods = append(pods, r.createPod(t, &corev1.Pod{Spec: corev1.PodSpec{
			InitContainers: []corev1.Container{first, side, second}, Containers: []corev1.Container{script("sleep 0.1; rmdir " + file)},
		}}))
	}
	for i, pod := range pods {
		if got := r.ended(t, pod); got.Status.Phase != corev1.PodSucceeded {
			t.Errorf("pod %d: %+v", i, got.Status)
		}
	}
	holder := r.until(t, r.create(t, script("sleep 100")), "running", phase(corev1.PodRunning))
	waiter := r.until(t, r.create(t, script("true")), "waiting", func(p *corev1.Pod) bool {
		return p.Spec.NodeName != "" && len(p.Status.ContainerStatuses) == 1 && p.Status.ContainerStatuses[0].State.Waiting.Reason == "ContainerCreating"
	})
	if waiter.Status.Phase != corev1.PodPending {
		t.Errorf("phase %s", waiter.Status.Phase)
	}
	r.delete(t, holder)
	r.ended(t, waiter)
}

func testPodsBound(t *testing.T, r *rig) {
	first := r.until(t, r.create(t, script("sleep 100")), "running", phase(corev1.PodRunning))
	second := r.until(t, r.create(t, script("true")), "unschedulable", func(p *corev1.Pod) bool {
		return len(p.Status.Conditions) == 1 && strings.Contains(p.Status.Conditions[0].Message, "Too many pods")
	})
	r.delete(t, first)
	r.ended(t, second)
}

func TestProcesses(t *testing.T) {
	c := ownCluster(t)
	for _, test := range []struct {
		name   string
		change func(*processnode.Options)
		run    func(*testing.T, *rig)
	}{
		{name: "everything lies in the pod's folder", run: testFolder},
		{name: "a program that is not found", run: testNotFound},
		{name: "refusals", run: testRefusals},
		{name: "descendants die with their pod", run: testDescendants},
		{name: "a restarted agent", run: testRestart},
		{name: "one place", change: func(o *processnode.Options) { o.MaxRunning = 1 }, run: testQueue},
		{name: "pods are bounded", run: testPodsBound, change: func(o *processnode.Options) {
			o.Capacity = corev1.ResourceList{corev1.ResourcePods: resource.MustParse("1")}
		}},
		{name: "the API server comes back", run: func(t *testing.T, r *rig) { testAway(t, r, c) }},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, newRig(t, c, test.change)) })
	}
}

// testAway stops the API server while a pod ends.
func testAway(t *testing.T, r *rig, c *cluster.Cluster) {
	file := filepath.Join(r.opts.StorePrefix, "end")
	pod := r.until(t, r.create(t, script("while [ ! -e "+file+" ]; do sleep 0.02; done; echo $$ >"+file)), "running", phase(corev1.PodRunning))
	if err := c.APIServer.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	pid := pidIn(t, file)
	eventually(t, "the process ends", func() bool { return !alive(pid) })
	if err := c.APIServer.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.until(t, pod, "succeeded", phase(corev1.PodSucceeded))
	r.ended(t, r.create(t, script("true")))
}

func TestOnlyLoopbackIsServed(t *testing.T) {
	for host, ok := range map[string]bool{
		"https://127.0.0.1:6443": true, "https://localhost:6443": true, "127.0.0.9:1": true, "https://[::1]:6443": true,
		"https://192.0.2.1:6443": false, "https://example.com": false, "https://localhost.example.com": false, "https://0.0.0.0:6443": false,
	} {
		_, err := processnode.New(processnode.Options{RESTConfig: &rest.Config{Host: host}, NodeName: "n", Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
		if (err == nil) != ok || !ok && !strings.Contains(err.Error(), "isolates nothing") {
			t.Errorf("%s: %v", host, err)
		}
	}
}
