package middleware

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"strings"

	"google.golang.org/grpc/metadata"

	"github.com/skein-project/skein/api/fault"
)

// operatorServices need an operator's credential on each call.
var operatorServices = []string{"/skein.v1.ClusterService/", "/skein.v1.PlacementService/"}

// authorize checks the operator's token where one is needed.
func (c *call) authorize() error {
	needed := false
	for _, prefix := range operatorServices {
		needed = needed || strings.HasPrefix(c.method, prefix)
	}
	if !needed {
		return nil
	}
	if c.operator == nil {
		return fault.E(fault.Forbidden, "no operator token is configured on this control plane")
	}
	token := bearer(c.ctx)
	if token == "" {
		return fault.E(fault.Unauthorized, "an operator's token is needed: authorization: Bearer <token>")
	}
	return c.operator(token)
}

func bearer(ctx context.Context) string {
	for _, value := range metadata.ValueFromIncomingContext(ctx, "authorization") {
		scheme, token, ok := strings.Cut(value, " ")
		if ok && strings.EqualFold(scheme, "bearer") {
			return strings.TrimSpace(token)
		}
	}
	return ""
}

// OperatorToken is a check for Config.Operator: it compares with one known
// token, in a time that does not depend on where they differ. The token is
// what a mounted file holds, without white space around it; an empty one
// refuses everybody.
func OperatorToken(token string) func(string) error {
	token = strings.TrimSpace(token)
	want := sha256.Sum256([]byte(token))
	return func(given string) error {
		got := sha256.Sum256([]byte(given))
		if token == "" || subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			return fault.E(fault.Unauthorized, "the operator's token is not valid")
		}
		return nil
	}
}
