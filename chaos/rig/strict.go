package rig

import (
	"time"

	"github.com/skein-project/skein/api/flow"
)

// Times of strict work, as propeller has them: what a pod gets to end in, and
// what it takes until its node has heard that it is to.
const (
	strictGrace  = 2 * time.Second
	strictMargin = time.Second
)

// lapses reports whether strict work of an object is to be stopped now, so that
// its grace ends inside the lease. If not, the engine looks again when it may be.
func (e *engine) lapses(o *object) bool {
	if o.run == nil || !o.run.Failover.Strict {
		return false
	}
	by, bounded := e.m.state.MustStop(e.m.now(), o.id, o.epoch)
	if !bounded {
		return false
	}
	left := by - strictGrace - strictMargin
	if left <= 0 {
		return true
	}
	e.wakeIn(left)
	return false
}

// wakeIn lets the engine look again then, at the latest.
func (e *engine) wakeIn(d time.Duration) {
	w := e.m.w
	at := w.sim.now + d
	if e.alarm > w.sim.now && e.alarm <= at {
		return
	}
	e.alarm = at
	e.m.post(d, func() {
		if e.alarm == at {
			e.alarm = 0
		}
		e.wake()
	})
}

// running reports whether a pod of an object runs that was not told to end.
func (c *cluster) running(o *object) bool {
	for _, p := range c.podsOf(o) {
		if !p.done && !p.ending {
			return true
		}
	}
	return false
}

// podsOf are an object's pods, the one that its status may not know of included.
func (c *cluster) podsOf(o *object) (list []*pod) {
	for i := range o.nodes {
		n := &o.nodes[i]
		for a := range len(n.attempts) + 1 {
			if p := c.pods[podKey{o.place, i, n.first + uint32(a)}]; p != nil {
				list = append(list, p)
			}
		}
	}
	return list
}

// kill tells an object's pods to end; each takes a while, at most its grace.
func (c *cluster) kill(o *object) {
	for _, p := range c.podsOf(o) {
		if p.done || p.ending {
			continue
		}
		p.ending = true
		c.w.logf("%s: stops a pod of %s, which is strict: the lease ends", c.name, o.place)
		c.w.sim.after(c.w.sim.between(0, strictGrace), func() {
			if !p.done {
				p.done, p.phase = true, flow.TaskAborted
				c.changed(o)
			}
		})
	}
}

// impair notes that for so long nobody may be there who can kill what runs in a
// cluster: its propeller is stopped or dead, or its API server fails. Another
// propeller takes over after a while, and looks at all there is.
func (c *cluster) impair(d time.Duration) {
	c.impaired = max(c.impaired, c.w.sim.now+d+holdFor+2*holdAgain+lookEvery)
}

// alone demands of strict work that starts that it runs nowhere else (I69), but
// where the process that has to kill it may have been away; and but for what is
// pinned to a cluster that a restored backup does not know: it may go on until a
// verdict stops it, and start what comes next.
func (w *World) alone(c *cluster, o *object) {
	if o.run == nil || !o.run.Failover.Strict || c.forgotten && o.run.Failover.Pinned() {
		return
	}
	for _, other := range w.clusters {
		if other == c || w.sim.now < other.impaired {
			continue
		}
		for _, x := range other.order {
			if x.id != o.id || other.forgotten && o.run.Failover.Pinned() {
				continue
			}
			for _, p := range other.podsOf(x) {
				if !p.done {
					w.violate("I69", "%s starts work of %s, which is strict, while node %s of %s runs on %s",
						c.name, o.place, nodeName(p.key.node), x.place, other.name)
				}
			}
		}
	}
}
