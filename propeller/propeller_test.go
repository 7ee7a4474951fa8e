package propeller_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/deploy/crd"
	"github.com/skein-project/skein/deploy/local/apply"
	"github.com/skein-project/skein/deploy/local/localtest"
	"github.com/skein-project/skein/plugins"
	"github.com/skein-project/skein/plugins/blob"
	"github.com/skein-project/skein/plugins/builtin"
	"github.com/skein-project/skein/propeller"
)

func TestMain(m *testing.M) {
	ctrllog.SetLogger(logr.Discard())
	localtest.Main(m)
}

// gate is a lease that a test opens and closes.
type gate struct {
	closed atomic.Bool
	by     atomic.Pointer[time.Time] // when strict work must have ended; nil: it may run on
}

func (g *gate) MayStart(flow.ExecutionID, flow.Epoch) (time.Time, string, bool) {
	if g.closed.Load() {
		return time.Time{}, "closed by the test", false
	}
	return time.Now().Add(20 * time.Second), "", true
}

func (g *gate) MustStop(flow.ExecutionID, flow.Epoch) (time.Time, bool) {
	if by := g.by.Load(); by != nil {
		return *by, true
	}
	return time.Time{}, false
}

func (g *gate) Incarnation() uint64 { return 7 }

// rig is a cluster without nodes: the test plays the kubelet.
type rig struct {
	t         *testing.T
	rest      *rest.Config
	client    client.WithWatch
	store     *blob.Store
	blobs     propeller.Blobs // the store, or what stands before it
	namespace string
	gate      *gate
	trace     string
	stop      func()
	wake      func()

	mu    sync.Mutex
	fates map[string]func(*corev1.Pod) // by pod name; default: success
	seen  map[string]int               // pods that were run, by name
}

func newRig(t *testing.T) *rig {
	return newRigBefore(t, func(b propeller.Blobs) propeller.Blobs { return b })
}

// newRigBefore puts something before the object store that the propeller sees.
func newRigBefore(t *testing.T, before func(propeller.Blobs) propeller.Blobs) *rig {
	cluster := localtest.Cluster(t)
	cfg, err := cluster.RESTConfig()
	if err != nil {
		t.Fatal(err)
	}
	if err := apply.Manifests(t.Context(), cfg, crd.FlyteWorkflows); err != nil {
		t.Fatal(err)
	}
	scheme := runtime.NewScheme()
	_ = corev1.AddToScheme(scheme)
	_ = v1alpha1.AddToScheme(scheme)
	cfg.QPS, cfg.Burst = 200, 400
	c, err := client.NewWithWatch(cfg, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	store, err := blob.Open(t.Context(), blob.Config{Root: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, rest: cfg, client: c, store: store, blobs: before(store), gate: &gate{}, fates: map[string]func(*corev1.Pod){}, seen: map[string]int{},
		namespace: fmt.Sprintf("p-%d", time.Now().UnixNano())}
	if err := c.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: r.namespace}}); err != nil {
		t.Fatal(err)
	}
	if err := c.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default", Namespace: r.namespace}}); err != nil {
		t.Fatal(err)
	}
	go r.kubelet(t.Context())
	r.start()
	t.Cleanup(func() { r.stop() })
	return r
}

// start runs a propeller of its own; stop ends it and waits.
func (r *rig) start() {
	ctx, cancel := context.WithCancel(context.Background())
	cfg := propeller.Default()
	cfg.Policy.Aborting, cfg.StrictGrace = 200*time.Millisecond, 2*time.Second
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	if os.Getenv("PROPELLER_LOG") != "" {
		log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	p, err := propeller.New(propeller.Options{Config: cfg, RESTConfig: r.rest, Cluster: "test", Blobs: r.blobs, Gate: r.gate, Log: log,
		Plugins: func(c propeller.Clients) ([]plugins.Plugin, plugins.Plugin) {
			return builtin.All(builtin.Default(), c.Client, c.Live)
		}})
	if err != nil {
		r.t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	wake := func() { _ = p.Wake(ctx) }
	r.wake = wake
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Errorf("propeller: %v", err)
		}
	})
}

// kubelet ends each pod as its fate says, and removes pods that are deleted.
func (r *rig) kubelet(ctx context.Context) {
	for ctx.Err() == nil {
		var pods corev1.PodList
		if err := r.client.List(ctx, &pods, client.InNamespace(r.namespace), client.MatchingFields{"status.phase": "Pending"}); err != nil {
			return
		}
		r.bury(ctx)
		var g errgroup.Group
		g.SetLimit(8)
		for i := range pods.Items {
			g.Go(func() error { r.play(ctx, &pods.Items[i]); return nil })
		}
		_ = g.Wait()
		time.Sleep(10 * time.Millisecond)
	}
}

// bury removes deleted pods that run, as a kubelet does when they have ended.
func (r *rig) bury(ctx context.Context) {
	var pods corev1.PodList
	if err := r.client.List(ctx, &pods, client.InNamespace(r.namespace), client.MatchingFields{"status.phase": "Running"}); err != nil {
		return
	}
	for i := range pods.Items {
		if pods.Items[i].DeletionTimestamp != nil {
			_ = r.client.Delete(ctx, &pods.Items[i], client.GracePeriodSeconds(0))
		}
	}
}

func (r *rig) play(ctx context.Context, pod *corev1.Pod) {
	if pod.DeletionTimestamp != nil {
		_ = r.client.Delete(ctx, pod, client.GracePeriodSeconds(0))
		return
	}
	if pod.Status.Phase != corev1.PodPending {
		return
	}
	r.mu.Lock()
	fate := r.fates[pod.Name]
	r.seen[pod.Name]++
	r.mu.Unlock()
	if fate == nil {
		fate = r.succeed
	}
	fate(pod)
	_ = r.client.Status().Update(ctx, pod)
}

func ends(pod *corev1.Pod, code int32, reason string) {
	pod.Status.Phase = corev1.PodSucceeded
	if code != 0 {
		pod.Status.Phase = corev1.PodFailed
	}
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: pod.Spec.Containers[0].Name, Image: "x", ImageID: "x",
		State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason, StartedAt: metav1.Now(), FinishedAt: metav1.Now()}}}}
}

func runs(pod *corev1.Pod) { pod.Status.Phase = corev1.PodRunning }

// succeed adds 1 to the sum of the inputs.
func (r *rig) succeed(pod *corev1.Pod) {
	args := pod.Spec.Containers[0].Args
	data, err := r.store.Read(context.Background(), args[0])
	if err != nil {
		r.t.Errorf("inputs of %s: %v", pod.Name, err)
		return
	}
	in := &core.LiteralMap{}
	_ = proto.Unmarshal(data, in)
	sum := int64(1)
	for l := range maps.Values(in.GetLiterals()) {
		sum += l.GetScalar().GetPrimitive().GetInteger()
		for _, e := range l.GetCollection().GetLiterals() {
			sum += e.GetScalar().GetPrimitive().GetInteger()
		}
	}
	out, _ := proto.Marshal(&core.LiteralMap{Literals: map[string]*core.Literal{"o0": integer(sum)}})
	if err := r.store.Write(context.Background(), args[1]+"/outputs.pb", out); err != nil {
		r.t.Error(err)
	}
	ends(pod, 0, "Completed")
}

func integer(n int64) *core.Literal {
	return &core.Literal{Value: &core.Literal_Scalar{Scalar: &core.Scalar{Value: &core.Scalar_Primitive{
		Primitive: &core.Primitive{Value: &core.Primitive_Integer{Integer: n}}}}}}
}

func typed(names ...string) *core.VariableMap {
	m := &core.VariableMap{Variables: map[string]*core.Variable{}}
	for _, n := range names {
		m.Variables[n] = &core.Variable{Type: &core.LiteralType{Type: &core.LiteralType_Simple{Simple: core.SimpleType_INTEGER}}}
	}
	return m
}

func promise(node, name string) *core.BindingData {
	return &core.BindingData{Value: &core.BindingData_Promise{Promise: &core.OutputReference{NodeId: node, Var: name}}}
}

// fanOut is n0, then n1 … nk side by side, then last, which sums them up.
func fanOut(wide int, retries uint32) *core.CompiledWorkflowClosure {
	id := func(n string) *core.Identifier {
		return &core.Identifier{Project: "p", Domain: "d", Name: n, Version: "1"}
	}
	task := func(name string) *core.Node {
		return &core.Node{Id: name, Metadata: &core.NodeMetadata{Retries: &core.RetryStrategy{Retries: retries}},
			Target: &core.Node_TaskNode{TaskNode: &core.TaskNode{Reference: &core.TaskNode_ReferenceId{ReferenceId: id("add")}}}}
	}
	first, last := task("n0"), task("last")
	first.Inputs = []*core.Binding{{Var: "a", Binding: promise("", "x")}}
	list := &core.BindingDataCollection{}
	nodes := []*core.Node{first}
	for i := 1; i <= wide; i++ {
		n := task(fmt.Sprintf("n%d", i))
		n.Inputs = []*core.Binding{{Var: "a", Binding: promise("n0", "o0")}}
		nodes = append(nodes, n)
		list.Bindings = append(list.Bindings, promise(n.Id, "o0"))
	}
	last.Inputs = []*core.Binding{{Var: "a", Binding: &core.BindingData{Value: &core.BindingData_Collection{Collection: list}}}}
	nodes = append(nodes, last)
	return &core.CompiledWorkflowClosure{
		Primary: &core.CompiledWorkflow{Template: &core.WorkflowTemplate{Id: id("wf"), Nodes: nodes,
			Interface: &core.TypedInterface{Inputs: typed("x"), Outputs: typed("y")},
			Outputs:   []*core.Binding{{Var: "y", Binding: promise("last", "o0")}}}},
		Tasks: []*core.CompiledTask{{Template: &core.TaskTemplate{Id: id("add"), Type: "container",
			Interface: &core.TypedInterface{Inputs: typed("a"), Outputs: typed("o0")},
			Target: &core.TaskTemplate_Container{Container: &core.Container{Image: "none", Command: []string{"add"},
				Args: []string{"{{.input}}", "{{.outputPrefix}}"}}}}}},
	}
}

// submit creates what a member would create.
func (r *rig) submit(name string, closure *core.CompiledWorkflowClosure, parallel ...int32) *v1alpha1.FlyteWorkflow {
	r.t.Helper()
	return r.create(r.assigned(name, closure, parallel...))
}

func (r *rig) assigned(name string, closure *core.CompiledWorkflowClosure, parallel ...int32) *v1alpha1.FlyteWorkflow {
	raw, _ := proto.Marshal(closure)
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write(raw)
	_ = w.Close()
	inputs, _ := proto.Marshal(&core.LiteralMap{Literals: map[string]*core.Literal{"x": integer(1)}})
	spec, _ := proto.Marshal(&admin.ExecutionSpec{MaxParallelism: append(parallel, 25)[0], Labels: &admin.Labels{Values: map[string]string{"team": "blue"}}})
	project, domain, _ := strings.Cut(r.namespace, "-")
	return &v1alpha1.FlyteWorkflow{ObjectMeta: metav1.ObjectMeta{Name: name + "-e1", Namespace: r.namespace},
		Spec: v1alpha1.FlyteWorkflowSpec{Execution: v1alpha1.ExecutionRef{Project: project, Domain: domain, Name: name},
			Traceparent: r.trace, Era: 1, Epoch: 1, Incarnation: 1, Revision: 1, Desired: v1alpha1.DesiredRun, Closure: packed.Bytes(), Inputs: inputs,
			ExecutionSpec: spec, DataPrefix: r.store.Root() + "/meta/" + name, RawPrefix: r.store.Root() + "/raw", CreatedAt: metav1.NowMicro(),
			Workflow: v1alpha1.EntityRef{Name: "wf"}, LaunchPlan: v1alpha1.EntityRef{Name: "wf"}}}
}

func (r *rig) create(wf *v1alpha1.FlyteWorkflow) *v1alpha1.FlyteWorkflow {
	r.t.Helper()
	if err := r.client.Create(r.t.Context(), wf); err != nil {
		r.t.Fatal(err)
	}
	return wf
}

// await reads the object until the claim holds.
func (r *rig) await(wf *v1alpha1.FlyteWorkflow, what string, claim func(*v1alpha1.FlyteWorkflow) bool) *v1alpha1.FlyteWorkflow {
	r.t.Helper()
	now := &v1alpha1.FlyteWorkflow{}
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if err := r.client.Get(r.t.Context(), client.ObjectKeyFromObject(wf), now); err != nil {
			r.t.Fatal(err)
		}
		if claim(now) {
			return now
		}
	}
	r.t.Fatalf("waited in vain until %s: %+v", what, now.Status)
	return nil
}

func (r *rig) ended(wf *v1alpha1.FlyteWorkflow, phase flow.ExecutionPhase) *v1alpha1.FlyteWorkflow {
	r.t.Helper()
	now := r.await(wf, phase.String(), func(w *v1alpha1.FlyteWorkflow) bool { return w.Status.EndedAt != nil })
	if now.Status.Phase != phase.String() {
		r.t.Fatalf("ended as %s, want %s: %+v", now.Status.Phase, phase, now.Status.Error)
	}
	return now
}

func (r *rig) fate(pod string, f func(*corev1.Pod)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fates[pod] = f
}

func (r *rig) output(wf *v1alpha1.FlyteWorkflow) int64 {
	r.t.Helper()
	data, err := r.store.Read(r.t.Context(), wf.Status.OutputURI)
	if err != nil {
		r.t.Fatal(err)
	}
	m := &core.LiteralMap{}
	_ = proto.Unmarshal(data, m)
	return m.GetLiterals()["y"].GetScalar().GetPrimitive().GetInteger()
}
