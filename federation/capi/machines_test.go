package capi_test

import (
	"context"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/yaml"

	"github.com/skein-project/skein/deploy/local/apply"
	"github.com/skein-project/skein/federation/capi"
	"github.com/skein-project/skein/federation/capi/capitest"
)

// step reconciles a Cluster once, by a client of the test's choice.
func (w *world) step(c client.Client, cluster *clusterv1.Cluster) {
	w.Helper()
	controller, err := capi.New(c, w.client, w.options(capi.Options{}))
	w.ok(err)
	_, err = controller.Reconcile(w.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(cluster)})
	w.ok(err)
}

func TestAStaleCacheDropsNoHook(t *testing.T) {
	w := newIdleWorld(t)
	cluster, machine := w.create("stale", asks())
	machine.Finalizers = []string{"test.skein.dev/hold"}
	w.ok(w.client.Update(t.Context(), machine))
	w.provisioned(cluster)
	w.step(w.client, cluster)
	old := w.get(cluster).DeepCopyObject().(*clusterv1.Cluster)
	cached := interceptor.NewClient(w.client, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			if into, ok := o.(*clusterv1.Cluster); ok {
				old.DeepCopyInto(into)
				return nil
			}
			return c.Get(ctx, key, o, opts...)
		}})
	w.ok(w.client.Delete(t.Context(), cluster)) // held by the finalizer
	w.ok(w.client.Delete(t.Context(), machine)) // as Cluster API does next
	w.step(cached, cluster)
	if _, held := w.get(machine).GetAnnotations()[hook]; !held {
		t.Error("the machine of a cluster that is to be drained was let go")
	}
}

// TestFieldsOfANewerVersionStay: Cluster API's own version may be newer than the
// one whose types we have.
func TestFieldsOfANewerVersionStay(t *testing.T) {
	w := newIdleWorld(t)
	asReleased := capitest.Definitions(t)
	w.ok(apply.Manifests(t.Context(), w.admin, future(t, asReleased[0])))
	t.Cleanup(func() { w.ok(apply.Manifests(context.Background(), w.admin, asReleased...)) })
	cluster := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": clusterv1.GroupVersion.String(), "kind": "Cluster",
		"metadata": map[string]any{"name": "newer", "namespace": w.namespace, "labels": map[string]any{capi.DefaultSelector: ""},
			"finalizers": []any{"test.skein.dev/hold"}},
		"spec": map[string]any{"future": "kept", "infrastructureRef": map[string]any{
			"apiGroup": "infrastructure.cluster.x-k8s.io", "kind": "TestCluster", "name": "newer"}}}}
	kept := func() bool {
		v, _, _ := unstructured.NestedString(cluster.Object, "spec", "future")
		return v == "kept"
	}
	w.await("the API server knows the field", func() bool {
		attempt := cluster.DeepCopy()
		w.ok(w.client.Create(t.Context(), attempt, client.DryRunAll))
		v, _, _ := unstructured.NestedString(attempt.Object, "spec", "future")
		return v == "kept"
	})
	w.ok(w.client.Create(t.Context(), cluster))
	typed := &clusterv1.Cluster{}
	typed.Name, typed.Namespace = "newer", w.namespace
	w.provisioned(w.get(typed).(*clusterv1.Cluster))
	w.registry.byHand(w.namespace+"-newer", map[string]string{capi.LabelManagedBy: "test"})

	w.step(w.client, typed)
	if w.get(cluster); !kept() || len(cluster.GetFinalizers()) != 2 {
		t.Fatalf("after the finalizer: %v, %v", cluster.GetFinalizers(), cluster.Object["spec"])
	}
	w.registry.set(w.namespace+"-newer", func(s *capi.State) { s.Remaining = 0 })
	w.ok(w.client.Delete(t.Context(), cluster))
	w.step(w.client, typed)
	if w.get(cluster); !kept() || len(cluster.GetFinalizers()) != 1 || w.state(typed) != "removed" {
		t.Errorf("after it was let go: %v, %v, %q", cluster.GetFinalizers(), cluster.Object["spec"], w.state(typed))
	}
}

// future is cluster-api's definition of Cluster with one more field.
func future(t *testing.T, raw []byte) []byte {
	t.Helper()
	var definition map[string]any
	if err := yaml.Unmarshal(raw, &definition); err != nil {
		t.Fatal(err)
	}
	versions, _, err := unstructured.NestedSlice(definition, "spec", "versions")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range versions {
		if err := unstructured.SetNestedField(v.(map[string]any), map[string]any{"type": "string"},
			"schema", "openAPIV3Schema", "properties", "spec", "properties", "future"); err != nil {
			t.Fatal(err)
		}
	}
	if err := unstructured.SetNestedSlice(definition, versions, "spec", "versions"); err != nil {
		t.Fatal(err)
	}
	out, err := yaml.Marshal(definition)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
