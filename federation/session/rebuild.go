package session

import (
	"slices"
	"time"

	"github.com/skein-project/skein/api/flow"
)

// RecallPart bounds the executions that a member is asked for at a time. The
// next part is asked for when the last one was taken, so a hub holds no more of
// what a member tells than this many.
const RecallPart = 25

// Inputs of the hub in REBUILD.
type (
	// InventoryTaken: an inventory was taken as a report.
	InventoryTaken struct{ Unknown []flow.Held }
	// HoldingsCame: a part of the answer to a Recall came.
	HoldingsCame struct {
		List []flow.Holding
		Last bool // of that answer
	}
	// HoldingsTaken: what TakeHoldings asked for has committed.
	HoldingsTaken struct{}
	// Looked: the database is in that era and REBUILD, or in none. It is told again
	// and again.
	Looked struct {
		Era     uint64
		Rebuild flow.Rebuild
	}
)

// Outputs of the hub in REBUILD.
type (
	// TakeInventory: take an inventory as a report, in one transaction.
	TakeInventory struct{ Held []flow.Held }
	// SendRecall: ask the member for these executions whole.
	SendRecall struct {
		Held []flow.Held
		Last bool
	}
	// TakeHoldings: make the rows again, in one transaction. Last: the member has
	// reported. Again: that was taken, and is said once more.
	TakeHoldings struct {
		List        []flow.Holding
		Last, Again bool
	}
	// Restored: the member has seen what the database does not know.
	Restored struct {
		Known flow.Fence // an era above the database's; zero if the sign is another one
		Era   uint64     // the database's, as the session was opened
		Why   string
	}
)

func (TakeInventory) hubOutput() {}
func (SendRecall) hubOutput()    {}
func (TakeHoldings) hubOutput()  {}
func (Restored) hubOutput()      {}

// recall is how far a hub has come with what the database did not know.
type recall struct {
	rest   []flow.Held     // to be asked for
	asked  map[string]bool // of the part under way, and not told yet
	taking int             // parts of its answer that were not taken
	told   bool            // its answer came whole
}

// name tells one holding from all others.
func name(h flow.Held) string { return h.Execution.String() + "@" + h.Epoch.String() }

func (in InventoryTaken) hub(h Hub, _ time.Duration) (Hub, []HubOutput) {
	if h.stage != Judging || !h.session.Rebuild {
		return h.close("a report out of order")
	}
	h.stage = Recalling
	h.recall = recall{rest: in.Unknown}
	return h.nextRecall()
}

// nextRecall asks for the next part. It asks for an empty one if there is
// nothing to ask for: the answer says that the member has reported.
func (h Hub) nextRecall() (Hub, []HubOutput) {
	part := h.recall.rest[:min(RecallPart, len(h.recall.rest))]
	h.recall = recall{rest: h.recall.rest[len(part):], asked: make(map[string]bool, len(part))}
	for _, held := range part {
		h.recall.asked[name(held)] = true
	}
	return h, []HubOutput{SendRecall{Held: part, Last: len(h.recall.rest) == 0}}
}

func (in HoldingsCame) hub(h Hub, now time.Duration) (Hub, []HubOutput) {
	if h.stage != Recalling || h.recall.told || !in.Last && len(in.List) == 0 {
		return h.close("holdings out of order")
	}
	h.heard = now
	for _, x := range in.List {
		if !h.recall.asked[name(x.Held)] {
			return h.close("holdings that nobody has asked for")
		}
		if why := unbelievable(x.Held); why != "" {
			return h.close(why)
		}
		delete(h.recall.asked, name(x.Held))
	}
	h.recall.told = in.Last
	h.recall.taking++
	return h, []HubOutput{TakeHoldings{List: in.List, Last: in.Last && len(h.recall.rest) == 0}}
}

func (HoldingsTaken) hub(h Hub, _ time.Duration) (Hub, []HubOutput) {
	h.recall.taking--
	switch {
	case h.stage != Recalling || !h.recall.told || h.recall.taking > 0:
		return h, nil
	case len(h.recall.rest) > 0:
		return h.nextRecall()
	}
	h.stage, h.recall = Reported, recall{}
	return h, nil
}

// A session ends that is not what the control plane is in. One that has reported
// while its cluster is waited for says so again: if the database has opened a
// later session of this member, for a stream that broke before it was told,
// nobody else would ever find out that this one is not the newest.
func (in Looked) hub(h Hub, _ time.Duration) (Hub, []HubOutput) {
	rebuilding := !in.Rebuild.Since.IsZero()
	switch {
	case h.stage == Opening:
	case h.session.Rebuild != rebuilding || h.session.Era < in.Era:
		return h.close("the control plane has begun or ended a REBUILD")
	case h.stage == Reported && h.recall.taking == 0 && slices.Contains(in.Rebuild.Waiting, h.session.Cluster):
		h.recall.taking++
		return h, []HubOutput{TakeHoldings{Last: true, Again: true}}
	}
	return h, nil
}

// RecallCame: the restored database does not know these; an input of the member.
type RecallCame struct {
	Held []flow.Held
	Last bool
}

// Tell: send these whole, and say with the last of them that it was the last of
// this answer; an output of the member.
type Tell struct{ Held []flow.Held }

func (Tell) memberOutput() {}

func (in RecallCame) member(m Member, now time.Duration) (Member, []MemberOutput) {
	if m.stage != Waiting || !m.session.Rebuild || m.recalled {
		return m.end("asked for what is held while %s", m.stage)
	}
	m.heard, m.recalled = now, in.Last
	return m, []MemberOutput{Tell{Held: in.Held}}
}

// holders leaves out what does not count when a restored backup is rebuilt: what
// was stopped here since it was placed elsewhere. What has left by a planned move
// is told, since nobody else may have been given it: a backup that does not know
// it has it made anew, to be placed again. Who was given it holds a higher epoch,
// and keeps its tombstone longer.
func holders(held []flow.Held) []flow.Held {
	out := make([]flow.Held, 0, len(held))
	for _, h := range held {
		if h.Desired != flow.DesiredGone || h.Leaving {
			out = append(out, h)
		}
	}
	return out
}
