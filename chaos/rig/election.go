package rig

import "time"

// oracle elects, in place of raft. It may elect a second replica while the first
// one does not know yet that it has lost, or cannot know, being stopped.
type oracle struct {
	w        *World
	leader   *replica // as hubs believe
	electing bool
}

// lost is told that a replica has died or that its term has failed.
func (o *oracle) lost(r *replica) {
	if o.leader == r {
		o.leader = nil
		o.elect(o.w.sim.between(200*time.Millisecond, 2*time.Second))
	}
}

// elect finds a new leader after a while.
func (o *oracle) elect(d time.Duration) {
	if o.electing {
		return
	}
	o.electing = true
	o.w.sim.after(d, func() {
		o.electing = false
		var able []*replica
		for _, r := range o.w.replicas {
			if r.up && !r.paused && o.w.majority(r) {
				able = append(able, r)
			}
		}
		if len(able) == 0 {
			o.elect(o.w.sim.between(500*time.Millisecond, time.Second))
			return
		}
		o.leader = pick(o.w.sim, able)
		for _, r := range o.w.replicas {
			if r.up && o.w.mutual(o.leader, r) {
				o.leader.learn(r.known) // nobody wins who lacks what its voters have
			}
		}
		o.leader.lead()
	})
}

// depose elects another replica; the old one learns of it after a while, if it
// is not stopped: until then there are two.
func (o *oracle) depose(stale time.Duration) {
	old := o.leader
	if old == nil {
		return
	}
	o.w.logf("election: %s has lost, and will know in %s", old.name, stale)
	o.leader = nil
	old.post(stale, func() {
		if g := old.reign; g != nil && o.leader != old {
			old.reign = nil
			g.over = true
			g.end()
		}
	})
	o.elect(o.w.sim.between(100*time.Millisecond, 1500*time.Millisecond))
}

// majority reports whether a replica reaches more than half of all.
func (w *World) majority(r *replica) bool {
	n := 0
	for _, o := range w.replicas {
		if o == r || o.up && w.mutual(r, o) {
			n++
		}
	}
	return 2*n > len(w.replicas)
}

// mutual reports whether two replicas reach each other.
func (w *World) mutual(a, b *replica) bool {
	return w.net.reaches(a.site, b.site) && w.net.reaches(b.site, a.site)
}
