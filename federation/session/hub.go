package session

import (
	"time"

	"github.com/skein-project/skein/api/flow"
)

// Limits of one session at the hub.
const (
	// Credit is how many event batches of one member may be unacked at a time; a
	// member that sends more breaks the protocol.
	Credit = 4
	// Resend is how long the hub waits for an ack before it sends a revision again.
	Resend = 3 * time.Second
	// HubSilence is how long a member may say nothing before its session ends.
	HubSilence = 10 * time.Second
	// Sweep is how often the outbox is read though nobody said that rows wait.
	Sweep = time.Second
	// Window is how many assignments of one session may be sent and unacked.
	Window = 256
)

// HubStage is how far a session has come at the hub.
type HubStage uint8

// The stages of a session at the hub, in their order.
const (
	Opening   HubStage = iota // Hello came; the session is being opened
	Gathering                 // Welcome sent; the inventory is coming
	Judging                   // the verdicts' transaction runs
	Serving                   // verdicts were sent
	Closed                    // it has ended
)

// sent is an assignment that went out not long ago. It stays until Resend after
// its ack as well: the outbox may be read before the ack is stored.
type sent struct {
	revision uint64
	at       time.Duration
	acked    bool
}

// Hub is the state of one session at the hub. Its zero value is a session that
// is being opened. Times are the hub's own monotonic clock.
type Hub struct {
	stage    HubStage
	session  flow.Session
	heard    time.Duration
	swept    time.Duration
	reading  bool // of the outbox
	woken    bool // while reading
	held     []flow.Held
	lease    *flow.LeaseRequest // the newest that was not answered
	answered uint64             // nonce of the last answer
	batches  int                // of events, not acked
	sent     map[flow.ExecutionID]sent
	unacked  int // of sent
}

// Stage is how far the session has come.
func (h Hub) Stage() HubStage { return h.stage }

// Session is what was opened.
func (h Hub) Session() flow.Session { return h.session }

// Beat is what the leader is told of this member; not ok before the Welcome.
func (h Hub) Beat(now time.Duration) (b flow.Beat, ok bool) {
	if h.stage == Opening || h.stage == Closed {
		return flow.Beat{}, false
	}
	return flow.Beat{Sender: h.session.Sender, Age: now - h.heard, Lease: h.lease}, true
}

// Step takes in one thing that happened and says what is to be done.
func (h Hub) Step(now time.Duration, in HubInput) (Hub, []HubOutput) {
	if h.stage == Closed {
		return h, nil
	}
	return in.hub(h, now)
}

func (h Hub) close(reason string) (Hub, []HubOutput) {
	h.stage, h.lease = Closed, nil
	return h, []HubOutput{Close{Reason: reason}}
}

// read asks for the outbox's rows, or remembers to ask again after the answer.
func (h Hub) read(now time.Duration) (Hub, []HubOutput) {
	if h.stage != Serving {
		return h, nil
	}
	if h.reading {
		h.woken = true
		return h, nil
	}
	h.reading, h.woken, h.swept = true, false, now
	return h, []HubOutput{ReadOutbox{}}
}

// send notes that an assignment goes out, unless it is not due: a newer
// revision goes at once, the same one again only after Resend.
func (h *Hub) send(now time.Duration, a flow.Assignment) bool {
	s, ok := h.sent[a.Execution]
	if ok && a.Revision <= s.revision {
		return false
	}
	if !ok || s.acked {
		if h.unacked >= Window {
			return false
		}
		h.unacked++
	}
	h.sent[a.Execution] = sent{revision: a.Revision, at: now}
	return true
}

// forget drops what went out long ago: what is still unacked is sent again
// when the outbox names it again.
func (h *Hub) forget(now time.Duration) {
	for id, s := range h.sent {
		if now-s.at < Resend {
			continue
		}
		if !s.acked {
			h.unacked--
		}
		delete(h.sent, id)
	}
}
