package rig

import (
	"fmt"
	"slices"
	"time"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/mutant"
	"github.com/skein-project/skein/federation/session"
)

// place is one placement of an execution: what an object is named by.
type place struct {
	id    flow.ExecutionID
	epoch flow.Epoch
}

func (p place) String() string { return fmt.Sprintf("%s@%s", p.id.Name, p.epoch) }

// cluster is one data plane: its API server with objects and pods, which outlive
// every process, and its members.
type cluster struct {
	w       *World
	name    string
	members []*member
	rows    map[place]*object
	order   []*object // as they were created
	pods    map[podKey]*pod
	holder  *member // of the Lease object by which one propeller drives all
	seenAt  time.Duration
	failing float64 // of requests to the API server
	slow    time.Duration
	cuts    []func() // that heal its roads before their time

	wiped    map[place]bool // of which an object was lost
	impaired time.Duration  // until when nobody may be there to kill what runs
	budget   int            // of its drains
	capacity flow.Resources

	forgotten bool // a restored backup knows no member of it

	// When verdicts were last asked for and taken, and a lease last recorded.
	judgingAt, judgedAt, leasedAt time.Duration
	blipEnds                      time.Duration // of the newest blip
}

// request is one call of the API server. The server may carry out what its
// caller never hears of.
func (c *cluster) request(p *proc, op func() bool, then func(ok bool)) {
	w := c.w
	life := p.life
	lost := w.sim.chance(c.failing)
	w.sim.after(w.sim.between(500*time.Microsecond, 10*time.Millisecond)+c.slow, func() {
		ok := !lost || w.sim.chance(0.3)
		if ok {
			ok = op()
		}
		ok = ok && !lost
		w.sim.after(w.sim.between(200*time.Microsecond, 2*time.Millisecond), func() { p.take(life, func() { then(ok) }) })
	})
}

func (c *cluster) find(p place) *object { return c.rows[p] }

func (c *cluster) objects() []*object { return slices.Clone(c.order) }

// pinned are the objects that no lapse stops; begun says that they must have
// started something.
func (c *cluster) pinned(begun bool) map[flow.ExecutionID]flow.Epoch {
	found := map[flow.ExecutionID]flow.Epoch{}
	for _, o := range c.order {
		if o.run != nil && o.run.Failover.Pinned() && o.desired == flow.DesiredRun && !o.ended() && (!begun || o.started) {
			found[o.id] = o.epoch
		}
	}
	return found
}

func (c *cluster) create(p place, a flow.Assignment) {
	o := &object{place: p, c: c, desired: a.Desired, revision: a.Revision, run: a.Run, job: c.w.jobs[p.id], phase: flow.ExecutionQueued}
	o.recover(a.Run.Recovery)
	if row, _ := c.w.db.Row(p.id); row.Cluster == c.name && row.Epoch == p.epoch && row.Phase.Terminal() && !c.wiped[p] {
		c.w.violate("I29", "%s makes an object of %s again, which has ended there as %s", c.name, p, row.Phase)
	}
	c.add(o)
}

// bury makes a tombstone of what is to leave and is not there.
func (c *cluster) bury(p place, a flow.Assignment) {
	c.add(&object{place: p, c: c, desired: flow.DesiredAbort, revision: a.Revision, job: c.w.jobs[p.id], phase: flow.ExecutionQueued, leaving: true})
}

func (c *cluster) add(o *object) {
	c.rows[o.place] = o
	c.order = append(c.order, o)
	c.changed(o)
}

// changed tells the processes that watch, each after a while of its own.
func (c *cluster) changed(o *object) {
	for _, m := range c.members {
		m.post(c.w.sim.between(time.Millisecond, 20*time.Millisecond), func() {
			m.report.touch(o.place)
			m.engine.wake()
			m.drained(o)
		})
	}
}

// buried removes a tombstone whose time has come.
func (c *cluster) buried(o *object) {
	keep := c.w.cfg.Tombstone
	if mutant.On("tombstone-dropped-early") {
		keep = 0
	}
	c.w.sim.after(keep, func() { c.remove(o) })
}

func (c *cluster) remove(o *object) {
	if c.rows[o.place] == o {
		delete(c.rows, o.place)
		c.order = slices.DeleteFunc(c.order, func(x *object) bool { return x == o })
	}
}

// drop deletes an object under everybody, with its pods.
func (c *cluster) drop(o *object) {
	if o.ended() && o.marked {
		return // a tombstone: only its time removes it
	}
	c.stop(o)
	c.remove(o)
	for _, m := range c.members {
		m.post(c.w.sim.between(time.Millisecond, 20*time.Millisecond), func() {
			m.step(session.Vanished{Execution: o.id, Epoch: o.epoch})
		})
	}
}

func (c *cluster) report() flow.ClusterReport {
	return flow.ClusterReport{Capacity: c.capacity, LargestNode: c.capacity, TaskTypes: []string{"container"},
		Version: "1.0.0", Store: "shared"}
}

// job is what an execution does: its nodes, one after the other.
type job struct {
	nodes []time.Duration
	fails int // node that fails for good, counted from 1; 0: none
	flaky int // node whose first attempt fails, counted from 1; 0: none
}
