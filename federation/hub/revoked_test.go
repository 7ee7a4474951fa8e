package hub

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

// register is a database's word on revocations.
type register struct {
	away  bool
	audit []flow.Audit
}

func (r *register) Revoked(context.Context) ([]flow.Member, error) {
	if r.away {
		return nil, fault.E(fault.Unavailable, "away")
	}
	return nil, nil
}

func (r *register) Admits(context.Context, flow.Member, uint64) (uint64, error) { return 0, nil }

func (r *register) WriteAudit(_ context.Context, a flow.Audit) error {
	r.audit = append(r.audit, a)
	return nil
}

// What no database guards is closed when nobody can tell who was revoked.
func TestRevocationFailsClosed(t *testing.T) {
	ctx, r := t.Context(), &register{}
	h := New(Options{Revocations: r})
	who := flow.Member{Cluster: "c", Instance: "i"}
	later := func(d time.Duration) { h.start = h.start.Add(-d) }
	check := func(what string, open bool) {
		t.Helper()
		err := h.admit(ctx, who, "x", true)
		if (err == nil) != open || err != nil && !fault.Is(err, fault.Unavailable) {
			t.Errorf("%s: %v, want open: %t", what, err, open)
		}
	}
	r.away = true
	check("before the database has answered", false)
	r.away = false
	check("the database is asked if need be", true)
	if err := h.readRevoked(ctx); err != nil {
		t.Fatal(err)
	}
	check("after it has answered", true)
	r.away = true
	later(9 * time.Second)
	if h.readRevoked(ctx) == nil {
		t.Fatal("it answered")
	}
	check("nine seconds later", true)
	later(2 * time.Second)
	check("eleven seconds later", false)
	if err := h.admit(ctx, who, "x", false); err != nil {
		t.Errorf("what the database guards itself is refused: %v", err)
	}
	r.away = false
	if err := h.readRevoked(ctx); err != nil {
		t.Fatal(err)
	}
	check("when it is back", true)
}

// Strangers may call as often as they like: what they make us store is bounded.
func TestTheAuditOfStrangersIsBounded(t *testing.T) {
	r := &register{}
	h := New(Options{Revocations: r})
	for i := range 3 * handshakes {
		h.refused(t.Context(), fmt.Sprintf("address/%d", i), "handshake", "control-plane", fault.E(fault.Unauthorized, "who are you"))
		h.refused(t.Context(), "address/0", "handshake", "control-plane", fault.E(fault.Unauthorized, "who are you"))
	}
	if len(r.audit) != handshakes {
		t.Errorf("%d lines, want %d", len(r.audit), handshakes)
	}
}
