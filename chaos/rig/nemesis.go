package rig

import (
	"time"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/scheduler"
)

// What happens between deciding and acting is what acting guards against. So
// the word is given back there, mostly for an instant; and where a decision
// takes work from a cluster, that cluster often comes back just then.

// hesitate gives the pauses between a term's observing and its acting.
func (w *World) hesitate(seen *scheduler.Seen) []func() time.Duration {
	if c := w.victim(seen); c != nil && w.sim.chance(0.6) {
		return w.comeback(c)
	}
	d := time.Duration(0)
	if w.sim.chance(0.05) {
		d = w.sim.between(0, 3*time.Second)
	}
	return []func() time.Duration{func() time.Duration { return d }}
}

// victim is a cluster from which something is to be taken by force.
func (w *World) victim(seen *scheduler.Seen) *cluster {
	if w.cfg.Kind != Faults {
		return nil
	}
	for _, p := range seen.Plan.Placements {
		if p.From != "" {
			return w.named(p.From)
		}
	}
	for _, c := range seen.Sight.Clusters {
		if c.Health == flow.HealthLapsed && seen.Doubt == "" && !seen.Sight.Held[c.Name] && w.aborting(c.Name) {
			return w.named(c.Name)
		}
	}
	return nil
}

// aborting reports whether a cluster holds something that is to be aborted.
func (w *World) aborting(name string) bool {
	for _, id := range w.clients.launched {
		row, _ := w.db.Row(id)
		if row.Cluster == name && row.Phase == flow.ExecutionAborting {
			return true
		}
	}
	return false
}

// comeback lets a cluster that is about to lose work reach the control plane
// again, and holds the leader until its members are being judged, were judged,
// or leased.
func (w *World) comeback(c *cluster) (pauses []func() time.Duration) {
	const step = 2 * time.Millisecond
	w.logf("nemesis: %s comes back while its work is being taken", c.name)
	for _, heal := range c.cuts {
		heal()
	}
	c.cuts = nil
	since, done := w.sim.now, false
	moment := pick(w.sim, []*time.Duration{&c.judgingAt, &c.judgedAt, &c.leasedAt})
	if w.sim.chance(0.3) {
		w.strand(c)
		return nil
	}
	for range 4000 {
		pauses = append(pauses, func() time.Duration {
			if done = done || *moment > since; done {
				return 0
			}
			return step
		})
	}
	return pauses
}

// strand lets the transaction that takes a cluster's work be in flight while a
// successor begins and leases the cluster; then it lands.
func (w *World) strand(c *cluster) {
	since := w.sim.now
	w.detain = true
	w.logf("nemesis: what the leader writes next is in flight; another one is elected")
	w.oracle.depose(w.sim.between(100*time.Millisecond, time.Second))
	var look func()
	look = func() {
		if c.leasedAt > since || w.sim.now-since > 15*time.Second {
			w.detain = false
			w.land()
			return
		}
		w.sim.after(5*time.Millisecond, look)
	}
	look()
}
