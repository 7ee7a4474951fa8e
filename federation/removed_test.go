package federation_test

import (
	"crypto/tls"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/skein-project/skein/api/flow"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
	"github.com/skein-project/skein/federation/identity"
)

// made is a certificate of a member of east that says its cluster's incarnation.
func (r *rig) made(instance string, incarnation uint64) identity.Source {
	r.t.Helper()
	key, err := identity.NewKeyPEM()
	if err != nil {
		r.t.Fatal(err)
	}
	cert, err := r.ca.SignRegistered(request(r.t, key), flow.Member{Cluster: "east", Instance: instance}, incarnation, time.Now(), time.Hour)
	if err != nil {
		r.t.Fatal(err)
	}
	pair, err := identity.KeyPair(cert, key)
	if err != nil {
		r.t.Fatal(err)
	}
	return identity.Fixed(*pair)
}

func request(t *testing.T, key []byte) []byte {
	t.Helper()
	csr, err := identity.NewCSR(key)
	if err != nil {
		t.Fatal(err)
	}
	return csr
}

// renew renews a certificate, and reads what the new one says.
func (r *rig) renew(addr string, src identity.Source) (incarnation uint64, err error) {
	r.t.Helper()
	key, _ := identity.NewKeyPEM()
	answer, err := r.raw(addr, src).Renew(r.t.Context(), &skeinv1.RenewRequest{Csr: string(request(r.t, key))})
	if err != nil {
		return 0, err
	}
	var pair *tls.Certificate
	if pair, err = identity.KeyPair([]byte(answer.GetCertificate()), key); err != nil {
		r.t.Fatal(err)
	}
	return identity.IncarnationOf(pair.Leaf), nil
}

func (r *rig) open(addr string, src identity.Source) error {
	r.t.Helper()
	w, err := r.raw(addr, src).Connect(r.t.Context())
	if err == nil {
		r.send(w, &skeinv1.ConnectRequest{Message: &skeinv1.ConnectRequest_Hello{Hello: &skeinv1.Hello{}}})
		_, err = w.Recv()
	}
	return err
}

// The process of a cluster that was removed is no member of the next one of its
// name: the two would end each other's sessions, and hold leases of one work.
func TestARemovedClustersMemberJoinsNoOther(t *testing.T) {
	r := newRig(t)
	_, addr, _ := r.hub("a")
	old := map[string]identity.Source{"of its last incarnation": r.made("prop-0", 1), "that says none": r.certificate(time.Hour)}
	for name, src := range old {
		if got, err := r.renew(addr, src); err != nil || got != 1 {
			t.Errorf("while the cluster stands, a certificate %s is renewed at incarnation %d, %v", name, got, err)
		}
	}
	r.plane.set(func(p *plane) { p.gone["east"] = true })
	for name, src := range old {
		if _, err := r.renew(addr, src); status.Code(err) != codes.NotFound {
			t.Errorf("a removed cluster's certificate %s is renewed: %v", name, err)
		}
		if err := r.open(addr, src); status.Code(err) != codes.NotFound {
			t.Errorf("a removed cluster's certificate %s opens a session: %v", name, err)
		}
	}
	r.plane.set(func(p *plane) { p.gone, p.removed, p.incarnation = map[string]bool{}, map[string]uint64{"east": 1}, 2 })
	for name, src := range old {
		for range 3 {
			if _, err := r.renew(addr, src); status.Code(err) != codes.PermissionDenied {
				t.Errorf("the next cluster renews a certificate %s: %v", name, err)
			}
			if err := r.open(addr, src); status.Code(err) != codes.PermissionDenied {
				t.Errorf("the next cluster opens a session for a certificate %s: %v", name, err)
			}
		}
	}
	if n := r.plane.sessions(); n != 0 {
		t.Errorf("%d sessions were opened, each of which ends another's", n)
	}
	for _, action := range []string{"member.renew.refused", "session.open.refused"} {
		if n := r.plane.audited(action); n != len(old) {
			t.Errorf("%d lines of %s, want one for each member", n, action)
		}
	}
	if got, err := r.renew(addr, r.made("prop-0", 2)); err != nil || got != 2 {
		t.Errorf("the new member's certificate is renewed at incarnation %d, %v", got, err)
	}
}

// What was registered anew between the question and the session is found out.
func TestARemovalBesideAnOpeningSessionIsSeen(t *testing.T) {
	r := newRig(t)
	_, addr, _ := r.hub("a")
	r.plane.set(func(p *plane) { p.opening = 300 * time.Millisecond })
	done := make(chan error, 1)
	go func() { done <- r.open(addr, r.made("prop-0", 1)) }()
	r.until("it was asked whether the certificate is good", func() (asked bool) {
		r.plane.set(func(p *plane) { asked = p.admissions > 0 })
		return asked
	})
	r.plane.set(func(p *plane) { p.removed, p.incarnation = map[string]uint64{"east": 1}, 2 })
	if err := <-done; status.Code(err) != codes.PermissionDenied {
		t.Errorf("the session goes on: %v", err)
	}
}

// A process of the removed cluster that is given a token of the new one joins
// it, although its old certificate is valid still.
func TestAnOldProcessJoinsByANewToken(t *testing.T) {
	r := newRig(t)
	_, addr, _ := r.hub("a")
	m, stop := r.member(addr)
	id := r.plane.place("one", run)
	r.until("the gate is open", func() bool { _, _, ok := m.MayStart(id, epoch1); return ok })
	stop()
	r.plane.set(func(p *plane) {
		p.removed, p.incarnation = map[string]uint64{"east": 1}, 2
		clear(p.tokens)
	})
	var err error
	if r.token, _, err = r.desk.Mint(t.Context(), "east", 0); err != nil {
		t.Fatal(err)
	}
	before := r.serial()
	m, _ = r.member(addr)
	r.until("it has a certificate of the new cluster", func() bool { return r.serial() != before })
	if got := identity.IncarnationOf(r.leaf()); got != 2 {
		t.Errorf("it says incarnation %d", got)
	}
}
