package member

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	skeinv1 "github.com/skein-project/skein/api/skein/v1"
	"github.com/skein-project/skein/federation/identity"
)

// A used token gives what it gave before, which may be older than what was
// renewed since: who asks for it again must not throw the newer one away.
func TestAnOlderCertificateReplacesNoNewerOne(t *testing.T) {
	dir, begun := t.TempDir(), time.Now()
	ca, err := identity.OpenCA(filepath.Join(dir, "ca.key"), filepath.Join(dir, "ca.crt"), "skein.test", begun)
	if err != nil {
		t.Fatal(err)
	}
	o := Options{CA: ca.Bundle(), StateDir: filepath.Join(dir, "member"), Instance: "prop-0"}
	w, err := openWallet(o)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := identity.NewCSR(w.key)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		age   time.Duration
		taken bool
	}{{time.Hour, true}, {0, true}, {time.Hour, false}} {
		cert, err := ca.SignMember(csr, "east", "prop-0", begun.Add(-c.age), 2*time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		before := w.cert.Load()
		err = w.fetch(t.Context(), "127.0.0.1:1", func(context.Context, skeinv1.DataPlaneServiceClient) (string, error) { return string(cert), nil })
		if err != nil {
			t.Fatal(err)
		}
		again, err := openWallet(o)
		if err != nil {
			t.Fatal(err)
		}
		for where, now := range map[string]*wallet{"in memory": w, "in its folder": again} {
			if serial := now.cert.Load().Leaf.SerialNumber; before != nil && (serial.Cmp(before.Leaf.SerialNumber) != 0) != c.taken {
				t.Errorf("one of %s ago: taken %s: %t, want %t", c.age, where, !c.taken, c.taken)
			}
		}
	}
}
