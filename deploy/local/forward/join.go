package forward

import (
	"context"
	"io"
	"net"
	"sync"
	"time"
)

// track registers a connection for Close; false, with the connection closed, if the door is closed already.
func (f *Forwarder) track(conn net.Conn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		_ = conn.Close()
		return false
	}
	f.open[conn] = struct{}{}
	return true
}

func (f *Forwarder) untrack(conn net.Conn) {
	_ = conn.Close()
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.open, conn)
}

// join copies both ways until both have ended. An end is passed on as one (half-close); a broken side breaks the other.
func join(a, b net.Conn) {
	var both sync.WaitGroup
	both.Go(func() { pass(a, b) })
	pass(b, a)
	both.Wait()
}

func pass(to, from net.Conn) {
	_, err := io.Copy(to, from)
	half, ok := to.(interface{ CloseWrite() error })
	if err == nil && ok && half.CloseWrite() == nil {
		return
	}
	_, _ = to.Close(), from.Close()
}

// pause waits, and reports whether the context still holds.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
