package rig

import (
	"time"

	"github.com/skein-project/skein/federation/session"
)

// epoch0 is the true wall clock when a world begins.
var epoch0 = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// clock is a machine's: it runs a little too fast or too slow, and its wall
// clock is off and can be set.
type clock struct {
	boot  time.Duration // CLOCK_BOOTTIME when the world began
	wall  time.Duration // how far the wall clock is off
	drift float64       // by how much it runs too fast
}

func (c clock) read(now time.Duration) session.Clock {
	gone := now + time.Duration(float64(now)*c.drift)
	return session.Clock{Boot: c.boot + gone, Wall: time.Duration(epoch0.UnixNano()) + c.wall + gone}
}

// proc is one process: it can be stopped, continued, killed and begun anew. What
// it had in memory goes with its life.
type proc struct {
	w       *World
	name    string
	clock   clock
	up      bool
	paused  bool
	life    int
	backlog []func() // what came while it was stopped
	begin   func()   // what a new life does first
	died    func()   // what its death does to others
}

// post lets the process do something d from now, unless it dies before; if it
// is stopped then, when it goes on.
func (p *proc) post(d time.Duration, fn func()) {
	life := p.life
	p.w.sim.after(d, func() { p.take(life, fn) })
}

func (p *proc) take(life int, fn func()) {
	switch {
	case !p.up || p.life != life:
	case p.paused:
		p.backlog = append(p.backlog, func() { p.take(life, fn) })
	default:
		fn()
	}
}

// every does something again and again for as long as the process lives. Ticks
// that a stop has swallowed do not come again.
func (p *proc) every(d time.Duration, fn func()) {
	var tick func()
	tick = func() {
		fn()
		p.post(d, tick)
	}
	p.post(p.w.sim.between(0, d), tick)
}

func (p *proc) start() {
	if p.up {
		return
	}
	p.up, p.paused = true, false
	p.life++
	p.w.logf("%s: begins", p.name)
	p.begin()
}

func (p *proc) kill() {
	if !p.up {
		return
	}
	p.w.logf("%s: is killed", p.name)
	p.up, p.paused, p.backlog = false, false, nil
	p.died()
}

func (p *proc) stop() {
	if p.up && !p.paused {
		p.w.logf("%s: is stopped", p.name)
		p.paused = true
	}
}

func (p *proc) resume() {
	if !p.up || !p.paused {
		return
	}
	p.w.logf("%s: goes on", p.name)
	p.paused = false
	backlog := p.backlog
	p.backlog = nil
	for _, fn := range backlog {
		fn()
	}
}

func (p *proc) now() session.Clock { return p.clock.read(p.w.sim.now) }

// wallTime is what the process calls the time.
func (p *proc) wallTime() time.Time { return time.Unix(0, int64(p.now().Wall)).UTC() }
