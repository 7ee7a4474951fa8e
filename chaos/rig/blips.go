package rig

import (
	"time"
)

// What it takes a cluster, when its links are back, until a lease is recorded
// for it again, at most.
const (
	redial = 2 * longestPause       // the pause before the next dial, and its jitter
	answer = 500 * time.Millisecond // from that dial to the record: session, inventory, verdicts, request, transaction
)

// blip cuts one cluster, or several, one way or both, for less than their leases
// must survive.
func (w *World) blip() {
	var hit []*cluster
	for _, c := range w.clusters {
		if w.sim.chance(0.5) && w.bearable(c) > 100*time.Millisecond {
			hit = append(hit, c)
		}
	}
	if len(hit) == 0 {
		return
	}
	longest := w.bearable(hit[0])
	for _, c := range hit {
		longest = min(longest, w.bearable(c))
	}
	d := longest - w.sim.between(0, 300*time.Millisecond)
	if w.sim.chance(0.5) {
		d = w.sim.between(100*time.Millisecond, longest)
	}
	up := w.sim.chance(0.8)
	down := !up || w.sim.chance(0.8)
	w.blips++
	for _, c := range hit {
		w.logf("fault: %s is cut off for %s (up: %t, down: %t)", c.name, d, up, down)
		w.cut(w.roads(c, up, down), d)
		c.blipEnds = w.sim.now + d
	}
}

// bearable is how long an outage of a cluster that begins now may last, so that
// nothing of it may be moved. Its newest lease ends, for the leader, one lease
// and the margin after the leader heard that it was recorded; a cluster that is
// still cut off, or has no lease yet, bears nothing.
func (w *World) bearable(c *cluster) time.Duration {
	if w.sim.now < c.blipEnds || c.leasedAt < c.blipEnds || c.leasedAt == 0 {
		return 0
	}
	s := w.cfg.Scheduler
	age := w.sim.now - c.leasedAt
	return s.Lease + s.Health.Margin - age - redial - answer + w.cfg.Beyond
}
