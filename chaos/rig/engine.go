package rig

import (
	"time"

	"github.com/skein-project/skein/api/flow"
)

// Times of the Lease object by which one propeller of a cluster drives it.
const (
	holdFor   = 4 * time.Second
	holdAgain = time.Second
	lookEvery = 5 * time.Second
)

// podKey names a pod: a repeat finds its own work.
type podKey struct {
	place
	node    int
	attempt uint32
}

// pod is one container that runs, whoever lives.
type pod struct {
	key    podKey
	done   bool
	ending bool // it was told to
	phase  flow.TaskPhase
}

// engine is a small propeller: it drives the objects of its cluster, starts
// nodes only while the gate is open, and writes what came of it into status.
type engine struct {
	m     *member
	awake bool
	alarm time.Duration  // when it looks again for strict work; 0: no time was set
	busy  map[place]bool // a step of it is under way
}

func newEngine(m *member) *engine {
	e := &engine{m: m, busy: map[place]bool{}}
	m.every(holdAgain, e.hold)
	m.every(lookEvery, e.wake)
	return e
}

// hold renews the Lease object, or takes it over from one that does not.
func (e *engine) hold() {
	c, w := e.m.cluster, e.m.w
	if c.holder != e.m && c.holder != nil && w.sim.now-c.seenAt < holdFor {
		return
	}
	c.holder, c.seenAt = e.m, w.sim.now
	e.wake()
}

func (e *engine) wake() {
	if !e.awake {
		e.awake = true
		e.m.post(e.m.w.sim.between(time.Millisecond, 10*time.Millisecond), func() { e.awake = false; e.look() })
	}
}

func (e *engine) look() {
	if e.m.cluster.holder != e.m {
		return
	}
	for _, o := range e.m.cluster.objects() {
		if !o.ended() && !e.busy[o.place] {
			e.drive(o)
		}
	}
}

// drive takes one step of an object: side effects first, then one status write,
// which fails if the object has changed since it was read.
func (e *engine) drive(o *object) {
	lapses := e.lapses(o)
	if lapses && e.m.cluster.running(o) {
		e.busy[o.place] = true
		e.m.cluster.request(e.m.proc, func() bool { o.c.kill(o); return true }, func(bool) {
			delete(e.busy, o.place)
			e.wake()
		})
		return
	}
	next, starts := e.advance(o, lapses)
	if next == nil && len(starts) == 0 {
		return
	}
	e.busy[o.place] = true
	version := o.version
	started := len(starts) == 0
	write := func() {
		if !started { // the gate is shut; its opening wakes, or the next look
			delete(e.busy, o.place)
			return
		}
		e.m.cluster.request(e.m.proc, func() bool {
			if o.version != version {
				return false
			}
			next(o)
			o.version++
			o.c.changed(o)
			return true
		}, func(bool) {
			delete(e.busy, o.place)
			e.wake()
		})
	}
	if len(starts) == 0 {
		write()
		return
	}
	left := len(starts)
	for _, k := range starts {
		e.start(o, k, func(ok bool) {
			started = started || ok
			if left--; left == 0 {
				write()
			}
		})
	}
}

// start makes a pod, if the gate says yes. The request carries the lease's end
// as its deadline; one that is on its way when the process is stopped may land
// late.
func (e *engine) start(o *object, k podKey, then func(bool)) {
	left, why := e.m.state.MayStart(e.m.now(), o.id, o.epoch)
	if why != "" {
		then(false)
		return
	}
	w, m := e.m.w, e.m
	w.entitled(m, o)
	until := w.sim.now + left
	if w.cfg.Kind == Faults && w.sim.chance(0.005) {
		w.freeze(m, w.some()) // between asking and acting
	}
	m.post(w.sim.between(0, time.Millisecond), func() {
		if w.sim.now >= until && !w.sim.chance(0.5) {
			then(false) // its context has ended
			return
		}
		m.cluster.request(m.proc, func() bool { return m.cluster.run(o, k, until) }, then)
	})
}

// run makes a pod that ends by itself, and does nothing if it is there.
func (c *cluster) run(o *object, k podKey, until time.Duration) bool {
	if c.pods[k] != nil || o.ended() {
		return true
	}
	late := c.w.sim.now > until
	if late {
		c.w.check.Late(k.id, k.epoch, c.name)
	}
	c.w.started(c, o, k, late)
	p := &pod{key: k, phase: flow.TaskRunning}
	c.pods[k] = p
	if c.find(k.place) != o { // it was lost, and a request for it comes late: what nobody owns is collected
		c.w.sim.after(time.Second, func() { p.done, p.phase = true, flow.TaskAborted })
	}
	o.started = true
	c.w.sim.after(o.job.nodes[k.node], func() {
		if p.done || p.ending {
			return
		}
		p.done, p.phase = true, flow.TaskSucceeded
		if o.job.fails == k.node+1 || o.job.flaky == k.node+1 && k.attempt == 0 {
			p.phase = flow.TaskFailed
		}
		c.changed(o)
	})
	return true
}

// stop ends all pods of an object.
func (c *cluster) stop(o *object) {
	for _, p := range c.podsOf(o) {
		if !p.done {
			p.done, p.phase = true, flow.TaskAborted
		}
	}
}
