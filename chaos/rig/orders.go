package rig

import (
	"slices"
	"time"

	"github.com/skein-project/skein/api/flow"
)

// What operators order besides declaring clusters lost: drains, taints, cordons,
// quotas. An order is one call of the database, and may fail like any other.

// maintenance is the taint that operators put on clusters.
const maintenance = "maintenance"

// orders are what operators may do.
func (w *World) orders() []func() {
	return []func(){w.drain, w.drain, w.taint, w.cordon, w.raise}
}

// order changes one cluster's row, for a while.
func (w *World) order(c *cluster, what string, d time.Duration, do, undo func(*flow.Cluster)) {
	w.change(c, what, do)
	w.until(d, func() { w.change(c, what+", undone", undo) })
}

func (w *World) change(c *cluster, what string, do func(*flow.Cluster)) {
	_, err := w.db.UpdateCluster(w.ctx, c.name, func(row *flow.Cluster) error { do(row); return nil },
		flow.Audit{Actor: "operator", Action: "cluster." + what})
	w.logf("operator: %s: %s: %v", c.name, what, err)
}

// drain empties a cluster, with its budget; mostly there is a deadline, and
// often the drain is stopped before its end.
func (w *World) drain() {
	c, at := pick(w.sim, w.clusters), epoch0.Add(w.sim.now)
	if w.db.Cluster(c.name).Lost {
		return
	}
	d := flow.ClusterDrain{Budget: c.budget, Grace: int64(3 * w.sim.rng.IntN(3)), By: "operator", At: at}
	if w.sim.chance(0.7) {
		d.Deadline = at.Add(w.sim.between(3*time.Second, 40*time.Second))
	}
	w.order(c, "drain", w.sim.between(5*time.Second, time.Minute), func(row *flow.Cluster) {
		if !row.Lost {
			row.Drain, row.Cordoned = &d, true
		}
	}, func(row *flow.Cluster) { row.Drain, row.Cordoned = nil, false })
}

// taint drives away what does not tolerate it, at once or after a while.
func (w *World) taint() {
	c := pick(w.sim, w.clusters)
	w.order(c, "taint", w.sim.between(5*time.Second, 40*time.Second), func(row *flow.Cluster) {
		row.Taints = []flow.Taint{{Key: maintenance, Effect: flow.NoExecute}}
	}, func(row *flow.Cluster) { row.Taints = nil })
}

func (w *World) cordon() {
	c := pick(w.sim, w.clusters)
	w.order(c, "cordon", w.sim.between(time.Second, 20*time.Second), func(row *flow.Cluster) { row.Cordoned = true },
		func(row *flow.Cluster) { row.Cordoned = row.Drain != nil })
}

// declare writes the policies that this world begins with: priorities, and for
// each tenant a quota that it can use up.
func (w *World) declare() error {
	if !w.cfg.Orders {
		return nil
	}
	classes := flow.Policy{Scope: flow.PolicyScope{Level: flow.PolicySystem}, Author: "operator",
		Rules: flow.PolicyRules{Classes: map[string]int32{"high": 10, "low": -10}, Spread: pick(w.sim, []string{"", "region"})}}
	if _, err := w.db.PutPolicy(w.ctx, classes, 0); err != nil {
		return err
	}
	for _, domain := range domains {
		t := flow.Tenant{Project: "p", Domain: domain}
		q := flow.Quota{Executions: int64(2 + w.sim.rng.IntN(4)), MilliCPU: int64(1500 + 500*w.sim.rng.IntN(5))}
		if w.cfg.Kind == Losses { // most of it is to run
			q = flow.Quota{Executions: int64(w.cfg.Executions/3 + w.sim.rng.IntN(w.cfg.Executions))}
		}
		if err := w.quota(t, q, 0); err != nil {
			return err
		}
	}
	return nil
}

// raise gives a tenant more. Quotas only rise: a plan that was decided under the
// older one must hold the newer one as well.
func (w *World) raise() {
	t := flow.Tenant{Project: "p", Domain: pick(w.sim, domains)}
	q, ok := w.quotas[t]
	if !ok {
		return
	}
	q.Executions++
	q.MilliCPU += 500
	scope := flow.PolicyScope{Level: flow.PolicyProject, Project: t.Project, Domain: t.Domain}
	old, err := w.db.GetPolicy(w.ctx, scope.String(), 0)
	if err == nil {
		err = w.quota(t, q, old.Version)
	}
	w.logf("operator: the quota of %s becomes %+v: %v", t, q, err)
}

// quota writes a tenant's quota. From here on the checker goes by it, if it may
// have been written.
func (w *World) quota(t flow.Tenant, q flow.Quota, version uint64) error {
	w.quotas[t] = q
	_, err := w.db.PutPolicy(w.ctx, flow.Policy{Scope: flow.PolicyScope{Level: flow.PolicyProject, Project: t.Project, Domain: t.Domain},
		Author: "operator", Share: &flow.PolicyShare{Quota: &q}}, version)
	return err
}

// release ends what operators have ordered.
func (w *World) release() {
	for _, c := range w.clusters {
		if row := w.db.Cluster(c.name); row.Drain != nil || row.Cordoned || len(row.Taints) > 0 {
			w.change(c, "open", func(row *flow.Cluster) { row.Drain, row.Cordoned, row.Taints = nil, false, nil })
		}
	}
}

// overdue demands that a drain ends at its deadline, if nothing is wrong: here
// clocks differ by a few seconds, and a cycle comes each second.
func (w *World) overdue() {
	for _, c := range w.clusters {
		d := w.db.Cluster(c.name).Drain
		if d != nil && !d.Expired && !d.Deadline.IsZero() && epoch0.Add(w.sim.now).Sub(d.Deadline) > 15*time.Second {
			w.violate("I57", "the drain of %s goes on, and was to end at %s", c.name, d.Deadline.Sub(epoch0))
		}
	}
	w.sim.after(time.Second, w.overdue)
}

// moved looks at the place that a planned move has left: nothing of it runs, and
// it had not ended by itself (I60, I71).
func (w *World) moved(c *cluster, p place) {
	for k, pod := range c.pods {
		if k.place == p && !pod.done {
			w.violate("I71", "%s was moved from %s as planned, and node %s of it runs there", p, c.name, nodeName(k.node))
		}
	}
	if o := c.find(p); o != nil && (!o.ended() || o.phase != flow.ExecutionAborted) {
		w.violate("I60", "%s was moved from %s as planned, and its object there is %s", p, c.name, o.phase)
	}
}

// tolerations are those of an execution: none, for some seconds, or for ever.
func (w *World) tolerations() []flow.Toleration {
	t := flow.Toleration{Key: maintenance, Operator: "Exists"}
	switch w.sim.rng.IntN(4) {
	case 0:
		seconds := int64(w.sim.rng.IntN(15))
		t.Seconds = &seconds
	case 1:
	default:
		return nil
	}
	return slices.Clip([]flow.Toleration{t})
}
