package capi_test

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skein-project/skein/federation/capi"
)

func TestADrainThatExpired(t *testing.T) {
	for _, tc := range []struct {
		name string
		at   capi.AtDeadline
		lost bool
		goes bool
		says string
	}{
		{"three", capi.Hold, false, false, "drain expired with 1 executions"},
		{"four", capi.LetGo, false, true, ""},
		{"lost-three", capi.Hold, true, false, "declared lost with 1 executions, which are placed elsewhere"},
		{"lost-four", capi.LetGo, true, true, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, capi.Options{AtDeadline: tc.at})
			cluster, _, plane := w.made(tc.name)
			w.registry.set(plane, func(s *capi.State) { s.Remaining, s.Expired, s.Lost = 1, true, tc.lost })
			w.ok(w.client.Delete(t.Context(), cluster))
			if !tc.goes {
				w.await("it says why it stays", func() bool { return w.state(cluster) == tc.says })
				return
			}
			w.await("the cluster goes", func() bool { return w.gone(cluster) })
			if !w.registry.has(plane) {
				t.Error("a data plane was removed that holds executions")
			}
			w.registry.set(plane, func(s *capi.State) { s.Remaining = 0 })
			w.await("the data plane is removed once it is empty", func() bool { return !w.registry.has(plane) })
		})
	}
}

func TestALostClusterGoesOnceItIsEmpty(t *testing.T) {
	w := newWorld(t, capi.Options{})
	cluster, machine, plane := w.made("lost")
	w.registry.set(plane, func(s *capi.State) { s.Lost, s.Remaining, s.Pinned = true, 3, 1 })
	w.await("it says that it is lost", func() bool { return w.state(cluster) == "declared lost" })
	w.ok(w.client.Delete(t.Context(), cluster))
	w.await("it says what is left there", func() bool {
		return strings.HasPrefix(w.state(cluster), "declared lost with 3 executions, 1 of which may not move")
	})
	if _, held := w.get(machine).GetAnnotations()[hook]; !held {
		t.Error("machines were let go while executions remained")
	}
	w.registry.set(plane, func(s *capi.State) { s.Remaining, s.Pinned = 0, 0 })
	w.await("the cluster goes", func() bool { return w.gone(cluster) })
	if _, held := w.get(machine).GetAnnotations()[hook]; held || w.registry.has(plane) {
		t.Error("the data plane stayed, or machines are held")
	}
	if n := see(w.registry, func() int { return w.registry.drains[plane] }); n != 0 {
		t.Errorf("%d drains of a lost cluster were ordered", n)
	}
}

// claim creates a Cluster that asks for a data plane by a name of its choice.
func (w *world) claim(name, plane string) *clusterv1.Cluster {
	w.Helper()
	cluster, _ := w.create(name, asks())
	before := cluster.DeepCopy()
	cluster.Annotations = map[string]string{capi.AnnotationName: plane}
	w.ok(w.client.Patch(w.Context(), cluster, client.MergeFrom(before)))
	w.provisioned(cluster)
	return cluster
}

func (w *world) warned(cluster *clusterv1.Cluster, reason string) bool {
	w.Helper()
	var list corev1.EventList
	w.ok(w.client.List(w.Context(), &list, client.InNamespace(w.namespace)))
	for _, e := range list.Items {
		if e.InvolvedObject.UID == cluster.UID && e.Reason == reason && e.Type == corev1.EventTypeWarning {
			return true
		}
	}
	return false
}

func TestADataPlaneHasOneCluster(t *testing.T) {
	w := newWorld(t, capi.Options{})
	shared := w.namespace + "-a-b"
	first := w.claim("first", shared)
	w.await("the first has it", func() bool { return w.get(first).GetAnnotations()[capi.AnnotationRegistered] == shared })
	w.registry.set(shared, func(s *capi.State) { s.Seen, s.Remaining = time.Now(), 1 })
	second, machine := w.create("a-b", asks())
	w.provisioned(second)
	w.await("the second is refused, and says by whom", func() bool {
		return strings.Contains(w.state(second), "data plane "+shared+" belongs to Cluster "+w.namespace+".first")
	})
	w.await("an event tells it", func() bool { return w.warned(second, "DataPlaneOfAnother") })
	w.ok(w.client.Delete(t.Context(), second))
	w.await("the second goes", func() bool { return w.gone(second) })
	if _, held := w.get(machine).GetAnnotations()[hook]; held {
		t.Error("machines of the second are held")
	}
	see(w.registry, func() int {
		if w.registry.clusters[shared] == nil || w.registry.looks[shared] > 0 || w.registry.labels[shared][capi.LabelOwner] != string(first.UID) {
			t.Error("the first's data plane was drained, removed or taken over")
		}
		return 0
	})
}

func TestADataPlaneOfAnOperatorIsLeftAlone(t *testing.T) {
	w := newWorld(t, capi.Options{})
	plane, labels := w.namespace+"-prod", map[string]string{"region": "eu"}
	w.registry.byHand(plane, map[string]string{"region": "eu"})
	taken := w.claim("taken", plane)
	w.await("it is refused", func() bool { return strings.Contains(w.state(taken), "was not registered by test") })
	w.ok(w.client.Delete(t.Context(), taken))
	w.await("the Cluster goes", func() bool { return w.gone(taken) })
	w.registry.untouched(t, plane, labels)

	given := w.claim("given", plane)
	w.await("it is refused again", func() bool { return strings.Contains(w.state(given), "was not registered by test") })
	see(w.registry, func() int { w.registry.labels[plane][capi.LabelManagedBy] = "test"; return 0 })
	w.await("it is taken over when it is handed over", func() bool { return w.state(given) == "joined" })

	see(w.registry, func() int { w.registry.labels[plane] = map[string]string{"region": "eu"}; return 0 })
	w.await("it is refused once more", func() bool { return strings.Contains(w.state(given), "was not registered by test") })
	w.ok(w.client.Delete(t.Context(), given))
	// Its machines run that data plane.
	w.await("the deletion is refused too", func() bool {
		return w.get(given).GetDeletionTimestamp() != nil && w.warned(given, "DataPlaneOfAnother")
	})
	w.registry.untouched(t, plane, labels)
}

func TestABadNameHoldsNothing(t *testing.T) {
	w := newWorld(t, capi.Options{})
	cluster, _, plane := w.made("named")
	w.registry.set(plane, func(s *capi.State) { s.Seen = time.Now() })
	for _, name := range []string{"other", "No Name"} {
		before := w.get(cluster).DeepCopyObject().(*clusterv1.Cluster)
		cluster.Annotations[capi.AnnotationName] = name
		w.ok(w.client.Patch(t.Context(), cluster, client.MergeFrom(before)))
		w.await("it keeps its name", func() bool { return w.state(cluster) == "joined as "+plane+", which it stays" })
	}
	w.ok(w.client.Delete(t.Context(), cluster))
	w.await("the cluster goes", func() bool { return w.gone(cluster) })
	if w.registry.has(plane) || see(w.registry, func() int { return w.registry.drains[plane] }) != 1 {
		t.Error("its data plane was not drained and removed")
	}

	bad := w.claim("bad", "No Name")
	w.await("it says so", func() bool { return strings.Contains(w.state(bad), `"No Name" cannot name a data plane`) })
	before := w.get(bad).DeepCopyObject().(*clusterv1.Cluster)
	bad.Finalizers = []string{capi.Finalizer} // as if the annotation had come later
	w.ok(w.client.Patch(t.Context(), bad, client.MergeFrom(before)))
	w.ok(w.client.Delete(t.Context(), bad))
	w.await("it goes", func() bool { return w.gone(bad) })
}

func TestAMemberThatWasSilentTooLongGetsANewToken(t *testing.T) {
	w := newWorld(t, capi.Options{Silent: time.Hour, Patience: time.Second})
	cluster, _, plane := w.made("silent")
	w.await("a token", func() bool { return w.registry.tokensOf(plane) == 1 })
	ran := func() {
		before := w.get(cluster).DeepCopyObject().(*clusterv1.Cluster)
		cluster.Annotations[capi.AnnotationToken] = time.Now().Add(-time.Minute).UTC().Format(time.RFC3339)
		w.ok(w.client.Patch(t.Context(), cluster, client.MergeFrom(before)))
	}
	w.registry.set(plane, func(s *capi.State) { s.Seen = time.Now().Add(-59 * time.Minute) })
	w.await("it has joined", func() bool { return w.state(cluster) == "joined" })
	ran()
	w.await("it is looked at again", func() bool { return w.state(cluster) == "joined" })
	if n := w.registry.tokensOf(plane); n != 1 {
		t.Errorf("%d tokens for a member whose certificate may be valid", n)
	}
	began := time.Now()
	w.registry.set(plane, func(s *capi.State) { s.Seen = time.Now().Add(-61 * time.Minute) })
	w.await("another token", func() bool { return w.registry.tokensOf(plane) == 2 })
	if d := time.Since(began); d < time.Second {
		t.Errorf("after %s, which is no patience", d)
	}
}
