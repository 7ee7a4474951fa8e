package storetest

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

// Wire dials connections to a PostgreSQL without TLS, which can break, stop or
// lie at a COMMIT: at that of a transaction, or at an INSERT that is one.
type Wire struct {
	mu   sync.Mutex
	next []*accident
}

// accident befalls one COMMIT.
type accident struct {
	landed   bool          // the database has confirmed it; else it is not sent
	answer   []byte        // what the client reads in place of the truth; nil: it is cut off
	keeps    bool          // the connection, after that answer
	late     bool          // it is sent when hold is closed, though the client is cut off at once
	hold     chan struct{} // stop it until this is closed
	reached  chan struct{}
	happened atomic.Bool
}

// Cut breaks the connection at the next COMMIT, before it is sent or after it
// has landed; it gives what reports whether that has happened.
func (w *Wire) Cut(landed bool) func() bool { return w.arm(&accident{landed: landed}) }

// Answer gives the next COMMIT an answer of this severity and SQLSTATE. After
// FATAL and PANIC the connection is gone, as the server's process is.
func (w *Wire) Answer(landed bool, severity, state string) func() bool {
	body := "S" + severity + "\x00V" + severity + "\x00C" + state + "\x00Mdriver text\x00\x00"
	answer := append(binary.BigEndian.AppendUint32([]byte{'E'}, uint32(len(body)+4)), body...)
	keeps := severity == "ERROR"
	if keeps {
		answer = append(answer, idle...)
	}
	return w.arm(&accident{landed: landed, answer: answer, keeps: keeps})
}

// Late breaks the connection at the next COMMIT, which reaches the database
// when land is called: what is still in flight.
func (w *Wire) Late() (happened func() bool, land func()) {
	a := &accident{late: true, hold: make(chan struct{}), reached: make(chan struct{})}
	land = sync.OnceFunc(func() {
		close(a.hold)
		<-a.reached
	})
	return w.arm(a), land
}

// Hold stops the next COMMIT until it is released.
func (w *Wire) Hold() (<-chan struct{}, func()) {
	a := &accident{hold: make(chan struct{}), reached: make(chan struct{})}
	w.arm(a)
	return a.reached, sync.OnceFunc(func() { close(a.hold) })
}

// Spare forgets the accidents that have not happened.
func (w *Wire) Spare() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.next = nil
}

func (w *Wire) arm(a *accident) func() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.next = append(w.next, a)
	return a.happened.Load
}

func (w *Wire) take() *accident {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.next) == 0 {
		return nil
	}
	a := w.next[0]
	w.next = w.next[1:]
	return a
}

// Dial connects; it is for store.Config.
func (w *Wire) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: 5 * time.Second}
	conn, err := dialer.DialContext(ctx, network, address)
	return &tap{Conn: conn, wire: w, statements: map[string]bool{}}, err
}

// tap reads along what the driver sends, which it sends in whole messages.
type tap struct {
	net.Conn
	wire       *Wire
	started    bool
	inTx       bool
	statements map[string]bool // prepared statements: whether they write
	met        atomic.Pointer[accident]
}

// Write passes messages on, unless an accident waits for a COMMIT among them.
func (t *tap) Write(b []byte) (int, error) {
	if t.inFlight() {
		return 0, errCut
	}
	if !t.commits(b) {
		return t.Conn.Write(b)
	}
	a := t.wire.take()
	switch {
	case a == nil:
		return t.Conn.Write(b)
	case a.late:
		a.happened.Store(true)
		t.met.Store(a)
		go t.land(a, bytes.Clone(b))
		return 0, errCut
	case a.hold != nil:
		close(a.reached)
		<-a.hold
		return t.Conn.Write(b)
	}
	a.happened.Store(true)
	t.met.Store(a)
	if a.landed {
		return t.Conn.Write(b)
	}
	if a.answer == nil {
		_ = t.Conn.Close()
		return 0, errCut
	}
	return len(b), nil
}

// land sends at last what the client was cut off from, and waits for its end.
func (t *tap) land(a *accident, b []byte) {
	defer close(a.reached)
	<-a.hold
	if _, err := t.Conn.Write(b); err == nil {
		_ = t.skip(nil)
	}
	_ = t.Conn.Close()
}

// inFlight reports whether the client has nothing to do with the connection any
// more, while the server has.
func (t *tap) inFlight() bool {
	a := t.met.Load()
	return a != nil && a.late
}

// Close leaves a connection open of which something is still in flight.
func (t *tap) Close() error {
	if t.inFlight() {
		return nil
	}
	return t.Conn.Close()
}

// SetDeadline leaves what is in flight alone, too.
func (t *tap) SetDeadline(at time.Time) error {
	if t.inFlight() {
		return nil
	}
	return t.Conn.SetDeadline(at)
}

// idle ends an answer: the connection is in no transaction.
var idle = []byte{'Z', 0, 0, 0, 5, 'I'}

// skip reads up to the end of an answer that begins with got.
func (t *tap) skip(got []byte) error {
	for more := make([]byte, 4096); !bytes.Contains(got, idle); {
		n, err := t.Conn.Read(more) // of the connection itself, not of the tap
		if err != nil {
			return err
		}
		got = append(got, more[:n]...)
	}
	return nil
}

// Read hides the answer to a COMMIT that an accident has befallen.
func (t *tap) Read(b []byte) (int, error) {
	a := t.met.Load()
	switch {
	case a == nil:
		return t.Conn.Read(b)
	case a.late:
		return 0, errCut
	}
	if a.landed {
		if err := t.skip(nil); err != nil {
			return 0, err
		}
	}
	t.met.Store(nil)
	if !a.keeps {
		_ = t.Conn.Close()
	}
	if a.answer == nil {
		return 0, errCut
	}
	return copy(b, a.answer), nil
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
		t.statements[string(words[0])] = strings.Contains(string(words[1]), "INSERT INTO")
	case 'B': // portal, name
		return !t.inTx && t.statements[string(words[1])]
	}
	return false
}
