package store_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

var errCut = errors.New("the connection was cut")

// wire dials connections that can break, or stop, at a COMMIT.
type wire struct {
	mu   sync.Mutex
	next *accident
}

// accident befalls the next COMMIT.
type accident struct {
	landed   bool          // cut after the database has confirmed it; else before it is sent
	hold     chan struct{} // stop it until this is closed; nil: cut
	reached  chan struct{}
	happened atomic.Bool
}

func (w *wire) arm(a *accident) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.next = a
}

func (w *wire) take() *accident {
	w.mu.Lock()
	defer w.mu.Unlock()
	a := w.next
	w.next = nil
	return a
}

func (w *wire) cut(landed bool) func() bool {
	a := &accident{landed: landed}
	w.arm(a)
	return a.happened.Load
}

func (w *wire) hold() (<-chan struct{}, func()) {
	a := &accident{hold: make(chan struct{}), reached: make(chan struct{})}
	w.arm(a)
	return a.reached, sync.OnceFunc(func() { close(a.hold) })
}

func (w *wire) dial(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: 5 * time.Second}
	conn, err := dialer.DialContext(ctx, network, address)
	return &tap{Conn: conn, wire: w, statements: map[string]bool{}}, err
}

// tap reads along what the driver sends, which it sends in whole messages.
type tap struct {
	net.Conn
	wire       *wire
	started    bool
	inTx       bool
	statements map[string]bool // prepared statements: whether they write
	swallow    atomic.Bool
}

// Write passes messages on, unless an accident waits for a COMMIT among them.
func (t *tap) Write(b []byte) (int, error) {
	if !t.commits(b) {
		return t.Conn.Write(b)
	}
	a := t.wire.take()
	switch {
	case a == nil:
		return t.Conn.Write(b)
	case a.hold != nil:
		close(a.reached)
		<-a.hold
		return t.Conn.Write(b)
	}
	a.happened.Store(true)
	if !a.landed {
		_ = t.Conn.Close()
		return 0, errCut
	}
	t.swallow.Store(true)
	return t.Conn.Write(b)
}

// Read hides the answer to a COMMIT after whose landing the connection breaks.
func (t *tap) Read(b []byte) (int, error) {
	n, err := t.Conn.Read(b)
	if err != nil || !t.swallow.Load() {
		return n, err
	}
	for got := b[:n]; !bytes.Contains(got, []byte{'Z', 0, 0, 0, 5, 'I'}); {
		more := make([]byte, 4096)
		if n, err = t.Conn.Read(more); err != nil {
			return 0, err
		}
		got = append(bytes.Clone(got), more[:n]...)
	}
	_ = t.Conn.Close()
	return 0, errCut
}

// commits reports whether one of the messages commits a write.
func (t *tap) commits(b []byte) bool {
	if !t.started { // the first message has no type
		t.started = true
		return false
	}
	found := false
	for len(b) >= 5 {
		size := int(binary.BigEndian.Uint32(b[1:5])) + 1
		if size > len(b) {
			break
		}
		found = t.message(b[0], b[5:size]) || found
		b = b[size:]
	}
	return found
}

func (t *tap) message(kind byte, body []byte) bool {
	words := bytes.Split(body, []byte{0})
	switch kind {
	case 'Q':
		sql := string(words[0])
		t.inTx = strings.HasPrefix(sql, "begin")
		return sql == "commit"
	case 'P': // name, statement
		t.statements[string(words[0])] = strings.HasPrefix(string(words[1]), "INSERT")
	case 'B': // portal, name
		return !t.inTx && t.statements[string(words[1])]
	}
	return false
}
