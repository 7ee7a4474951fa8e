package member

import (
	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
	"github.com/skein-project/skein/federation/codec"
	"github.com/skein-project/skein/federation/session"
)

// part bounds the inventory in one message.
const part = 1000

// maxReason bounds what a hub is told of why an assignment was not applied.
const maxReason = 512

// carry hands one output of the machine on; m.mu is held, nothing blocks.
func (m *Member) carry(o session.MemberOutput) {
	if _, ok := o.(session.Opened); ok {
		select {
		case m.opened <- struct{}{}:
		default:
		}
		return
	}
	l := m.link
	if l == nil {
		return
	}
	switch o := o.(type) {
	case session.List:
		l.list <- struct{}{} // room for one; it is asked once
	case session.SendInventory:
		l.tellInventory(o.Held)
	case session.Tell:
		select {
		case l.asked <- o.Held:
		default:
			l.end(fault.E(fault.Unavailable, "the hub asks for more before it was answered"))
		}
	case session.Obey:
		m.reporter.reset(m.state.Session().Generation, o.Keep)
		l.stop <- o.Keep // room for one; verdicts come once
	case session.AskLease:
		l.tell(&skeinv1.ConnectRequest{Message: &skeinv1.ConnectRequest_LeaseRequest{LeaseRequest: codec.LeaseRequestTo(o.Request)}})
	case session.SendHeartbeat:
		l.tell(&skeinv1.ConnectRequest{Message: &skeinv1.ConnectRequest_Heartbeat{Heartbeat: &skeinv1.Heartbeat{Generation: o.Generation}}})
	case session.Apply:
		delete(m.draining, o.Assignment.Execution)
		select {
		case l.worker(o.Assignment.Execution) <- o.Assignment:
		default: // not acked, so it is sent again
		}
	case session.Ignore:
		m.metrics.ignored.WithLabelValues(o.Reason).Inc()
	case session.End:
		l.end(fault.E(fault.Unavailable, "%s", o.Reason))
	}
}

// tell queues a control message.
func (l *link) tell(msg *skeinv1.ConnectRequest) {
	select {
	case l.control <- msg:
	default:
		l.end(fault.E(fault.Unavailable, "the hub does not read"))
	}
}

func (l *link) tellInventory(held []flow.Held) {
	list := codec.HeldTo(held)
	for {
		n := min(part, len(list))
		last := n == len(list)
		l.tell(&skeinv1.ConnectRequest{Message: &skeinv1.ConnectRequest_Inventory{Inventory: &skeinv1.Inventory{Held: list[:n], Last: last}}})
		if last {
			return
		}
		list = list[n:]
	}
}

// ack tells the hub that a revision was applied.
func (m *Member) ack(l *link, a flow.Ack) {
	l.tell(&skeinv1.ConnectRequest{Message: &skeinv1.ConnectRequest_Acks{Acks: &skeinv1.AckBatch{
		Generation: l.sender.Generation, Acks: codec.AcksTo([]flow.Ack{a}),
	}}})
}

// nack tells the hub that a revision was not applied yet, so that it holds up
// no other.
func (m *Member) nack(l *link, a flow.Assignment, reason string) {
	n := flow.Nack{Ack: flow.Ack{Execution: a.Execution, Epoch: a.Epoch, Revision: a.Revision}, Reason: reason[:min(len(reason), maxReason)]}
	l.tell(&skeinv1.ConnectRequest{Message: &skeinv1.ConnectRequest_Acks{Acks: &skeinv1.AckBatch{
		Generation: l.sender.Generation, Nacks: codec.NacksTo([]flow.Nack{n}),
	}}})
}
