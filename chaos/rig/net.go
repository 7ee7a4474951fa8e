package rig

import (
	"time"
)

// site is a place in the network: a replica, a member's machine, the database.
type site int

// network says who reaches whom. Blocks of one way count, since faults overlap.
type network struct {
	w       *World
	blocked map[[2]site]int
	slow    map[site]time.Duration    // of all links of a site
	slowWay map[[2]site]time.Duration // of one way
	stalled []*pipe
}

func (n *network) reaches(from, to site) bool { return n.blocked[[2]site{from, to}] == 0 }

func (n *network) block(from, to site) { n.blocked[[2]site{from, to}]++ }

// heal ends one block, and lets go what was stuck: TCP sends it again.
func (n *network) heal(from, to site) {
	way := [2]site{from, to}
	if n.blocked[way]--; n.blocked[way] > 0 {
		return
	}
	delete(n.blocked, way)
	stalled := n.stalled
	n.stalled = nil
	for _, p := range stalled {
		p.stalled = false
		p.pump(n.w.sim.between(0, 300*time.Millisecond))
	}
}

func (n *network) latency(from, to site) time.Duration {
	return n.w.sim.between(200*time.Microsecond, 8*time.Millisecond) + n.slow[from] + n.slow[to] + n.slowWay[[2]site{from, to}]
}

// wire is how many messages of one way are in buffers that their sender cannot
// take back or overtake any more.
const wire = 4

// pipe is one way of a stream: what is on the wire arrives in order and whole,
// or not at all; what still waits at the sender goes control messages first.
type pipe struct {
	w             *World
	from, to      site
	control, bulk []any
	wire          []any
	busy, stalled bool
	closing       bool // nothing more is taken; the wire drains, then the end is told
	dead          bool
	deliver       func(any)
	ended         func()
}

func (p *pipe) send(m any, control bool) {
	if p.dead || p.closing {
		return
	}
	if control {
		p.control = append(p.control, m)
	} else {
		p.bulk = append(p.bulk, m)
	}
	p.fill()
	p.pump(p.w.net.latency(p.from, p.to))
}

func (p *pipe) fill() {
	for len(p.wire) < wire {
		switch {
		case len(p.control) > 0:
			p.wire, p.control = append(p.wire, p.control[0]), p.control[1:]
		case len(p.bulk) > 0:
			p.wire, p.bulk = append(p.wire, p.bulk[0]), p.bulk[1:]
		default:
			return
		}
	}
}

func (p *pipe) pump(d time.Duration) {
	if p.busy || p.stalled || p.dead || len(p.wire) == 0 && !p.closing {
		return
	}
	p.busy = true
	p.w.sim.after(d, p.arrive)
}

func (p *pipe) arrive() {
	p.busy = false
	if p.dead {
		return
	}
	if !p.w.net.reaches(p.from, p.to) {
		p.stalled = true
		p.w.net.stalled = append(p.w.net.stalled, p)
		return
	}
	if len(p.wire) == 0 {
		p.dead = true
		p.ended()
		return
	}
	m := p.wire[0]
	p.wire = p.wire[1:]
	p.deliver(m)
	if !p.closing {
		p.fill()
	}
	// What follows on the wire is close behind.
	p.pump(p.w.sim.between(0, 500*time.Microsecond))
}

// close ends the stream at the sender: what it had not handed to the wire is
// gone, and of what is on the wire a part may still arrive.
func (p *pipe) close() {
	if p.dead || p.closing {
		return
	}
	p.control, p.bulk, p.closing = nil, nil, true
	if n := len(p.wire); n > 0 {
		p.wire = p.wire[:p.w.sim.rng.IntN(n+1)]
	}
	p.pump(p.w.net.latency(p.from, p.to))
}

// cut drops the pipe without a word: the other side has to find out by itself.
func (p *pipe) cut() { p.dead = true }
