package hub

import (
	"context"
	"testing"

	"google.golang.org/grpc"

	"github.com/skein-project/skein/api/flow"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
)

// tape is a stream that keeps what is sent.
type tape struct {
	grpc.ServerStream
	sent []*skeinv1.ConnectResponse
	full func()
}

func (t *tape) Send(m *skeinv1.ConnectResponse) error {
	t.sent = append(t.sent, m)
	t.full()
	return nil
}

func (t *tape) Recv() (*skeinv1.ConnectRequest, error) { select {} }

func TestControlMessagesNeverWaitBehindAssignments(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := &stream{
		hub: New(Options{}), control: make(chan *skeinv1.ConnectResponse, controlQueue),
		bulk: make(chan flow.Assignment, bulkQueue), goodbye: "done",
	}
	const each = 50
	for range each {
		s.bulk <- flow.Assignment{Desired: flow.DesiredRun}
		s.control <- &skeinv1.ConnectResponse{Message: &skeinv1.ConnectResponse_Lease{}}
	}
	wire := &tape{}
	wire.full = func() {
		if len(wire.sent) == each+1 { // a lease that comes between two assignments
			s.control <- &skeinv1.ConnectResponse{Message: &skeinv1.ConnectResponse_Lease{}}
		}
		if len(wire.sent) == 2*each+1 {
			cancel()
		}
	}
	s.wire = wire
	_ = s.writes(ctx)
	for i, m := range wire.sent[:2*each+1] {
		lease := m.GetMessage() != nil && m.GetAssignment() == nil
		if want := i < each || i == each+1; lease != want {
			t.Errorf("message %d: control %v, want %v", i, lease, want)
		}
	}
	if wire.sent[len(wire.sent)-1].GetGoodbye().GetReason() != "done" {
		t.Error("the last message is not Goodbye")
	}
}
