package rig

import (
	"slices"
	"time"

	"github.com/skein-project/skein/admin/lifecycle"
	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/mutant"
	"github.com/skein-project/skein/federation/session"
)

// Bounds that federation/hub has too.
const (
	hubTick     = 250 * time.Millisecond
	readLimit   = 2 * session.Window
	ingestTries = 4
	ingestPause = 100 * time.Millisecond
)

// Messages that the session's machines do not see.
type (
	hello   struct{ era, incarnation uint64 }
	goodbye struct{ reason string }
	evented struct { // an event ack
		batch   uint64
		results []flow.EventResult
	}
	hubBeat struct{} // while the database opens the session
)

// stream is one member's session at one hub: what federation/hub does around
// the production machine.
type stream struct {
	r       *replica
	conn    *conn
	member  flow.Member
	sender  flow.Sender
	state   session.Hub
	opened  bool
	closed  bool
	judging []flow.Held
	judge   bool
	read    bool
	reading bool
	batches []session.Ingest
	storing bool
	acks    []flow.Ack
	acking  bool
}

// accept takes a stream that a member has dialled.
func (r *replica) accept(c *conn, member flow.Member) *stream {
	s := &stream{r: r, conn: c, member: member}
	r.all = append(r.all, s)
	return s
}

// receive takes what comes up.
func (s *stream) receive(m any) {
	if s.closed {
		return
	}
	switch m := m.(type) {
	case hello:
		s.open(m)
	case session.HubInput:
		if s.opened {
			s.step(m)
		}
	}
}

func (s *stream) open(h hello) {
	w, r := s.r.w, s.r
	var tick func()
	tick = func() {
		if !s.opened && !s.closed {
			s.conn.down.send(hubBeat{}, true)
			r.post(time.Second, tick)
		}
	}
	r.post(time.Second, tick)
	report := w.clusterOf(s.member).report()
	report.Era, report.Incarnation = h.era, h.incarnation
	var opened flow.Session
	r.call(r.site, func() (err error) {
		opened, err = r.db.OpenSession(w.ctx, s.member, r.name, report)
		return err
	}, func(err error) {
		if s.closed {
			return
		}
		s.sender = opened.Sender
		if err != nil || r.halted {
			s.end("the session was not opened")
			return
		}
		if old := r.streams[s.member]; old != nil {
			if old.sender.Generation > opened.Generation {
				s.end("a newer session of this member exists")
				return
			}
			r.streams[s.member] = s
			old.step(session.Replaced{})
		}
		r.streams[s.member], s.opened = s, true
		s.step(session.SessionOpened{Session: opened, Era: h.era, Incarnation: h.incarnation})
		s.tick()
	})
}

func (s *stream) tick() {
	s.r.post(hubTick, func() {
		if !s.closed {
			s.step(session.HubTicked{})
			s.tick()
		}
	})
}

func (s *stream) step(in session.HubInput) {
	if s.closed {
		return
	}
	var out []session.HubOutput
	s.state, out = s.state.Step(s.r.now().Boot, in)
	for _, o := range out {
		s.carry(o)
	}
}

// carry does what the machine wants; all but what is only to be sent.
func (s *stream) carry(o session.HubOutput) {
	switch o := o.(type) {
	case session.Judge:
		s.judging, s.judge = o.Held, true
		s.reads()
	case session.ReadOutbox:
		s.read = true
		s.reads()
	case session.BeatNow:
		s.r.beatNow()
	case session.Ingest:
		s.batches = append(s.batches, o)
		if mutant.On("ack-before-commit") {
			s.step(session.Ingested{Batch: o.Batch, Results: make([]flow.EventResult, len(o.Events))})
		}
		s.ingests(1)
	case session.StoreAcks:
		s.acks = append(s.acks, o.Acks...)
		s.stores()
	case session.TakeInventory:
		s.takeInventory(o.Held)
	case session.TakeHoldings:
		s.takeHoldings(o.List, o.Last)
	case session.Restored:
		s.r.enter(o.Known, o.Why)
	case session.Close:
		s.end(o.Reason)
	default:
		s.send(o)
	}
}

// send sends a member what the machine wants it to hear.
func (s *stream) send(o session.HubOutput) {
	down := s.conn.down
	switch o := o.(type) {
	case session.SendWelcome:
		down.send(session.Welcomed{Session: o.Session, Heartbeat: time.Second, Lease: s.r.w.cfg.Scheduler.Lease}, true)
	case session.SendVerdicts:
		down.send(session.Judged{Verdicts: o.Verdicts, Last: true}, true)
	case session.SendAssignment:
		down.send(session.Assigned{Generation: s.sender.Generation, Assignment: o.Assignment}, false)
	case session.SendLease:
		down.send(session.Granted(o), true)
	case session.AnswerBeat:
		down.send(session.Answered(o), true)
	case session.AckEvents:
		down.send(evented{o.Batch, o.Results}, true)
	case session.SendRecall:
		down.send(session.RecallCame(o), true)
	}
}

// end says goodbye and closes the session in the database.
func (s *stream) end(reason string) {
	if s.closed {
		return
	}
	s.closed = true
	w, r := s.r.w, s.r
	w.logf("%s: session of %s, generation %d, ends: %s", r.name, s.member, s.sender.Generation, reason)
	s.conn.down.send(goodbye{reason}, true)
	s.conn.down.close()
	s.leave()
	if s.sender.Generation > 0 {
		r.call(r.site, func() error { return r.db.CloseSession(w.ctx, s.sender) }, func(error) {})
	}
}

func (s *stream) leave() {
	r := s.r
	if r.streams[s.member] == s {
		delete(r.streams, s.member)
	}
	r.all = slices.DeleteFunc(r.all, func(o *stream) bool { return o == s })
}

// hubDied: the machine's kernel resets the connection, unless it went with it.
func (s *stream) hubDied() {
	s.closed = true
	if s.r.w.sim.chance(0.3) {
		s.conn.down.cut()
	} else {
		s.conn.down.close()
	}
}

// memberGone: the stream broke at the other end.
func (s *stream) memberGone() {
	if !s.closed {
		s.end("the stream broke")
	}
}

// reads judges the inventory and reads the outbox, one after the other.
func (s *stream) reads() {
	w, r := s.r.w, s.r
	switch {
	case s.reading || s.closed:
	case s.judge:
		s.judge, s.reading = false, true
		w.clusterOf(s.member).judgingAt = w.sim.now
		var v flow.Verdicts
		r.call(r.site, func() (err error) {
			v, err = r.db.Verdicts(w.ctx, s.sender, s.judging)
			w.clusterOf(s.member).judgedAt = w.sim.now
			return err
		}, func(err error) {
			s.reading = false
			if err != nil {
				s.step(session.Ended{Reason: err.Error()})
				return
			}
			s.step(session.VerdictsTaken{Verdicts: v})
			s.reads()
		})
	case s.read:
		s.read, s.reading = false, true
		var list []flow.Assignment
		r.call(r.site, func() (err error) { list, err = r.db.Assignments(w.ctx, s.sender, readLimit); return err }, func(err error) {
			s.reading = false
			if fault.Is(err, fault.Stale) {
				s.step(session.Replaced{})
				return
			}
			s.step(session.OutboxRead{Assignments: list})
			s.reads()
		})
	}
}

// ingests commits event batches one after the other, and acks each after its
// commit.
func (s *stream) ingests(try int) {
	if s.storing || s.closed || len(s.batches) == 0 {
		return
	}
	w, r := s.r.w, s.r
	s.storing = true
	in := s.batches[0]
	var results []flow.EventResult
	r.call(r.site, func() (err error) {
		results, err = r.db.RecordEvents(w.ctx, s.sender, in.Events, lifecycle.Apply)
		return err
	}, func(err error) {
		s.storing = false
		switch {
		case err == nil, mutant.On("ack-before-commit"):
			s.batches = s.batches[1:]
			if !mutant.On("ack-before-commit") {
				s.step(session.Ingested{Batch: in.Batch, Results: results})
			}
			s.ingests(1)
		case fault.Of(err).Retryable() && try < ingestTries:
			s.storing = true
			r.post(ingestPause<<try, func() { s.storing = false; s.ingests(try + 1) })
		default:
			s.step(session.Ended{Reason: err.Error()})
		}
	})
}

// stores stores acks, those that wait in one transaction.
func (s *stream) stores() {
	if s.acking || s.closed || len(s.acks) == 0 {
		return
	}
	w, r := s.r.w, s.r
	s.acking = true
	acks := s.acks
	s.acks = nil
	r.call(r.site, func() error { return r.db.Ack(w.ctx, s.sender, acks) }, func(err error) {
		s.acking = false
		if fault.Is(err, fault.Stale) {
			s.step(session.Replaced{})
			return
		}
		s.stores()
	})
}
