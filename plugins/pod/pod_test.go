package pod

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/plugins"
)

func attempt(args ...string) plugins.Task {
	return plugins.Task{
		Ref: plugins.Ref{Namespace: "p-d", Name: "ex-n0-1", TaskType: "container", Template: &core.TaskTemplate{
			Id: &core.Identifier{Project: "p", Domain: "d", Name: "pkg.mod.task", Version: "v1"},
			Target: &core.TaskTemplate_Container{Container: &core.Container{Image: "img", Command: []string{"run"}, Args: args,
				Env: []*core.KeyValuePair{{Key: "A", Value: "1"}}}}}},
		Execution: flow.ExecutionID{Project: "p", Domain: "d", Name: "ex"}, Epoch: flow.Epoch{Era: 1, N: 2},
		Workflow: flow.EntityID{Name: "wf"}, LaunchPlan: flow.EntityID{Name: "lp"}, Node: "n0", Attempt: 1,
		InputsURI: "/s/E/n0/data/inputs.pb", OutputPrefix: "/s/E/n0/data/1", RawPrefix: "/s/raw/ab/ex-n0-1", Checkpoint: "/s/raw/ab/ex-n0-1/_flytecheckpoints",
		Inputs: &core.LiteralMap{Literals: map[string]*core.Literal{
			"n": lit(&core.Primitive{Value: &core.Primitive_Integer{Integer: 7}}),
			"l": {Value: &core.Literal_Collection{Collection: &core.LiteralCollection{Literals: []*core.Literal{
				lit(&core.Primitive{Value: &core.Primitive_StringValue{StringValue: "a"}}), lit(&core.Primitive{Value: &core.Primitive_Boolean{Boolean: true}})}}}},
			"m": {Value: &core.Literal_Map{Map: &core.LiteralMap{}}},
		}},
		Env: []plugins.EnvVar{{Name: "B", Value: "2"}}, Trace: "00-1-2-01",
		Owner: metav1.OwnerReference{UID: "owner", Kind: "FlyteWorkflow", Name: "ex-e2", APIVersion: "skein.dev/v1alpha1", Controller: ptr(true)},
	}
}

func ptr[T any](v T) *T { return &v }

func lit(p *core.Primitive) *core.Literal {
	return &core.Literal{Value: &core.Literal_Scalar{Scalar: &core.Scalar{Value: &core.Scalar_Primitive{Primitive: p}}}}
}

func TestTemplates(t *testing.T) {
	for in, want := range map[string]string{
		"{{.input}}": "/s/E/n0/data/inputs.pb", "{{ .Input }}": "/s/E/n0/data/inputs.pb", "{{$input}}": "/s/E/n0/data/inputs.pb",
		"--p={{.inputPrefix}}/x": "--p=/s/E/n0/data/x", "{{.outputPrefix}}": "/s/E/n0/data/1",
		"{{.rawOutputDataPrefix}}": "/s/raw/ab/ex-n0-1", "{{.checkpointOutputPrefix}}": "/s/raw/ab/ex-n0-1/_flytecheckpoints",
		"{{.prevCheckpointPrefix}}": `""`, "{{.perRetryUniqueKey}}": "ex_n0_1", "{{.taskTemplatePath}}": "/s/E/n0/data/task.pb",
		"{{.namespace}}": "p-d", "{{.inputs.n}} {{ .Inputs.l }}": "7 [a,true]", "{{.unknown}} {{x}}": "{{.unknown}} {{x}}",
	} {
		got, err := render([]string{in}, attempt())
		if err != nil || got[0] != want {
			t.Errorf("%s: %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"{{.inputs.absent}}", "{{.inputs.m}}"} {
		var f *plugins.Failure
		if _, err := render([]string{in}, attempt()); !errors.As(err, &f) || f.Retryable {
			t.Errorf("%s: %v, want a failure for good", in, err)
		}
	}
}

func TestBuild(t *testing.T) {
	c := Default()
	c.StoreHostPath, c.DefaultEnv = "/s", map[string]string{"C": "3"}
	pod, err := Build(attempt("{{.input}}"), c, nil)
	if err != nil {
		t.Fatal(err)
	}
	main := pod.Spec.Containers[0]
	var env []string
	for _, e := range main.Env {
		env = append(env, e.Name+"="+e.Value)
	}
	want := []string{"A=1", "FLYTE_INTERNAL_EXECUTION_WORKFLOW=p:d:lp", "FLYTE_INTERNAL_EXECUTION_ID=ex", "FLYTE_INTERNAL_EXECUTION_PROJECT=p",
		"FLYTE_INTERNAL_EXECUTION_DOMAIN=d", "FLYTE_ATTEMPT_NUMBER=1", "FLYTE_INTERNAL_TASK_PROJECT=p", "FLYTE_INTERNAL_TASK_DOMAIN=d",
		"FLYTE_INTERNAL_TASK_NAME=pkg.mod.task", "FLYTE_INTERNAL_TASK_VERSION=v1", "B=2", "C=3", "TRACEPARENT=00-1-2-01"}
	if !slices.Equal(env, want) {
		t.Errorf("environment:\n%s\nwant\n%s", strings.Join(env, "\n"), strings.Join(want, "\n"))
	}
	if pod.Name != main.Name || pod.Labels["skein.dev/epoch"] != "2" || pod.Labels["task-name"] != "pkg.mod.task" ||
		pod.Annotations[annotationPrimary] != "ex-n0-1" || pod.Spec.RestartPolicy != corev1.RestartPolicyNever {
		t.Errorf("pod: %+v", pod.ObjectMeta)
	}
	if len(main.VolumeMounts) != 1 || main.VolumeMounts[0].MountPath != "/s" || pod.Spec.Volumes[0].HostPath.Path != "/s" {
		t.Errorf("mounts: %+v", main.VolumeMounts)
	}
}

func TestResources(t *testing.T) {
	entry := func(n core.Resources_ResourceName, v string) *core.Resources_ResourceEntry {
		return &core.Resources_ResourceEntry{Name: n, Value: v}
	}
	for _, c := range []struct {
		name                string
		of                  *core.Resources
		override            *core.Resources
		cpu, mem, cpul, mml string
	}{
		{name: "defaults", cpu: "100m", mem: "512Mi", cpul: "100m", mml: "512Mi"},
		{name: "limit for request", of: &core.Resources{Limits: []*core.Resources_ResourceEntry{entry(core.Resources_CPU, "2")}}, cpu: "2", mem: "512Mi", cpul: "2", mml: "512Mi"},
		{name: "request for limit", of: &core.Resources{Requests: []*core.Resources_ResourceEntry{entry(core.Resources_MEMORY, "1Mi")}}, cpu: "100m", mem: "1Mi", cpul: "100m", mml: "1Mi"},
		{name: "clamped", of: &core.Resources{Requests: []*core.Resources_ResourceEntry{entry(core.Resources_MEMORY, "9Gi")}}, cpu: "100m", mem: "1Gi", cpul: "100m", mml: "1Gi"},
		{name: "override", of: &core.Resources{Requests: []*core.Resources_ResourceEntry{entry(core.Resources_CPU, "1")}},
			override: &core.Resources{Requests: []*core.Resources_ResourceEntry{entry(core.Resources_CPU, "3")}}, cpu: "3", mem: "512Mi", cpul: "3", mml: "512Mi"},
	} {
		t.Run(c.name, func(t *testing.T) {
			task := attempt()
			task.Template.GetContainer().Resources = c.of
			task.Overrides = &core.TaskNodeOverrides{Resources: c.override}
			pod, err := Build(task, Default(), nil)
			if err != nil {
				t.Fatal(err)
			}
			r := pod.Spec.Containers[0].Resources
			got := []string{r.Requests.Cpu().String(), r.Requests.Memory().String(), r.Limits.Cpu().String(), r.Limits.Memory().String()}
			if want := []string{c.cpu, c.mem, c.cpul, c.mml}; !slices.Equal(got, want) {
				t.Errorf("%v, want %v", got, want)
			}
		})
	}
}

func TestCopilotIsPutAroundTheTask(t *testing.T) {
	task := attempt("{{.inputs.n}}")
	task.Template.GetContainer().DataConfig = &core.DataLoadingConfig{Enabled: true, OutputPath: "/out"}
	pod, err := Build(task, Default(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(pod.Spec.InitContainers) != 2 {
		t.Fatalf("init containers: %+v", pod.Spec.InitContainers)
	}
	down, up := pod.Spec.InitContainers[0], pod.Spec.InitContainers[1]
	if down.RestartPolicy != nil || up.RestartPolicy == nil || *up.RestartPolicy != corev1.ContainerRestartPolicyAlways {
		t.Error("only the uploader is a side-car")
	}
	if up.VolumeMounts[0].MountPath != "/out" || down.VolumeMounts[0].MountPath != "/var/flyte/inputs" || !slices.Contains(up.Args, "error.pb") {
		t.Errorf("side-car: %+v", up)
	}
	// With as little CPU as it asks for, a probe would take longer than its time on a real node.
	if cpu := up.Resources.Limits.Cpu(); cpu.MilliValue() < 500 || up.Resources.Requests.Cpu().MilliValue() != 10 || up.StartupProbe.TimeoutSeconds < 5 {
		t.Errorf("side-car may use %s CPU, its probe takes %d s at most", cpu, up.StartupProbe.TimeoutSeconds)
	}
	pod.Status = corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{ended(0, "")}}
	if s := Read(pod, Default(), time.Now()); s.Phase != flow.TaskRunning {
		t.Errorf("%s while the side-car uploads", s.Phase)
	}
}

func TestCreateErrors(t *testing.T) {
	pods := schema.GroupResource{Resource: "pods"}
	forbid := func(text string) error { return apierrors.NewForbidden(pods, "x", errors.New(text)) }
	for _, c := range []struct {
		err  error
		code string
	}{
		{forbid("exceeded quota: q, requested: requests.cpu=8,pods=1, used: requests.cpu=0, limited: requests.cpu=4"), "ResourceRequestsExceedLimits"},
		{forbid("maximum cpu usage per Container is 1, but limit is 2"), "ResourceRequestsExceedLimits"},
		{forbid("no"), "RuntimeFailure"},
		{apierrors.NewBadRequest("x"), "BadTaskFormat"},
		{apierrors.NewInvalid(schema.GroupKind{Kind: "Pod"}, "x", nil), "BadTaskFormat"},
		{apierrors.NewRequestEntityTooLargeError("x"), "EntityTooLarge"},
	} {
		var f *plugins.Failure
		if err := createError(c.err); !errors.As(err, &f) || f.Code != c.code {
			t.Errorf("%v: %v, want %s", c.err, err, c.code)
		}
	}
	if err := createError(forbid("exceeded quota: q, requested: requests.cpu=2, used: requests.cpu=3, limited: requests.cpu=4")); !fault.Is(err, fault.Exhausted) {
		t.Errorf("quota in use: %v", err)
	}
	var f *plugins.Failure
	fenced := "ValidatingAdmissionPolicy 'skein-fence' with binding 'skein-fence' denied request: this cluster is at incarnation 2"
	if err := createError(forbid(fenced)); err == nil || errors.As(err, &f) {
		t.Errorf("refused as of an earlier incarnation, which is not the task's failure: %v", err)
	}
	if err := createError(apierrors.NewServiceUnavailable("x")); fault.Of(err) != fault.Internal || err == nil {
		t.Errorf("unavailable: %v", err)
	}
}

func TestStartObserveAbortAreRepeatable(t *testing.T) {
	scheme := runtime.NewScheme()
	_ = corev1.AddToScheme(scheme)
	c := fake.NewClientBuilder().WithScheme(scheme).Build()
	p := NewRunner(Options{Client: c, Live: c, Config: Default()})
	task := attempt("x")
	for range 2 {
		if err := p.Start(t.Context(), task); err != nil {
			t.Fatal(err)
		}
	}
	if s, err := p.Observe(t.Context(), task.Ref); err != nil || s.Phase != flow.TaskQueued || s.Missing {
		t.Errorf("%+v, %v", s, err)
	}
	other := task
	other.Owner.UID = "another"
	var f *plugins.Failure
	if err := p.Start(t.Context(), other); err == nil || errors.As(err, &f) {
		t.Errorf("somebody else's pod was adopted: %v", err)
	}
	for range 2 {
		if done, err := p.Abort(t.Context(), task.Ref); err != nil || !done {
			t.Errorf("%t, %v", done, err)
		}
	}
	if s, _ := p.Observe(t.Context(), task.Ref); !s.Missing {
		t.Errorf("%+v", s)
	}
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: "p-d", Name: task.Name}, &corev1.Pod{}); !apierrors.IsNotFound(err) {
		t.Error(err)
	}
}
