package identity

import (
	"context"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/skein-project/skein/api/fault"
)

// Caller is who made a call, by which certificate, and until when that says so.
type Caller struct {
	ID
	Expires time.Time
	Serial  string // of the certificate, in hexadecimal
	// Incarnation is that of a member's cluster when the certificate was made; 0 if
	// it does not say.
	Incarnation uint64
}

// PeerFromContext gives the caller of a gRPC method by its verified
// certificate. Unauthorized if it showed none of the trust domain.
func PeerFromContext(ctx context.Context, trustDomain string) (Caller, error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return Caller{}, fault.E(fault.Unauthorized, "the caller is unknown")
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.VerifiedChains) == 0 || len(info.State.VerifiedChains[0]) == 0 {
		return Caller{}, fault.E(fault.Unauthorized, "this call needs a certificate")
	}
	leaf := info.State.VerifiedChains[0][0]
	id, err := FromCertificate(leaf, trustDomain)
	if err != nil {
		return Caller{}, err
	}
	return Caller{ID: id, Expires: leaf.NotAfter, Serial: leaf.SerialNumber.Text(16), Incarnation: IncarnationOf(leaf)}, nil
}

// Guard decides, for each method of our own services, whether its caller may
// call it at all. Methods of other packages pass: they have their own guards.
type Guard struct {
	TrustDomain string
	Operator    *OperatorToken // nil: nobody may call operator services
}

// Check refuses a call with Unauthorized or Forbidden.
//
//	DataPlaneService/Join      anybody (the token is the credential)
//	DataPlaneService/…         a member
//	PeerService/…              a replica
//	any other skein.v1 service the operator's token
func (g Guard) Check(ctx context.Context, fullMethod string) error {
	service, method, _ := strings.Cut(strings.TrimPrefix(fullMethod, "/"), "/")
	switch {
	case !strings.HasPrefix(service, "skein.v1."):
		return nil
	case service == "skein.v1.DataPlaneService" && method == "Join":
		return nil
	case service == "skein.v1.DataPlaneService":
		return g.want(ctx, ID.IsMember, "a member's certificate")
	case service == "skein.v1.PeerService":
		return g.want(ctx, ID.IsReplica, "a replica's certificate")
	}
	return g.operator(ctx)
}

func (g Guard) operator(ctx context.Context) error {
	token := ""
	for _, v := range metadata.ValueFromIncomingContext(ctx, "authorization") {
		if scheme, rest, ok := strings.Cut(v, " "); ok && strings.EqualFold(scheme, "bearer") {
			token = strings.TrimSpace(rest)
			break
		}
	}
	switch {
	case g.Operator == nil:
		return fault.E(fault.Forbidden, "no operator's token is configured on this control plane")
	case token == "":
		return fault.E(fault.Unauthorized, "this call needs the operator's token: authorization: Bearer <token>")
	case !g.Operator.Matches(token):
		return fault.E(fault.Unauthorized, "the operator's token is wrong; it is in the file of keys.operatorToken")
	}
	return nil
}

func (g Guard) want(ctx context.Context, ok func(ID) bool, what string) error {
	caller, err := PeerFromContext(ctx, g.TrustDomain)
	if err != nil {
		return err
	}
	if !ok(caller.ID) {
		return fault.E(fault.Forbidden, "this call needs %s; the caller is %s", what, caller.ID)
	}
	return nil
}

// Unary is the guard as an interceptor.
func (g Guard) Unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	if err := g.Check(ctx, info.FullMethod); err != nil {
		return nil, Status(err)
	}
	return next(ctx, req)
}

// Stream is the guard as an interceptor of streams.
func (g Guard) Stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	if err := g.Check(ss.Context(), info.FullMethod); err != nil {
		return Status(err)
	}
	return next(srv, ss)
}

// Status tells a fault on the wire: its code and its public message. What has
// a gRPC status already keeps it; a nil error is nil.
func Status(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	if k := fault.Of(err); k != fault.Internal {
		return status.Error(codes.Code(k.Code()), public(err))
	}
	if ctxErr := status.FromContextError(err); ctxErr.Code() != codes.Unknown {
		return ctxErr.Err()
	}
	return status.Error(codes.Internal, "internal error")
}
