package rig

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/federation/session"
)

const (
	memberTick   = 100 * time.Millisecond
	firstPause   = 100 * time.Millisecond
	longestPause = 2 * time.Second
)

// conn is one stream between a member and a hub.
type conn struct{ up, down *pipe }

// member is the cluster's end of the road in one propeller process: what
// federation/member does around the production machine.
type member struct {
	*proc
	id       flow.Member
	site     site
	cluster  *cluster
	state    session.Member
	conn     *conn
	dials    int
	pause    time.Duration
	writes   int // of this session, that are under way
	ended    bool
	applying map[flow.ExecutionID][]flow.Assignment // in order, one at a time
	draining map[flow.ExecutionID]flow.Assignment
	report   *reporter
	engine   *engine
	noted    time.Duration // the lease's end on the boot clock, as the state folder has it
}

func (w *World) newMember(c *cluster, instance string, s site, clk clock) *member {
	m := &member{id: flow.Member{Cluster: c.name, Instance: instance}, site: s, cluster: c}
	m.proc = &proc{w: w, name: m.id.String(), clock: clk}
	m.begin = func() {
		m.state, m.conn, m.ended, m.writes, m.pause = session.Member{}, nil, true, 0, firstPause
		m.report = newReporter(m)
		m.engine = newEngine(m)
		m.step(session.Recalled{Lease: m.noted, Pinned: m.cluster.pinned(true)})
		m.every(memberTick, func() { m.step(session.Ticked{}) })
		m.every(5*time.Second, m.sweep)
		m.post(w.sim.between(0, time.Second), m.dial)
	}
	m.died = func() {
		if m.conn != nil {
			if w.sim.chance(0.3) {
				m.conn.up.cut()
			} else {
				m.conn.up.close()
			}
		}
		m.conn = nil
	}
	return m
}

// dial opens a session at the next hub.
func (m *member) dial() {
	w := m.w
	r := w.replicas[m.dials%len(w.replicas)]
	m.dials++
	if !r.up || !w.net.reaches(m.site, r.site) || !w.net.reaches(r.site, m.site) {
		m.again() // refused at once, or by the dialler's own time limit
		return
	}
	c := &conn{}
	m.conn, m.ended, m.writes = c, false, 0
	m.applying, m.draining = map[flow.ExecutionID][]flow.Assignment{}, map[flow.ExecutionID]flow.Assignment{}
	life, rlife := m.life, r.life
	s := r.accept(c, m.id)
	c.up = &pipe{w: w, from: m.site, to: r.site,
		deliver: func(x any) { r.take(rlife, func() { s.receive(x) }) }, ended: func() { r.take(rlife, s.memberGone) }}
	c.down = &pipe{w: w, from: r.site, to: m.site,
		deliver: func(x any) { m.take(life, func() { m.receive(c, x) }) },
		ended:   func() { m.take(life, func() { m.broke(c, "the stream broke") }) }}
	m.step(session.Dialled{})
	c.up.send(hello{m.state.Era(), m.state.Incarnation()}, true)
}

func (m *member) again() {
	p := m.pause
	m.pause = min(2*m.pause, longestPause)
	m.post(p+m.w.sim.between(0, p), m.dial)
}

// receive takes what comes down.
func (m *member) receive(c *conn, x any) {
	if m.conn != c {
		return
	}
	switch x := x.(type) {
	case goodbye:
		m.broke(c, "the hub said goodbye: "+x.reason)
	case evented:
		m.step(session.Heard{})
		m.report.acked(x)
	case hubBeat:
		m.step(session.Answered{})
	case session.MemberInput:
		m.step(x)
	}
}

func (m *member) broke(c *conn, why string) {
	if m.conn == c {
		m.step(session.Dropped{Reason: why})
		m.hangUp()
	}
}

// hangUp ends the session and dials anew, after every write of it has ended.
func (m *member) hangUp() {
	if m.ended {
		return
	}
	m.ended = true
	if m.conn != nil {
		m.conn.up.close()
	}
	if len(m.state.Covered()) > 0 {
		m.pause = firstPause
	}
	m.conn = nil
	m.report.reset(0, nil)
	m.applying, m.draining = nil, nil
	m.waitForWrites()
}

func (m *member) waitForWrites() {
	if m.writes > 0 {
		m.post(5*time.Millisecond, m.waitForWrites)
		return
	}
	m.again()
}

func (m *member) step(in session.MemberInput) {
	var out []session.MemberOutput
	m.state, out = m.state.Step(m.now(), in)
	if _, ok := in.(session.Granted); ok {
		m.noted = m.state.LeaseEnd()
	}
	for _, o := range out {
		m.carry(o)
		switch o.(type) {
		case session.Obey, session.Opened:
			m.claims()
		}
	}
}

// claims tells the checker all that this member may start now.
func (m *member) claims() {
	for _, o := range m.cluster.objects() {
		if o.ended() || o.desired != flow.DesiredRun {
			continue
		}
		if _, why := m.state.MayStart(m.now(), o.id, o.epoch); why == "" {
			m.w.entitled(m, o)
		}
	}
}

func (m *member) carry(o session.MemberOutput) {
	c := m.conn
	if c == nil {
		return
	}
	switch o := o.(type) {
	case session.List:
		m.list(c)
	case session.SendInventory:
		c.up.send(session.InventoryPart{Held: o.Held, Last: true}, true)
	case session.Obey:
		m.pause = firstPause
		m.report.reset(m.state.Session().Generation, o.Keep)
		m.obey(c)
	case session.AskLease:
		c.up.send(session.LeaseAsked(o), true)
	case session.SendHeartbeat:
		c.up.send(session.Beaten(o), true)
	case session.Apply:
		delete(m.draining, o.Assignment.Execution)
		m.apply(o.Assignment)
	case session.Opened:
		m.engine.wake()
	case session.Tell:
		m.tell(c, o.Held)
	case session.End:
		m.w.logf("%s: session ends: %s", m.name, o.Reason)
		m.post(0, m.hangUp)
	}
}

// write lets the session write to the API server: it ends before the next
// session takes its inventory.
func (m *member) write(c *conn, op func() bool, then func(ok bool)) {
	m.writes++
	m.cluster.request(m.proc, op, func(ok bool) {
		m.writes--
		if m.conn == c {
			then(ok)
		}
	})
}

// list takes the inventory, from the API server itself.
func (m *member) list(c *conn) {
	var held []flow.Held
	var pinned map[flow.ExecutionID]flow.Epoch
	m.write(c, func() bool {
		held, pinned = nil, m.cluster.pinned(false)
		for _, o := range m.cluster.objects() {
			held = append(held, heldOf(o))
		}
		return true
	}, func(ok bool) {
		if !ok {
			m.broke(c, "the inventory was not taken")
			return
		}
		m.step(session.Listed{Held: held, Pinned: pinned})
	})
}

// obey carries verdicts out: what none keeps is stopped, the rest is reported.
func (m *member) obey(c *conn) {
	m.write(c, func() bool { return true }, func(bool) { m.sweep() })
}

// sweep looks at every object: what is not owned is stopped, and what has news
// is reported.
func (m *member) sweep() {
	if m.state.Stage() != session.Live {
		return
	}
	for _, o := range m.cluster.objects() {
		m.report.touch(o.place)
		m.stopUnowned(o)
	}
	for _, id := range slices.SortedFunc(maps.Keys(m.draining), byExecution) {
		a := m.draining[id]
		delete(m.draining, id)
		m.apply(a)
	}
}

func (m *member) stopUnowned(o *object) {
	if o.ended() || o.desired == flow.DesiredAbort || m.state.Stage() != session.Live || m.state.Reports(o.id, o.epoch) {
		return
	}
	if !m.state.Judged(o.id, o.epoch) {
		m.step(session.Appeared{Execution: o.id, Epoch: o.epoch})
		return
	}
	m.w.logf("%s: stops %s, which is not owned", m.name, o.place)
	m.write(m.conn, func() bool { o.unowned = true; o.want(flow.DesiredAbort, 0); return true }, func(bool) {})
}

func byExecution(a, b flow.ExecutionID) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Project, b.Project), cmp.Compare(a.Domain, b.Domain))
}
