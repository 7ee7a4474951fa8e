package member

import (
	"context"
	"crypto/tls"
	"math/rand/v2"
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/federation/identity"
	"github.com/skein-project/skein/federation/session"
)

// Of a certificate's life: when it is tried again to renew it, and what is left
// of the old one when a stream that shows it is dialled anew.
const (
	renewTries   = 60 // in its last third, at most one a minute
	renewLongest = time.Minute
)

// renewals renews the certificate at two thirds of its life, and then dials anew
// under the live lease: a hub ends a stream when the certificate ends that it was
// opened with. Nothing is lost by it: what was not acked is sent again, and what
// the lease covers goes on.
func (m *Member) renewals(ctx context.Context) {
	for next := 0; ; next++ {
		wait := renewLongest
		if cert := m.wallet.cert.Load(); cert == nil {
			wait = tickEvery // it is about to join
		} else {
			left := time.Until(cert.Leaf.NotAfter)
			if due := time.Until(identity.RenewAt(cert.Leaf)); due > 0 {
				// Not all members of a fleet that was started at once in one second.
				wait = min(wait, due+rand.N(max(left-due, renewTries)/renewTries))
			} else if left > 0 {
				m.renew(ctx, next)
				wait = min(wait, max(left/renewTries, tickEvery))
			} else {
				wait = tickEvery // a new token may let it in at any time, for a life that may be short
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

func (m *Member) renew(ctx context.Context, next int) {
	addr := m.o.Hubs[next%len(m.o.Hubs)]
	old := m.wallet.cert.Load()
	if err := m.wallet.renew(ctx, addr); err != nil {
		m.log.Warn("the certificate was not renewed; tried again", "hub", addr, "expires", old.Leaf.NotAfter, "error", err)
		return
	}
	m.log.Info("the certificate was renewed", "expires", m.wallet.cert.Load().Leaf.NotAfter)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.link != nil && m.link.cert != m.wallet.cert.Load() {
		m.stepLocked(session.Dropped{Reason: "the certificate was renewed"})
	}
}

// enter makes sure that there is a certificate to show.
func (m *Member) enter(ctx context.Context, addr string) error {
	if m.wallet.valid() {
		return nil
	}
	had := m.wallet.cert.Load()
	if m.o.JoinToken == "" {
		return m.locked(had)
	}
	if err := m.wallet.join(ctx, addr, m.o.JoinToken); err != nil {
		if had != nil {
			return fault.Wrap(fault.Of(err), err, "%s", m.locked(had))
		}
		return err
	}
	if !m.wallet.valid() { // a used token gives the certificate that it gave before
		return m.locked(m.wallet.cert.Load())
	}
	m.log.Info("joined", "cluster", m.wallet.cluster())
	return nil
}

// rejoin tries the join token of a member whose valid certificate is refused: it
// may be a new one, after the cluster was removed and registered again. Who is
// revoked gets nothing by it.
func (m *Member) rejoin(ctx context.Context, addr string) {
	had := m.wallet.cert.Load()
	if m.o.JoinToken == "" || had == nil {
		return
	}
	switch err := m.wallet.join(ctx, addr, m.o.JoinToken); {
	case err != nil:
		m.log.Debug("the join token lets nobody in either", "hub", addr, "error", err)
	case m.wallet.cert.Load().Leaf.SerialNumber.Cmp(had.Leaf.SerialNumber) != 0:
		m.log.Info("joined anew, since the certificate was refused", "cluster", m.wallet.cluster())
	}
}

// locked says how a member without a certificate gets in.
func (m *Member) locked(had *tls.Certificate) error {
	if had == nil {
		return fault.E(fault.Unauthorized, "there is no certificate in %s and no join token: skein cluster register makes one, for joinToken", m.o.StateDir)
	}
	return fault.E(fault.Unauthorized, "the certificate in %s expired at %s: a new join token is needed (skein cluster register %s makes one)",
		m.o.StateDir, had.Leaf.NotAfter.UTC().Format(time.RFC3339), m.wallet.cluster())
}
