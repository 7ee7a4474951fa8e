package forward_test

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/skein-project/skein/deploy/local/forward"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// backend answers each connection, after the client's end of sending, with its name and what it was sent.
type backend struct {
	net.Listener
	name string
}

func newBackend(t *testing.T, name, address string) backend {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	b := backend{listener, name}
	go b.serve()
	t.Cleanup(func() { _ = listener.Close() })
	return b
}

func (b backend) serve() {
	for {
		conn, err := b.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			sent, _ := io.ReadAll(conn)
			_, _ = io.WriteString(conn, b.name+":"+string(sent))
		}()
	}
}

func (b backend) address() string { return b.Addr().String() }

func listen(t *testing.T, o forward.Options) *forward.Forwarder {
	t.Helper()
	f, err := forward.Listen("127.0.0.1:0", o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// ask sends a text through the door, ends its side, and reads the answer.
func ask(t *testing.T, f *forward.Forwarder, text string) string {
	t.Helper()
	conn, err := net.Dial("tcp", f.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	_ = conn.(*net.TCPConn).CloseWrite()
	answer, err := io.ReadAll(conn)
	if err != nil {
		return err.Error()
	}
	return string(answer)
}

func TestConnectionsGoRoundAndHalfCloseIsPassedOn(t *testing.T) {
	one, two := newBackend(t, "one", "127.0.0.1:0"), newBackend(t, "two", "127.0.0.1:0")
	f := listen(t, forward.Options{Backends: []string{one.address(), two.address()}})
	big := strings.Repeat("x", 1<<20)
	seen := map[string]int{}
	for range 10 {
		name, text, _ := strings.Cut(ask(t, f, big), ":")
		if text != big {
			t.Fatalf("%s answered %d bytes", name, len(text))
		}
		seen[name]++
	}
	if seen["one"] != 5 || seen["two"] != 5 {
		t.Errorf("connections went %v", seen)
	}
}

func TestADeadBackendIsPassedOverAndTakenBack(t *testing.T) {
	one, two := newBackend(t, "one", "127.0.0.1:0"), newBackend(t, "two", "127.0.0.1:0")
	f := listen(t, forward.Options{Backends: []string{one.address(), two.address()}})
	_ = one.Close()
	for range 6 {
		if got := ask(t, f, "a"); got != "two:a" {
			t.Fatalf("got %q", got)
		}
	}
	_ = two.Close()
	newBackend(t, "one", one.address())
	for range 3 {
		if got := ask(t, f, "b"); got != "one:b" {
			t.Fatalf("got %q", got)
		}
	}
}

func TestAConnectionWaitsForTheFirstBackend(t *testing.T) {
	gone := newBackend(t, "one", "127.0.0.1:0")
	_ = gone.Close()
	f := listen(t, forward.Options{Backends: []string{gone.address()}})
	answer := make(chan string, 1)
	go func() { answer <- ask(t, f, "early") }()
	select {
	case got := <-answer:
		t.Fatalf("answered %q with no backend", got)
	case <-time.After(150 * time.Millisecond):
	}
	newBackend(t, "one", gone.address())
	if got := <-answer; got != "one:early" {
		t.Errorf("got %q", got)
	}
}

func TestPatienceEnds(t *testing.T) {
	f := listen(t, forward.Options{Patience: 100 * time.Millisecond})
	began := time.Now()
	if got := ask(t, f, "a"); strings.Contains(got, ":a") {
		t.Errorf("got %q", got)
	}
	if waited := time.Since(began); waited > 5*time.Second {
		t.Errorf("it took %s", waited)
	}
}

func TestReadyAndSetBackendsSteerNewConnections(t *testing.T) {
	one, two := newBackend(t, "one", "127.0.0.1:0"), newBackend(t, "two", "127.0.0.1:0")
	f := listen(t, forward.Options{
		Backends: []string{one.address(), two.address()},
		Ready:    func(backend string) bool { return backend == two.address() },
	})
	for range 4 {
		if got := ask(t, f, "a"); got != "two:a" {
			t.Fatalf("got %q", got)
		}
	}
	f.SetBackends(one.address())
	if got := ask(t, f, "a"); got != "one:a" {
		t.Errorf("the last resort is not taken: %q", got)
	}
}

func TestABackendsEndIsSeenByItsClient(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	f := listen(t, forward.Options{Backends: []string{listener.Addr().String()}})
	client, err := net.Dial("tcp", f.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	// Only a connection that has passed a byte is a backend's for good: one that is reset while it is dialled is
	// dialled again, elsewhere.
	if _, err := io.WriteString(client, "ab"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(server, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	_ = server.(*net.TCPConn).SetLinger(0) // a reset, as from a killed process with unread data
	_ = server.Close()
	_ = client.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := client.Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "timeout") {
		t.Errorf("the client saw %v", err)
	}
}

func TestCloseEndsOpenConnections(t *testing.T) {
	one := newBackend(t, "one", "127.0.0.1:0")
	f := listen(t, forward.Options{Backends: []string{one.address()}})
	client, err := net.Dial("tcp", f.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := io.WriteString(client, "unfinished"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	_ = client.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := client.Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "timeout") {
		t.Errorf("the client saw %v", err)
	}
	if _, err := net.Dial("tcp", f.Addr()); err == nil {
		t.Error("the door is still open")
	}
}
