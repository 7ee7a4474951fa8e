package session

import (
	"time"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/mutant"
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
	// FirstPause is how long an assignment rests that a member could not apply;
	// it doubles with each try, up to LongestPause.
	FirstPause   = time.Second
	LongestPause = time.Minute
	// MaxPaused is how many of them are remembered; those above it are only kept
	// from the window.
	MaxPaused = 4096
	// RestingSweep bounds how long the outbox is not read because all of its rows
	// rest.
	RestingSweep = 5 * time.Second
	// MaxHeld and MaxHeldBytes bound one inventory, which a hub keeps until it is
	// whole; a large cluster holds 100,000 objects, tombstones included. A line
	// counts as its names and heldBytes.
	MaxHeld      = 250_000
	MaxHeldBytes = 64 << 20
	heldBytes    = 128
	// GatherWait is how long a member may take to give its inventory: 100,000
	// objects are 400 pages of its API server.
	GatherWait = 10 * time.Minute
)

// rest is the pause of an assignment that could not be applied.
type rest struct {
	revision uint64
	tries    int
	until    time.Duration
}

// HubStage is how far a session has come at the hub.
type HubStage uint8

// The stages of a session at the hub, in their order.
const (
	Opening   HubStage = iota // Hello came; the session is being opened
	Gathering                 // Welcome sent; the inventory is coming
	Judging                   // the transaction of the verdicts, or of the report, runs
	Serving                   // verdicts were sent
	Recalling                 // in REBUILD: what the database does not know is asked for
	Reported                  // in REBUILD: all that the member holds was taken
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
	reading  bool          // of the outbox
	woken    bool          // while reading
	begun    time.Duration // of the inventory
	held     []flow.Held
	bytes    int                // of held
	lease    *flow.LeaseRequest // the newest that was not answered
	answered uint64             // nonce of the last answer
	batches  int                // of events, not acked
	sent     map[flow.ExecutionID]sent
	unacked  int // of sent
	resting  map[flow.ExecutionID]rest
	limit    int           // of the read under way
	quiet    time.Duration // no sweep before: every row rests
	recall   recall
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
	h.stage, h.lease, h.held = Closed, nil, nil
	return h, []HubOutput{Close{Reason: reason}}
}

// read asks for the outbox's rows, or remembers to ask again after the answer.
func (h Hub) read(now time.Duration) (Hub, []HubOutput) {
	early := mutant.On("assignment-taken-before-the-verdicts") && (h.stage == Gathering || h.stage == Judging)
	if h.stage != Serving && !early {
		return h, nil
	}
	if h.reading {
		h.woken = true
		return h, nil
	}
	h.reading, h.woken, h.swept, h.quiet = true, false, now, 0
	h.limit = 2*Window + len(h.resting) // those that rest hold up no others
	return h, []HubOutput{ReadOutbox{Limit: h.limit}}
}

// sweep is a read that nobody asked for.
func (h Hub) sweep(now time.Duration) (Hub, []HubOutput) {
	h, out := h.read(now)
	for i, o := range out {
		if r, ok := o.(ReadOutbox); ok {
			r.Sweep = true
			out[i] = r
		}
	}
	return h, out
}

// send notes that an assignment goes out, unless it is not due: a newer
// revision goes at once, the same one again only after Resend.
func (h *Hub) send(now time.Duration, a flow.Assignment) bool {
	r, rests := h.resting[a.Execution]
	if rests && a.Revision <= r.revision && now < r.until {
		return false
	}
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
	if h.sent == nil { // a mutant sends before the verdicts
		h.sent = map[flow.ExecutionID]sent{}
	}
	h.sent[a.Execution] = sent{revision: a.Revision, at: now}
	return true
}

// refuse lets an assignment rest that the member could not apply, and takes it
// out of the window. A newer revision of it is sent at once all the same.
func (h *Hub) refuse(now time.Duration, n flow.Nack) (tries int) {
	if s, ok := h.sent[n.Execution]; ok && s.revision <= n.Revision {
		if !s.acked {
			h.unacked--
		}
		s.acked = true // not sent again before Resend, whatever becomes of its rest
		h.sent[n.Execution] = s
	}
	r, ok := h.resting[n.Execution]
	if !ok && len(h.resting) >= MaxPaused || ok && n.Revision < r.revision {
		return 0
	}
	if r.revision != n.Revision {
		r = rest{revision: n.Revision}
	}
	r.until = now + min(FirstPause<<min(r.tries, 10), LongestPause)
	r.tries++
	if h.resting == nil {
		h.resting = map[flow.ExecutionID]rest{}
	}
	h.resting[n.Execution] = r
	if s := h.sent[n.Execution]; s.revision <= n.Revision {
		delete(h.sent, n.Execution) // its rest says when it is sent again
	}
	return r.tries
}

// settle looks at a read of the outbox: what it does not name any more rests no
// more, and if all that it names rests, the next read can wait.
func (h *Hub) settle(now time.Duration, list []flow.Assignment, sent int) {
	if len(h.resting) == 0 || len(list) == 0 || len(list) >= h.limit {
		return // it may have failed, or named a part of them
	}
	named := make(map[flow.ExecutionID]bool, len(list))
	next := now + RestingSweep
	for _, a := range list {
		named[a.Execution] = true
		if r, ok := h.resting[a.Execution]; !ok {
			next = 0
		} else {
			next = min(next, r.until)
		}
	}
	for id := range h.resting {
		if !named[id] {
			delete(h.resting, id)
		}
	}
	if sent == 0 {
		h.quiet = next
	}
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
