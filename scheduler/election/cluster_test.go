package election

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"log/slog"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/deploy/local/smalldisk"
)

func TestMain(m *testing.M) {
	smalldisk.Main(m, func(m *testing.M) { goleak.VerifyTestMain(m) })
}

// authority issues certificates for loopback.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(t, err)
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	return &authority{cert, key}
}

func (a *authority) config(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	must(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// database is a fake of the one row that fences.
type database struct {
	mu    sync.Mutex
	fence flow.Fence
	fail  error
	never error // what EnterRebuild says
	known []flow.Fence
	away  error // of every call
	asked int   // while it was away
}

// leave makes every call fail, or none if err is nil; it gives what counts the
// calls meanwhile.
func (d *database) leave(err error) (asked func() int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.away, d.asked = err, 0
	return func() int {
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.asked
	}
}

func (d *database) EnterRebuild(_ context.Context, known flow.Fence, why string) (flow.Rebuild, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.never != nil {
		return flow.Rebuild{}, d.never
	}
	d.known = append(d.known, known)
	d.fence = flow.Fence{Epoch: flow.Epoch{Era: max(d.fence.Epoch.Era, known.Epoch.Era), N: max(d.fence.Epoch.N, known.Epoch.N) + 1}}
	return flow.Rebuild{Why: why}, nil
}

func (d *database) BeginTerm(context.Context, string) (flow.Fence, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail != nil {
		return flow.Fence{}, d.fail
	}
	d.fence = flow.Fence{Epoch: d.fence.Epoch.Next()}
	return d.fence, nil
}

func (d *database) ReadFence(context.Context) (flow.Fence, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.away != nil {
		d.asked++
		return flow.Fence{}, d.away
	}
	return d.fence, nil
}

func (d *database) set(f flow.Fence) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fence = f
}

// node is one replica; its terms arrive on the group's channel.
type node struct {
	*Elector
	opts Options
	stop func()
}

type led struct {
	Term
	node string
}

type group struct {
	db    *database
	terms chan led
	work  func(led) error // what a term does; waits for its end by default
	nodes []*node
}

// newGroup starts n replicas on free loopback ports; the first one bootstraps.
func newGroup(t *testing.T, n int, work ...func(led) error) *group {
	t.Helper()
	return newGroupWith(t, n, func(*Options) {}, work...)
}

func newGroupWith(t *testing.T, n int, change func(*Options), work ...func(led) error) *group {
	t.Helper()
	ca := newAuthority(t)
	g := &group{db: &database{fence: flow.Fence{Epoch: flow.Epoch{Era: 1}}}, terms: make(chan led, 64)}
	g.work = waits
	if len(work) > 0 {
		g.work = work[0]
	}
	var peers []Peer
	for i := range n {
		peers = append(peers, Peer{ID: string(rune('a' + i)), Addr: freeAddr(t)})
	}
	for i, p := range peers {
		g.nodes = append(g.nodes, &node{stop: func() {}, opts: Options{ID: p.ID, ControlPlaneID: "cp-1", Bind: p.Addr, Peers: peers,
			Dir: t.TempDir(), Bootstrap: i == 0, TLS: ca.config(t), Epochs: g.db, Log: slog.New(slog.DiscardHandler),
			Heartbeat: 300 * time.Millisecond, Election: 300 * time.Millisecond, Lease: 150 * time.Millisecond,
			Observe: 20 * time.Millisecond, Pause: 50 * time.Millisecond}})
		change(&g.nodes[i].opts)
	}
	for i := range g.nodes {
		g.start(t, i)
	}
	return g
}

// waits is the work of a term that only waits for its end.
func waits(l led) error {
	<-l.Context.Done()
	return l.Context.Err()
}

func (g *group) start(t *testing.T, i int) {
	t.Helper()
	n := g.nodes[i]
	e, err := New(n.opts)
	must(t, err)
	n.Elector = e
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = e.Run(ctx, func(term Term) error {
			l := led{term, n.opts.ID}
			g.terms <- l
			return g.work(l)
		})
	}()
	n.stop = func() {
		cancel()
		<-done
		_ = e.Close()
	}
	t.Cleanup(func() { n.stop() })
}

func (g *group) next(t *testing.T) led {
	t.Helper()
	select {
	case l := <-g.terms:
		return l
	case <-time.After(30 * time.Second):
		t.Fatal("no replica began a term")
		return led{}
	}
}

func (g *group) index(id string) int { return int(id[0] - 'a') }

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func ended(t *testing.T, l led) {
	t.Helper()
	select {
	case <-l.Context.Done():
	case <-time.After(30 * time.Second):
		t.Fatalf("the term of %s at %s goes on", l.node, l.Fence)
	}
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never: %s", what)
		}
	}
}
