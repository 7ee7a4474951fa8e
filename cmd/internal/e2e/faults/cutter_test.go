package faults

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// cutter stands between a client and the front door, and cuts a connection
// after a request has gone through: the client does not learn what became of it.
type cutter struct {
	listener net.Listener
	door     string
	armed    atomic.Pointer[time.Duration]
	cuts     atomic.Int64

	mu   sync.Mutex
	open map[net.Conn]bool // nil once it is closed
	done sync.WaitGroup
}

func newCutter(t *testing.T, door string) *cutter {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	c := &cutter{listener: listener, door: door, open: map[net.Conn]bool{}}
	c.done.Go(c.accept)
	t.Cleanup(c.close)
	return c
}

// cut ends the connection of the next thing that the client sends, so long
// after it was passed on.
func (c *cutter) cut(after time.Duration) { c.armed.Store(&after) }

func (c *cutter) accept() {
	for {
		client, err := c.listener.Accept()
		if err != nil {
			return // closed
		}
		c.done.Go(func() { c.join(client) })
	}
}

func (c *cutter) join(client net.Conn) {
	server, err := net.Dial("tcp", c.door)
	if err != nil {
		_ = client.Close()
		return
	}
	if !c.track(client, server) {
		return
	}
	both := func() { _, _ = client.Close(), server.Close() }
	var up sync.WaitGroup
	up.Go(func() {
		defer both()
		_, _ = io.Copy(writerFunc(func(b []byte) (int, error) {
			n, err := server.Write(b)
			if after := c.armed.Swap(nil); after != nil {
				c.cuts.Add(1)
				time.AfterFunc(*after, both)
			}
			return n, err
		}), client)
	})
	_, _ = io.Copy(client, server)
	both()
	up.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, client)
	delete(c.open, server)
}

// track notes both connections for close, or closes them if that has been.
func (c *cutter) track(conns ...net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range conns {
		if c.open == nil {
			_ = conn.Close()
			continue
		}
		c.open[conn] = true
	}
	return c.open != nil
}

func (c *cutter) close() {
	_ = c.listener.Close()
	c.mu.Lock()
	for conn := range c.open {
		_ = conn.Close()
	}
	c.open = nil
	c.mu.Unlock()
	c.done.Wait()
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }
