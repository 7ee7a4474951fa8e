package store

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

// CreateToken stores the hash of a join token; Conflict if it exists.
func (s *Store) CreateToken(ctx context.Context, hash []byte, cluster string, expiresAt time.Time) error {
	nonce := uuid.NewString()
	return s.write(ctx, change{
		op: "CreateToken",
		run: func(ctx context.Context) error {
			return s.once(ctx, "CreateToken", "INSERT INTO join_tokens (hash, cluster, expires_at, instance, nonce) VALUES ($1, $2, $3, '', $4)",
				hash, cluster, at(&expiresAt), nonce)
		},
		landed: func(ctx context.Context) (bool, error) {
			return s.holds(ctx, "SELECT count(*) > 0 FROM join_tokens WHERE hash = $1 AND nonce = $2", hash, nonce)
		},
	})
}

type token struct {
	cluster     string
	expiresAt   time.Time
	keyHash     []byte
	certificate []byte
	incarnation *uint64 // of the cluster; nil if it is not registered
}

// ConsumeToken binds a token to a key and stores the certificate that issue
// makes, or returns what is stored if the token is bound to that key already.
// Unauthorized if the token is unknown, or expired; NotFound if its cluster is
// not registered; Forbidden if it is bound to another key. Refused uses of a
// known token are audited. issue may be called more than once; only the
// certificate that is returned counts.
func (s *Store) ConsumeToken(ctx context.Context, hash, keyHash []byte, instance string,
	issue func(cluster string, incarnation uint64) (certPEM []byte, err error), when time.Time) (string, []byte, error) {
	var t token
	err := s.change(ctx, "ConsumeToken", func(ctx context.Context, tx pgx.Tx) error {
		t = token{}
		err := tx.QueryRow(ctx, `SELECT t.cluster, t.expires_at, t.key_hash, t.certificate, c.incarnation FROM join_tokens t
			LEFT JOIN clusters c ON c.name = t.cluster WHERE t.hash = $1`, hash).
			Scan(&t.cluster, at(&t.expiresAt), &t.keyHash, &t.certificate, &t.incarnation)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return fault.E(fault.Unauthorized, "the join token is not valid")
		case err != nil:
			return err
		case !when.Before(t.expiresAt):
			return fault.E(fault.Unauthorized, "the join token has expired")
		case t.incarnation == nil:
			return fault.E(fault.NotFound, "cluster %q is not registered", t.cluster)
		case t.keyHash == nil:
			return t.bind(ctx, tx, hash, keyHash, instance, issue, when)
		case !bytes.Equal(t.keyHash, keyHash):
			return fault.E(fault.Forbidden, "the join token was used with another key")
		}
		return nil
	}, nil)
	if t.cluster != "" && (fault.Is(err, fault.Forbidden) || fault.Is(err, fault.Unauthorized) || fault.Is(err, fault.NotFound)) {
		if auditErr := s.WriteAudit(ctx, t.refused(hash, keyHash, instance, err, when)); auditErr != nil {
			return "", nil, auditErr
		}
	}
	if err != nil {
		return "", nil, err
	}
	return t.cluster, t.certificate, nil
}

// refused is a line of the audit, one an hour for each token and kind of refusal:
// who is refused tries again every few seconds, and may call itself as it likes.
func (t *token) refused(hash, keyHash []byte, instance string, reason error, when time.Time) flow.Audit {
	a := flow.Audit{At: when, Actor: "member/" + flow.Member{Cluster: t.cluster, Instance: instance}.String(),
		Action: "token.use.refused", Subject: subjectOf(t.cluster), Detail: reason.Error() + "; key " + hex.EncodeToString(keyHash)}
	a.ID = uuid.NewSHA1(uuid.NameSpaceURL, []byte(a.Action+" "+hex.EncodeToString(hash)+" "+fault.Of(reason).String()+" "+
		when.UTC().Truncate(time.Hour).String())).String()
	return a
}

func (t *token) bind(ctx context.Context, tx pgx.Tx, hash, keyHash []byte, instance string,
	issue func(string, uint64) ([]byte, error), when time.Time) error {
	certificate, err := issue(t.cluster, *t.incarnation)
	if err != nil {
		return fault.Wrap(fault.Of(err), err, "cannot issue a certificate for cluster %q", t.cluster)
	}
	t.certificate = certificate
	_, err = tx.Exec(ctx, "UPDATE join_tokens SET key_hash = $2, instance = $3, certificate = $4, used_at = $5 WHERE hash = $1",
		hash, keyHash, instance, certificate, at(&when))
	return err
}
