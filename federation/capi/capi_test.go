package capi_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skein-project/skein/federation/capi"
)

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
	want := map[string]string{"tier": "spot", "region": "eu", "zones": "a.b", "made-by": "capi", capi.LabelManagedBy: "test",
		capi.LabelOwner: string(cluster.UID), capi.LabelOwnerName: w.namespace + ".one"}
	for k, v := range want {
		if labels[k] != v {
			t.Errorf("label %s is %q, want %q", k, labels[k], v)
		}
	}
	if len(labels) != len(want) {
		t.Errorf("labels %v, want %v", labels, want)
	}
	w.await("machines are held", func() bool { _, has := w.get(machine).GetAnnotations()[hook]; return has })

	w.registry.set(plane, func(s *capi.State) { s.Seen, s.Remaining = time.Now(), 2 })
	w.await("it is seen to have joined", func() bool { return w.state(cluster) == "joined" })
	if n := see(w.registry, func() int { return w.registry.tokens[plane] }); n != 1 {
		t.Errorf("%d tokens were made", n)
	}

	w.ok(w.client.Delete(t.Context(), cluster))
	w.await("the drain begins", func() bool { return see(w.registry, func() int { return w.registry.looks[plane] }) > 2 })
	if _, held := w.get(machine).GetAnnotations()[hook]; !held {
		t.Error("machines were let go while executions remained")
	}
	w.get(cluster) // it still stands
	w.registry.set(plane, func(s *capi.State) { s.Remaining = 0 })
	w.await("the cluster goes", func() bool { return w.gone(cluster) })
	if _, held := w.get(machine).GetAnnotations()[hook]; held {
		t.Error("machines are held though the data plane is gone")
	}
	if n := see(w.registry, func() int { return w.registry.drains[plane] }); n != 1 {
		t.Errorf("%d drains were ordered", n)
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
