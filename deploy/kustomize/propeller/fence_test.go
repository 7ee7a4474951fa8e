package propeller_test

import (
	"path/filepath"
	"strconv"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/deploy/crd"
	"github.com/skein-project/skein/deploy/kustomize/propeller"
	"github.com/skein-project/skein/deploy/local/apply"
	"github.com/skein-project/skein/deploy/local/cluster"
	"github.com/skein-project/skein/deploy/local/localtest"
	"github.com/skein-project/skein/deploy/local/ports"
	"github.com/skein-project/skein/deploy/local/tools"
)

func TestMain(m *testing.M) { localtest.Main(m) }

// fenced is an API server of the test's own, with our policies: other tests'
// objects know no Fence.
func fenced(t *testing.T) client.Client {
	if testing.Short() {
		t.Skip("needs a real API server")
	}
	group := localtest.Group(t)
	built, err := tools.Ensure(t.Context(), func(s string) { t.Log(s) })
	if err != nil {
		t.Fatal(err)
	}
	free, err := ports.Free(3)
	if err != nil {
		t.Fatal(err)
	}
	server, err := cluster.Start(t.Context(), group, cluster.Options{
		Name: "fence", Dir: filepath.Join(t.TempDir(), "fence"), Tools: built,
		EtcdPort: free[0], EtcdPeerPort: free[1], APIPort: free[2],
	})
	if err != nil {
		t.Fatal(err)
	}
	config, err := server.RESTConfig()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // applying it again changes nothing
		if err := apply.Manifests(t.Context(), config, crd.FlyteWorkflows, crd.Fences, propeller.RBAC, propeller.Fence); err != nil {
			t.Fatal(err)
		}
	}
	scheme := runtime.NewScheme()
	_ = corev1.AddToScheme(scheme)
	_ = v1alpha1.AddToScheme(scheme)
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "room"}},
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default", Namespace: "room"}},
	} {
		if err := c.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func meta(name string, incarnation int64) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: "room", Name: name, Labels: map[string]string{
		v1alpha1.LabelManaged: "true", v1alpha1.LabelEra: "1", v1alpha1.LabelEpoch: "2",
		v1alpha1.LabelIncarnation: strconv.FormatInt(incarnation, 10),
	}}
}

func pod(name string, incarnation int64) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: meta(name, incarnation), Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}}}
}

func workflow(name string, incarnation int64) *v1alpha1.FlyteWorkflow {
	return &v1alpha1.FlyteWorkflow{ObjectMeta: meta(name, incarnation), Spec: v1alpha1.FlyteWorkflowSpec{
		Execution: v1alpha1.ExecutionRef{Project: "p", Domain: "d", Name: name},
		Era:       1, Epoch: 2, Incarnation: incarnation, Revision: 1, Desired: v1alpha1.DesiredRun, CreatedAt: metav1.NowMicro(),
	}}
}

// until waits for a watch of the API server's to bring a change to its admission.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

func TestTheAPIServerRefusesAnEarlierIncarnation(t *testing.T) {
	c, ctx := fenced(t), t.Context()
	made := func(o client.Object) bool { return c.Create(ctx, o) == nil }

	// Policies begin to hold a moment after they were applied.
	until(t, "identities are held", func() bool {
		probe := pod("probe", 1)
		probe.Labels[v1alpha1.LabelEpoch] = "1"
		if err := client.IgnoreAlreadyExists(c.Create(ctx, probe)); err != nil {
			t.Fatal(err)
		}
		probe.Labels[v1alpha1.LabelEpoch] = "3"
		return c.Update(ctx, probe) != nil || c.Delete(ctx, probe) != nil
	})
	for _, o := range []client.Object{workflow("old", 1), pod("old", 1), workflow("done", 1)} {
		if !made(o) {
			t.Fatalf("%T is refused though there is no Fence", o)
		}
	}
	fence := &v1alpha1.Fence{ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.FenceName}, Spec: v1alpha1.FenceSpec{Incarnation: 3}}
	if err := c.Create(ctx, fence); err != nil {
		t.Fatal(err)
	}
	n := 0
	until(t, "the Fence holds", func() bool { n++; return !made(pod("zombie-"+strconv.Itoa(n), 2)) })

	for name, o := range map[string]client.Object{
		"a FlyteWorkflow of an earlier incarnation": workflow("zombie", 2),
		"a pod of an earlier incarnation":           pod("zombie", 1),
		"a pod whose incarnation is no number": func() client.Object {
			p := pod("odd", 3)
			p.Labels[v1alpha1.LabelIncarnation] = "three"
			return p
		}(),
		"a FlyteWorkflow that lies about itself": func() client.Object {
			w := workflow("liar", 2)
			w.Labels[v1alpha1.LabelIncarnation] = "3"
			return w
		}(),
	} {
		if made(o) {
			t.Errorf("%s was made", name)
		}
	}
	for name, o := range map[string]client.Object{
		"a FlyteWorkflow of this incarnation":  workflow("new", 3),
		"a pod of this incarnation":            pod("new", 3),
		"a pod of somebody else's":             &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "room", Name: "other"}, Spec: pod("", 0).Spec},
		"a pod of a propeller without a label": func() client.Object { p := pod("older", 0); delete(p.Labels, v1alpha1.LabelIncarnation); return p }(),
	} {
		if err := c.Create(ctx, o); err != nil {
			t.Errorf("%s was refused: %v", name, err)
		}
	}
	changes(t, c)

	fence.Spec.Incarnation = 2
	if err := c.Update(ctx, fence); err == nil {
		t.Error("the Fence was lowered")
	}
	if made(&v1alpha1.Fence{ObjectMeta: metav1.ObjectMeta{Name: "another"}}) {
		t.Error("a second Fence was made")
	}
}

// changes tries what may be done to what exists: nothing to its identity, and
// below the Fence nothing but what leads to its end.
func changes(t *testing.T, c client.Client) {
	for _, tc := range []struct {
		name   string
		object client.Object
		change string
		ok     bool
	}{
		{"an epoch", workflow("new", 0), `{"metadata":{"labels":{"skein.dev/epoch":"3"}}}`, false},
		{"an era in the spec", workflow("new", 0), `{"spec":{"era":2}}`, false},
		{"an incarnation, raised", workflow("old", 0), `{"metadata":{"labels":{"skein.dev/incarnation":"3"}},"spec":{"incarnation":3}}`, false},
		{"a label taken off", pod("new", 0), `{"metadata":{"labels":{"skein.dev/incarnation":null}}}`, false},
		{"a pod's epoch", pod("old", 0), `{"metadata":{"labels":{"skein.dev/epoch":"3"}}}`, false},
		{"a revision", workflow("new", 0), `{"spec":{"revision":2}}`, true},
		{"a revision below the Fence", workflow("old", 0), `{"spec":{"revision":2}}`, false},
		{"an annotation below the Fence", workflow("done", 0), `{"metadata":{"annotations":{"skein.dev/acked":"3"},"finalizers":[]}}`, true},
		{"an abort below the Fence", workflow("old", 0), `{"spec":{"desired":"abort","cause":"not owned","revision":2}}`, true},
		{"a pod's annotation below the Fence", pod("old", 0), `{"metadata":{"annotations":{"a":"b"}}}`, true},
	} {
		err := c.Patch(t.Context(), tc.object, client.RawPatch("application/merge-patch+json", []byte(tc.change)))
		if ok := err == nil; ok != tc.ok {
			t.Errorf("%s: let through %t: %v", tc.name, ok, err)
		}
	}
	for _, o := range []client.Object{workflow("old", 0), pod("old", 0)} {
		if err := c.Delete(t.Context(), o); err != nil {
			t.Errorf("what is below the Fence cannot be deleted: %v", err)
		}
	}
}
