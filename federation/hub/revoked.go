package hub

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/federation/identity"
	"github.com/skein-project/skein/federation/session"
)

const (
	revokedEvery   = time.Second
	revokedTimeout = 3 * time.Second
	// RevokedStale is how long a hub trusts what it last read of revocations; then
	// it refuses everything that the database does not guard by itself.
	RevokedStale = 10 * time.Second
	// handshakes bounds how many refused handshakes are audited in one hour.
	handshakes = 100
	addressOf  = "address/" // of who showed no certificate of ours
)

// Revocations tells who was revoked, and keeps the audit.
type Revocations interface {
	// Revoked lists the members that may not speak any more.
	Revoked(ctx context.Context) ([]flow.Member, error)
	// Admits judges a certificate by the incarnation of its cluster that it was
	// made at (0: it does not say), and gives the one at which the cluster is now.
	// NotFound if the cluster is not registered; Forbidden if the member is revoked,
	// or its cluster was removed since.
	Admits(ctx context.Context, m flow.Member, incarnation uint64) (uint64, error)
	// WriteAudit stores a line once: a line whose ID is stored is left as it is.
	WriteAudit(ctx context.Context, a flow.Audit) error
}

// blacklist is what a hub knows of revocations.
type blacklist struct {
	mu      sync.Mutex
	members map[flow.Member]bool
	read    time.Duration // on the hub's clock, before the question was asked
	known   bool
	told    map[string]bool // of this hour's audit
	hour    int64
	unknown int // of told, those who are known by their address only
}

func (b *blacklist) has(m flow.Member) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.members[m]
}

// fresh reports whether what is known is young enough to trust.
func (b *blacklist) fresh(now time.Duration) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.known && now-b.read <= RevokedStale
}

// watchRevoked reads each second who was revoked, and ends their streams. What
// the database is asked for anyway (sessions, events, acks, leases) it refuses
// by itself from the moment of the revocation.
func (h *Hub) watchRevoked(ctx context.Context) {
	if h.o.Revocations == nil {
		return
	}
	tick := time.NewTicker(revokedEvery)
	defer tick.Stop()
	for {
		if err := h.readRevoked(ctx); err != nil && ctx.Err() == nil {
			h.log.Warn("revocations were not read", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (h *Hub) readRevoked(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, revokedTimeout)
	defer cancel()
	asked := h.now()
	list, err := h.o.Revocations.Revoked(ctx)
	if err != nil {
		return err
	}
	h.reach.answered()
	members := make(map[flow.Member]bool, len(list))
	for _, m := range list {
		members[m] = true
	}
	h.black.mu.Lock()
	h.black.members, h.black.read, h.black.known = members, asked, true
	h.black.mu.Unlock()
	for _, s := range h.all() {
		if members[s.member] {
			s.step(session.Ended{Reason: "this member was revoked"})
		}
	}
	return nil
}

// admit refuses what a revoked member asks for, with Forbidden, and says so in
// the audit. With strict, it refuses with Unavailable as long as it is not known
// who was revoked: nothing else guards what is asked for.
func (h *Hub) admit(ctx context.Context, m flow.Member, action string, strict bool) error {
	if h.o.Revocations == nil {
		return nil
	}
	if strict && !h.black.fresh(h.now()) { // the hub has just started, or could not look for long
		if err := h.readRevoked(ctx); err != nil {
			h.log.Warn("revocations were not read", "error", err)
		}
	}
	switch {
	case h.black.has(m):
		err := fault.E(fault.Forbidden, "member %s is revoked", m)
		h.refused(ctx, "member/"+m.String(), action, "cluster/"+m.Cluster, err)
		return err
	case strict && !h.black.fresh(h.now()):
		return fault.E(fault.Unavailable, "it is not known whether member %s is revoked: the database has not said so for %s", m, RevokedStale)
	}
	return nil
}

// admits asks the database whether a certificate is still good, and says in the
// audit if it is not. It gives the incarnation of the caller's cluster; where
// nothing is revoked, what the certificate says.
func (h *Hub) admits(ctx context.Context, caller identity.Caller, action string) (incarnation uint64, err error) {
	if h.o.Revocations == nil {
		return caller.Incarnation, nil
	}
	m := caller.Member()
	incarnation, err = h.o.Revocations.Admits(ctx, m, caller.Incarnation)
	if fault.Is(err, fault.Forbidden) || fault.Is(err, fault.NotFound) {
		h.refused(ctx, "member/"+m.String(), action, "cluster/"+m.Cluster, err)
	}
	return incarnation, err
}

// refused writes to the audit that somebody was turned away: once an hour for
// each who, action and subject, since who is refused tries again.
func (h *Hub) refused(ctx context.Context, who, action, subject string, reason error) {
	if h.o.Revocations == nil {
		return
	}
	at := time.Now()
	a := flow.Audit{Actor: who, Action: action + ".refused", Subject: subject, Detail: reason.Error(), At: at}
	if !h.black.tell(a.Actor+" "+a.Action+" "+a.Subject, at) {
		return
	}
	a.ID = uuid.NewSHA1(uuid.NameSpaceURL, []byte(a.Action+" "+a.Actor+" "+a.Subject+" "+at.Truncate(time.Hour).String())).String()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), revokedTimeout)
	defer cancel()
	if err := h.o.Revocations.WriteAudit(ctx, a); err != nil {
		h.log.Error("a refusal was not audited", "actor", who, "action", a.Action, "reason", reason, "error", err)
	}
}

// tell reports whether a line is the first of its kind in this hour. It bounds
// what strangers, who may call as whomever they like, can make us store.
func (b *blacklist) tell(line string, at time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if hour := at.Unix() / 3600; hour != b.hour || b.told == nil {
		b.hour, b.told, b.unknown = hour, map[string]bool{}, 0
	}
	stranger := strings.HasPrefix(line, addressOf)
	if b.told[line] || stranger && b.unknown >= handshakes {
		return false
	}
	b.told[line] = true
	if stranger {
		b.unknown++
	}
	return true
}

// Stranger is told of a handshake that failed. One whose certificate is not of
// this control plane's authority, or has expired, is audited; whoever breaks off
// for other reasons is not.
func (h *Hub) Stranger(remote net.Addr, err error) {
	var bad *tls.CertificateVerificationError
	if !errors.As(err, &bad) {
		return
	}
	host, _, splitErr := net.SplitHostPort(remote.String())
	if splitErr != nil {
		host = remote.String()
	}
	h.log.Warn("a certificate was refused", "from", host, "error", err)
	h.refused(context.Background(), addressOf+host, "handshake", "control-plane", err)
}
