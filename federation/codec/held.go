package codec

import (
	"github.com/skein-project/skein/api/flow"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
)

// HeldTo writes a part of an inventory, or of a Recall.
func HeldTo(held []flow.Held) []*skeinv1.Held {
	out := make([]*skeinv1.Held, 0, len(held))
	for _, h := range held {
		out = append(out, heldTo(h))
	}
	return out
}

func heldTo(h flow.Held) *skeinv1.Held {
	return &skeinv1.Held{
		Execution: ExecutionTo(h.Execution), Epoch: EpochTo(h.Epoch),
		Revision: h.Revision, Sequence: h.Sequence, Terminal: h.Terminal, Desired: desired[h.Desired],
	}
}

// HeldFrom reads a part of an inventory, or of a Recall.
func HeldFrom(held []*skeinv1.Held) []flow.Held {
	out := make([]flow.Held, 0, len(held))
	for _, h := range held {
		out = append(out, heldFrom(h))
	}
	return out
}

func heldFrom(h *skeinv1.Held) flow.Held {
	return flow.Held{
		Execution: ExecutionFrom(h.GetExecution()), Epoch: EpochFrom(h.GetEpoch()),
		Revision: h.GetRevision(), Sequence: h.GetSequence(), Terminal: h.GetTerminal(), Desired: desiredFrom(h.GetDesired()),
	}
}

// HoldingTo writes one execution that a member tells whole.
func HoldingTo(h flow.Holding) *skeinv1.Holding {
	return &skeinv1.Holding{Held: heldTo(h.Held), Assignment: AssignmentTo(h.Assignment, 0)}
}

// HoldingsFrom reads what the member of a cluster tells. Its assignments are that
// cluster's, whatever they say.
func HoldingsFrom(list []*skeinv1.Holding, cluster string) []flow.Holding {
	out := make([]flow.Holding, 0, len(list))
	for _, h := range list {
		out = append(out, flow.Holding{Held: heldFrom(h.GetHeld()), Assignment: AssignmentFrom(h.GetAssignment(), cluster)})
	}
	return out
}
