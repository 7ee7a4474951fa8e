package assemble

import (
	"context"
	"net"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/test/bufconn"

	"github.com/skein-project/skein/api/fault"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
)

// planeServer notes what reaches a replica.
type planeServer struct {
	skeinv1.UnimplementedControlPlaneServiceServer
	id   string
	seen []metadata.MD
}

func (p *planeServer) note(ctx context.Context) {
	md, _ := metadata.FromIncomingContext(ctx)
	p.seen = append(p.seen, md)
}

func (p *planeServer) GetControlPlane(ctx context.Context, _ *skeinv1.GetControlPlaneRequest) (*skeinv1.GetControlPlaneResponse, error) {
	p.note(ctx)
	return &skeinv1.GetControlPlaneResponse{Id: p.id}, nil
}

func (p *planeServer) RemoveReplica(ctx context.Context, r *skeinv1.RemoveReplicaRequest) (*skeinv1.RemoveReplicaResponse, error) {
	p.note(ctx)
	return &skeinv1.RemoveReplicaResponse{Replicas: []*skeinv1.Replica{{Id: p.id + " removed " + r.GetId()}}}, nil
}

// TestCallsOfTheLeader (I68): a call that only the leader can answer reaches it
// from any replica, once, with the caller's credential; where nobody leads it
// is refused, and the answer names who does.
func TestCallsOfTheLeader(t *testing.T) {
	leader := "admin-1"
	servers := map[string]*planeServer{}
	conns := map[string]*grpc.ClientConn{}
	for _, id := range []string{"admin-0", "admin-1", "admin-2"} {
		believes := func() (string, bool) { return leader, leader != "" }
		if id == "admin-2" {
			believes = func() (string, bool) { return "admin-0", leader != "" } // an old word
		}
		forward := toLeader{self: id, leader: believes, methods: leadersCalls(),
			conns: func(to string) (grpc.ClientConnInterface, bool) { conn, known := conns[to]; return conn, known }}
		servers[id] = &planeServer{id: id}
		conns[id] = serveOn(t, servers[id], forward)
	}
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer x", "skein-operator", "ada", "other", "y")
	call := func(id string) (*skeinv1.RemoveReplicaResponse, error) {
		return skeinv1.NewControlPlaneServiceClient(conns[id]).RemoveReplica(ctx, &skeinv1.RemoveReplicaRequest{Id: "x"})
	}
	for _, id := range []string{"admin-0", "admin-1"} {
		servers[leader].seen = nil
		out, err := call(id)
		if err != nil || len(out.GetReplicas()) != 1 || out.GetReplicas()[0].GetId() != "admin-1 removed x" {
			t.Errorf("asked of %s: %v, %v", id, out, err)
		}
		seen := servers[leader].seen
		if len(seen) != 1 || strings.Join(seen[0]["authorization"], "") != "Bearer x" || strings.Join(seen[0]["skein-operator"], "") != "ada" {
			t.Errorf("asked of %s, the leader saw %v", id, seen)
		}
	}
	if _, err := call("admin-2"); err == nil || !strings.Contains(err.Error(), "replica admin-1 leads now") {
		t.Errorf("a call that was sent on to a replica that does not lead: %v", err)
	}
	leader = "admin-9"
	if _, err := call("admin-0"); err == nil || !strings.Contains(err.Error(), "admin-0 does not know where admin-9, which leads, is reached") {
		t.Errorf("a leader that is no peer: %v", err)
	}
	leader = ""
	if _, err := call("admin-0"); err == nil || !strings.Contains(err.Error(), "no replica leads") {
		t.Errorf("without a leader: %v", err)
	}
	if out, err := skeinv1.NewControlPlaneServiceClient(conns["admin-0"]).GetControlPlane(ctx, &skeinv1.GetControlPlaneRequest{}); err != nil || out.GetId() != "admin-0" {
		t.Errorf("to look without a leader: %v, %v", out, err)
	}
}

func serveOn(t *testing.T, p *planeServer, forward toLeader) *grpc.ClientConn {
	t.Helper()
	listener := bufconn.Listen(1 << 16)
	server := grpc.NewServer(grpc.UnaryInterceptor(forward.Unary))
	skeinv1.RegisterControlPlaneServiceServer(server, p)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	conn, err := grpc.NewClient("passthrough:///x", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// TestMethodsAreNamedAsTheyAre: a name with a letter wrong would be answered by
// whoever was asked.
func TestMethodsAreNamedAsTheyAre(t *testing.T) {
	for _, m := range skeinv1.ControlPlaneService_ServiceDesc.Methods {
		if m.MethodName != "FinishRebuild" && !leadersCalls()["/"+skeinv1.ControlPlaneService_ServiceDesc.ServiceName+"/"+m.MethodName] {
			t.Errorf("%s is not the leader's", m.MethodName)
		}
	}
	if _, err := send(t.Context(), nil, "/no.Such/Method", nil); !fault.Is(err, fault.Internal) {
		t.Errorf("got %v", err)
	}
}
