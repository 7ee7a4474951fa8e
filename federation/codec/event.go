package codec

import (
	"github.com/skein-project/skein/api/flow"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
)

// EventsTo writes events.
func EventsTo(events []flow.Event) []*skeinv1.Event {
	out := make([]*skeinv1.Event, 0, len(events))
	for _, e := range events {
		out = append(out, EventTo(e))
	}
	return out
}

// EventTo writes one event.
func EventTo(e flow.Event) *skeinv1.Event {
	return &skeinv1.Event{
		Execution: ExecutionTo(e.Execution), Epoch: EpochTo(e.Epoch), Kind: skeinv1.EventKind(e.Kind),
		Node: e.Node, Parent: e.Parent, Attempt: e.Attempt, Phase: e.Phase, Version: e.Version,
		Sequence: e.Sequence, Revision: e.Revision, OccurredAt: timeTo(e.OccurredAt), Detail: e.Detail,
		QueuedAt: timeTo(e.QueuedAt), StartedAt: timeTo(e.StartedAt), EndedAt: timeTo(e.EndedAt),
	}
}

// EventsFrom reads events.
func EventsFrom(events []*skeinv1.Event) []flow.Event {
	out := make([]flow.Event, 0, len(events))
	for _, e := range events {
		out = append(out, flow.Event{
			Execution: ExecutionFrom(e.GetExecution()), Epoch: EpochFrom(e.GetEpoch()), Kind: flow.EventKind(e.GetKind()),
			Node: e.GetNode(), Parent: e.GetParent(), Attempt: e.GetAttempt(), Phase: e.GetPhase(), Version: e.GetVersion(),
			Sequence: e.GetSequence(), Revision: e.GetRevision(), OccurredAt: timeFrom(e.GetOccurredAt()), Detail: e.GetDetail(),
			QueuedAt: timeFrom(e.GetQueuedAt()), StartedAt: timeFrom(e.GetStartedAt()), EndedAt: timeFrom(e.GetEndedAt()),
		})
	}
	return out
}

// EventAckTo tells a member that a batch was committed, and what was refused.
func EventAckTo(batch uint64, results []flow.EventResult) *skeinv1.EventAck {
	ack := &skeinv1.EventAck{Batch: batch}
	for i, r := range results {
		if !r.Accepted {
			ack.Refused = append(ack.Refused, &skeinv1.Refusal{Index: uint32(i), Reason: r.Reason})
		}
	}
	return ack
}
