package session

import (
	"fmt"

	"github.com/skein-project/skein/api/flow"
)

// What a member is believed. It may be in the wrong hands, and the database
// stores what it says: a number to which nothing can be added any more would end
// all rebuilding, or all placing, of every cluster.
const (
	// MostEras bounds the eras, and the incarnations of its cluster, that a member
	// is believed to have seen: no control plane has had so many. What the database
	// holds itself is always believed. admin/store has the same bound.
	MostEras = 1 << 20
	// mostSteps bounds epochs within an era, revisions and sequences of one
	// execution in an inventory.
	mostSteps = 1 << 48
)

// foresees closes a session whose member has seen an era or an incarnation that
// the database does not know, and says so: a backup was restored. If it cannot
// be, the session ends and nobody else hears of it.
func (h Hub) foresees(era, incarnation uint64) (closed Hub, out []HubOutput, yes bool) {
	s := h.session
	var known flow.Fence
	var why string
	switch {
	case era > max(s.Era, MostEras):
		closed, out = h.close(fmt.Sprintf("%s says that it has seen era %d, which cannot be", s.Member, era))
		return closed, out, true
	case incarnation > max(s.Incarnation, MostEras):
		closed, out = h.close(fmt.Sprintf("%s says that it has seen incarnation %d of its cluster, which cannot be", s.Member, incarnation))
		return closed, out, true
	case era > s.Era:
		known.Epoch.Era, why = era, "has seen an era above the database's"
	case incarnation > s.Incarnation:
		why = "has seen an incarnation of its cluster above the database's"
	default:
		return h, nil, false
	}
	closed, out = h.close("a backup of the control plane's database was restored: " + s.Member.String() + " " + why)
	restored := Restored{Known: known, Era: s.Era, Why: "member " + s.Member.String() + " " + why}
	return closed, append([]HubOutput{restored}, out...), true
}

// highestEra is the highest of an inventory.
func highestEra(held []flow.Held) (era uint64) {
	for _, x := range held {
		era = max(era, x.Epoch.Era)
	}
	return era
}

// unbelievable says what of a holding cannot be; empty if it can. Its era is
// judged by foresees.
func unbelievable(h flow.Held) string {
	if h.Epoch.N <= mostSteps && h.Revision <= mostSteps && h.Sequence <= mostSteps {
		return ""
	}
	return fmt.Sprintf("%s at epoch %s, revision %d, sequence %d is held, which cannot be", h.Execution, h.Epoch, h.Revision, h.Sequence)
}
