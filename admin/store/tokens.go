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
}

// ConsumeToken binds a token to a key and stores the certificate that issue
// makes, or returns what is stored if the token is bound to that key already.
// Unauthorized if the token is unknown, or expired, which is audited; Forbidden,
// and audited, if it is bound to another key. issue may be called more than once; only the
// certificate that is returned counts.
func (s *Store) ConsumeToken(ctx context.Context, hash, keyHash []byte, instance string,
	issue func(cluster string) (certPEM []byte, err error), when time.Time) (string, []byte, error) {
	var t token
	err := s.change(ctx, "ConsumeToken", func(ctx context.Context, tx pgx.Tx) error {
		t = token{}
		err := tx.QueryRow(ctx, "SELECT cluster, expires_at, key_hash, certificate FROM join_tokens WHERE hash = $1", hash).
			Scan(&t.cluster, at(&t.expiresAt), &t.keyHash, &t.certificate)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return fault.E(fault.Unauthorized, "the join token is not valid")
		case err != nil:
			return err
		case !when.Before(t.expiresAt):
			return fault.E(fault.Unauthorized, "the join token has expired")
		case t.keyHash == nil:
			return t.bind(ctx, tx, hash, keyHash, instance, issue, when)
		case !bytes.Equal(t.keyHash, keyHash):
			return fault.E(fault.Forbidden, "the join token was used with another key")
		}
		return nil
	}, nil)
	if fault.Is(err, fault.Forbidden) || (fault.Is(err, fault.Unauthorized) && t.cluster != "") {
		auditErr := s.WriteAudit(ctx, flow.Audit{At: when, Actor: "member/" + flow.Member{Cluster: t.cluster, Instance: instance}.String(),
			Action: "token.use.refused", Subject: subjectOf(t.cluster), Detail: err.Error() + "; key " + hex.EncodeToString(keyHash)})
		if auditErr != nil {
			return "", nil, auditErr
		}
	}
	if err != nil {
		return "", nil, err
	}
	return t.cluster, t.certificate, nil
}

func (t *token) bind(ctx context.Context, tx pgx.Tx, hash, keyHash []byte, instance string,
	issue func(string) ([]byte, error), when time.Time) error {
	certificate, err := issue(t.cluster)
	if err != nil {
		return fault.Wrap(fault.Of(err), err, "cannot issue a certificate for cluster %q", t.cluster)
	}
	t.certificate = certificate
	_, err = tx.Exec(ctx, "UPDATE join_tokens SET key_hash = $2, instance = $3, certificate = $4, used_at = $5 WHERE hash = $1",
		hash, keyHash, instance, certificate, at(&when))
	return err
}
