// Package pgwire stands between a client of PostgreSQL and the server, and lets
// transactions fail as serialisable ones do: they lose races, at a statement or
// at COMMIT, or their connection ends when nobody can tell whether COMMIT was
// heard.
//
// It reads frames, and of those only what begins and ends transactions; the
// link must be without TLS. Cut links and dead servers are not its business
// (chaos/inject, deploy/local). Invariant: a transaction that was told to have
// lost a race has changed nothing; one whose COMMIT nobody answered was
// committed, or was not, and never both.
package pgwire

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/skein-project/skein/chaos/inject"
)

// What can befall transactions. A statement outside of one is one by itself.
const (
	// Lose ends it with 40001, at COMMIT or at a statement, as often.
	Lose = "lose"
	// Cut ends its connection at COMMIT: as often after the server has done it as
	// before the server has heard of it.
	Cut = "cut"
)

// Kinds are all of them.
func Kinds() []string { return []string{Lose, Cut} }

// dialTime bounds how long the server may take to answer a new connection.
const dialTime = 10 * time.Second

// Proxy is one way to one server. It is an inject.Disturber.
type Proxy struct {
	inject.Troubles
	to       string
	listener net.Listener
	work     sync.WaitGroup

	mu   sync.Mutex
	open map[net.Conn]bool // nil once it is closed
}

// Start opens the proxy on a free port, before the server at an address.
func Start(to string) (*Proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{to: to, listener: listener, open: map[net.Conn]bool{}}
	p.work.Go(p.accept)
	return p, nil
}

// Address is where the client finds the server.
func (p *Proxy) Address() string { return p.listener.Addr().String() }

// Disturb begins a trouble, one of Kinds.
func (p *Proxy) Disturb(t inject.Trouble) error { return p.Add(t, Kinds()) }

// Close ends all connections.
func (p *Proxy) Close() error {
	err := p.listener.Close()
	p.mu.Lock()
	for c := range p.open {
		_ = c.Close()
	}
	p.open = nil
	p.mu.Unlock()
	p.work.Wait()
	return err
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		p.work.Go(func() { p.join(client) })
	}
}

// join carries one connection until either side ends it.
func (p *Proxy) join(client net.Conn) {
	defer p.forget(client)
	if !p.track(client) {
		return
	}
	dialer := net.Dialer{Timeout: dialTime}
	server, err := dialer.DialContext(context.Background(), "tcp", p.to)
	if err != nil {
		return
	}
	defer p.forget(server)
	if !p.track(server) {
		return
	}
	c := &conn{troubles: &p.Troubles, client: client, server: server}
	var down sync.WaitGroup
	down.Go(func() {
		c.answers()
		c.end()
	})
	c.requests()
	c.end()
	down.Wait()
}

// track notes a connection for Close; false: that has been.
func (p *Proxy) track(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open != nil {
		p.open[c] = true
	}
	return p.open != nil
}

func (p *Proxy) forget(c net.Conn) {
	_ = c.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, c)
}
