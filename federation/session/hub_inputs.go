package session

import (
	"fmt"
	"time"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/mutant"
)

// HubInput is one thing that happened at the hub's end.
type HubInput interface {
	hub(h Hub, now time.Duration) (Hub, []HubOutput)
}

// HubOutput is one thing that the hub's end is to do.
type HubOutput interface{ hubOutput() }

// Inputs of the hub.
type (
	// SessionOpened: the store has opened the session. Era and Incarnation are the
	// highest that the member has seen, by its own word.
	SessionOpened struct {
		Session          flow.Session
		Era, Incarnation uint64
	}
	// InventoryPart: a part of the inventory came.
	InventoryPart struct {
		Held []flow.Held
		Last bool
	}
	// VerdictsTaken: their transaction has committed.
	VerdictsTaken struct{ Verdicts flow.Verdicts }
	// Beaten: a heartbeat came.
	Beaten struct{ Generation uint64 }
	// LeaseAsked: a lease request came.
	LeaseAsked struct{ Request flow.LeaseRequest }
	// LeaseRecorded: the leader has recorded a lease.
	LeaseRecorded struct{ Lease flow.Lease }
	// EventsCame: a batch of events came.
	EventsCame struct {
		Generation, Batch uint64
		Events            []flow.Event
	}
	// Ingested: a batch was committed.
	Ingested struct {
		Batch   uint64
		Results []flow.EventResult
	}
	// AcksCame: acks came.
	AcksCame struct {
		Generation uint64
		Acks       []flow.Ack
		Nacks      []flow.Nack
	}
	// Woken: outbox rows wait.
	Woken struct{}
	// OutboxRead: the outbox was read.
	OutboxRead struct{ Assignments []flow.Assignment }
	// HubTicked: time went by.
	HubTicked struct{}
	// Replaced: a newer session of the same member exists.
	Replaced struct{}
	// Ended: the hub ends the session for a reason of its own.
	Ended struct{ Reason string }
)

// Outputs of the hub.
type (
	// SendWelcome: send the Welcome.
	SendWelcome struct{ Session flow.Session }
	// Judge: take verdicts on the inventory, in one transaction.
	Judge struct{ Held []flow.Held }
	// SendVerdicts: send them.
	SendVerdicts struct{ Verdicts flow.Verdicts }
	// ReadOutbox: read the rows that wait, at most so many. A Sweep is made though
	// nobody said that rows wait; it may be answered with none if it is known that
	// none do.
	ReadOutbox struct {
		Limit int
		Sweep bool
	}
	// SendAssignment: send it, behind control messages.
	SendAssignment struct{ Assignment flow.Assignment }
	// SendLease: send the recorded lease.
	SendLease struct{ Lease flow.Lease }
	// BeatNow: tell the leader without waiting for the next second.
	BeatNow struct{}
	// AnswerBeat: answer a heartbeat.
	AnswerBeat struct{ Generation uint64 }
	// Ingest: commit the events, then say so.
	Ingest struct {
		Batch  uint64
		Events []flow.Event
	}
	// AckEvents: the batch has been committed; tell the member.
	AckEvents struct {
		Batch   uint64
		Results []flow.EventResult
	}
	// StoreAcks: store the member's acks.
	StoreAcks struct{ Acks []flow.Ack }
	// Refused: the member could not apply an assignment, for the tries-th time;
	// a fact to tell.
	Refused struct {
		Nack  flow.Nack
		Tries int
	}
	// Close: say goodbye and end the stream.
	Close struct{ Reason string }
)

func (SendWelcome) hubOutput()    {}
func (Judge) hubOutput()          {}
func (SendVerdicts) hubOutput()   {}
func (ReadOutbox) hubOutput()     {}
func (SendAssignment) hubOutput() {}
func (SendLease) hubOutput()      {}
func (BeatNow) hubOutput()        {}
func (AnswerBeat) hubOutput()     {}
func (Ingest) hubOutput()         {}
func (AckEvents) hubOutput()      {}
func (StoreAcks) hubOutput()      {}
func (Refused) hubOutput()        {}
func (Close) hubOutput()          {}

func (in SessionOpened) hub(h Hub, now time.Duration) (Hub, []HubOutput) {
	if h.stage != Opening {
		return h.close("opened twice")
	}
	h.stage, h.session, h.heard, h.begun = Gathering, in.Session, now, now
	if closed, out, yes := h.foresees(in.Era, in.Incarnation); yes {
		return closed, out
	}
	return h, []HubOutput{SendWelcome{Session: in.Session}}
}

func (in InventoryPart) hub(h Hub, now time.Duration) (Hub, []HubOutput) {
	if h.stage != Gathering {
		return h.close("inventory out of order")
	}
	h.heard = now
	if why := h.gather(in.Held); why != "" {
		return h.close(why)
	}
	if !in.Last {
		return h, nil
	}
	held := h.held
	h.stage, h.held, h.bytes = Judging, nil, 0
	if closed, out, yes := h.foresees(highestEra(held), 0); yes {
		return closed, out
	}
	if h.session.Rebuild {
		return h, []HubOutput{TakeInventory{Held: held}}
	}
	return h, []HubOutput{Judge{Held: held}}
}

// gather keeps a part of the inventory, or says why it is not taken.
func (h *Hub) gather(part []flow.Held) (refused string) {
	for _, x := range part {
		if why := unbelievable(x); why != "" {
			return why
		}
		h.bytes += heldBytes + len(x.Execution.Project) + len(x.Execution.Domain) + len(x.Execution.Name)
	}
	if len(h.held)+len(part) > MaxHeld || h.bytes > MaxHeldBytes {
		return fmt.Sprintf("the inventory is too large: a hub takes %d objects and %d MiB of one member", MaxHeld, MaxHeldBytes>>20)
	}
	h.held = append(h.held, part...)
	return ""
}

func (in VerdictsTaken) hub(h Hub, now time.Duration) (Hub, []HubOutput) {
	if h.stage != Judging || h.session.Rebuild {
		return h.close("verdicts out of order")
	}
	h.stage = Serving
	h.sent = map[flow.ExecutionID]sent{}
	h.session.OwnershipRevision = in.Verdicts.OwnershipRevision
	h, read := h.read(now)
	return h, append([]HubOutput{SendVerdicts(in)}, read...)
}

func (in Beaten) hub(h Hub, now time.Duration) (Hub, []HubOutput) {
	if h.stage == Opening || in.Generation != h.session.Generation {
		return h.close("heartbeat of another session")
	}
	h.heard = now
	return h, []HubOutput{AnswerBeat(in)}
}

func (in LeaseAsked) hub(h Hub, now time.Duration) (Hub, []HubOutput) {
	if h.stage != Serving || in.Request.Generation != h.session.Generation {
		return h.close("lease request out of order")
	}
	h.heard = now
	first := h.answered == 0 && h.lease == nil
	if h.lease == nil || h.lease.Nonce < in.Request.Nonce {
		r := in.Request
		r.Sender = h.session.Sender // never by the message's own word
		h.lease = &r
	}
	if first {
		return h, []HubOutput{BeatNow{}}
	}
	return h, nil
}

func (in LeaseRecorded) hub(h Hub, _ time.Duration) (Hub, []HubOutput) {
	l := in.Lease
	if h.stage != Serving || l.Generation != h.session.Generation || l.Nonce <= h.answered {
		return h, nil
	}
	h.answered = l.Nonce
	if h.lease != nil && h.lease.Nonce <= l.Nonce {
		h.lease = nil
	}
	return h, []HubOutput{SendLease(in)}
}

func (in EventsCame) hub(h Hub, now time.Duration) (Hub, []HubOutput) {
	if h.stage != Serving || in.Generation != h.session.Generation {
		return h.close("events out of order")
	}
	h.heard = now
	for _, e := range in.Events {
		if closed, out, yes := h.foresees(e.Epoch.Era, 0); yes {
			return closed, out
		}
	}
	if h.batches >= Credit {
		return h.close("more event batches than the credit allows")
	}
	h.batches++
	if mutant.On("ack-before-commit") {
		early := AckEvents{Batch: in.Batch, Results: make([]flow.EventResult, len(in.Events))}
		return h, []HubOutput{early, Ingest{Batch: in.Batch, Events: in.Events}}
	}
	return h, []HubOutput{Ingest{Batch: in.Batch, Events: in.Events}}
}

func (in Ingested) hub(h Hub, _ time.Duration) (Hub, []HubOutput) {
	h.batches--
	return h, []HubOutput{AckEvents(in)}
}

func (in AcksCame) hub(h Hub, now time.Duration) (Hub, []HubOutput) {
	if h.stage != Serving || in.Generation != h.session.Generation {
		return h.close("acks out of order")
	}
	h.heard = now
	before := h.unacked
	for _, a := range in.Acks {
		if s, ok := h.sent[a.Execution]; ok && !s.acked && s.revision <= a.Revision {
			s.acked = true
			h.sent[a.Execution] = s
			h.unacked--
		}
		if r, ok := h.resting[a.Execution]; ok && r.revision <= a.Revision {
			delete(h.resting, a.Execution)
		}
	}
	var out []HubOutput
	if len(in.Acks) > 0 {
		out = append(out, StoreAcks{Acks: in.Acks})
	}
	for _, n := range in.Nacks {
		out = append(out, Refused{Nack: n, Tries: h.refuse(now, n)})
	}
	// Half a window at a time: a read for each ack would keep the database busy.
	if before > Window/2 && h.unacked <= Window/2 {
		var read []HubOutput
		h, read = h.read(now)
		out = append(out, read...)
	}
	return h, out
}

func (Woken) hub(h Hub, now time.Duration) (Hub, []HubOutput) { return h.read(now) }

func (in OutboxRead) hub(h Hub, now time.Duration) (Hub, []HubOutput) {
	h.reading = false
	var out []HubOutput
	for _, a := range in.Assignments {
		if h.send(now, a) {
			out = append(out, SendAssignment{Assignment: a})
		}
	}
	h.settle(now, in.Assignments, len(out))
	if h.woken {
		var read []HubOutput
		h, read = h.read(now)
		out = append(out, read...)
	}
	return h, out
}

func (HubTicked) hub(h Hub, now time.Duration) (Hub, []HubOutput) {
	if h.stage != Opening && now-h.heard > HubSilence {
		return h.close("the member was silent")
	}
	if h.stage == Gathering && now-h.begun > GatherWait {
		return h.close(fmt.Sprintf("the member has given no whole inventory within %s", GatherWait))
	}
	h.forget(now)
	if now-h.swept >= Sweep && now >= h.quiet {
		return h.sweep(now)
	}
	return h, nil
}

func (Replaced) hub(h Hub, _ time.Duration) (Hub, []HubOutput) {
	return h.close("a newer session of this member exists")
}

func (in Ended) hub(h Hub, _ time.Duration) (Hub, []HubOutput) { return h.close(in.Reason) }
