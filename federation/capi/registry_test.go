package capi_test

import (
	"context"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/federation/capi"
)

// registry is a control plane with the contract of capi.Registry and nothing
// behind it.
type registry struct {
	mu       sync.Mutex
	clusters map[string]*capi.State
	labels   map[string]map[string]string
	tokens   map[string]int
	looks    map[string]int // calls of Drain
	drains   map[string]int // drains that were ordered
	removed  []string
}

func newRegistry() *registry {
	return &registry{clusters: map[string]*capi.State{}, labels: map[string]map[string]string{},
		tokens: map[string]int{}, looks: map[string]int{}, drains: map[string]int{}}
}

func (r *registry) Ensure(_ context.Context, x capi.Registration) (capi.State, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.clusters[x.Name] == nil {
		r.clusters[x.Name], r.labels[x.Name] = &capi.State{Name: x.Name}, maps.Clone(x.Labels)
	}
	if err := x.Owner.Check(x.Name, r.labels[x.Name]); err != nil {
		return capi.State{}, err
	}
	maps.Copy(r.labels[x.Name], x.Labels)
	delete(r.labels[x.Name], capi.LabelLeaving)
	return *r.clusters[x.Name], nil
}

func (r *registry) Token(_ context.Context, x capi.Registration) (capi.Join, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tokens[x.Name]++
	return capi.Join{Cluster: x.Name, Token: "token-of-" + x.Name, Expires: time.Now().Add(time.Hour), CA: "ca", Hubs: []string{"hub:1"}},
		x.Owner.Check(x.Name, r.labels[x.Name])
}

func (r *registry) Drain(_ context.Context, name string, o capi.Owner, _ capi.Drain) (capi.State, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.clusters[name] == nil {
		return capi.State{}, fault.E(fault.NotFound, "cluster %q does not exist", name)
	}
	if err := o.Check(name, r.labels[name]); err != nil {
		return capi.State{}, err
	}
	r.looks[name]++
	if _, leaving := r.labels[name][capi.LabelLeaving]; !leaving {
		if !r.clusters[name].Lost {
			r.drains[name]++
		}
		maps.Copy(r.labels[name], o.Labels())
		r.labels[name][capi.LabelLeaving] = capi.Leaving(time.Now())
	}
	return *r.clusters[name], nil
}

func (r *registry) Remove(_ context.Context, name string, o capi.Owner) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.clusters[name] == nil {
		return nil
	}
	if err := o.Check(name, r.labels[name]); err != nil {
		return err
	}
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
	for name := range r.clusters {
		if labels := r.labels[name]; labels[capi.LabelManagedBy] == by {
			out = append(out, capi.State{Name: name, Owner: capi.OwnerIn(labels), Leaving: capi.LeavingIn(labels)})
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

// byHand registers a cluster as an operator does.
func (r *registry) byHand(name string, labels map[string]string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clusters[name], r.labels[name] = &capi.State{Name: name, Seen: time.Now(), Healthy: true, Remaining: 1}, labels
}

func (r *registry) has(name string) bool {
	return see(r, func() bool { return r.clusters[name] != nil })
}

func (r *registry) tokensOf(name string) int { return see(r, func() int { return r.tokens[name] }) }

// untouched fails unless a cluster is as byHand left it.
func (r *registry) untouched(t *testing.T, name string, labels map[string]string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.clusters[name] == nil || !maps.Equal(r.labels[name], labels) || r.drains[name]+r.tokens[name] > 0 {
		t.Errorf("%s was changed: %v with %v, %d drains and %d tokens", name, r.clusters[name], r.labels[name], r.drains[name], r.tokens[name])
	}
}
