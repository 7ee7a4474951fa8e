package hub

import (
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/skein-project/skein/api/flow"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
	"github.com/skein-project/skein/federation/codec"
	"github.com/skein-project/skein/federation/session"
)

// part bounds the verdicts in one message.
const part = 1000

// carry hands one output on; s.mu is held.
func (s *stream) carry(o session.HubOutput) {
	switch o := o.(type) {
	case session.SendWelcome:
		s.tell(&skeinv1.ConnectResponse{Message: &skeinv1.ConnectResponse_Welcome{Welcome: s.welcome(o.Session)}})
	case session.Judge:
		s.judge <- o.Held // room for one; the machine judges once
	case session.SendVerdicts:
		s.tellVerdicts(o.Verdicts)
	case session.ReadOutbox:
		if !s.wanted(o) {
			o.Limit = 0
		}
		s.read <- o.Limit // room for one; the machine reads once at a time
	case session.SendAssignment:
		select {
		case s.bulk <- o.Assignment:
		default: // the outbox names it again
		}
	case session.BeatNow:
		select {
		case s.hub.beatNow <- struct{}{}:
		default:
		}
	case session.SendLease:
		s.hub.metrics.leases.Inc()
		s.tell(&skeinv1.ConnectResponse{Message: &skeinv1.ConnectResponse_Lease{Lease: codec.LeaseTo(o.Lease)}})
	case session.AnswerBeat:
		s.tell(&skeinv1.ConnectResponse{Message: &skeinv1.ConnectResponse_Heartbeat{Heartbeat: &skeinv1.Heartbeat{Generation: o.Generation}}})
	default:
		s.carryUp(o)
	}
}

// carryUp hands on what follows from events and acks.
func (s *stream) carryUp(o session.HubOutput) {
	switch o := o.(type) {
	case session.Ingest:
		s.ingest <- o // room for the whole credit
	case session.AckEvents:
		s.tell(&skeinv1.ConnectResponse{Message: &skeinv1.ConnectResponse_EventAck{EventAck: codec.EventAckTo(o.Batch, o.Results)}})
	case session.StoreAcks:
		select {
		case s.acks <- o.Acks:
		default: // sent again, acked again
		}
	case session.Refused:
		s.hub.metrics.nacks.Inc()
		if o.Tries == 1 { // it comes again, and would say the same
			s.log.Warn("the member could not apply an assignment; it is sent again, and holds up no other",
				"execution", o.Nack.Execution.String(), "revision", o.Nack.Revision, "reason", o.Nack.Reason)
		}
	case session.Close:
		if s.goodbye == "" {
			s.goodbye = o.Reason
		}
		s.end(errEnded)
	default:
		s.carryRebuild(o)
	}
}

// carryRebuild hands on what follows from a restored backup.
func (s *stream) carryRebuild(o session.HubOutput) {
	switch o := o.(type) {
	case session.TakeInventory:
		s.inventory <- o.Held // room for one; it is taken once
	case session.SendRecall:
		s.tell(&skeinv1.ConnectResponse{Message: &skeinv1.ConnectResponse_Recall{Recall: &skeinv1.Recall{Held: codec.HeldTo(o.Held), Last: o.Last}}})
	case session.TakeHoldings:
		s.holdings <- o // room for one answer, however it was cut
	case session.Restored:
		s.hub.notice(o)
	}
}

// tell queues a control message.
func (s *stream) tell(m *skeinv1.ConnectResponse) {
	select {
	case s.control <- m:
	default:
		s.goodbye = "the member does not read"
		s.end(errEnded)
	}
}

func (s *stream) welcome(o flow.Session) *skeinv1.Welcome {
	return &skeinv1.Welcome{
		Generation: o.Generation, Era: o.Era, Incarnation: o.Incarnation, OwnershipRevision: o.OwnershipRevision, Rebuild: o.Rebuild,
		Hub: s.hub.o.Name, Heartbeat: durationpb.New(s.hub.o.Heartbeat), Lease: durationpb.New(s.hub.o.Lease),
	}
}

func (s *stream) tellVerdicts(v flow.Verdicts) {
	list := codec.VerdictsTo(v.List)
	for {
		n := min(part, len(list))
		last := n == len(list)
		s.tell(&skeinv1.ConnectResponse{Message: &skeinv1.ConnectResponse_Verdicts{Verdicts: &skeinv1.Verdicts{
			List: list[:n], OwnershipRevision: v.OwnershipRevision, Last: last,
		}}})
		if last {
			return
		}
		list = list[n:]
	}
}
