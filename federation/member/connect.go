package member

import (
	"context"
	"crypto/tls"
	"errors"
	"hash/fnv"
	"math/rand/v2"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
	"github.com/skein-project/skein/federation/codec"
	"github.com/skein-project/skein/federation/session"
)

// Bounds of one session.
const (
	controlQueue = 4096
	bulkQueue    = session.Credit
	appliers     = 8
	applyQueue   = 256
	maxMessage   = 32 << 20
	firstPause   = 100 * time.Millisecond
	longestPause = 2 * time.Second
	refusedPause = 10 * time.Second // of who is revoked, or declared lost
)

// link is one session's stream and what waits to go up on it.
type link struct {
	wire    skeinv1.DataPlaneService_ConnectClient
	conn    *grpc.ClientConn
	cert    *tls.Certificate // that it was dialled with
	end     context.CancelCauseFunc
	sender  flow.Sender
	control chan *skeinv1.ConnectRequest // leases, heartbeats, acks: before events
	bulk    chan *skeinv1.ConnectRequest // events
	list    chan struct{}
	asked   chan []flow.Held // what to tell whole, in REBUILD
	stop    chan []flow.Verdict
	apply   [appliers]chan flow.Assignment
	logs    chan *skeinv1.LogRequest
}

// dial keeps a session: it joins if need be, and dials the hubs in turn.
func (m *Member) dial(ctx context.Context) {
	pause := firstPause
	for i := 0; ctx.Err() == nil; i++ {
		addr := m.o.Hubs[i%len(m.o.Hubs)]
		lived, err := m.attempt(ctx, addr)
		if ctx.Err() != nil {
			return
		}
		m.metrics.sessions.Inc()
		m.log.Warn("the session ended; dialling the next hub", "hub", addr, "error", err)
		if lived {
			pause = firstPause
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause + rand.N(pause)):
		}
		pause = min(2*pause, longestPause)
		if status.Code(err) == codes.PermissionDenied {
			pause = refusedPause
			m.rejoin(ctx, addr)
		}
	}
}

// attempt joins or runs one session; lived reports whether it got verdicts.
func (m *Member) attempt(ctx context.Context, addr string) (lived bool, err error) {
	if err := m.enter(ctx, addr); err != nil {
		return false, err
	}
	return m.session(ctx, addr)
}

// session runs one session to its end, and waits for all that it began: no
// write of it is under way when the next inventory is taken.
func (m *Member) session(ctx context.Context, addr string) (lived bool, err error) {
	cert := m.wallet.cert.Load()
	conn, err := m.wallet.connect(addr)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	l := newLink(conn, end)
	l.cert = cert
	fenced := m.fenced(ctx)
	m.mu.Lock()
	m.link = l
	m.stepLocked(session.Dialled{})
	hello := &skeinv1.Hello{Report: codec.ReportTo(m.seen), HighestEra: m.state.Era(), HighestIncarnation: max(fenced, m.state.Incarnation())}
	m.mu.Unlock()
	defer m.unlink()

	if l.wire, err = skeinv1.NewDataPlaneServiceClient(conn).Connect(ctx); err != nil {
		return false, cause(ctx, err)
	}
	if err := l.wire.Send(&skeinv1.ConnectRequest{Message: &skeinv1.ConnectRequest_Hello{Hello: hello}}); err != nil {
		return false, cause(ctx, err)
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, f := range []func(context.Context, *link) error{m.receive, m.writes, m.lists, m.tells, m.stops, m.answersLogs, m.reporter.run} {
		g.Go(func() error { return f(ctx, l) })
	}
	for i := range l.apply {
		g.Go(func() error { return m.applies(ctx, l, l.apply[i]) })
	}
	err = g.Wait()
	m.mu.Lock()
	lived = m.state.Stage() == session.Live || len(m.state.Covered()) > 0
	m.mu.Unlock()
	return lived, cause(ctx, err)
}

func newLink(conn *grpc.ClientConn, end context.CancelCauseFunc) *link {
	l := &link{
		conn: conn, end: end,
		control: make(chan *skeinv1.ConnectRequest, controlQueue),
		bulk:    make(chan *skeinv1.ConnectRequest, bulkQueue),
		list:    make(chan struct{}, 1),
		asked:   make(chan []flow.Held, 1),
		stop:    make(chan []flow.Verdict, 1),
		logs:    make(chan *skeinv1.LogRequest, 16),
	}
	for i := range l.apply {
		l.apply[i] = make(chan flow.Assignment, applyQueue)
	}
	return l
}

func (m *Member) unlink() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stepLocked(session.Dropped{Reason: "the stream ended"})
	m.link = nil
	m.reporter.reset(0, nil)
	m.draining = map[flow.ExecutionID]flow.Assignment{}
}

func cause(ctx context.Context, err error) error {
	if c := context.Cause(ctx); c != nil && !errors.Is(c, context.Canceled) {
		return c
	}
	return err
}

// worker chooses the goroutine that applies an execution's assignments: always
// the same one, so that they are applied in order.
func (l *link) worker(id flow.ExecutionID) chan flow.Assignment {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id.String()))
	return l.apply[h.Sum32()%appliers]
}

// writes sends what waits: control messages before events, always.
func (m *Member) writes(ctx context.Context, l *link) error {
	for {
		var msg *skeinv1.ConnectRequest
		select {
		case msg = <-l.control:
		default:
			select {
			case msg = <-l.control:
			case msg = <-l.bulk:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if err := l.wire.Send(msg); err != nil {
			return err
		}
	}
}

// receive feeds what comes down into the machine.
func (m *Member) receive(_ context.Context, l *link) error {
	for {
		msg, err := l.wire.Recv()
		if err != nil {
			return fault.Wrap(fault.Unavailable, err, "the stream broke")
		}
		if bye := msg.GetGoodbye(); bye != nil {
			return fault.E(fault.Unavailable, "the hub said goodbye: %s", bye.GetReason())
		}
		m.take(l, msg)
	}
}

func (m *Member) take(l *link, msg *skeinv1.ConnectResponse) {
	switch msg := msg.GetMessage().(type) {
	case *skeinv1.ConnectResponse_Welcome:
		m.welcome(l, msg.Welcome)
	case *skeinv1.ConnectResponse_Verdicts:
		m.step(session.Judged{Verdicts: codec.VerdictsFrom(msg.Verdicts), Last: msg.Verdicts.GetLast()})
	case *skeinv1.ConnectResponse_Recall:
		m.step(session.RecallCame{Held: codec.HeldFrom(msg.Recall.GetHeld()), Last: msg.Recall.GetLast()})
	case *skeinv1.ConnectResponse_Assignment:
		a := codec.AssignmentFrom(msg.Assignment, l.sender.Cluster)
		m.step(session.Assigned{Generation: msg.Assignment.GetGeneration(), Assignment: a})
	case *skeinv1.ConnectResponse_Lease:
		m.step(session.Granted{Lease: codec.LeaseFrom(msg.Lease, l.sender)})
		m.remember()
	case *skeinv1.ConnectResponse_Heartbeat:
		m.step(session.Answered{Generation: msg.Heartbeat.GetGeneration()})
	case *skeinv1.ConnectResponse_EventAck:
		m.step(session.Heard{})
		m.reporter.acked(msg.EventAck)
	case *skeinv1.ConnectResponse_LogRequest:
		m.step(session.Heard{})
		select {
		case l.logs <- msg.LogRequest:
		default: // too many at a time: whoever asked is told by its own timeout
		}
	}
}

func (m *Member) welcome(l *link, w *skeinv1.Welcome) {
	l.sender = flow.Sender{
		Member:     flow.Member{Cluster: m.wallet.cluster(), Instance: m.o.Instance},
		Generation: w.GetGeneration(), Incarnation: w.GetIncarnation(),
	}
	m.log.Info("welcomed", "hub", w.GetHub(), "generation", w.GetGeneration(), "cluster", l.sender.Cluster, "era", w.GetEra(), "rebuild", w.GetRebuild())
	m.step(session.Welcomed{
		Session:   flow.Session{Sender: l.sender, Era: w.GetEra(), OwnershipRevision: w.GetOwnershipRevision(), Rebuild: w.GetRebuild()},
		Heartbeat: w.GetHeartbeat().AsDuration(), Lease: w.GetLease().AsDuration(),
	})
}
