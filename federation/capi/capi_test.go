package capi_test

import (
	"context"
	"crypto/rand"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/deploy/local/apply"
	"github.com/skein-project/skein/deploy/local/localtest"
	"github.com/skein-project/skein/federation/capi"
	"github.com/skein-project/skein/federation/capi/capitest"
)

func TestMain(m *testing.M) { localtest.Main(m) }

// registry is a control plane with the contract of capi.Registry and nothing
// behind it.
type registry struct {
	mu       sync.Mutex
	clusters map[string]*capi.State
	labels   map[string]map[string]string
	tokens   map[string]int
	drains   map[string]int
	removed  []string
}

func newRegistry() *registry {
	return &registry{clusters: map[string]*capi.State{}, labels: map[string]map[string]string{}, tokens: map[string]int{}, drains: map[string]int{}}
}

func (r *registry) Ensure(_ context.Context, x capi.Registration) (capi.State, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.clusters[x.Name] == nil {
		r.clusters[x.Name] = &capi.State{Name: x.Name}
	}
	r.labels[x.Name] = x.Labels
	return *r.clusters[x.Name], nil
}

func (r *registry) Token(_ context.Context, name string) (capi.Join, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tokens[name]++
	return capi.Join{Cluster: name, Token: "token-of-" + name, Expires: time.Now().Add(time.Hour), CA: "ca", Hubs: []string{"hub:1"}}, nil
}

func (r *registry) Drain(_ context.Context, name string, _ capi.Drain) (capi.State, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.clusters[name] == nil {
		return capi.State{}, fault.E(fault.NotFound, "cluster %q does not exist", name)
	}
	r.drains[name]++
	return *r.clusters[name], nil
}

func (r *registry) Remove(_ context.Context, name string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.clusters[name].Remaining > 0 {
		return fault.E(fault.Precondition, "cluster %q holds executions", name)
	}
	delete(r.clusters, name)
	r.removed = append(r.removed, name)
	return nil
}

func (r *registry) Managed(_ context.Context, by string) (out []capi.State, _ error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, s := range r.clusters {
		if r.labels[name][capi.LabelManagedBy] == by {
			out = append(out, *s)
		}
	}
	return out, nil
}

// set changes what the control plane says; see reads it.
func (r *registry) set(name string, f func(*capi.State)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(r.clusters[name])
}

func see[T any](r *registry, f func() T) T {
	r.mu.Lock()
	defer r.mu.Unlock()
	return f()
}

// world is a management cluster, its own only data plane.
type world struct {
	*testing.T
	client     client.Client
	registry   *registry
	namespace  string
	kubeconfig []byte
}

func newWorld(t *testing.T, o capi.Options) *world {
	cluster := localtest.Cluster(t)
	admin, err := cluster.RESTConfig()
	if err != nil {
		t.Fatal(err)
	}
	if err := apply.Manifests(t.Context(), admin, capitest.Definitions(t)...); err != nil {
		t.Fatal(err)
	}
	scheme := runtime.NewScheme()
	if err := capi.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	c, err := client.New(admin, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig, err := os.ReadFile(cluster.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, client: c, registry: newRegistry(), namespace: "capi-" + strings.ToLower(rand.Text()[:8]), kubeconfig: kubeconfig}
	w.ok(c.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}}))
	o.Name, o.Registry, o.Poll, o.Refresh = "test", w.registry, 50*time.Millisecond, time.Second
	o.Install = capi.Apply{Objects: w.objects}
	controller, err := capi.New(c, o)
	w.ok(err)
	manager, err := ctrl.NewManager(admin, ctrl.Options{Scheme: scheme, Metrics: metricsserver.Options{BindAddress: "0"},
		Cache:      cache.Options{DefaultNamespaces: map[string]cache.Config{w.namespace: {}}},
		Controller: config.Controller{SkipNameValidation: new(true)}})
	w.ok(err)
	w.ok(controller.SetUp(manager))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- manager.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return w
}

func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// objects stand for a member: a secret with the token.
func (w *world) objects(j capi.Join) ([]*unstructured.Unstructured, error) {
	o := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Secret",
		"metadata": map[string]any{"name": "member-" + j.Cluster, "namespace": w.namespace}, "stringData": map[string]any{"token": j.Token}}}
	return []*unstructured.Unstructured{o}, nil
}

func (w *world) await(what string, cond func() bool) {
	w.Helper()
	deadline := time.Now().Add(time.Minute)
	for !cond() {
		if time.Now().After(deadline) {
			w.Fatalf("never: %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// create makes a Cluster with one Machine and the kubeconfig secret.
func (w *world) create(name string, labels map[string]string) (*clusterv1.Cluster, *clusterv1.Machine) {
	w.Helper()
	c := &clusterv1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: w.namespace, Labels: labels},
		Spec: clusterv1.ClusterSpec{InfrastructureRef: clusterv1.ContractVersionedObjectReference{APIGroup: "infrastructure.cluster.x-k8s.io", Kind: "TestCluster", Name: name}}}
	w.ok(w.client.Create(w.Context(), c))
	m := &clusterv1.Machine{ObjectMeta: metav1.ObjectMeta{Name: name + "-0", Namespace: w.namespace, Labels: map[string]string{clusterv1.ClusterNameLabel: name}},
		Spec: clusterv1.MachineSpec{ClusterName: name,
			Bootstrap:         clusterv1.Bootstrap{DataSecretName: new("none")},
			InfrastructureRef: clusterv1.ContractVersionedObjectReference{APIGroup: "infrastructure.cluster.x-k8s.io", Kind: "TestMachine", Name: name}}}
	w.ok(w.client.Create(w.Context(), m))
	w.ok(w.client.Create(w.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name + "-kubeconfig", Namespace: w.namespace},
		Data: map[string][]byte{"value": w.kubeconfig}}))
	return c, m
}

func (w *world) provisioned(c *clusterv1.Cluster) {
	w.Helper()
	c.Status.Initialization = clusterv1.ClusterInitializationStatus{InfrastructureProvisioned: new(true), ControlPlaneInitialized: new(true)}
	c.Status.FailureDomains = []clusterv1.FailureDomain{{Name: "b"}, {Name: "a"}}
	w.ok(w.client.Status().Update(w.Context(), c))
}

func (w *world) get(o client.Object) client.Object {
	w.Helper()
	w.ok(w.client.Get(w.Context(), client.ObjectKeyFromObject(o), o))
	return o
}

func (w *world) gone(o client.Object) bool {
	return apierrors.IsNotFound(w.client.Get(w.Context(), client.ObjectKeyFromObject(o), o))
}

const hook = "pre-drain.delete.hook.machine.cluster.x-k8s.io/skein-data-plane"

func rules() capi.Rules {
	return capi.Rules{Copy: []string{"tier"}, Rename: map[string]string{"topology.kubernetes.io/region": "region"},
		Set: map[string]string{"made-by": "capi"}, FailureDomains: "zones"}
}

func TestAClusterBecomesADataPlaneAndIsDrainedBeforeItGoes(t *testing.T) {
	w := newWorld(t, capi.Options{Rules: rules()})
	cluster, machine := w.create("one", map[string]string{"skein.dev/data-plane": "", "tier": "spot", "other": "x", "topology.kubernetes.io/region": "eu"})
	plane := w.namespace + "-one"

	if n := see(w.registry, func() int { return len(w.registry.clusters) }); n != 0 {
		t.Fatal("registered before it was ready")
	}
	w.provisioned(cluster)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "member-" + plane, Namespace: w.namespace}}
	w.await("the member is installed", func() bool { return w.client.Get(t.Context(), client.ObjectKeyFromObject(secret), secret) == nil })
	if got := string(secret.Data["token"]); got != "token-of-"+plane {
		t.Errorf("installed with token %q", got)
	}
	labels := see(w.registry, func() map[string]string { return w.registry.labels[plane] })
	want := map[string]string{"tier": "spot", "region": "eu", "zones": "a.b", "made-by": "capi", capi.LabelManagedBy: "test"}
	for k, v := range want {
		if labels[k] != v {
			t.Errorf("label %s is %q, want %q", k, labels[k], v)
		}
	}
	if len(labels) != len(want) {
		t.Errorf("labels %v, want %v", labels, want)
	}
	w.await("machines are held", func() bool { _, has := w.get(machine).GetAnnotations()[hook]; return has })

	w.registry.set(plane, func(s *capi.State) { s.Joined, s.Remaining = true, 2 })
	w.await("it is seen to have joined", func() bool { return w.get(cluster).GetAnnotations()[capi.AnnotationState] == "joined" })
	if n := see(w.registry, func() int { return w.registry.tokens[plane] }); n != 1 {
		t.Errorf("%d tokens were made", n)
	}

	w.ok(w.client.Delete(t.Context(), cluster))
	w.await("the drain begins", func() bool { return see(w.registry, func() int { return w.registry.drains[plane] }) > 2 })
	if _, held := w.get(machine).GetAnnotations()[hook]; !held {
		t.Error("machines were let go while executions remained")
	}
	w.get(cluster) // it still stands
	w.registry.set(plane, func(s *capi.State) { s.Remaining = 0 })
	w.await("the cluster goes", func() bool { return w.gone(cluster) })
	if _, held := w.get(machine).GetAnnotations()[hook]; held {
		t.Error("machines are held though the data plane is gone")
	}
	if removed := see(w.registry, func() []string { return w.registry.removed }); len(removed) != 1 {
		t.Errorf("removed: %v", removed)
	}
}

func TestAMachineThatIsReplacedIsNotHeld(t *testing.T) {
	w := newWorld(t, capi.Options{})
	cluster, machine := w.create("two", map[string]string{"skein.dev/data-plane": ""})
	machine.Finalizers = []string{"test.skein.dev/hold"}
	w.ok(w.client.Update(t.Context(), machine))
	w.provisioned(cluster)
	w.await("machines are held", func() bool { _, has := w.get(machine).GetAnnotations()[hook]; return has })
	w.ok(w.client.Delete(t.Context(), machine))
	w.await("the machine is let go", func() bool { _, has := w.get(machine).GetAnnotations()[hook]; return !has })
}

func TestADrainThatExpired(t *testing.T) {
	for _, tc := range []struct {
		name string
		at   capi.AtDeadline
		goes bool
	}{{"three", capi.Hold, false}, {"four", capi.LetGo, true}} {
		t.Run(string(tc.at), func(t *testing.T) {
			w := newWorld(t, capi.Options{AtDeadline: tc.at})
			cluster, _ := w.create(tc.name, map[string]string{"skein.dev/data-plane": ""})
			plane := w.namespace + "-" + tc.name
			w.provisioned(cluster)
			w.await("registered", func() bool { return see(w.registry, func() bool { return w.registry.clusters[plane] != nil }) })
			w.registry.set(plane, func(s *capi.State) { s.Remaining, s.Expired = 1, true })
			w.ok(w.client.Delete(t.Context(), cluster))
			if tc.goes {
				w.await("the cluster goes", func() bool { return w.gone(cluster) })
				return
			}
			w.await("it says why it stays", func() bool {
				return w.get(cluster).GetAnnotations()[capi.AnnotationState] == "drain expired with 1 executions"
			})
		})
	}
}

func TestAClusterThatDoesNotAskIsLeftAlone(t *testing.T) {
	w := newWorld(t, capi.Options{})
	other, _ := w.create("five", nil)
	w.provisioned(other)
	asks, _ := w.create("six", map[string]string{"skein.dev/data-plane": ""})
	w.provisioned(asks)
	w.await("the one that asks is registered", func() bool {
		return see(w.registry, func() bool { return w.registry.clusters[w.namespace+"-six"] != nil })
	})
	if len(w.get(other).GetFinalizers()) > 0 || see(w.registry, func() int { return len(w.registry.clusters) }) != 1 {
		t.Error("a cluster that does not ask was taken")
	}
}

func TestAList(t *testing.T) {
	cluster := localtest.Cluster(t)
	admin, err := cluster.RESTConfig()
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(admin, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, client: c, registry: newRegistry(), namespace: "default"}
	options := capi.Options{Name: "list", Registry: w.registry, Install: capi.Apply{Objects: w.objects}, Poll: 20 * time.Millisecond, Refresh: 20 * time.Millisecond}
	_, _ = w.registry.Ensure(t.Context(), capi.Registration{Name: "old", Labels: map[string]string{capi.LabelManagedBy: "list"}})
	_, _ = w.registry.Ensure(t.Context(), capi.Registration{Name: "other", Labels: map[string]string{capi.LabelManagedBy: "somebody"}})
	w.registry.set("old", func(s *capi.State) { s.Remaining = 1 })
	list, err := capi.NewList([]capi.Entry{{Name: "plain", Kubeconfig: cluster.Kubeconfig, Labels: map[string]string{"region": "eu"}}}, options)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- list.Run(ctx) }()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "member-plain", Namespace: "default"}}
	w.await("the member is installed", func() bool { return c.Get(ctx, client.ObjectKeyFromObject(secret), secret) == nil })
	w.await("what is not on the list is drained", func() bool { return see(w.registry, func() int { return w.registry.drains["old"] }) > 0 })
	w.registry.set("old", func(s *capi.State) { s.Remaining = 0 })
	w.await("and removed", func() bool { return see(w.registry, func() int { return len(w.registry.removed) }) == 1 })
	if see(w.registry, func() bool { return w.registry.clusters["other"] == nil || w.registry.clusters["plain"] == nil }) {
		t.Error("more was removed than what it had registered")
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := capi.NewList([]capi.Entry{{Name: "x"}}, options); !fault.Is(err, fault.Invalid) {
		t.Errorf("an entry without a kubeconfig: %v", err)
	}
}
