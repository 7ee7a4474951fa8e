package crowd

import (
	"context"
	"fmt"
	"time"

	skeinv1 "github.com/skein-project/skein/api/skein/v1"
	"github.com/skein-project/skein/federation/codec"
	"github.com/skein-project/skein/federation/session"
)

const (
	beatEvery = time.Second
	askEvery  = 5 // beats
)

// member is one session.
type member struct {
	*crowd
	wire       skeinv1.DataPlaneService_ConnectClient
	index      int
	generation uint64
	ownership  uint64
	acked      chan struct{}     // room for a batch
	applied    chan *skeinv1.Ack // to be sent; what finds no room is assigned again
}

// open brings the session to its verdicts.
func (m *member) open() error {
	report := &skeinv1.ClusterReport{Version: "crowd", Capacity: &skeinv1.Resources{MilliCpu: 1000, Memory: 1 << 30, Pods: 100}}
	if err := m.wire.Send(&skeinv1.ConnectRequest{Message: &skeinv1.ConnectRequest_Hello{Hello: &skeinv1.Hello{Report: report}}}); err != nil {
		return err
	}
	for {
		msg, err := m.wire.Recv()
		if err != nil {
			return err
		}
		switch msg := msg.GetMessage().(type) {
		case *skeinv1.ConnectResponse_Welcome:
			m.generation = msg.Welcome.GetGeneration()
			all := &skeinv1.Inventory{Held: codec.HeldTo(m.o.Held(m.index)), Last: true}
			if err := m.wire.Send(&skeinv1.ConnectRequest{Message: &skeinv1.ConnectRequest_Inventory{Inventory: all}}); err != nil {
				return err
			}
		case *skeinv1.ConnectResponse_Verdicts:
			if msg.Verdicts.GetLast() {
				m.ownership = msg.Verdicts.GetOwnershipRevision()
				return nil
			}
		case *skeinv1.ConnectResponse_Goodbye:
			return fmt.Errorf("%w: %s", errEnded, msg.Goodbye.GetReason())
		}
	}
}

// receive counts what the hub has committed.
func (m *member) receive() error {
	for {
		msg, err := m.wire.Recv()
		if err != nil {
			return err
		}
		if bye := msg.GetGoodbye(); bye != nil {
			return fmt.Errorf("%w: %s", errEnded, bye.GetReason())
		}
		if a := msg.GetAssignment(); a != nil {
			select {
			case m.applied <- &skeinv1.Ack{Execution: a.GetExecution(), Epoch: a.GetEpoch(), Revision: a.GetRevision()}:
			default:
			}
		}
		if ack := msg.GetEventAck(); ack != nil {
			m.events.Add(int64(m.o.Batch))
			m.refused.Add(int64(len(ack.GetRefused())))
			for _, r := range ack.GetRefused() {
				m.reason.Store(r.GetReason())
			}
			m.acked <- struct{}{}
		}
	}
}

// send sends as much as the credit allows, and lives like any member meanwhile.
func (m *member) send(ctx context.Context) error {
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	for range session.Credit {
		m.acked <- struct{}{}
	}
	start, room := m.start, (chan struct{})(nil)
	batch, beats := 0, 0
	for {
		var msg *skeinv1.ConnectRequest
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-start:
			start, room = nil, m.acked
			continue
		case <-beat.C:
			if beats++; beats%askEvery == 1 {
				msg = m.ask(beats)
				break
			}
			msg = &skeinv1.ConnectRequest{Message: &skeinv1.ConnectRequest_Heartbeat{Heartbeat: &skeinv1.Heartbeat{Generation: m.generation}}}
		case ack := <-m.applied:
			msg = &skeinv1.ConnectRequest{Message: &skeinv1.ConnectRequest_Acks{Acks: &skeinv1.AckBatch{Generation: m.generation, Acks: []*skeinv1.Ack{ack}}}}
		case <-room:
			batch++
			msg = &skeinv1.ConnectRequest{Message: &skeinv1.ConnectRequest_Events{Events: &skeinv1.EventBatch{
				Generation: m.generation, Batch: uint64(batch), Events: codec.EventsTo(m.o.Events(m.index, batch, m.o.Batch)),
			}}}
		}
		if err := m.wire.Send(msg); err != nil {
			return err
		}
	}
}

func (m *member) ask(n int) *skeinv1.ConnectRequest {
	return &skeinv1.ConnectRequest{Message: &skeinv1.ConnectRequest_LeaseRequest{LeaseRequest: &skeinv1.LeaseRequest{
		Generation: m.generation, Nonce: uint64(n), OwnershipRevision: m.ownership,
	}}}
}
