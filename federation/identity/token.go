package identity

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"strings"

	"github.com/skein-project/skein/api/fault"
)

// OperatorToken is the credential of operators: one secret in a file.
type OperatorToken struct{ sum [sha256.Size]byte }

// OpenOperatorToken reads the token file, and makes it (0600) if it is absent.
func OpenOperatorToken(path string) (*OperatorToken, error) {
	data, err := readOrMake(path, func() ([]byte, error) {
		s, err := secret("skein-operator-")
		return []byte(s + "\n"), err
	})
	if err != nil {
		return nil, err
	}
	data = bytes.TrimSpace(data)
	if len(data) < 16 {
		return nil, fault.E(fault.Invalid, "operator token file %s holds no token of at least 16 characters", path)
	}
	return &OperatorToken{sum: sha256.Sum256(data)}, nil
}

// Matches reports whether s is the token, in constant time.
func (t *OperatorToken) Matches(s string) bool {
	sum := sha256.Sum256([]byte(s))
	return subtle.ConstantTimeCompare(sum[:], t.sum[:]) == 1
}

const joinPrefix = "skein-join-"

// NewJoinToken draws a join token. The hash is what is stored; the token is
// shown once.
func NewJoinToken() (token string, hash []byte, err error) {
	token, err = secret(joinPrefix)
	if err != nil {
		return "", nil, err
	}
	hash, err = JoinTokenHash(token)
	return token, hash, err
}

// JoinTokenHash is the stored form of a join token. Unauthorized if the string
// cannot be one.
func JoinTokenHash(token string) ([]byte, error) {
	raw, ok := strings.CutPrefix(strings.TrimSpace(token), joinPrefix)
	b, err := base64.RawURLEncoding.DecodeString(raw)
	if !ok || err != nil || len(b) != 32 {
		return nil, fault.E(fault.Unauthorized, "that is not a join token")
	}
	sum := sha256.Sum256(b)
	return sum[:], nil
}

func secret(prefix string) (string, error) {
	b := make([]byte, 32)
	if _, err := rand.Read(b); err != nil {
		return "", fault.Wrap(fault.Internal, err, "draw a secret")
	}
	return prefix + base64.RawURLEncoding.EncodeToString(b), nil
}

func public(err error) string {
	var e *fault.Error
	if errors.As(err, &e) {
		return e.Public()
	}
	return "internal error"
}
