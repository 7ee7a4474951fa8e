package session_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/federation/session"
)

// TestHubScripts runs testdata/hub/*.txt: each line is one thing that happens,
// and the answer is what the hub is to do.
func TestHubScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/hub", func(t *testing.T, path string) {
		var h session.Hub
		var now time.Duration
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd == "wait" {
				var s string
				d.ScanArgs(t, "for", &s)
				step, err := time.ParseDuration(s)
				if err != nil {
					d.Fatalf(t, "%v", err)
				}
				now += step
				var out []session.HubOutput
				h, out = h.Step(now, session.HubTicked{})
				return show(h, out)
			}
			var out []session.HubOutput
			h, out = h.Step(now, hubInput(t, d))
			return show(h, out)
		})
	})
}

func hubInput(t *testing.T, d *datadriven.TestData) session.HubInput {
	generation := uint64(7)
	d.MaybeScanArgs(t, "generation", &generation)
	var n uint64
	d.MaybeScanArgs(t, "n", &n)
	switch d.Cmd {
	case "opened":
		return session.SessionOpened{Session: flow.Session{Sender: sender(7)}}
	case "inventory":
		return session.InventoryPart{Held: []flow.Held{{Execution: one}}, Last: d.HasArg("last")}
	case "verdicts":
		return session.VerdictsTaken{Verdicts: flow.Verdicts{OwnershipRevision: n}}
	case "heartbeat":
		return session.Beaten{Generation: generation}
	case "ask":
		return session.LeaseAsked{Request: flow.LeaseRequest{Sender: sender(generation), Nonce: n}}
	case "recorded":
		return session.LeaseRecorded{Lease: flow.Lease{Sender: sender(generation), Nonce: n}}
	case "events":
		return session.EventsCame{Generation: generation, Batch: n}
	case "committed":
		return session.Ingested{Batch: n}
	case "ack":
		return session.AcksCame{Generation: generation, Acks: []flow.Ack{{Execution: one, Revision: n}}}
	case "wake":
		return session.Woken{}
	case "rows":
		var list []flow.Assignment
		for _, line := range strings.Fields(d.Input) {
			name, revision, _ := strings.Cut(line, "=")
			a := flow.Assignment{Execution: flow.ExecutionID{Project: "p", Domain: "d", Name: name}}
			if _, err := fmt.Sscan(revision, &a.Revision); err != nil {
				d.Fatalf(t, "%v", err)
			}
			list = append(list, a)
		}
		return session.OutboxRead{Assignments: list}
	case "replaced":
		return session.Replaced{}
	}
	d.Fatalf(t, "what is %q?", d.Cmd)
	return nil
}

func show(h session.Hub, out []session.HubOutput) string {
	var b strings.Builder
	for _, o := range out {
		switch o := o.(type) {
		case session.SendAssignment:
			fmt.Fprintf(&b, "send %s=%d\n", o.Assignment.Execution.Name, o.Assignment.Revision)
		case session.SendLease:
			fmt.Fprintf(&b, "send lease %d\n", o.Lease.Nonce)
		case session.Close:
			fmt.Fprintf(&b, "close: %s\n", o.Reason)
		case session.Ingest:
			fmt.Fprintf(&b, "ingest %d\n", o.Batch)
		case session.AckEvents:
			fmt.Fprintf(&b, "ack events %d\n", o.Batch)
		case session.Judge:
			fmt.Fprintf(&b, "judge %d held\n", len(o.Held))
		default:
			name := fmt.Sprintf("%T", o)
			fmt.Fprintln(&b, name[strings.LastIndex(name, ".")+1:])
		}
	}
	stages := []string{"opening", "gathering", "judging", "serving", "recalling", "reported", "closed"}
	fmt.Fprintf(&b, "(%s)\n", stages[h.Stage()])
	return b.String()
}

func TestTheWindowBoundsWhatIsUnacked(t *testing.T) {
	var h session.Hub
	step := func(now time.Duration, in session.HubInput) (n int) {
		var out []session.HubOutput
		h, out = h.Step(now, in)
		for _, o := range out {
			if _, ok := o.(session.SendAssignment); ok {
				n++
			}
		}
		return n
	}
	step(0, session.SessionOpened{})
	step(0, session.InventoryPart{Last: true})
	step(0, session.VerdictsTaken{})
	var rows []flow.Assignment
	for i := range 2 * session.Window {
		rows = append(rows, flow.Assignment{Execution: flow.ExecutionID{Name: fmt.Sprint(i)}, Revision: 1})
	}
	if n := step(0, session.OutboxRead{Assignments: rows}); n != session.Window {
		t.Fatalf("%d were sent, want %d", n, session.Window)
	}
	var acks []flow.Ack
	for _, a := range rows[:10] {
		acks = append(acks, flow.Ack{Execution: a.Execution, Revision: 1})
	}
	step(time.Second, session.AcksCame{Acks: acks})
	if n := step(time.Second, session.OutboxRead{Assignments: rows}); n != 10 {
		t.Fatalf("%d were sent after 10 acks, want 10: what was just acked is not sent again", n)
	}
	step(session.Resend, session.HubTicked{})
	slices.Reverse(rows)
	if n := step(session.Resend, session.OutboxRead{Assignments: rows}); n != session.Window-10 {
		t.Fatalf("%d were sent once the first were old, want %d", n, session.Window-10)
	}
}

// Each read brings whole rows: one for every ack would be a busy loop.
func TestAcksOfAFullWindowCauseOneRead(t *testing.T) {
	var h session.Hub
	reads := 0
	step := func(in session.HubInput) {
		var out []session.HubOutput
		h, out = h.Step(0, in)
		for _, o := range out {
			if _, ok := o.(session.ReadOutbox); ok {
				reads++
			}
		}
	}
	for _, in := range []session.HubInput{session.SessionOpened{}, session.InventoryPart{Last: true}, session.VerdictsTaken{}} {
		step(in)
	}
	var rows []flow.Assignment
	for i := range session.Window {
		rows = append(rows, flow.Assignment{Execution: flow.ExecutionID{Name: fmt.Sprint(i)}, Revision: 1})
	}
	step(session.OutboxRead{Assignments: rows})
	reads = 0
	for _, a := range rows {
		step(session.AcksCame{Acks: []flow.Ack{{Execution: a.Execution, Revision: 1}}})
		step(session.OutboxRead{})
	}
	if reads != 1 {
		t.Errorf("%d acks caused %d reads, want 1", len(rows), reads)
	}
}

func TestALeaseIsAskedInTheNameOfTheSession(t *testing.T) {
	var h session.Hub
	who := flow.Sender{Member: flow.Member{Cluster: "east", Instance: "i"}, Generation: 7, Incarnation: 2}
	for _, in := range []session.HubInput{
		session.SessionOpened{Session: flow.Session{Sender: who}}, session.InventoryPart{Last: true}, session.VerdictsTaken{},
		session.LeaseAsked{Request: flow.LeaseRequest{Sender: flow.Sender{Member: flow.Member{Cluster: "west"}, Generation: 7}, Nonce: 1}},
	} {
		h, _ = h.Step(0, in)
	}
	if b, ok := h.Beat(time.Second); !ok || b.Lease == nil || b.Lease.Sender != who || b.Sender != who || b.Age != time.Second {
		t.Errorf("beat %+v, lease %+v", b, b.Lease)
	}
}
