package session_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/federation/session"
)

// reporting is a hub's end in REBUILD, with all that it was told to do.
type reporting struct {
	h   session.Hub
	out []session.HubOutput
}

func (r *reporting) step(now time.Duration, in session.HubInput) {
	var out []session.HubOutput
	r.h, out = r.h.Step(now, in)
	r.out = append(r.out, out...)
}

func (r *reporting) closed() string {
	for _, o := range r.out {
		if c, ok := o.(session.Close); ok {
			return c.Reason
		}
	}
	return ""
}

func rebuilding(era uint64) flow.Session {
	return flow.Session{Sender: sender(7), Era: era, Rebuild: true}
}

func several(n int) (held []flow.Held) {
	for i := range n {
		held = append(held, flow.Held{Execution: flow.ExecutionID{Project: "p", Domain: "d", Name: fmt.Sprint(i)}, Epoch: e1})
	}
	return held
}

// TestARebuildIsAReport: an inventory, what the database does not know of it, a
// part at a time, and then nothing but heartbeats. Nothing is served.
func TestARebuildIsAReport(t *testing.T) {
	const n = 2*session.RecallPart + 1
	r := &reporting{}
	r.step(0, session.SessionOpened{Session: rebuilding(1), Era: 1})
	r.step(0, session.InventoryPart{Held: several(n), Last: true})
	r.step(0, session.InventoryTaken{Unknown: several(n)})
	asked, taken, last := 0, 0, false
	for len(r.out) > 0 {
		o := r.out[0]
		r.out = r.out[1:]
		switch o := o.(type) {
		case session.SendWelcome, session.TakeInventory:
		case session.SendRecall:
			if asked != taken || len(o.Held) > session.RecallPart || last {
				t.Fatalf("%d more are asked for when %d of %d were taken", len(o.Held), taken, asked)
			}
			asked, last = asked+len(o.Held), o.Last
			for i, h := range o.Held { // one by one
				r.step(0, session.HoldingsCame{List: []flow.Holding{{Held: h}}, Last: i == len(o.Held)-1})
			}
		case session.TakeHoldings:
			taken += len(o.List)
			if o.Last != (taken == n) {
				t.Errorf("last is %t with %d of %d", o.Last, taken, n)
			}
			r.step(0, session.HoldingsTaken{})
		default:
			t.Fatalf("it is to do %T", o)
		}
	}
	if taken != n || r.h.Stage() != session.Reported {
		t.Fatalf("%d of %d were taken, and it is at stage %d", taken, n, r.h.Stage())
	}
	for now := time.Second; now < time.Minute; now += time.Second {
		r.step(now, session.Beaten{Generation: 7})
		r.step(now, session.Woken{})
		r.step(now, session.HubTicked{})
	}
	r.out = slices.DeleteFunc(r.out, func(o session.HubOutput) bool { _, beat := o.(session.AnswerBeat); return beat })
	if len(r.out) > 0 || r.h.Stage() != session.Reported {
		t.Errorf("what has reported is to do %v, at stage %d", r.out, r.h.Stage())
	}
	if b, ok := r.h.Beat(time.Minute); !ok || b.Lease != nil {
		t.Errorf("its heartbeat is %+v, %t", b, ok)
	}
}

// TestAMemberThatHoldsNothingUnknownReportsAsWell: the empty answer says so.
func TestAMemberThatHoldsNothingUnknownReportsAsWell(t *testing.T) {
	r := &reporting{}
	for _, in := range []session.HubInput{session.SessionOpened{Session: rebuilding(1)}, session.InventoryPart{Last: true},
		session.InventoryTaken{}, session.HoldingsCame{Last: true}} {
		r.step(0, in)
	}
	if o, ok := r.out[len(r.out)-1].(session.TakeHoldings); !ok || !o.Last || r.h.Stage() != session.Recalling {
		t.Fatalf("it is to do %v at stage %d, and its report was not stored yet", r.out, r.h.Stage())
	}
	if r.step(0, session.HoldingsTaken{}); r.h.Stage() != session.Reported {
		t.Errorf("it is at stage %d", r.h.Stage())
	}
}

// TestAReportThatIsStillWaitedForIsSaidAgain: a session that was opened after it,
// for a stream that broke, is found only so. One report is under way at a time.
func TestAReportThatIsStillWaitedForIsSaidAgain(t *testing.T) {
	r := &reporting{}
	waited := session.Looked{Era: 1, Rebuild: flow.Rebuild{Since: time.Unix(1, 0), Waiting: []string{"another", sender(7).Cluster}}}
	looked := func(in session.Looked, want ...session.HubOutput) {
		t.Helper()
		r.out = nil
		if r.step(0, in); !slices.EqualFunc(r.out, want, func(a, b session.HubOutput) bool { return reflect.DeepEqual(a, b) }) {
			t.Errorf("it is to do %+v, want %+v", r.out, want)
		}
	}
	for _, in := range []session.HubInput{session.SessionOpened{Session: rebuilding(1)}, session.InventoryPart{Last: true},
		session.InventoryTaken{}, session.HoldingsCame{Last: true}} {
		looked(waited)
		r.step(0, in)
	}
	looked(waited)
	r.step(0, session.HoldingsTaken{})
	for range 2 {
		looked(waited, session.TakeHoldings{Last: true, Again: true})
		looked(waited)
		r.step(0, session.HoldingsTaken{})
	}
	looked(session.Looked{Era: 1, Rebuild: flow.Rebuild{Since: time.Unix(1, 0), Waiting: []string{"another"}}})
	if r.h.Stage() != session.Reported {
		t.Errorf("it is at stage %d", r.h.Stage())
	}
	if r.step(0, session.Looked{Era: 1}); r.h.Stage() != session.Closed || r.closed() == "" {
		t.Errorf("it is at stage %d when REBUILD has ended", r.h.Stage())
	}
}

func TestDisorderInARebuildEndsTheSession(t *testing.T) {
	recalled := []session.HubInput{session.SessionOpened{Session: rebuilding(1)}, session.InventoryPart{Last: true}, session.InventoryTaken{Unknown: several(1)}}
	for _, tc := range []struct {
		name string
		in   session.HubInput
	}{
		{"a lease request", session.LeaseAsked{Request: flow.LeaseRequest{Sender: sender(7)}}},
		{"events", session.EventsCame{Generation: 7}},
		{"acks", session.AcksCame{Generation: 7}},
		{"verdicts", session.VerdictsTaken{}},
		{"another inventory", session.InventoryPart{Last: true}},
		{"what nobody has asked for", session.HoldingsCame{List: []flow.Holding{{Held: flow.Held{Execution: two, Epoch: e1}}}}},
		{"an answer without an end", session.HoldingsCame{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := &reporting{}
			for _, in := range append(slices.Clip(recalled), tc.in) {
				r.step(0, in)
			}
			if r.h.Stage() != session.Closed {
				t.Errorf("it is at stage %d", r.h.Stage())
			}
		})
	}
}

// TestWhoHasSeenMoreThanTheDatabaseGivesARestoredBackupAway. (I76.)
func TestWhoHasSeenMoreThanTheDatabaseGivesARestoredBackupAway(t *testing.T) {
	normal := flow.Session{Sender: flow.Sender{Member: flow.Member{Cluster: "east"}, Generation: 7, Incarnation: 2}, Era: 2}
	opened := session.SessionOpened{Session: normal, Era: 2, Incarnation: 2}
	third := flow.Epoch{Era: 3, N: 1}
	for _, tc := range []struct {
		name string
		in   []session.HubInput
		era  uint64
	}{
		{"the era of a Hello", []session.HubInput{session.SessionOpened{Session: normal, Era: 3}}, 3},
		{"the incarnation of a Hello", []session.HubInput{session.SessionOpened{Session: normal, Era: 1, Incarnation: 3}}, 0},
		{"an inventory", []session.HubInput{opened, session.InventoryPart{Held: []flow.Held{{Execution: one, Epoch: third}}, Last: true}}, 3},
		{"an event", []session.HubInput{opened, session.InventoryPart{Last: true}, session.VerdictsTaken{},
			session.EventsCame{Generation: 7, Events: []flow.Event{{Execution: one, Epoch: third}}}}, 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := &reporting{}
			for _, in := range tc.in {
				r.step(0, in)
			}
			i := slices.IndexFunc(r.out, func(o session.HubOutput) bool { _, ok := o.(session.Restored); return ok })
			if i < 0 || r.h.Stage() != session.Closed {
				t.Fatalf("it is to do %v, at stage %d", r.out, r.h.Stage())
			}
			if got := r.out[i].(session.Restored).Known; got != (flow.Fence{Epoch: flow.Epoch{Era: tc.era}}) {
				t.Errorf("known is %s", got)
			}
		})
	}
	r := &reporting{}
	for _, in := range []session.HubInput{opened, session.InventoryPart{Held: []flow.Held{{Execution: one, Epoch: e2}}, Last: true}} {
		r.step(0, in)
	}
	if why := r.closed(); why != "" {
		t.Errorf("what nobody has forgotten closes a session: %s", why)
	}
}

// rebuilt brings a member into a session of a REBUILD, with its inventory sent.
func (e *end) rebuilt(generation, era uint64, held ...flow.Held) *end {
	e.do(session.Dialled{}).do(session.Welcomed{Session: flow.Session{Sender: sender(generation), Era: era, Rebuild: true}, Heartbeat: time.Second, Lease: 30 * time.Second})
	return e.do(session.Listed{Held: held})
}

// TestAMemberWaitsInARebuild: what the lease of its last session covers goes on
// until that ends, and pinned work goes on after it; nothing else is asked for,
// and nothing new starts. (I77.)
func TestAMemberWaitsInARebuild(t *testing.T) {
	e := begin().live(1, 0, one).grant(1, 0).assign(1, pinned(two, e1, 1))
	e.do(session.Dropped{}).rebuilt(2, 1, flow.Held{Execution: one, Epoch: e1}, flow.Held{Execution: two, Epoch: e1})
	if !e.may(one) || !e.may(two) {
		t.Fatal("what the last session's lease covers has stopped")
	}
	e.do(session.RecallCame{Held: []flow.Held{{Execution: one, Epoch: e1}}, Last: true})
	if tell, ok := e.out[0].(session.Tell); !ok || len(tell.Held) != 1 {
		t.Fatalf("it is to do %v, want to tell one", e.out)
	}
	beats := 0
	for range 60 {
		e.wait(time.Second).do(session.Answered{Generation: 2}).do(session.Ticked{})
		for _, o := range e.out {
			if _, ok := o.(session.SendHeartbeat); !ok {
				t.Fatalf("while it waits it is to do %T", o)
			}
			beats++
		}
	}
	if beats < 59 || e.m.Stage() != session.Waiting {
		t.Errorf("%d heartbeats in a minute, and it is %s", beats, e.m.Stage())
	}
	if e.may(one) || !e.may(two) {
		t.Errorf("after the lease: movable work may start: %t, pinned: %t", e.may(one), e.may(two))
	}
	if e.do(session.Judged{Last: true}); e.m.Stage() != session.Idle {
		t.Error("verdicts were taken in a session of REBUILD")
	}
}

// What leaves by a planned move is told: perhaps nobody else knows of it.
func TestWhatWasStoppedHoldsNothingInARebuild(t *testing.T) {
	stopped := flow.Held{Execution: one, Epoch: e1, Desired: flow.DesiredGone}
	leaves := flow.Held{Execution: one, Epoch: e2, Desired: flow.DesiredGone, Leaving: true}
	aborted := flow.Held{Execution: two, Epoch: e1, Desired: flow.DesiredAbort}
	e := begin().rebuilt(1, 1, stopped, leaves, aborted)
	sent, ok := e.out[0].(session.SendInventory)
	if !ok || !slices.Equal(sent.Held, []flow.Held{leaves, aborted}) {
		t.Errorf("it sends %v", e.out)
	}
}

// TestAMemberRefusesAnEraBelowTheHighestItHasSeen, over sessions and restarts. (I76.)
func TestAMemberRefusesAnEraBelowTheHighestItHasSeen(t *testing.T) {
	welcome := func(era uint64, rebuild bool) session.Welcomed {
		return session.Welcomed{Session: flow.Session{Sender: sender(9), Era: era, Rebuild: rebuild}, Heartbeat: time.Second, Lease: 30 * time.Second}
	}
	for _, tc := range []struct {
		name string
		e    *end
		in   session.Welcomed
		ok   bool
	}{
		{"seen in a session", begin().do(session.Dialled{}).do(welcome(3, false)).do(session.Dropped{}), welcome(2, false), false},
		{"the same", begin().do(session.Dialled{}).do(welcome(3, false)).do(session.Dropped{}), welcome(3, false), true},
		{"a higher one", begin().do(session.Dialled{}).do(welcome(3, false)).do(session.Dropped{}), welcome(4, true), true},
		{"found before the first session", begin().do(session.Recalled{Era: 3}), welcome(2, false), false},
		{"found, and in REBUILD", begin().do(session.Recalled{Era: 3}), welcome(2, true), false},
		{"of an object", begin().rebuilt(1, 1, flow.Held{Execution: one, Epoch: flow.Epoch{Era: 3, N: 1}}).do(session.Dropped{}), welcome(2, false), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := tc.e.m.Era()
			tc.e.do(session.Dialled{}).do(tc.in)
			if got := tc.e.m.Stage() == session.Listing; got != tc.ok {
				t.Errorf("it is %s after era %d, having seen %d", tc.e.m.Stage(), tc.in.Session.Era, before)
			}
			if tc.e.m.Era() < before {
				t.Errorf("the highest era went from %d to %d", before, tc.e.m.Era())
			}
		})
	}
}
