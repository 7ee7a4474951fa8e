package federation_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
	"github.com/skein-project/skein/federation/codec"
	"github.com/skein-project/skein/federation/identity"
)

// raw is a member that speaks the wire by hand.
func (r *rig) raw(addr string, src identity.Source) skeinv1.DataPlaneServiceClient {
	r.t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(credentials.NewTLS(identity.ClientTLS(src, r.ca.Pool(), trustDomain))))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	return skeinv1.NewDataPlaneServiceClient(conn)
}

func (r *rig) certificate(ttl time.Duration) identity.Source {
	r.t.Helper()
	key, err := identity.NewKeyPEM()
	if err != nil {
		r.t.Fatal(err)
	}
	csr, err := identity.NewCSR(key)
	if err != nil {
		r.t.Fatal(err)
	}
	cert, err := r.ca.SignMember(csr, "east", "raw", time.Now(), ttl)
	if err != nil {
		r.t.Fatal(err)
	}
	pair, err := identity.KeyPair(cert, key)
	if err != nil {
		r.t.Fatal(err)
	}
	return identity.Fixed(*pair)
}

type wire = skeinv1.DataPlaneService_ConnectClient

// serve brings a raw session to its verdicts.
func (r *rig) serve(c skeinv1.DataPlaneServiceClient) (w wire, generation uint64) {
	r.t.Helper()
	w, err := c.Connect(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	r.send(w, &skeinv1.ConnectRequest{Message: &skeinv1.ConnectRequest_Hello{Hello: &skeinv1.Hello{}}})
	generation = r.recv(w).GetWelcome().GetGeneration()
	r.send(w, &skeinv1.ConnectRequest{Message: &skeinv1.ConnectRequest_Inventory{Inventory: &skeinv1.Inventory{Last: true}}})
	if r.recv(w).GetVerdicts() == nil {
		r.t.Fatal("no verdicts came")
	}
	return w, generation
}

func (r *rig) send(w wire, m *skeinv1.ConnectRequest) {
	r.t.Helper()
	if err := w.Send(m); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) recv(w wire) *skeinv1.ConnectResponse {
	r.t.Helper()
	m, err := w.Recv()
	if err != nil {
		r.t.Fatal(err)
	}
	return m
}

func TestANewerSessionEndsTheOlder(t *testing.T) {
	r := newRig(t)
	_, addr, _ := r.hub("a")
	c := r.raw(addr, r.certificate(time.Hour))
	old, _ := r.serve(c)
	r.serve(c)
	if r.recv(old).GetGoodbye() == nil {
		t.Fatal("the older session goes on")
	}
}

func TestASessionThatIsNotTheNewestEnds(t *testing.T) {
	r := newRig(t)
	_, addr, _ := r.hub("a")
	w, _ := r.serve(r.raw(addr, r.certificate(time.Hour)))
	// A session on another hub: only the store knows.
	r.plane.set(func(p *plane) { p.gens[flow.Member{Cluster: "east", Instance: "raw"}]++ })
	if r.recv(w).GetGoodbye() == nil {
		t.Fatal("a stale session goes on")
	}
}

func TestEventsAreAckedAfterTheCommit(t *testing.T) {
	r := newRig(t)
	free := make(chan struct{})
	r.plane.ingest = func() error {
		<-free
		return nil
	}
	_, addr, _ := r.hub("a")
	w, generation := r.serve(r.raw(addr, r.certificate(time.Hour)))
	r.send(w, &skeinv1.ConnectRequest{Message: &skeinv1.ConnectRequest_Events{Events: &skeinv1.EventBatch{
		Generation: generation, Batch: 1, Events: codec.EventsTo([]flow.Event{{Node: "n0"}}),
	}}})
	// Heartbeats are answered while the transaction runs; the ack is not there.
	for range 3 {
		r.send(w, &skeinv1.ConnectRequest{Message: &skeinv1.ConnectRequest_Heartbeat{Heartbeat: &skeinv1.Heartbeat{Generation: generation}}})
		if m := r.recv(w); m.GetHeartbeat() == nil {
			t.Fatalf("got %v before the commit", m)
		}
	}
	close(free)
	ack := r.recv(w).GetEventAck()
	if ack.GetBatch() != 1 || len(ack.GetRefused()) != 1 || ack.GetRefused()[0].GetReason() == "" {
		t.Errorf("ack %v, want batch 1 with its one event refused, and why", ack)
	}
}

func TestALeaseIsAskedForAtOnce(t *testing.T) {
	r := newRig(t)
	_, addr, _ := r.hub("a")
	w, generation := r.serve(r.raw(addr, r.certificate(time.Hour)))
	begun := time.Now()
	r.send(w, &skeinv1.ConnectRequest{Message: &skeinv1.ConnectRequest_LeaseRequest{LeaseRequest: &skeinv1.LeaseRequest{Generation: generation, Nonce: 5}}})
	l := r.recv(w).GetLease()
	if l.GetNonce() != 5 || l.GetGeneration() != generation {
		t.Errorf("lease %v", l)
	}
	if d := time.Since(begun); d > 500*time.Millisecond {
		t.Errorf("the first lease took %s: it waited for the beat", d)
	}
}

// TestANewLeaderIsBeatenToAtOnce: a beat that waits for a leader which is gone
// is given up when another one says that its term has begun.
func TestANewLeaderIsBeatenToAtOnce(t *testing.T) {
	r := newRig(t)
	h, addr, _ := r.hub("a")
	waits, over := make(chan struct{}, 64), make(chan error, 64)
	r.plane.set(func(p *plane) {
		p.beating = func(ctx context.Context) error {
			waits <- struct{}{}
			<-ctx.Done()
			over <- ctx.Err()
			return ctx.Err()
		}
	})
	w, generation := r.serve(r.raw(addr, r.certificate(time.Hour)))
	r.send(w, &skeinv1.ConnectRequest{Message: &skeinv1.ConnectRequest_LeaseRequest{LeaseRequest: &skeinv1.LeaseRequest{Generation: generation, Nonce: 5}}})
	<-waits
	r.plane.set(func(p *plane) { p.beating = nil })
	h.Beat()
	if err := <-over; !errors.Is(err, context.Canceled) {
		t.Errorf("the beat to the old leader ended by %v: it was waited for", err)
	}
	if l := r.recv(w).GetLease(); l.GetNonce() != 5 {
		t.Errorf("lease %v", l)
	}
}

func TestWhoMayCall(t *testing.T) {
	r := newRig(t)
	_, addr, _ := r.hub("a")
	nobody := r.raw(addr, nil)
	_, err := nobody.Renew(t.Context(), &skeinv1.RenewRequest{})
	if status.Code(err) != codes.Unauthenticated {
		t.Errorf("renew without a certificate: %v", err)
	}
	w, err := nobody.Connect(t.Context())
	if err == nil {
		_, err = w.Recv()
	}
	if status.Code(err) != codes.Unauthenticated {
		t.Errorf("connect without a certificate: %v", err)
	}
	replica, err := r.ca.ReplicaCert("b", nil, time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.raw(addr, identity.Fixed(replica)).Renew(t.Context(), &skeinv1.RenewRequest{})
	if status.Code(err) != codes.PermissionDenied {
		t.Errorf("renew as a replica: %v", err)
	}
}

func TestATokenIsBoundToItsFirstKey(t *testing.T) {
	r := newRig(t)
	_, addr, _ := r.hub("a")
	c := r.raw(addr, nil)
	csr := func() string {
		key, _ := identity.NewKeyPEM()
		b, err := identity.NewCSR(key)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	mine := &skeinv1.JoinRequest{Token: r.token, Csr: csr(), Instance: "x"}
	first, err := c.Join(t.Context(), mine)
	if err != nil {
		t.Fatal(err)
	}
	again, err := c.Join(t.Context(), mine)
	if err != nil || again.GetCertificate() != first.GetCertificate() || first.GetCluster() != "east" {
		t.Errorf("the same key got %v, %v", again, err)
	}
	if _, err := c.Join(t.Context(), &skeinv1.JoinRequest{Token: r.token, Csr: csr(), Instance: "x"}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("another key: %v", err)
	}
	if _, err := c.Join(t.Context(), &skeinv1.JoinRequest{Token: "skein-join-x", Csr: csr(), Instance: "x"}); status.Code(err) != codes.Unauthenticated {
		t.Errorf("another token: %v", err)
	}
	if _, _, err := r.desk.Mint(t.Context(), "east", 25*time.Hour); !fault.Is(err, fault.Invalid) {
		t.Errorf("a token for more than a day: %v", err)
	}
}

func TestASessionEndsWithItsCertificate(t *testing.T) {
	r := newRig(t)
	_, addr, _ := r.hub("a")
	w, _ := r.serve(r.raw(addr, r.certificate(2*time.Second)))
	if r.recv(w).GetGoodbye() == nil {
		t.Error("no goodbye")
	}
	if _, err := w.Recv(); status.Code(err) != codes.Unauthenticated {
		t.Errorf("the stream ended with %v", err)
	}
}
