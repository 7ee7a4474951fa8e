package federation_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/skein-project/skein/api/flow"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
	"github.com/skein-project/skein/federation/identity"
)

var rawMember = flow.Member{Cluster: "east", Instance: "raw"}

// A member that was revoked loses its stream, and is let in nowhere.
func TestARevokedMemberIsTurnedAwayEverywhere(t *testing.T) {
	r := newRig(t)
	_, addr, _ := r.hub("a")
	c := r.raw(addr, r.certificate(time.Hour))
	w, _ := r.serve(c)
	r.plane.set(func(p *plane) { p.revoked[rawMember] = true })
	begun := time.Now()
	var goodbye string
	for goodbye == "" { // within the second of the next look
		m, err := w.Recv()
		if err != nil {
			t.Fatalf("the stream ended without a goodbye: %v", err)
		}
		goodbye = m.GetGoodbye().GetReason()
		if time.Since(begun) > time.Minute {
			t.Fatal("the stream of a revoked member goes on")
		}
	}
	if !strings.Contains(goodbye, "revoked") {
		t.Errorf("the stream ended because %q", goodbye)
	}
	key, _ := identity.NewKeyPEM()
	csr, err := identity.NewCSR(key)
	if err != nil {
		t.Fatal(err)
	}
	for action, call := range map[string]func() error{
		"session.open": func() error {
			w, err := c.Connect(t.Context())
			if err == nil {
				_, err = w.Recv()
			}
			return err
		},
		"member.renew": func() error {
			_, err := c.Renew(t.Context(), &skeinv1.RenewRequest{Csr: string(csr)})
			return err
		},
		"member.join": func() error {
			_, err := c.Join(t.Context(), &skeinv1.JoinRequest{Token: r.token, Csr: string(csr), Instance: "raw"})
			return err
		},
		"log.send": func() error {
			w, err := c.SendLog(t.Context())
			if err == nil {
				_, err = w.CloseAndRecv()
			}
			return err
		},
	} {
		for range 3 {
			if err := call(); status.Code(err) != codes.PermissionDenied || !strings.Contains(err.Error(), "revoked") {
				t.Errorf("%s: %v, want a refusal", action, err)
			}
		}
		r.until(action+" is audited", func() bool { return r.plane.audited(action+".refused") == 1 })
	}
	r.plane.set(func(p *plane) { delete(p.revoked, rawMember) })
	r.until("it is let in again", func() bool {
		_, err := c.Renew(t.Context(), &skeinv1.RenewRequest{Csr: string(csr)})
		return err == nil
	})
}

// Whoever shows a certificate of another authority is turned away by the
// handshake, and the audit knows.
func TestAWrongAuthorityIsAudited(t *testing.T) {
	r := newRig(t)
	_, addr, _ := r.hub("a")
	dir := t.TempDir()
	other, err := identity.OpenCA(filepath.Join(dir, "ca.key"), filepath.Join(dir, "ca.crt"), trustDomain, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	ours := r.ca
	r.ca = other
	forged := r.certificate(time.Hour)
	r.ca = ours
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(credentials.NewTLS(identity.ClientTLS(forged, r.ca.Pool(), trustDomain))))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := skeinv1.NewDataPlaneServiceClient(conn).Renew(t.Context(), &skeinv1.RenewRequest{}); err == nil {
		t.Error("a forged certificate is let in")
	}
	r.until("it is audited", func() bool { return r.plane.audited("handshake.refused") == 1 })
}
