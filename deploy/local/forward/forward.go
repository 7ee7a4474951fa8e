// Package forward is the front door of a local set-up: one TCP address in front of several replicas.
//
// It is not a load balancer for production and knows nothing of TLS or HTTP: a connection goes to one replica whole.
// `skein demo` runs it, and tests that kill replicas behind a client's back.
//
// Invariant: a client's connection is accepted at any time, and as long as one backend can be dialled within the
// patience it reaches one. That is what makes a replica's end bearable for clients that try again without a pause.
package forward

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"
)

const (
	defaultDialTimeout = time.Second
	defaultPatience    = 10 * time.Second
	retryEvery         = 50 * time.Millisecond
)

// Options says what stands behind the door.
type Options struct {
	// Backends are host:port addresses.
	Backends []string
	// Ready says whether a backend should get new connections; nil means all. It is called for each connection and must
	// be quick. A backend that is not ready is still tried when no other can be dialled.
	Ready func(backend string) bool
	// DialTimeout bounds one attempt at one backend (1 s if zero); Patience bounds how long a connection waits for the
	// first backend that answers (10 s if zero).
	DialTimeout, Patience time.Duration
	// Log is told of connections that found no backend; nil is silent.
	Log *slog.Logger
}

// Forwarder is an open door. Safe for concurrent use.
type Forwarder struct {
	options  Options
	listener net.Listener
	ctx      context.Context // ends at Close: it bounds dials that are under way
	cancel   context.CancelFunc
	running  sync.WaitGroup

	mu       sync.Mutex
	closed   bool
	backends []string
	failed   map[string]bool // whose last dial failed
	next     int
	open     map[net.Conn]struct{}
}

// Listen opens the door on the address. Close it to end its goroutines and connections.
func Listen(address string, o Options) (*Forwarder, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("open the front door: %w", err)
	}
	if o.DialTimeout == 0 {
		o.DialTimeout = defaultDialTimeout
	}
	if o.Patience == 0 {
		o.Patience = defaultPatience
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	f := &Forwarder{options: o, listener: listener, failed: map[string]bool{}, open: map[net.Conn]struct{}{}}
	f.ctx, f.cancel = context.WithCancel(context.Background())
	f.SetBackends(o.Backends...)
	f.running.Go(f.accept)
	return f, nil
}

// Addr returns the address that the door listens on.
func (f *Forwarder) Addr() string { return f.listener.Addr().String() }

// SetBackends replaces the backends for new connections; those that are open stay as they are.
func (f *Forwarder) SetBackends(backends ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.backends = append([]string(nil), backends...)
	clear(f.failed)
}

// Close stops listening, ends every connection, and returns when nothing of the door runs. Calling it again is safe.
func (f *Forwarder) Close() error {
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return nil
	}
	f.closed = true
	for conn := range f.open {
		_ = conn.Close()
	}
	f.mu.Unlock()
	f.cancel()
	err := f.listener.Close()
	f.running.Wait()
	return err
}

func (f *Forwarder) accept() {
	for {
		conn, err := f.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // out of files, most likely: connections that end will help
			f.options.Log.Warn("accept", "error", err)
			pause(f.ctx, retryEvery)
			continue
		}
		f.running.Go(func() { f.serve(conn) })
	}
}

// serve joins one client to one backend.
func (f *Forwarder) serve(client net.Conn) {
	if !f.track(client) {
		return
	}
	defer f.untrack(client)
	backend, err := f.dial()
	if err != nil {
		f.options.Log.Warn("no backend", "error", err)
		return
	}
	if !f.track(backend) {
		return
	}
	defer f.untrack(backend)
	join(client, backend)
}

// dial goes round the backends until one answers or the patience ends.
func (f *Forwarder) dial() (net.Conn, error) {
	ctx, cancel := context.WithTimeout(f.ctx, f.options.Patience)
	defer cancel()
	last := errors.New("there are none")
	for {
		for _, backend := range f.order() {
			dialer := net.Dialer{Timeout: f.options.DialTimeout}
			conn, err := dialer.DialContext(ctx, "tcp", backend)
			f.note(backend, err == nil)
			if err == nil {
				return conn, nil
			}
			last = err
		}
		if !pause(ctx, retryEvery) {
			return nil, last
		}
	}
}

// order returns the backends to try: from the next in turn those that are ready and were there at the last dial, then
// the rest as a last resort.
func (f *Forwarder) order() []string {
	f.mu.Lock()
	turn := make([]string, 0, len(f.backends))
	failed := make(map[string]bool, len(f.backends))
	for i := range f.backends {
		backend := f.backends[(f.next+i)%len(f.backends)]
		turn = append(turn, backend)
		failed[backend] = f.failed[backend]
	}
	f.next++
	f.mu.Unlock()
	var good, rest []string
	for _, backend := range turn {
		if !failed[backend] && (f.options.Ready == nil || f.options.Ready(backend)) {
			good = append(good, backend)
		} else {
			rest = append(rest, backend)
		}
	}
	return append(good, rest...)
}

func (f *Forwarder) note(backend string, reached bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if reached {
		delete(f.failed, backend)
	} else {
		f.failed[backend] = true
	}
}
