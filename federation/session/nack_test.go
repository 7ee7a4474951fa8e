package session_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/federation/session"
)

// desk is a hub's session, an outbox, and a member that cannot apply some of it.
type desk struct {
	h      session.Hub
	now    time.Duration
	outbox []flow.Assignment // that waits, oldest first
	broken map[string]bool
	sent   map[string][]time.Duration
	limit  int // the highest that was asked for
	reads  int
}

func newDesk(broken, fine int) *desk {
	d := &desk{broken: map[string]bool{}, sent: map[string][]time.Duration{}}
	for i := range broken + fine {
		name := fmt.Sprintf("%06d", i)
		d.broken[name] = i < broken
		d.outbox = append(d.outbox, flow.Assignment{Execution: flow.ExecutionID{Name: name}, Revision: 1})
	}
	d.step(session.SessionOpened{})
	d.step(session.InventoryPart{Last: true})
	d.step(session.VerdictsTaken{})
	return d
}

// step carries out what the machine says, at once.
func (d *desk) step(in session.HubInput) {
	var out []session.HubOutput
	d.h, out = d.h.Step(d.now, in)
	for _, o := range out {
		switch o := o.(type) {
		case session.ReadOutbox:
			d.limit, d.reads = max(d.limit, o.Limit), d.reads+1
			d.step(session.OutboxRead{Assignments: append([]flow.Assignment(nil), d.outbox[:min(o.Limit, len(d.outbox))]...)})
		case session.SendAssignment:
			d.answer(o.Assignment)
		}
	}
}

func (d *desk) answer(a flow.Assignment) {
	name := a.Execution.Name
	d.sent[name] = append(d.sent[name], d.now)
	ack := flow.Ack{Execution: a.Execution, Revision: a.Revision}
	if d.broken[name] {
		d.step(session.AcksCame{Nacks: []flow.Nack{{Ack: ack}}})
		return
	}
	for i := range d.outbox {
		if d.outbox[i].Execution == a.Execution {
			d.outbox = append(d.outbox[:i:i], d.outbox[i+1:]...)
			break
		}
	}
	d.step(session.AcksCame{Acks: []flow.Ack{ack}})
}

func (d *desk) run(t time.Duration) {
	for end := d.now + t; d.now < end; d.now += 250 * time.Millisecond {
		d.step(session.Beaten{})
		d.step(session.HubTicked{})
	}
}

// Rows that cannot be applied are older than all others, and more than a read
// and a window take: the others are sent all the same.
func TestWhatCannotBeAppliedHoldsUpNoOther(t *testing.T) {
	for _, broken := range []int{10, session.Window, 3 * session.Window, session.MaxPaused} {
		t.Run(fmt.Sprint(broken), func(t *testing.T) {
			d := newDesk(broken, 300)
			d.run(time.Minute)
			if left := len(d.outbox) - broken; left != 0 {
				t.Errorf("%d rows that could be applied were not sent", left)
			}
			if want := 2*session.Window + broken; d.limit > want {
				t.Errorf("%d rows were asked for, want at most %d", d.limit, want)
			}
		})
	}
}

func TestARestGrowsAndANewerRevisionEndsIt(t *testing.T) {
	d := newDesk(1, 0)
	d.run(10 * time.Minute)
	var pauses []time.Duration
	sent := d.sent["000000"]
	for i := 1; i < len(sent); i++ {
		pauses = append(pauses, sent[i]-sent[i-1])
	}
	if len(pauses) < 8 {
		t.Fatalf("it was sent at %v only", sent)
	}
	for i, p := range pauses {
		want := min(session.FirstPause<<min(i, 10), session.LongestPause)
		if p < want || p > want+session.Sweep+250*time.Millisecond {
			t.Errorf("pause %d is %s, want %s", i, p, want)
		}
	}
	if most := int(10*time.Minute/session.Sweep) / 3; d.reads > most {
		t.Errorf("the outbox was read %d times for one row that rests, want at most %d", d.reads, most)
	}
	d.outbox[0].Revision = 2
	before := len(sent)
	d.step(session.Woken{})
	if len(d.sent["000000"]) != before+1 {
		t.Error("a newer revision waits for the rest of the older one")
	}
}

// Memory is bounded, whatever a cluster cannot apply.
func TestNoMoreThanSoManyRest(t *testing.T) {
	const broken = session.MaxPaused + 2000
	d := newDesk(broken, 0)
	d.run(time.Minute)
	if want := 2*session.Window + session.MaxPaused; d.limit > want {
		t.Errorf("%d rows were asked for, want at most %d", d.limit, want)
	}
}
