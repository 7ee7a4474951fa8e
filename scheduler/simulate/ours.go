package simulate

import (
	"time"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/scheduler/placement"
)

// epoch is when a run begins.
var epoch = time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)

// ours asks the production placement.Decide.
type ours struct {
	policy       placement.Policy
	policies     []flow.Policy
	requirements map[string]flow.Requirement
	clusters     []placement.ClusterView // but for their health
	index        map[string]int
}

func newOurs(s Scenario, weights flow.Weights) *ours {
	o := &ours{policy: placement.DefaultPolicy(), policies: append([]flow.Policy{}, s.Policies...), requirements: map[string]flow.Requirement{}}
	o.policy.Weights = weights
	for _, t := range s.Tenants {
		o.policies = append(o.policies, flow.Policy{Version: 1,
			Scope: flow.PolicyScope{Level: flow.PolicyProject, Project: t.Project, Domain: t.Domain},
			Share: &flow.PolicyShare{Weight: t.Weight, Quota: t.Quota}})
	}
	return o
}

func (o *ours) capped() bool { return true }

func (o *ours) choose(w *world) {
	lapsed := w.lapsed()
	if len(w.pending) == 0 && len(lapsed) == 0 {
		return
	}
	v := o.view(w, lapsed)
	plan := placement.Decide(v)
	o.apply(w, plan, lapsed)
}

// lapsed are the executions of clusters that have lapsed, by their index in the
// view behind those that are pending.
func (w *world) lapsed() []*execution {
	var out []*execution
	for i := range w.sites {
		s := &w.sites[i]
		if s.down < 0 || len(s.queue) == 0 || w.health(s) != flow.HealthLapsed {
			continue
		}
		for _, e := range s.queue {
			if w.kinds[e.kind].failover.Moves(e.moves) {
				out = append(out, e)
			}
		}
	}
	return out
}

// know notes what stays as it is.
func (o *ours) know(w *world) {
	o.index = make(map[string]int, len(w.sites))
	for i := range w.kinds {
		o.requirements[w.kinds[i].digest] = w.kinds[i].ask
	}
	for i := range w.sites {
		s := &w.sites[i]
		o.index[s.name] = i
		o.clusters = append(o.clusters, placement.ClusterView{Cluster: flow.Cluster{Name: s.name, Labels: s.labels, Taints: s.taints,
			Capacity: s.capacity, LargestNode: s.node, Store: "shared"}})
	}
}

// view is the world as the scheduler's snapshot would show it.
func (o *ours) view(w *world, lapsed []*execution) placement.View {
	if o.clusters == nil {
		o.know(w)
	}
	v := placement.View{Now: epoch.Add(w.now), Policy: o.policy, Policies: o.policies, Requirements: o.requirements,
		Clusters: o.clusters, Limits: placement.Limits{Reasons: 1}}
	for i := range w.sites {
		health := w.health(&w.sites[i])
		c := &o.clusters[i]
		c.Health, c.Recorded, c.Leased, c.Heard = health, health, health == flow.HealthHealthy, health == flow.HealthHealthy
	}
	n := min(len(w.pending), w.scenario.Pending)
	v.Pending = make([]flow.Pending, 0, n+len(lapsed))
	for _, e := range w.pending[:n] {
		v.Pending = append(v.Pending, w.asPending(e))
	}
	for _, e := range lapsed {
		p := w.asPending(e)
		p.From = w.sites[e.site].name
		v.Pending = append(v.Pending, p)
	}
	v.Loads = w.loads()
	return v
}

func (w *world) asPending(e *execution) flow.Pending {
	return flow.Pending{Execution: e.id, Epoch: flow.Epoch{Era: 1, N: e.epoch}, Digest: w.kinds[e.kind].digest,
		CreatedAt: epoch.Add(e.at), Failover: w.kinds[e.kind].failover, Moves: e.moves}
}

// loads sum up what is placed, running or not.
func (w *world) loads() []flow.Load {
	var out []flow.Load
	for at, n := range w.placed {
		if n == 0 {
			continue
		}
		k := &w.kinds[at%len(w.kinds)]
		rest := at / len(w.kinds)
		out = append(out, flow.Load{Cluster: w.sites[rest/len(w.tenants)].name, Tenant: w.tenants[rest%len(w.tenants)].Tenant,
			Workflow: k.name, Executions: n, Reservation: k.ask.Reservation.Times(n)})
	}
	return out
}

// apply makes a plan true.
func (o *ours) apply(w *world, plan placement.Plan, lapsed []*execution) {
	to := make(map[string]string, len(plan.Placements))
	for _, p := range plan.Placements {
		to[p.Execution.Name] = p.Cluster
	}
	for _, e := range lapsed {
		if cluster, ok := to[e.id.Name]; ok {
			w.leave(e)
			e.moves++
			w.measure.moves++
			w.put(e, o.index[cluster])
		}
	}
	left := w.pending[:0]
	for _, e := range w.pending {
		if cluster, ok := to[e.id.Name]; ok {
			w.put(e, o.index[cluster])
		} else {
			left = append(left, e)
		}
	}
	clear(w.pending[len(left):])
	w.pending = left
}

// leave takes an execution out of its cluster's queue.
func (w *world) leave(e *execution) {
	s := &w.sites[e.site]
	w.placed[w.cell(e)]--
	for i, q := range s.queue {
		if q == e {
			s.queue = append(s.queue[:i], s.queue[i+1:]...)
			return
		}
	}
}
