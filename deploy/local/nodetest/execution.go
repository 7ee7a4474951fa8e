package nodetest

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Execution tests what an agent that runs programs must do besides.
func Execution(t *testing.T, env Env) {
	env = env.withDefaults()
	env.awaitNode(t)
	for name, test := range map[string]func(*testing.T, Env){
		"exit codes and signals":                      exitCodes,
		"variables are expanded and referred":         variables,
		"a missing secret is a config error":          missingSecret,
		"volumes hold what they refer to":             references,
		"init containers hand on through a volume":    initHandsOn,
		"a failing init container fails the pod":      initFails,
		"main containers share a volume":              mainsShare,
		"side-cars live around the main container":    sidecarOrder,
		"a side-car's exit decides nothing":           sidecarExit,
		"restart policy OnFailure":                    onFailure,
		"termination messages":                        terminationMessages,
		"logs":                                        containerLogs,
		"logs hold both streams":                      bothStreams,
		"TERM may be answered":                        termAnswered,
		"KILL follows TERM after the grace":           killAfterGrace,
		"the working directory is the one asked for":  workingDirectory,
		"one of two containers failing fails the pod": oneOfTwoFails,
	} {
		t.Run(name, func(t *testing.T) {
			if env.Parallel {
				t.Parallel()
			}
			test(t, env)
		})
	}
}

func exitCodes(t *testing.T, env Env) {
	for script, want := range map[string]int32{"exit 0": 0, "exit 42": 42, "exec sh -c 'kill -9 $$'": 137, "no-such-program-here": 127} {
		pod := env.ended(t, env.pod("sh -c \""+strings.ReplaceAll(script, "$", "\\$")+"\""))
		if got := terminated(t, pod, "main").ExitCode; got != want {
			t.Errorf("%s: exit code %d, want %d", script, got, want)
		}
	}
}

func (e Env) secret(t *testing.T, data map[string]string) string {
	t.Helper()
	s, err := e.Client.CoreV1().Secrets(e.Namespace).Create(t.Context(),
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{GenerateName: "nodetest-"}, StringData: data}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return s.Name
}

func (e Env) configMap(t *testing.T, data map[string]string) string {
	t.Helper()
	m, err := e.Client.CoreV1().ConfigMaps(e.Namespace).Create(t.Context(),
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{GenerateName: "nodetest-"}, Data: data}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return m.Name
}

func variables(t *testing.T, env Env) {
	secret, config := env.secret(t, map[string]string{"key": "hidden"}), env.configMap(t, map[string]string{"FROM": "map", "B": "lost"})
	pod := env.pod("")
	c := &pod.Spec.Containers[0]
	c.Command, c.Args = []string{"sh", "-c", `env; echo "args $*"`, "sh"}, []string{"$(A)", "$(NONE)", "$$(A)"}
	pod.Annotations = map[string]string{"note": "x y"}
	c.Resources.Limits = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1500m"), corev1.ResourceMemory: resource.MustParse("64Mi")}
	field := func(path string) *corev1.EnvVarSource {
		return &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: path}}
	}
	c.EnvFrom = []corev1.EnvFromSource{{Prefix: "P_", ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: config}}}}
	c.Env = []corev1.EnvVar{
		{Name: "A", Value: "one"}, {Name: "B", Value: "$(A) two $(P_FROM)"}, {Name: "TWICE", Value: "first"}, {Name: "TWICE", Value: "last"},
		{Name: "NAME", ValueFrom: field("metadata.name")}, {Name: "NOTE", ValueFrom: field("metadata.annotations['note']")},
		{Name: "NODE", ValueFrom: field("spec.nodeName")},
		{Name: "LIMIT", ValueFrom: &corev1.EnvVarSource{ResourceFieldRef: &corev1.ResourceFieldSelector{Resource: "limits.cpu"}}},
		{Name: "MEMORY", ValueFrom: &corev1.EnvVarSource{ResourceFieldRef: &corev1.ResourceFieldSelector{Resource: "limits.memory", Divisor: resource.MustParse("1Mi")}}},
		{Name: "SECRET", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{Key: "key", LocalObjectReference: corev1.LocalObjectReference{Name: secret}}}},
		{Name: "ABSENT", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{Key: "key", Optional: new(true), LocalObjectReference: corev1.LocalObjectReference{Name: "none"}}}},
	}
	pod = env.ended(t, pod)
	out := "\n" + env.logs(t, pod, corev1.PodLogOptions{})
	for _, want := range []string{"A=one", "B=one two map", "TWICE=last", "P_FROM=map", "P_B=lost", "NAME=" + pod.Name, "NOTE=x y",
		"NODE=" + env.NodeName, "LIMIT=2", "MEMORY=64", "SECRET=hidden", "args one $(NONE) $(A)"} {
		if !strings.Contains(out, "\n"+want+"\n") {
			t.Errorf("no line %q in %s", want, out)
		}
	}
	if strings.Contains(out, "ABSENT=") {
		t.Error("an optional variable without a source was set")
	}
}

func missingSecret(t *testing.T, env Env) {
	pod := env.pod("true")
	pod.Spec.Containers[0].EnvFrom = []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "none"}}}}
	pod = env.until(t, env.create(t, pod), "waiting with a config error", func(p *corev1.Pod) bool {
		return len(p.Status.ContainerStatuses) == 1 && p.Status.ContainerStatuses[0].State.Waiting != nil &&
			p.Status.ContainerStatuses[0].State.Waiting.Reason == "CreateContainerConfigError"
	})
	if m := state(t, pod, "main").State.Waiting.Message; pod.Status.Phase != corev1.PodPending || !strings.Contains(m, "none") {
		t.Errorf("phase %s, message %q", pod.Status.Phase, m)
	}
	env.delete(t, pod, metav1.DeleteOptions{})
}

func references(t *testing.T, env Env) {
	secret, config := env.secret(t, map[string]string{"key": "hidden"}), env.configMap(t, map[string]string{"a": "A", "b": "B"})
	local := func(name string) corev1.LocalObjectReference { return corev1.LocalObjectReference{Name: name} }
	pod := env.pod(`cat /s/key /c/only/b /p/token-like /p/labels; ls /c`)
	pod.Spec.Volumes = []corev1.Volume{
		{Name: "s", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: secret}}},
		{Name: "c", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: local(config), Items: []corev1.KeyToPath{{Key: "b", Path: "only/b"}}}}},
		{Name: "p", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
			{Secret: &corev1.SecretProjection{LocalObjectReference: local(secret), Items: []corev1.KeyToPath{{Key: "key", Path: "token-like"}}}},
			{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{{Path: "labels", FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.labels"}}}}},
		}}}},
	}
	pod.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "s", MountPath: "/s"}, {Name: "c", MountPath: "/c"}, {Name: "p", MountPath: "/p"}}
	pod = env.ended(t, pod)
	if out := env.logs(t, pod, corev1.PodLogOptions{}); out != "hiddenBhidden"+`app="nodetest"`+"only\n" {
		t.Errorf("got %q", out)
	}
}

func initHandsOn(t *testing.T, env Env) {
	pod := env.pod("cat /data/file")
	pod.Spec.InitContainers = []corev1.Container{env.container("first", "echo 1 >/data/file"), env.container("second", "echo 2 >> '/data/file'")}
	share(pod, "/data")
	pod = env.ended(t, pod)
	if out := env.logs(t, pod, corev1.PodLogOptions{}); out != "1\n2\n" || pod.Status.Phase != corev1.PodSucceeded {
		t.Errorf("phase %s, got %q", pod.Status.Phase, out)
	}
	first, second := terminated(t, pod, "first"), terminated(t, pod, "second")
	if second.StartedAt.Before(&first.FinishedAt) || !state(t, pod, "first").Ready {
		t.Errorf("first %+v, second %+v", first, second)
	}
}

func initFails(t *testing.T, env Env) {
	pod := env.pod("true")
	pod.Spec.InitContainers = []corev1.Container{env.container("first", "exit 9")}
	pod = env.ended(t, pod)
	if pod.Status.Phase != corev1.PodFailed || terminated(t, pod, "first").ExitCode != 9 || state(t, pod, "main").State.Waiting == nil {
		t.Errorf("%+v", pod.Status)
	}
}

func mainsShare(t *testing.T, env Env) {
	pod := env.pod("echo hello >/x/ready; while [ ! -e /x/done ]; do sleep 0.05; done")
	pod.Spec.Containers = append(pod.Spec.Containers, env.container("other", "while [ ! -s /x/ready ]; do sleep 0.05; done; cat /x/ready; touch /x/done"))
	share(pod, "/x")
	pod = env.ended(t, pod)
	if out := env.logs(t, pod, corev1.PodLogOptions{Container: "other"}); out != "hello\n" || pod.Status.Phase != corev1.PodSucceeded {
		t.Errorf("phase %s, got %q", pod.Status.Phase, out)
	}
}

func oneOfTwoFails(t *testing.T, env Env) {
	pod := env.pod("exit 0")
	pod.Spec.Containers = append(pod.Spec.Containers, env.container("other", "sleep 0.2; exit 5"))
	pod = env.ended(t, pod)
	if pod.Status.Phase != corev1.PodFailed || terminated(t, pod, "main").ExitCode != 0 || terminated(t, pod, "other").ExitCode != 5 {
		t.Errorf("%+v", pod.Status)
	}
}

// sidecarOrder writes one line per event; the file is read by the side-car that
// ends last.
func sidecarOrder(t *testing.T, env Env) {
	side := func(name, last string) corev1.Container {
		return env.sidecar(name, fmt.Sprintf(`trap 'echo %s TERM >>/v/f; %s; exit 3' TERM; echo %s >>/v/f; while :; do sleep 0.05; done`, name, last, name))
	}
	pod := env.pod("while ! grep -q s2 /v/f; do sleep 0.05; done; echo main >>/v/f")
	pod.Spec.InitContainers = []corev1.Container{side("s1", "cat /v/f"), env.container("init", "while ! grep -q s1 /v/f; do sleep 0.05; done; echo init >>/v/f"), side("s2", "true")}
	share(pod, "/v")
	pod.Spec.TerminationGracePeriodSeconds = new(int64(10))
	pod = env.ended(t, pod)
	want := "s1\ninit\ns2\nmain\ns2 TERM\ns1 TERM\n"
	if out := env.logs(t, pod, corev1.PodLogOptions{Container: "s1"}); out != want {
		t.Errorf("got %q, want %q", out, want)
	}
	if pod.Status.Phase != corev1.PodSucceeded || terminated(t, pod, "s1").ExitCode != 3 {
		t.Errorf("phase %s: a side-car's exit code decided", pod.Status.Phase)
	}
}

func sidecarExit(t *testing.T, env Env) {
	pod := env.pod("until [ $(cat /v/f | wc -l) -ge 2 ]; do sleep 0.05; done")
	pod.Spec.InitContainers = []corev1.Container{env.sidecar("side", "echo x >>/v/f; [ $(wc -l </v/f) = 1 ] && exit 1; sleep 100")}
	share(pod, "/v")
	pod = env.ended(t, pod)
	if s := state(t, pod, "side"); pod.Status.Phase != corev1.PodSucceeded || s.RestartCount != 1 {
		t.Errorf("phase %s, %+v", pod.Status.Phase, s)
	}
}

func onFailure(t *testing.T, env Env) {
	pod := env.pod("echo x >>/v/f; [ $(wc -l </v/f) = 2 ]")
	pod.Spec.RestartPolicy = corev1.RestartPolicyOnFailure
	share(pod, "/v")
	pod = env.ended(t, pod)
	s := state(t, pod, "main")
	if pod.Status.Phase != corev1.PodSucceeded || s.RestartCount != 1 || s.LastTerminationState.Terminated == nil || s.LastTerminationState.Terminated.ExitCode != 1 {
		t.Errorf("phase %s, %+v", pod.Status.Phase, s)
	}
}

func terminationMessages(t *testing.T, env Env) {
	pod := env.pod("echo from file >/msg/here; echo from log; exit 1")
	pod.Spec.Containers[0].TerminationMessagePath = "/msg/here"
	pod = env.ended(t, pod)
	if m := terminated(t, pod, "main").Message; m != "from file\n" {
		t.Errorf("from a file: %q", m)
	}
	for exit, want := range map[int]string{1: "from log\n", 0: ""} {
		pod := env.pod(fmt.Sprintf("echo from log; exit %d", exit))
		pod.Spec.Containers[0].TerminationMessagePolicy = corev1.TerminationMessageFallbackToLogsOnError
		pod = env.ended(t, pod)
		if m := terminated(t, pod, "main").Message; m != want {
			t.Errorf("exit %d: %q", exit, m)
		}
	}
	long := env.pod("i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done; exit 1")
	long.Spec.Containers[0].TerminationMessagePolicy = corev1.TerminationMessageFallbackToLogsOnError
	m := terminated(t, env.ended(t, long), "main").Message
	if n := strings.Count(m, "\n"); n > 80 || len(m) > 2048 || !strings.HasSuffix(m, "line 1999\n") {
		t.Errorf("%d bytes in %d lines: %q", len(m), n, m)
	}
}

func containerLogs(t *testing.T, env Env) {
	pod := env.until(t, env.create(t, env.pod("echo one; echo two; sleep 0.5; echo three; printf four")), "running", running)
	followed := env.logs(t, pod, corev1.PodLogOptions{Follow: true})
	if followed != "one\ntwo\nthree\nfour" {
		t.Errorf("followed: %q", followed)
	}
	for name, c := range map[string]struct {
		options corev1.PodLogOptions
		want    string
	}{
		"last lines": {corev1.PodLogOptions{TailLines: new(int64(2))}, "three\nfour"},
		"no lines":   {corev1.PodLogOptions{TailLines: new(int64(0))}, ""},
		"no more":    {corev1.PodLogOptions{TailLines: new(int64(3)), LimitBytes: new(int64(5))}, "two\nt"},
		"recent":     {corev1.PodLogOptions{SinceSeconds: new(int64(100)), TailLines: new(int64(1))}, "four"},
	} {
		if got := env.logs(t, pod, c.options); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	stamped := env.logs(t, pod, corev1.PodLogOptions{TailLines: new(int64(2)), Timestamps: true})
	times := regexp.MustCompile(`(?m)^(\S+) (three|four)$`).FindAllStringSubmatch(stamped, -1)
	if len(times) != 2 {
		t.Fatalf("with times: %q", stamped)
	}
	if at, err := time.Parse(time.RFC3339Nano, times[0][1]); err != nil || time.Since(at) > time.Minute {
		t.Errorf("%v, %v", at, err)
	}
}

// bothStreams leaves the order open: a container runtime reads the two streams through pipes of their own.
func bothStreams(t *testing.T, env Env) {
	pod := env.ended(t, env.pod("echo out; echo err >&2"))
	lines := strings.Fields(env.logs(t, pod, corev1.PodLogOptions{}))
	if slices.Sort(lines); !slices.Equal(lines, []string{"err", "out"}) {
		t.Errorf("got %q", lines)
	}
}

func termAnswered(t *testing.T, env Env) {
	pod := env.pod("trap 'exit 6' TERM; while :; do sleep 0.05; done")
	pod.Spec.ActiveDeadlineSeconds = new(int64(1))
	pod = env.ended(t, pod)
	if end := terminated(t, pod, "main"); end.ExitCode != 6 || pod.Status.Reason != "DeadlineExceeded" {
		t.Errorf("reason %q, %+v", pod.Status.Reason, end)
	}
}

func killAfterGrace(t *testing.T, env Env) {
	pod := env.until(t, env.create(t, env.pod("trap '' TERM; while :; do sleep 0.05; done")), "running", running)
	time.Sleep(200 * time.Millisecond) // for the trap
	began := time.Now()
	versions := env.delete(t, pod, metav1.DeleteOptions{GracePeriodSeconds: new(int64(1))})
	if d := time.Since(began); d < 900*time.Millisecond {
		t.Errorf("killed after %s, before the grace was over", d)
	}
	if end := terminated(t, versions[len(versions)-1], "main"); end.ExitCode != 137 {
		t.Errorf("%+v", end)
	}
}

func workingDirectory(t *testing.T, env Env) {
	pod := env.pod("echo here >file; cat /opt/space/file; pwd")
	pod.Spec.Containers[0].WorkingDir = "/opt/space"
	pod = env.ended(t, pod)
	out := env.logs(t, pod, corev1.PodLogOptions{})
	if lines := strings.Split(out, "\n"); lines[0] != "here" || !strings.HasSuffix(lines[1], "/opt/space") {
		t.Errorf("got %q", out)
	}
}
