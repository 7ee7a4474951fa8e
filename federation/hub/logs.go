package hub

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/skein-project/skein/api/fault"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
	"github.com/skein-project/skein/federation/identity"
	"github.com/skein-project/skein/federation/session"
)

const (
	// MaxLogBytes bounds one log; smaller limits may be asked for.
	MaxLogBytes = 16 << 20
	logDial     = 10 * time.Second // for the member to dial SendLog
)

// logWait is a log that somebody waits to read.
type logWait struct {
	cluster string
	limit   int64
	dialled chan struct{}
	pipe    *io.PipeWriter
}

type logDesk struct {
	mu      sync.Mutex
	waiting map[string]*logWait
}

func (d *logDesk) put(id string, w *logWait) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.waiting[id] = w
}

func (d *logDesk) take(id string) *logWait {
	d.mu.Lock()
	defer d.mu.Unlock()
	w := d.waiting[id]
	delete(d.waiting, id)
	return w
}

// ReadLog asks the cluster's member on this hub for a pod's log. The request's
// id is drawn here, and its limit is at most MaxLogBytes. NotFound if no
// session of the cluster is here: another hub may have it. The caller closes
// the reader; ctx bounds the whole read.
func (h *Hub) ReadLog(ctx context.Context, cluster string, req *skeinv1.LogRequest) (io.ReadCloser, error) {
	s := h.serving(cluster)
	if s == nil {
		return nil, fault.E(fault.NotFound, "no member of cluster %q is connected to this hub", cluster)
	}
	b := make([]byte, 16)
	if _, err := rand.Read(b); err != nil {
		return nil, fault.Wrap(fault.Internal, err, "draw an id")
	}
	ask, ok := proto.Clone(req).(*skeinv1.LogRequest)
	if !ok {
		return nil, fault.E(fault.Invalid, "no request")
	}
	ask.Id = hex.EncodeToString(b)
	if ask.LimitBytes <= 0 || ask.LimitBytes > MaxLogBytes {
		ask.LimitBytes = MaxLogBytes
	}
	r, w := io.Pipe()
	wait := &logWait{cluster: cluster, limit: ask.LimitBytes, dialled: make(chan struct{}), pipe: w}
	h.logs.put(ask.Id, wait)
	s.ask(ask)
	stop := context.AfterFunc(ctx, func() { w.CloseWithError(ctx.Err()) })
	timer := time.AfterFunc(logDial, func() {
		if h.logs.take(ask.Id) != nil {
			w.CloseWithError(fault.E(fault.Unavailable, "the member of cluster %q did not answer", cluster))
		}
	})
	return &logReader{PipeReader: r, done: func() {
		stop()
		timer.Stop()
		h.logs.take(ask.Id)
	}}, nil
}

type logReader struct {
	*io.PipeReader
	done func()
}

// Close ends the read, and with it the member's call.
func (r *logReader) Close() error {
	r.done()
	return r.PipeReader.Close()
}

// serving finds a session of the cluster that has had its verdicts.
func (h *Hub) serving(cluster string) *stream {
	for _, s := range h.all() {
		s.mu.Lock()
		ok := s.member.Cluster == cluster && s.state.Stage() == session.Serving
		s.mu.Unlock()
		if ok {
			return s
		}
	}
	return nil
}

func (s *stream) ask(req *skeinv1.LogRequest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tell(&skeinv1.ConnectResponse{Message: &skeinv1.ConnectResponse_LogRequest{LogRequest: req}})
}

// SendLog brings the log that was asked for.
func (h *Hub) SendLog(wire skeinv1.DataPlaneService_SendLogServer) error {
	caller, err := identity.PeerFromContext(wire.Context(), h.o.TrustDomain)
	if err != nil {
		return identity.Status(err)
	}
	if err := h.admit(wire.Context(), caller.Member(), "log.send", true); err != nil {
		return identity.Status(err)
	}
	m, err := wire.Recv()
	if err != nil {
		return err
	}
	w := h.logs.take(m.GetId())
	if w == nil {
		return identity.Status(fault.E(fault.NotFound, "nobody waits for this log"))
	}
	if w.cluster != caller.Member().Cluster {
		err := fault.E(fault.Forbidden, "this log was asked of another cluster")
		w.pipe.CloseWithError(err)
		return identity.Status(err)
	}
	return w.copy(wire, m)
}

// kindOf takes from a member only what it can know; all else may pass.
func kindOf(code uint32) fault.Kind {
	switch kind, _ := fault.FromCode(code); kind {
	case fault.NotFound, fault.Precondition, fault.Unsupported:
		return kind
	}
	return fault.Unavailable
}

func (w *logWait) copy(wire skeinv1.DataPlaneService_SendLogServer, m *skeinv1.SendLogRequest) error {
	left := w.limit
	for {
		data := m.GetData()
		data = data[:min(int64(len(data)), left)]
		left -= int64(len(data))
		if _, err := w.pipe.Write(data); err != nil {
			return identity.Status(fault.E(fault.Precondition, "the reader has left"))
		}
		if m.GetError() != "" {
			w.pipe.CloseWithError(fault.E(kindOf(m.GetCode()), "%s", m.GetError()))
			return wire.SendAndClose(&skeinv1.SendLogResponse{})
		}
		if left == 0 {
			break
		}
		var err error
		if m, err = wire.Recv(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			w.pipe.CloseWithError(fault.Wrap(fault.Unavailable, err, "the member broke off"))
			return err
		}
	}
	w.pipe.Close()
	return wire.SendAndClose(&skeinv1.SendLogResponse{})
}
