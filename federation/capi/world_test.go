package capi_test

import (
	"context"
	"crypto/rand"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/skein-project/skein/deploy/local/apply"
	"github.com/skein-project/skein/deploy/local/localtest"
	"github.com/skein-project/skein/federation/capi"
	"github.com/skein-project/skein/federation/capi/capitest"
)

func TestMain(m *testing.M) { localtest.Main(m) }

// world is a management cluster, its own only data plane.
type world struct {
	*testing.T
	admin      *rest.Config
	client     client.WithWatch
	registry   *registry
	namespace  string
	kubeconfig []byte
}

// newWorld has a Controller that runs.
func newWorld(t *testing.T, o capi.Options) *world {
	w := newIdleWorld(t)
	o = w.options(o)
	manager, err := ctrl.NewManager(w.admin, ctrl.Options{Scheme: w.client.Scheme(), Metrics: metricsserver.Options{BindAddress: "0"},
		Cache:      cache.Options{DefaultNamespaces: map[string]cache.Config{w.namespace: {}}},
		Controller: config.Controller{SkipNameValidation: new(true)}})
	w.ok(err)
	controller, err := capi.New(w.client, manager.GetAPIReader(), o)
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

func (w *world) options(o capi.Options) capi.Options {
	o.Name, o.Registry, o.Poll, o.Refresh = "test", w.registry, 50*time.Millisecond, 200*time.Millisecond
	o.Install = capi.Apply{Objects: w.objects}
	return o
}

func newIdleWorld(t *testing.T) *world {
	cluster := localtest.Cluster(t)
	admin, err := cluster.RESTConfig()
	if err != nil {
		t.Fatal(err)
	}
	admin.QPS = -1 // the tests poll
	if err := apply.Manifests(t.Context(), admin, capitest.Definitions(t)...); err != nil {
		t.Fatal(err)
	}
	scheme := runtime.NewScheme()
	if err := capi.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	c, err := client.NewWithWatch(admin, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig, err := os.ReadFile(cluster.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, admin: admin, client: c, registry: newRegistry(), namespace: "capi-" + strings.ToLower(rand.Text()[:8]), kubeconfig: kubeconfig}
	w.ok(c.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}}))
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
	timeout, tick := time.After(time.Minute), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-timeout:
			w.Fatalf("never: %s", what)
		case <-tick.C:
		}
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
	before := c.DeepCopy() // a patch: the controller may write as well
	c.Status.Initialization = clusterv1.ClusterInitializationStatus{InfrastructureProvisioned: new(true), ControlPlaneInitialized: new(true)}
	c.Status.FailureDomains = []clusterv1.FailureDomain{{Name: "b"}, {Name: "a"}}
	w.ok(w.client.Status().Patch(w.Context(), c, client.MergeFrom(before)))
}

func (w *world) get(o client.Object) client.Object {
	w.Helper()
	w.ok(w.client.Get(w.Context(), client.ObjectKeyFromObject(o), o))
	return o
}

func (w *world) gone(o client.Object) bool {
	return apierrors.IsNotFound(w.client.Get(w.Context(), client.ObjectKeyFromObject(o), o))
}

func (w *world) state(c *clusterv1.Cluster) string {
	w.Helper()
	return w.get(c).GetAnnotations()[capi.AnnotationState]
}

// asks is what a Cluster is labelled with to become a data plane.
func asks() map[string]string { return map[string]string{capi.DefaultSelector: ""} }

// made creates a Cluster and waits until its data plane is registered.
func (w *world) made(name string) (*clusterv1.Cluster, *clusterv1.Machine, string) {
	w.Helper()
	cluster, machine := w.create(name, asks())
	w.provisioned(cluster)
	plane := w.namespace + "-" + name
	w.await(plane+" is registered", func() bool { return w.get(cluster).GetAnnotations()[capi.AnnotationRegistered] == plane })
	return cluster, machine, plane
}
