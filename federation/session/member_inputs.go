package session

import (
	"maps"
	"time"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/mutant"
)

// MemberInput is one thing that happened at the cluster's end.
type MemberInput interface {
	member(m Member, now time.Duration) (Member, []MemberOutput)
}

// MemberOutput is one thing that the cluster's end is to do.
type MemberOutput interface{ memberOutput() }

// Inputs of a member.
type (
	// Dialled: a stream is open and Hello was sent.
	Dialled struct{}
	// Welcomed: the first message down.
	Welcomed struct {
		Session   flow.Session
		Heartbeat time.Duration
		Lease     time.Duration
	}
	// Recalled: what the state folder and the objects tell of this process's
	// predecessor. It comes before the first stream is dialled, or is worth nothing.
	Recalled struct {
		Lease  time.Duration                   // end of its lease on the boot clock; zero: not known
		Pinned map[flow.ExecutionID]flow.Epoch // had started, have not ended, nobody wants their abort
		Era    uint64                          // highest of the objects
	}
	// Listed: the inventory was taken. Pinned are those of it that are.
	Listed struct {
		Held   []flow.Held
		Pinned map[flow.ExecutionID]flow.Epoch
	}
	// Judged: a part of the verdicts.
	Judged struct {
		Verdicts flow.Verdicts
		Last     bool
	}
	// Assigned: an assignment came.
	Assigned struct {
		Generation uint64
		Assignment flow.Assignment
	}
	// Granted: a lease came.
	Granted struct{ Lease flow.Lease }
	// Answered: the hub answered a heartbeat.
	Answered struct{ Generation uint64 }
	// Heard: any other message came; it only shows that the hub lives.
	Heard struct{}
	// Ticked: time went by.
	Ticked struct{}
	// Dropped: the stream broke, or the hub said goodbye.
	Dropped struct{ Reason string }
)

// Outputs of a member.
type (
	// List: take the inventory, from the API server.
	List struct{}
	// SendInventory: send it.
	SendInventory struct{ Held []flow.Held }
	// Obey: what no verdict keeps or reports is to be stopped.
	Obey struct{ Keep []flow.Verdict }
	// AskLease: send the request at once.
	AskLease struct{ Request flow.LeaseRequest }
	// SendHeartbeat: send a heartbeat.
	SendHeartbeat struct{ Generation uint64 }
	// Apply: write the assignment, then ack it.
	Apply struct{ Assignment flow.Assignment }
	// Ignore: the assignment is old; a fact to count.
	Ignore struct {
		Assignment flow.Assignment
		Reason     string
	}
	// Opened: what may be started has grown, or may go on after a pause.
	Opened struct{}
	// End: close the stream; dial anew.
	End struct{ Reason string }
)

func (List) memberOutput()          {}
func (SendInventory) memberOutput() {}
func (Obey) memberOutput()          {}
func (AskLease) memberOutput()      {}
func (SendHeartbeat) memberOutput() {}
func (Apply) memberOutput()         {}
func (Ignore) memberOutput()        {}
func (Opened) memberOutput()        {}
func (End) memberOutput()           {}

func (Dialled) member(m Member, now time.Duration) (Member, []MemberOutput) {
	m, _ = m.end("dialled anew")
	m.stage, m.heard, m.dialled = Greeting, now, true
	return m, nil
}

func (in Welcomed) member(m Member, now time.Duration) (Member, []MemberOutput) {
	if m.stage != Greeting {
		return m.end("welcome while %s", m.stage)
	}
	m.stage, m.session, m.heard, m.beaten = Listing, in.Session, now, now
	m.beat, m.term = in.Heartbeat, in.Lease
	if era := in.Session.Era; era < m.era {
		return m.end("the control plane is at era %d, and this member has seen era %d: a backup was restored, which it is to rebuild first", era, m.era)
	}
	m.era, m.life = in.Session.Era, max(m.life, in.Session.Incarnation)
	return m, []MemberOutput{List{}}
}

func (in Recalled) member(m Member, _ time.Duration) (Member, []MemberOutput) {
	if m.dialled {
		return m, nil
	}
	m.earlier = max(m.earlier, in.Lease)
	m.era = max(m.era, in.Era)
	if len(in.Pinned) == 0 {
		return m, nil
	}
	m.pins = maps.Clone(in.Pinned)
	return m, []MemberOutput{Opened{}}
}

func (in Listed) member(m Member, _ time.Duration) (Member, []MemberOutput) {
	if m.stage != Listing {
		return m, nil // of an older session
	}
	m.stage, m.pinned = Waiting, in.Pinned
	m.epochs = nil // objects and tombstones are the memory of epochs
	for _, h := range in.Held {
		m.know(h.Execution, h.Epoch)
	}
	if m.session.Rebuild {
		in.Held = holders(in.Held)
	}
	return m, []MemberOutput{SendInventory{Held: in.Held}}
}

func (in Judged) member(m Member, now time.Duration) (Member, []MemberOutput) {
	if m.stage != Waiting {
		return m.end("verdicts while %s", m.stage)
	}
	if m.session.Rebuild {
		return m.end("verdicts of a control plane that rebuilds its database")
	}
	m.heard = now
	m.verdicts = append(m.verdicts, in.Verdicts.List...)
	m.session.OwnershipRevision = in.Verdicts.OwnershipRevision
	if !in.Last {
		return m, nil
	}
	m.stage = Live
	before := m.own // nothing, but for a mutant
	m.own, m.highest = map[flow.ExecutionID]confirmed{}, map[flow.ExecutionID]uint64{}
	var keep []flow.Verdict
	for _, v := range m.verdicts {
		if v.Order != flow.OrderKeep && v.Order != flow.OrderReport {
			continue
		}
		keep = append(keep, v)
		if c, ok := m.own[v.Execution]; !ok || c.epoch.Less(v.Epoch) {
			e, ok := m.pinned[v.Execution]
			m.own[v.Execution] = confirmed{epoch: v.Epoch, start: v.Order == flow.OrderKeep, pinned: ok && e == v.Epoch}
		}
	}
	if mutant.On("lease-kept-over-a-new-session") {
		for id, c := range before {
			if _, judged := m.own[id]; !judged {
				m.own[id] = c
				keep = append(keep, flow.Verdict{Execution: id, Epoch: c.epoch, Order: flow.OrderKeep})
			}
		}
	}
	m.verdicts, m.pinned = nil, nil
	m.lease.covered = intersect(m.lease.covered, m.own)
	m.pins = intersect(m.pins, m.own)
	m, ask := m.ask(now)
	return m, append([]MemberOutput{Obey{Keep: keep}}, ask...)
}

func (in Assigned) member(m Member, now time.Duration) (Member, []MemberOutput) {
	a := in.Assignment
	early := m.stage != Live && !mutant.On("assignment-taken-before-the-verdicts")
	switch {
	case early:
		return m.end("assignment while %s", m.stage)
	case in.Generation != m.session.Generation:
		return m.end("assignment of generation %d in session %d", in.Generation, m.session.Generation)
	case a.OwnershipRevision > m.session.OwnershipRevision && !mutant.On("ownership-revision-ignored"):
		return m.end("ownership revision went from %d to %d", m.session.OwnershipRevision, a.OwnershipRevision)
	}
	m.heard = now
	if why := m.refuses(a); why != "" {
		return m, []MemberOutput{Ignore{Assignment: a, Reason: why}}
	}
	m.assign(a)
	out := []MemberOutput{Apply{Assignment: a}}
	if a.Desired == flow.DesiredRun && m.granted {
		m.cover(a.Execution, m.own[a.Execution])
		out = append(out, Opened{})
	}
	return m, out
}

// assign remembers an assignment and closes what it closes. What is to leave is
// still this cluster's until its release is acked: what its work came to before
// that is reported.
func (m *Member) assign(a flow.Assignment) {
	if m.own == nil {
		m.own, m.highest = map[flow.ExecutionID]confirmed{}, map[flow.ExecutionID]uint64{}
	}
	run := a.Desired == flow.DesiredRun
	if run || !mutant.On("revision-forgotten-for-a-row-without-a-cr") {
		m.highest[a.Execution] = a.Revision
	}
	m.know(a.Execution, a.Epoch)
	if e, ok := m.lease.covered[a.Execution]; ok && (!run || e != a.Epoch) {
		delete(m.lease.covered, a.Execution)
	}
	if e, ok := m.pins[a.Execution]; ok && (!run || e != a.Epoch) {
		delete(m.pins, a.Execution)
	}
	c := confirmed{epoch: a.Epoch, start: run, pinned: run && a.Run != nil && a.Run.Failover.Pinned()}
	if before := m.own[a.Execution]; before.epoch == a.Epoch {
		c.retold = before.retold
	}
	m.own[a.Execution] = c
}

// cover lets work start that this session has confirmed and a lease covers.
func (m *Member) cover(id flow.ExecutionID, c confirmed) {
	if !c.start {
		return
	}
	m.lease.covered[id] = c.epoch
	if c.pinned {
		if m.pins == nil {
			m.pins = map[flow.ExecutionID]flow.Epoch{}
		}
		m.pins[id] = c.epoch
	}
}

// refuses says why an assignment is too old to be applied.
func (m Member) refuses(a flow.Assignment) string {
	switch {
	case a.OwnershipRevision < m.session.OwnershipRevision && !mutant.On("ownership-revision-ignored"):
		return "older ownership revision"
	case a.Revision < m.highest[a.Execution]:
		return "older revision"
	case a.Desired != flow.DesiredGone && a.Epoch.Less(m.epochs[a.Execution]):
		return "older epoch"
	}
	return ""
}

func (in Granted) member(m Member, now time.Duration) (Member, []MemberOutput) {
	l := in.Lease
	if m.stage != Live || l.Generation != m.session.Generation {
		return m, nil // of an older session: worth nothing
	}
	if m.granted && !m.lease.live(now) {
		return m.end("the lease lapsed")
	}
	m.heard = now
	q, rest, ok := answer(m.asked, l.Nonce)
	if !ok {
		return m, nil // answered before, or never asked
	}
	if l.OwnershipRevision != m.session.OwnershipRevision && !mutant.On("ownership-revision-ignored") {
		// Something was taken from us: what the old lease covers is unknown.
		m.lease = lease{}
		return m.end("ownership revision went from %d to %d", m.session.OwnershipRevision, l.OwnershipRevision)
	}
	m.asked = rest
	if mutant.On("lease-counted-from-receipt") {
		q.sent = now
	}
	until := end(q.sent, l.Duration)
	if until <= now {
		return m, nil // it came too late to be of use
	}
	// Not the later of two ends: the record of this grant replaced the last one.
	first := !m.granted
	m.granted = true
	m.lease = lease{until: until, covered: make(map[flow.ExecutionID]flow.Epoch, len(m.own))}
	for id, c := range m.own {
		m.cover(id, c)
	}
	if first {
		return m, []MemberOutput{Opened{}}
	}
	return m, nil
}

func (in Answered) member(m Member, now time.Duration) (Member, []MemberOutput) {
	if m.stage > Greeting && in.Generation != m.session.Generation {
		return m.end("heartbeat of generation %d in session %d", in.Generation, m.session.Generation)
	}
	m.heard = now
	return m, nil
}

func (Heard) member(m Member, now time.Duration) (Member, []MemberOutput) {
	m.heard = now
	return m, nil
}

func (Ticked) member(m Member, now time.Duration) (Member, []MemberOutput) {
	if m.stage == Idle {
		return m, nil
	}
	if m.granted && !m.lease.live(now) {
		return m.end("the lease lapsed")
	}
	if now-m.heard > Silence {
		return m.end("the hub was silent for %s", Silence)
	}
	if m.stage == Greeting {
		return m, nil
	}
	var out []MemberOutput
	if now-m.beaten >= m.beat {
		m.beaten = now
		out = append(out, SendHeartbeat{Generation: m.session.Generation})
	}
	if m.stage == Live && now-m.lastAsk >= m.renewal() {
		var ask []MemberOutput
		m, ask = m.ask(now)
		out = append(out, ask...)
	}
	return m, out
}

func (in Dropped) member(m Member, _ time.Duration) (Member, []MemberOutput) {
	return m.end("%s", in.Reason)
}

// intersect keeps of an old cover what the new session confirms as well.
func intersect(covered map[flow.ExecutionID]flow.Epoch, own map[flow.ExecutionID]confirmed) map[flow.ExecutionID]flow.Epoch {
	kept := maps.Clone(covered)
	maps.DeleteFunc(kept, func(id flow.ExecutionID, e flow.Epoch) bool {
		c, ok := own[id]
		return !ok || c.epoch != e || !c.start
	})
	return kept
}
