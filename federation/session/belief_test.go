package session_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/federation/session"
)

// roads are the ways by which a member tells of an era, with what comes before.
var roads = map[string]func(s flow.Session, era uint64) []session.HubInput{
	"the era of a Hello": func(s flow.Session, era uint64) []session.HubInput {
		return []session.HubInput{session.SessionOpened{Session: s, Era: era}}
	},
	"the incarnation of a Hello": func(s flow.Session, n uint64) []session.HubInput {
		return []session.HubInput{session.SessionOpened{Session: s, Incarnation: n}}
	},
	"an inventory": func(s flow.Session, era uint64) []session.HubInput {
		return []session.HubInput{session.SessionOpened{Session: s},
			session.InventoryPart{Held: []flow.Held{{Execution: one, Epoch: flow.Epoch{Era: era, N: 1}}}, Last: true}}
	},
	"an event": func(s flow.Session, era uint64) []session.HubInput {
		return []session.HubInput{session.SessionOpened{Session: s}, session.InventoryPart{Last: true}, session.VerdictsTaken{},
			session.EventsCame{Generation: 7, Events: []flow.Event{{Execution: one, Epoch: flow.Epoch{Era: era, N: 1}}}}}
	},
}

// One member in the wrong hands must not lead the control plane to an era that
// it can never leave: what it says there is no sign of a restored backup. (I76.)
func TestWhatCannotBeIsNoSign(t *testing.T) {
	for name, road := range roads {
		for _, era := range []uint64{session.MostEras + 1, 1 << 40, math.MaxInt64, math.MaxUint64} {
			for _, rebuild := range []bool{false, true} {
				if rebuild && name == "an event" {
					continue // out of order there
				}
				t.Run(fmt.Sprintf("%s/%d/%t", name, era, rebuild), func(t *testing.T) {
					r := &reporting{}
					for _, in := range road(flow.Session{Sender: sender(7), Era: 1, Rebuild: rebuild}, era) {
						r.step(0, in)
					}
					for _, o := range r.out {
						switch o.(type) {
						case session.Restored, session.TakeInventory, session.Judge, session.Ingest:
							if _, early := o.(session.Judge); early && name == "an event" {
								continue
							}
							t.Errorf("it is to do %+v", o)
						}
					}
					if r.h.Stage() != session.Closed || !strings.Contains(r.closed(), "cannot be") {
						t.Errorf("it is at stage %d because %q", r.h.Stage(), r.closed())
					}
				})
			}
		}
	}
}

// What the database holds itself is believed, however high; a REBUILD that began
// at the highest era of a member's word can end, and its members come back.
func TestWhatTheDatabaseHoldsIsBelieved(t *testing.T) {
	const era = session.MostEras + 1
	for name, road := range roads {
		r := &reporting{}
		s := flow.Session{Sender: sender(7), Era: era}
		s.Incarnation = era
		for _, in := range road(s, era) {
			r.step(0, in)
		}
		if why := r.closed(); why != "" {
			t.Errorf("%s closes the session: %s", name, why)
		}
	}
}

// Numbers that nothing can be added to are in no inventory and in no holding:
// stored, they would fail every plan that has the execution in it.
func TestNumbersThatCannotBeAreNotHeld(t *testing.T) {
	for name, bad := range map[string]flow.Held{
		"an epoch":   {Execution: one, Epoch: flow.Epoch{Era: 1, N: math.MaxInt64}},
		"a revision": {Execution: one, Epoch: e1, Revision: math.MaxInt64},
		"a sequence": {Execution: one, Epoch: e1, Sequence: math.MaxUint64},
	} {
		for _, rebuild := range []bool{false, true} {
			r := &reporting{}
			r.step(0, session.SessionOpened{Session: flow.Session{Sender: sender(7), Era: 1, Rebuild: rebuild}})
			r.step(0, session.InventoryPart{Held: []flow.Held{bad}, Last: true})
			if len(r.out) != 2 || !strings.Contains(r.closed(), "cannot be") {
				t.Errorf("%s, rebuild %t: it is to do %v", name, rebuild, r.out)
			}
		}
		r := &reporting{}
		good := flow.Held{Execution: one, Epoch: bad.Epoch}
		good.Epoch.N = min(good.Epoch.N, 5)
		for _, in := range []session.HubInput{session.SessionOpened{Session: rebuilding(1)}, session.InventoryPart{Held: []flow.Held{good}, Last: true},
			session.InventoryTaken{Unknown: []flow.Held{good}}, session.HoldingsCame{List: []flow.Holding{{Held: bad}}, Last: true}} {
			r.step(0, in)
		}
		if r.h.Stage() != session.Closed {
			t.Errorf("%s in a holding: it is to do %v", name, r.out)
		}
	}
}

// A hub keeps an inventory until it is whole: what a member may make it keep is
// bounded, and so is how long it may take.
func TestAnInventoryIsBounded(t *testing.T) {
	opened := func() *reporting {
		r := &reporting{}
		r.step(0, session.SessionOpened{Session: flow.Session{Sender: sender(7), Era: 1}})
		return r
	}
	part := func(n int, name string) session.InventoryPart {
		held := make([]flow.Held, n)
		for i := range held {
			held[i] = flow.Held{Execution: flow.ExecutionID{Project: "p", Domain: "d", Name: name}, Epoch: e1}
		}
		return session.InventoryPart{Held: held}
	}
	r := opened()
	for range session.MaxHeld / 1000 {
		r.step(0, part(1000, "a-name-of-an-execution"))
	}
	if why := r.closed(); why != "" {
		t.Fatalf("%d objects are refused: %s", session.MaxHeld, why)
	}
	if r.step(0, part(1, "x")); !strings.Contains(r.closed(), "too large") {
		t.Errorf("one more than %d objects is taken: %q", session.MaxHeld, r.closed())
	}
	r = opened()
	long := strings.Repeat("x", 1<<20)
	for range session.MaxHeldBytes>>20 + 1 {
		r.step(0, part(1, long))
	}
	if !strings.Contains(r.closed(), "too large") {
		t.Errorf("names of %d bytes are kept: %q", session.MaxHeldBytes, r.closed())
	}
	r = opened()
	for now := time.Second; now <= session.GatherWait; now += 5 * time.Second {
		r.step(now, part(1, "x"))
		r.step(now, session.HubTicked{})
	}
	if why := r.closed(); why != "" {
		t.Fatalf("a slow member is cut off: %s", why)
	}
	r.step(session.GatherWait+time.Second, session.Beaten{Generation: 7})
	if r.step(session.GatherWait+2*time.Second, session.HubTicked{}); !strings.Contains(r.closed(), "no whole inventory") {
		t.Errorf("an inventory never ends: %q", r.closed())
	}
	r = opened()
	r.step(0, session.InventoryPart{Last: true})
	r.step(0, session.VerdictsTaken{})
	r.step(session.GatherWait+time.Second, session.Beaten{Generation: 7})
	if r.step(session.GatherWait+2*time.Second, session.HubTicked{}); r.h.Stage() != session.Serving {
		t.Errorf("a session that has been judged ends: %q", r.closed())
	}
}
