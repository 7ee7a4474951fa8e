package election

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/raft"

	"github.com/skein-project/skein/api/fault"
)

// stream carries raft over mutual TLS. Closing it closes every connection that
// it made or took: raft's own transport leaves accepted ones open.
type stream struct {
	listener  net.Listener
	advertise address
	client    *tls.Config
	server    *tls.Config
	handshake time.Duration

	mu     sync.Mutex
	closed bool
	conns  map[net.Conn]struct{}
}

// address is an address as configured; it may be a DNS name.
type address string

func (address) Network() string  { return "tcp" }
func (a address) String() string { return string(a) }

func listen(bind, advertise string, cfg *tls.Config, handshake time.Duration) (*stream, error) {
	l, err := net.Listen("tcp", bind)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fault.Wrap(fault.Conflict, err, "raft address %s is in use: is another replica running here?", bind)
	}
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "listen for raft on %s", bind)
	}
	if advertise == "" {
		tcp, ok := l.Addr().(*net.TCPAddr)
		if !ok || tcp.IP.IsUnspecified() {
			_ = l.Close()
			return nil, fault.Field("election.advertise", "is empty, and %s is no address that others can dial", l.Addr())
		}
		advertise = l.Addr().String()
	}
	s := &stream{listener: l, advertise: address(advertise), handshake: handshake, conns: map[net.Conn]struct{}{}}
	s.client, s.server = configs(cfg)
	return s, nil
}

// configs makes both directions of one configuration demand a certificate.
func configs(cfg *tls.Config) (client, server *tls.Config) {
	client, server = cfg.Clone(), cfg.Clone()
	if server.ClientAuth < tls.RequireAnyClientCert || server.ClientAuth == tls.VerifyClientCertIfGiven {
		server.ClientAuth = tls.RequireAndVerifyClientCert
	}
	if server.ClientCAs == nil {
		server.ClientCAs = server.RootCAs
	}
	for _, c := range []*tls.Config{client, server} {
		c.MinVersion = max(c.MinVersion, tls.VersionTLS13)
	}
	return client, server
}

// Dial connects to another replica.
func (s *stream) Dial(to raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	d := tls.Dialer{Config: s.client}
	c, err := d.DialContext(ctx, "tcp", string(to))
	if err != nil {
		return nil, err
	}
	return s.track(c)
}

// Accept takes a connection. The handshake runs at the first read, in raft's
// goroutine for that connection, so that a slow caller holds up nobody.
func (s *stream) Accept() (net.Conn, error) {
	c, err := s.listener.Accept()
	if err != nil {
		return nil, err
	}
	return s.track(&accepted{Conn: tls.Server(c, s.server), timeout: s.handshake})
}

// Close stops listening and closes every connection.
func (s *stream) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for c := range s.conns {
		_ = rawClose(c)
	}
	clear(s.conns)
	return s.listener.Close()
}

// Addr is what others are told.
func (s *stream) Addr() net.Addr { return s.advertise }

func (s *stream) track(c net.Conn) (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = rawClose(c)
		return nil, net.ErrClosed
	}
	s.conns[c] = struct{}{}
	return &tracked{Conn: c, stream: s}, nil
}

// rawClose skips TLS's goodbye, which could wait for a peer that is gone.
func rawClose(c net.Conn) error {
	if n, ok := c.(interface{ NetConn() net.Conn }); ok {
		return n.NetConn().Close()
	}
	return c.Close()
}

type tracked struct {
	net.Conn
	stream *stream
}

func (t *tracked) Close() error {
	t.stream.mu.Lock()
	delete(t.stream.conns, t.Conn)
	t.stream.mu.Unlock()
	return t.Conn.Close()
}

type accepted struct {
	*tls.Conn
	timeout time.Duration
	once    sync.Once
	err     error
}

func (a *accepted) Read(b []byte) (int, error) {
	a.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), a.timeout)
		defer cancel()
		a.err = a.HandshakeContext(ctx)
	})
	if a.err != nil {
		return 0, a.err
	}
	return a.Conn.Read(b)
}

// book gives raft the configured address of each replica, so that one that
// moved is found although the agreed configuration has its old address. Of a
// replica that joined since this one was configured, only the agreed address is
// known.
type book struct {
	configured map[raft.ServerID]raft.ServerAddress
	agreed     func(raft.ServerID) (raft.ServerAddress, bool)
}

// ServerAddr looks a replica up.
func (b *book) ServerAddr(id raft.ServerID) (raft.ServerAddress, error) {
	if a, ok := b.configured[id]; ok {
		return a, nil
	}
	if a, ok := b.agreed(id); ok {
		return a, nil
	}
	return "", fault.E(fault.NotFound, "replica %s is neither among the configured peers nor in the agreed configuration", id)
}
