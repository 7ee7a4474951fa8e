package assemble

import (
	"context"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/skein-project/skein/api/fault"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
)

// forwardedHeader marks a call that a replica sent on, so that it is sent once.
const forwardedHeader = "skein-forwarded-by"

// carried are the headers that go along with a call that is sent on: the
// operator's credential and name.
var carried = []string{"authorization", "skein-operator"}

// toLeader sends calls that only the leader can answer on to it, as they came:
// the leader checks the credential again, and writes the audit.
type toLeader struct {
	self    string
	leader  func() (id string, ok bool)
	conns   func(id string) (grpc.ClientConnInterface, bool)
	methods map[string]bool
}

// leadersCalls are those of which no other replica knows enough.
func leadersCalls() map[string]bool {
	return map[string]bool{
		skeinv1.ControlPlaneService_GetControlPlane_FullMethodName:    true,
		skeinv1.ControlPlaneService_AddReplica_FullMethodName:         true,
		skeinv1.ControlPlaneService_RemoveReplica_FullMethodName:      true,
		skeinv1.ControlPlaneService_TransferLeadership_FullMethodName: true,
		skeinv1.ControlPlaneService_OverruleDoubt_FullMethodName:      true,
	}
}

// Unary answers here, or has the leader answer.
func (t toLeader) Unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	if !t.methods[info.FullMethod] {
		return next(ctx, req)
	}
	id, led := t.leader()
	switch {
	case led && id == t.self:
		return next(ctx, req)
	case info.FullMethod == skeinv1.ControlPlaneService_GetControlPlane_FullMethodName && !led:
		return next(ctx, req) // what this replica knows is better than nothing
	case !led:
		return nil, fault.E(fault.Unavailable, "no replica leads at the moment; skein admin replicas list shows them")
	case len(metadata.ValueFromIncomingContext(ctx, forwardedHeader)) > 0:
		return nil, fault.E(fault.Unavailable, "the leadership is changing hands; replica %s leads now", id)
	}
	conn, known := t.conns(id)
	if !known {
		return nil, fault.E(fault.Unavailable, "only the leader can do this, and %s does not know where %s, which leads, is reached: ask it", t.self, id)
	}
	return send(t.carry(ctx), conn, info.FullMethod, req)
}

func (t toLeader) carry(ctx context.Context) context.Context {
	pairs := []string{forwardedHeader, t.self}
	for _, key := range carried {
		for _, value := range metadata.ValueFromIncomingContext(ctx, key) {
			pairs = append(pairs, key, value)
		}
	}
	return metadata.NewOutgoingContext(ctx, metadata.Pairs(pairs...))
}

// send makes a call of which only the name is known.
func send(ctx context.Context, conn grpc.ClientConnInterface, method string, req any) (any, error) {
	name := protoreflect.FullName(strings.ReplaceAll(strings.TrimPrefix(method, "/"), "/", "."))
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(name)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "find %s", method)
	}
	described, ok := found.(protoreflect.MethodDescriptor)
	if !ok {
		return nil, fault.E(fault.Internal, "%s is not a method", method)
	}
	kind, err := protoregistry.GlobalTypes.FindMessageByName(described.Output().FullName())
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "find the answer of %s", method)
	}
	answer := kind.New().Interface()
	if err := conn.Invoke(ctx, method, req, answer); err != nil {
		return nil, err
	}
	return answer, nil
}
