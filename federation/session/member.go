package session

import (
	"fmt"
	"maps"
	"time"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/mutant"
)

// Stage is how far a session has come.
type Stage uint8

// The stages of a member's session, in their order.
const (
	Idle     Stage = iota // no stream
	Greeting              // Hello sent
	Listing               // Welcome came; the inventory is being taken
	Waiting               // the inventory was sent; in REBUILD it stays so
	Live                  // verdicts came
)

// String names the stage.
func (s Stage) String() string {
	return [...]string{"idle", "greeting", "listing", "waiting", "live"}[s]
}

// Silence is how long a hub may say nothing before the member dials elsewhere.
const Silence = 3 * time.Second

// PinnedAct bounds one act of pinned work that no lease bounds.
const PinnedAct = 30 * time.Second

// A confirmed (execution, epoch) is this member's by the word of this session.
type confirmed struct {
	epoch  flow.Epoch
	start  bool   // its work may be started, given a lease
	pinned bool   // once started, it goes on without one
	retold uint64 // revision of the object by which it is told though it has left; zero: none
}

// Member is the state of the cluster's end across sessions. The zero value is
// a member that has never had one.
type Member struct {
	stage    Stage
	session  flow.Session
	beat     time.Duration // between heartbeats
	term     time.Duration // what leases last, by the Welcome
	last     Clock         // of the last Step
	heard    time.Duration // when the hub was last heard
	beaten   time.Duration // when a heartbeat was last due
	asked    []ask
	nonce    uint64
	lastAsk  time.Duration
	granted  bool // in this session
	lease    lease
	pins     map[flow.ExecutionID]flow.Epoch // pinned work that goes on without a lease
	dialled  bool                            // in this process
	earlier  time.Duration                   // end of the lease of this process's predecessor, on the boot clock
	own      map[flow.ExecutionID]confirmed  // by this session
	highest  map[flow.ExecutionID]uint64     // revision of each row, by this session
	epochs   map[flow.ExecutionID]flow.Epoch // highest ever known
	pinned   map[flow.ExecutionID]flow.Epoch // of the inventory under way
	verdicts []flow.Verdict                  // parts so far
	recalled bool                            // in REBUILD: all was asked for that will be
	era      uint64                          // highest ever seen
	life     uint64                          // of the cluster: its highest incarnation ever seen
}

// Stage is how far the session has come.
func (m Member) Stage() Stage { return m.stage }

// Session is what the Welcome fixed; the zero value without a session.
func (m Member) Session() flow.Session { return m.session }

// Era is the highest era ever seen.
func (m Member) Era() uint64 { return m.era }

// Incarnation is the cluster's highest ever seen; zero before the first Welcome.
func (m Member) Incarnation() uint64 { return m.life }

// MayStart reports whether work of (execution, epoch) may be started now, for
// how long at most, and if not why not. Pinned work that was covered once needs
// no lease: what it is told bounds one act, and is told anew at the next.
func (m Member) MayStart(now Clock, id flow.ExecutionID, epoch flow.Epoch) (left time.Duration, why string) {
	left, why = m.underLease(now, id, epoch)
	if e, ok := m.pins[id]; ok && e == epoch {
		return max(left, PinnedAct), ""
	}
	return left, why
}

func (m Member) underLease(now Clock, id flow.ExecutionID, epoch flow.Epoch) (left time.Duration, why string) {
	if stepped(m.last, now) {
		return 0, "the wall clock was set"
	}
	if !m.lease.live(now.lease()) {
		return 0, "no live lease"
	}
	e, ok := m.lease.covered[id]
	if mutant.On("fence-by-name-only") {
		e = epoch
	}
	if !ok || e != epoch {
		return 0, "not confirmed as this cluster's"
	}
	return m.lease.until - now.lease(), ""
}

// MustStop reports in what time strict work of (execution, epoch) that runs must
// have ended, its grace included: at the end of the lease that covers it, which
// each grant moves on. Not above zero: it must not run any more. Not bounded: it
// is pinned, and no successor of it will ever run elsewhere.
func (m Member) MustStop(now Clock, id flow.ExecutionID, epoch flow.Epoch) (left time.Duration, bounded bool) {
	if e, ok := m.pins[id]; ok && e == epoch {
		return 0, false
	}
	if stepped(m.last, now) {
		return 0, true
	}
	if e, ok := m.lease.covered[id]; ok && e == epoch {
		left := m.lease.until - now.lease()
		if mutant.On("strict-kills-late") {
			left += m.term
		}
		return left, true
	}
	// Not covered in this process: at most by the lease of its predecessor, unless
	// this control plane has said since that it is not ours.
	if c, ok := m.own[id]; m.stage == Live && (!ok || c.epoch != epoch || !c.start) {
		return 0, true
	}
	return m.earlier - now.lease(), true
}

// LeaseEnd is the end of the lease on the boot clock; zero: there is none.
func (m Member) LeaseEnd() time.Duration { return m.lease.until }

// Reports reports whether events of (execution, epoch) are to be sent in this
// session.
func (m Member) Reports(id flow.ExecutionID, epoch flow.Epoch) bool {
	c, ok := m.own[id]
	return m.stage == Live && ok && (c.epoch == epoch || mutant.On("fence-by-name-only"))
}

// Judged reports whether the control plane has had its say in this session on
// an object of (execution, epoch): it was in the inventory or assigned, or a
// newer one was.
func (m Member) Judged(id flow.ExecutionID, epoch flow.Epoch) bool {
	return m.stage == Live && !m.epochs[id].Less(epoch)
}

// Newest reports whether a revision is the highest that this session has seen
// of the execution's row: what is being applied and is not, is dropped.
func (m Member) Newest(id flow.ExecutionID, revision uint64) bool {
	return m.stage == Live && m.highest[id] == revision
}

// Step takes in one thing that happened and says what is to be done.
func (m Member) Step(now Clock, in MemberInput) (Member, []MemberOutput) {
	if m.last == (Clock{}) {
		m.last = now
	}
	jumped := stepped(m.last, now)
	m.last = now
	var out []MemberOutput
	if jumped {
		m.lease, m.earlier = lease{}, 0
		if m.stage != Idle {
			m, out = m.end("the wall clock was set")
		}
	}
	n, more := in.member(m, now.lease())
	return n, append(out, more...)
}

// end closes the session. What the lease covers may go on until its end.
func (m Member) end(format string, args ...any) (Member, []MemberOutput) {
	if m.stage == Idle {
		return m, nil
	}
	out := []MemberOutput{End{Reason: fmt.Sprintf(format, args...)}}
	m.stage, m.session, m.granted, m.recalled = Idle, flow.Session{}, false, false
	m.asked, m.highest, m.verdicts, m.pinned = nil, nil, nil, nil
	if !mutant.On("lease-kept-over-a-new-session") {
		m.own = nil
	}
	return m, out
}

// know remembers the highest epoch of an execution.
func (m *Member) know(id flow.ExecutionID, e flow.Epoch) {
	if m.epochs == nil {
		m.epochs = map[flow.ExecutionID]flow.Epoch{}
	}
	if m.epochs[id].Less(e) {
		m.epochs[id] = e
	}
	m.era = max(m.era, e.Era)
}

// ask makes a lease request.
func (m Member) ask(now time.Duration) (Member, []MemberOutput) {
	m.nonce++
	m.lastAsk = now
	m.asked = remember(m.asked, ask{nonce: m.nonce, sent: now})
	return m, []MemberOutput{AskLease{flow.LeaseRequest{
		Sender: m.session.Sender, Nonce: m.nonce, OwnershipRevision: m.session.OwnershipRevision,
	}}}
}

// renewal is how long after a request the next one is due.
func (m Member) renewal() time.Duration {
	if !m.granted {
		return max(m.term/30, 200*time.Millisecond)
	}
	return max(m.term/6, 200*time.Millisecond)
}

// Covered is what may be started under the lease, if it lives.
func (m Member) Covered() map[flow.ExecutionID]flow.Epoch {
	covered := make(map[flow.ExecutionID]flow.Epoch, len(m.lease.covered))
	maps.Copy(covered, m.lease.covered)
	return covered
}

// Pins is the pinned work that may go on without a lease.
func (m Member) Pins() map[flow.ExecutionID]flow.Epoch { return maps.Clone(m.pins) }

// Owns is the epoch at which this session confirmed an execution, if it did.
func (m Member) Owns(id flow.ExecutionID) (flow.Epoch, bool) {
	c, ok := m.own[id]
	return c.epoch, ok && m.stage == Live
}
