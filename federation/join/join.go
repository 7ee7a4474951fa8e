// Package join lets clusters in: it mints one-time join tokens, exchanges one
// for a member's certificate, and renews certificates.
//
// It is called by the hub's handlers and by the operator's service; it neither
// serves nor stores anything itself. Invariant: a token is bound to the first
// key that used it, in the store's transaction; the same token with the same
// key gets the same certificate again, another key gets nothing. A certificate
// says at which incarnation its cluster was registered, read before it is
// signed: so none that was made for a removed cluster passes for one of the next
// cluster of that name.
package join

import (
	"context"
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/federation/identity"
)

// How long a join token can be used.
const (
	DefaultTokenTTL = time.Hour
	MaxTokenTTL     = 24 * time.Hour
)

// Tokens stores join tokens by their hash.
type Tokens interface {
	CreateToken(ctx context.Context, hash []byte, cluster string, expiresAt time.Time) error
	// ConsumeToken binds the token to the key's hash and stores the certificate
	// that issue makes, or returns what it was bound to. issue is told the cluster
	// and the incarnation at which it is registered. A wrong or expired token is
	// Unauthorized; one bound to another key is Forbidden; one whose cluster is not
	// registered is NotFound.
	ConsumeToken(ctx context.Context, hash, keyHash []byte, instance string,
		issue func(cluster string, incarnation uint64) (certPEM []byte, err error), now time.Time) (cluster string, certPEM []byte, err error)
}

// Signer signs what members ask for.
type Signer interface {
	SignRegistered(csrPEM []byte, member flow.Member, incarnation uint64, now time.Time, ttl time.Duration) ([]byte, error)
	Bundle() []byte
}

// Desk is where members get their certificates.
type Desk struct {
	tokens Tokens
	signer Signer
	ttl    time.Duration
	now    func() time.Time
}

// New makes a desk. A zero ttl means identity.DefaultTTL, a nil now time.Now.
func New(tokens Tokens, signer Signer, ttl time.Duration, now func() time.Time) *Desk {
	if ttl <= 0 {
		ttl = identity.DefaultTTL
	}
	if now == nil {
		now = time.Now
	}
	return &Desk{tokens: tokens, signer: signer, ttl: ttl, now: now}
}

// Bundle is the PEM by which members know the control plane.
func (d *Desk) Bundle() []byte { return d.signer.Bundle() }

// Mint makes a token for a cluster. A zero ttl means an hour; more than a day
// is Invalid. Only the token's hash is stored.
func (d *Desk) Mint(ctx context.Context, cluster string, ttl time.Duration) (token string, expires time.Time, err error) {
	if ttl == 0 {
		ttl = DefaultTokenTTL
	}
	if ttl < 0 || ttl > MaxTokenTTL {
		return "", time.Time{}, fault.Field("token_ttl", "want at most %s, have %s", MaxTokenTTL, ttl)
	}
	token, hash, err := identity.NewJoinToken()
	if err != nil {
		return "", time.Time{}, err
	}
	expires = d.now().Add(ttl)
	return token, expires, d.tokens.CreateToken(ctx, hash, cluster, expires)
}

// Join exchanges a token and a certificate request for a certificate.
func (d *Desk) Join(ctx context.Context, token string, csr []byte, instance string) (cluster string, certPEM []byte, err error) {
	hash, err := identity.JoinTokenHash(token)
	if err != nil {
		return "", nil, err
	}
	keyHash, err := identity.KeyHash(csr)
	if err != nil {
		return "", nil, err
	}
	if err := identity.CheckInstance(instance); err != nil {
		return "", nil, err
	}
	now := d.now()
	issue := func(cluster string, incarnation uint64) ([]byte, error) {
		return d.signer.SignRegistered(csr, flow.Member{Cluster: cluster, Instance: instance}, incarnation, now, d.ttl)
	}
	return d.tokens.ConsumeToken(ctx, hash, keyHash, instance, issue, now)
}

// Renew signs a new certificate for a member that showed one which is admitted;
// incarnation is that of its cluster when that was asked.
func (d *Desk) Renew(_ context.Context, who identity.ID, incarnation uint64, csr []byte) ([]byte, error) {
	if !who.IsMember() {
		return nil, fault.E(fault.Forbidden, "only a member renews a certificate; the caller is %s", who)
	}
	return d.signer.SignRegistered(csr, who.Member(), incarnation, d.now(), d.ttl)
}
