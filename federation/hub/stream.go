package hub

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
	"github.com/skein-project/skein/federation/codec"
	"github.com/skein-project/skein/federation/identity"
	"github.com/skein-project/skein/federation/session"
)

// Bounds of one stream. The queues never block: a full control queue ends the
// session (the member does not read), a full bulk queue drops what the outbox
// will name again.
const (
	controlQueue = 1024
	bulkQueue    = 2 * session.Window
	ackQueue     = 64
	helloWait    = 10 * time.Second
	openWait     = 20 * time.Second // for the database to open a session
	tickEvery    = 250 * time.Millisecond
	stopWait     = 3 * time.Second
)

// errEnded is the cause of an orderly end.
var errEnded = errors.New("session ended")

// stream is one member's session on this hub.
type stream struct {
	hub        *Hub
	caller     identity.Caller
	member     flow.Member
	generation uint64
	log        *slog.Logger
	wire       skeinv1.DataPlaneService_ConnectServer
	end        context.CancelCauseFunc

	control chan *skeinv1.ConnectResponse
	bulk    chan flow.Assignment
	judge   chan []flow.Held
	read    chan int // how many rows; 0: nothing waits, say so
	ingest  chan session.Ingest
	acks    chan []flow.Ack
	report  chan flow.ClusterReport

	due atomic.Bool // a look has found something to read

	// In REBUILD.
	inventory chan []flow.Held
	holdings  chan session.TakeHoldings

	mu      sync.Mutex
	state   session.Hub
	sender  flow.Sender
	goodbye string
}

// Connect is one session of one member.
func (h *Hub) Connect(wire skeinv1.DataPlaneService_ConnectServer) error {
	caller, err := identity.PeerFromContext(wire.Context(), h.o.TrustDomain)
	if err == nil && !caller.IsMember() {
		err = fault.E(fault.Forbidden, "only members connect; the caller is %s", caller.ID)
	}
	if err == nil {
		err = h.served()
	}
	if err == nil {
		err = h.reaches()
	}
	if err == nil {
		err = h.admit(wire.Context(), caller.Member(), "session.open", false)
	}
	if err != nil {
		return identity.Status(err)
	}
	ctx, cancel := context.WithCancelCause(wire.Context())
	defer cancel(nil)
	s := &stream{
		hub: h, caller: caller, member: caller.Member(), wire: wire, end: cancel,
		log:     h.log.With("cluster", caller.Cluster, "instance", caller.Instance),
		control: make(chan *skeinv1.ConnectResponse, controlQueue),
		bulk:    make(chan flow.Assignment, bulkQueue),
		judge:   make(chan []flow.Held, 1),
		read:    make(chan int, 1),
		ingest:  make(chan session.Ingest, session.Credit),
		acks:    make(chan []flow.Ack, ackQueue),
		report:  make(chan flow.ClusterReport, 1),

		inventory: make(chan []flow.Held, 1),
		holdings:  make(chan session.TakeHoldings, session.RecallPart+1),
	}
	return identity.Status(s.serve(ctx))
}

// serve opens the session and runs it to its end.
func (s *stream) serve(ctx context.Context) error {
	opened, err := s.opened(ctx)
	if err != nil {
		return err
	}
	s.log = s.log.With("generation", opened.Session.Generation)
	if err := s.hub.enter(s, opened.Session.Generation); err != nil {
		return err
	}
	defer s.hub.leave(s)
	s.log.Info("session opened", "serial", s.caller.Serial, "era", opened.Session.Era, "rebuild", opened.Session.Rebuild) // how rotation is seen from outside
	s.step(opened)

	ctx, cancel := context.WithDeadlineCause(ctx, s.caller.Expires, fault.E(fault.Unauthorized, "the certificate has expired"))
	defer cancel()
	go s.receive() // ends when this handler returns: Recv cannot be interrupted otherwise
	g, gctx := errgroup.WithContext(ctx)
	for _, f := range []func(context.Context) error{s.writes, s.ingests, s.stores, s.reads, s.reports, s.ticks} {
		g.Go(func() error { return f(gctx) })
	}
	done := make(chan error, 1)
	go func() { done <- g.Wait() }()
	<-gctx.Done()
	select { // a writer that is stuck in Send is freed when the handler returns
	case err = <-done:
	case <-time.After(stopWait):
	}
	s.closed(ctx, err)
	if cause := context.Cause(ctx); fault.Is(cause, fault.Unauthorized) {
		return cause
	}
	return nil
}

// opened waits for the Hello and opens the session in the store.
func (s *stream) opened(ctx context.Context) (session.SessionOpened, error) {
	type first struct {
		msg *skeinv1.ConnectRequest
		err error
	}
	got := make(chan first, 1)
	go func() {
		msg, err := s.wire.Recv()
		got <- first{msg, err}
	}()
	var hello *skeinv1.Hello
	select {
	case f := <-got:
		if f.err != nil {
			return session.SessionOpened{}, f.err
		}
		if hello = f.msg.GetHello(); hello == nil {
			return session.SessionOpened{}, fault.E(fault.Invalid, "the first message must be Hello")
		}
	case <-time.After(helloWait):
		return session.SessionOpened{}, fault.E(fault.Invalid, "no Hello came within %s", helloWait)
	case <-ctx.Done():
		return session.SessionOpened{}, ctx.Err()
	}
	report := codec.ReportFrom(hello.GetReport())
	report.Era, report.Incarnation = hello.GetHighestEra(), hello.GetHighestIncarnation()
	opened, err := s.open(ctx, report)
	if err != nil {
		return session.SessionOpened{}, err
	}
	s.sender = opened.Sender
	return session.SessionOpened{Session: opened, Era: report.Era, Incarnation: report.Incarnation}, nil
}

// open opens the session in the store. It beats meanwhile: a member that hears
// nothing dials elsewhere, where a slow database is just as slow, and each of
// its tries would raise its generation.
func (s *stream) open(ctx context.Context, report flow.ClusterReport) (flow.Session, error) {
	ctx, cancel := context.WithTimeout(ctx, openWait)
	defer cancel()
	type answer struct {
		session flow.Session
		err     error
	}
	got := make(chan answer, 1)
	go func() {
		session, err := s.admitted(ctx, report)
		got <- answer{session, err}
	}()
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for {
		select {
		case a := <-got:
			return a.session, a.err
		case <-tick.C:
		}
		// One that fails says that the member has left, which ends ctx.
		_ = s.wire.Send(&skeinv1.ConnectResponse{Message: &skeinv1.ConnectResponse_Heartbeat{Heartbeat: &skeinv1.Heartbeat{}}})
	}
}

// admitted opens the session of a certificate that is still good. That is asked
// before, so that who is turned away ends nobody's session; and again if the
// cluster was not, when the session was opened, what it was when that was asked:
// it may have been removed in between, and another one registered by its name.
func (s *stream) admitted(ctx context.Context, report flow.ClusterReport) (flow.Session, error) {
	before, err := s.hub.admits(ctx, s.caller, "session.open")
	if err != nil && !fault.Is(err, fault.NotFound) { // else OpenSession says so, or notices a restored backup
		return flow.Session{}, err
	}
	opened, err := s.hub.o.Sessions.OpenSession(ctx, s.member, s.hub.o.Name, report)
	if err == nil && opened.Incarnation != before {
		_, err = s.hub.admits(ctx, s.caller, "session.open")
	}
	return opened, err
}

// closed notes the session's end, unless another one took its place.
func (s *stream) closed(ctx context.Context, err error) {
	s.mu.Lock()
	reason := s.goodbye
	s.mu.Unlock()
	if reason == "" && err != nil && !errors.Is(err, context.Canceled) {
		reason = err.Error()
	}
	s.log.Info("session closed", "reason", reason)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWait)
	defer cancel()
	if err := s.hub.o.Sessions.CloseSession(ctx, s.sender); err != nil && !fault.Is(err, fault.Stale) {
		s.log.Warn("the session's end was not stored", "error", err)
	}
}

// step feeds the session's machine and hands its outputs to the goroutines
// that carry them out. It never blocks.
func (s *stream) step(in session.HubInput) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []session.HubOutput
	s.state, out = s.state.Step(s.hub.now(), in)
	for _, o := range out {
		s.carry(o)
	}
}

func (s *stream) beat() (flow.Beat, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.Beat(s.hub.now())
}

// fail ends the session because of an error.
func (s *stream) fail(err error) {
	s.log.Warn("session ends on an error", "error", err)
	reason := "internal error"
	var e *fault.Error
	if errors.As(err, &e) {
		reason = e.Public()
	}
	s.step(session.Ended{Reason: reason})
}
