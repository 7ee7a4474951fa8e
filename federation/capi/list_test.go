package capi_test

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/deploy/local/localtest"
	"github.com/skein-project/skein/federation/capi"
)

func TestAList(t *testing.T) {
	cluster := localtest.Cluster(t)
	admin, err := cluster.RESTConfig()
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.NewWithWatch(admin, client.Options{})
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

func TestAListThatWasEmptied(t *testing.T) {
	r := newRegistry()
	for _, name := range []string{"left", "lost", "other"} {
		r.byHand(name, map[string]string{capi.LabelManagedBy: map[bool]string{true: "somebody", false: "list"}[name == "other"]})
	}
	r.set("lost", func(s *capi.State) { s.Lost, s.Pinned = true, 1 })
	w := &world{T: t, registry: r}
	list, err := capi.NewList(nil, capi.Options{Name: "list", Registry: r, Install: capi.Apply{}, Poll: 20 * time.Millisecond, Refresh: 20 * time.Millisecond})
	w.ok(err)
	go func() { _ = list.Run(t.Context()) }()
	for name, drains := range map[string]int{"left": 1, "lost": 0} {
		w.await(name+" is looked at, and held", func() bool { return see(r, func() int { return r.looks[name] }) > 1 && r.has(name) })
		r.set(name, func(s *capi.State) { s.Remaining, s.Pinned = 0, 0 })
		w.await(name+" is removed", func() bool { return !r.has(name) })
		if n := see(r, func() int { return r.drains[name] }); n != drains {
			t.Errorf("%s: %d drains were ordered, want %d", name, n, drains)
		}
	}
	r.untouched(t, "other", map[string]string{capi.LabelManagedBy: "somebody"})
}

func TestAListTakesNothingOfAnOperator(t *testing.T) {
	r := newRegistry()
	r.byHand("prod", map[string]string{"region": "eu"})
	w := &world{T: t, registry: r, namespace: "default"}
	entries := []capi.Entry{
		{Name: "prod", Kubeconfig: "/none", Labels: map[string]string{"region": "us"}},
		{Name: "plain", Kubeconfig: "/none", Labels: map[string]string{capi.LabelManagedBy: "another", capi.LabelLeaving: "now", "tier": "gold"}},
	}
	list, err := capi.NewList(entries, capi.Options{Name: "list", Registry: r, Install: capi.Apply{}, Poll: 20 * time.Millisecond, Refresh: 20 * time.Millisecond})
	w.ok(err)
	go func() { _ = list.Run(t.Context()) }()
	w.await("the other is registered", func() bool { return r.has("plain") })
	r.untouched(t, "prod", map[string]string{"region": "eu"})
	if got := see(r, func() map[string]string { return r.labels["plain"] }); len(got) != 2 || got[capi.LabelManagedBy] != "list" || got["tier"] != "gold" {
		t.Errorf("labels %v", got)
	}
}
