package service_test

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/skein-project/skein/admin/middleware"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/service"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
)

// dial serves the rig behind the middleware, over gRPC.
func (r *rig) dial(t *testing.T) *grpc.ClientConn {
	t.Helper()
	listener := bufconn.Listen(1 << 20)
	server := grpc.NewServer(middleware.New(middleware.Config{Log: slog.New(slog.DiscardHandler)}).ServerOptions()...)
	r.RegisterFlyte(server)
	r.RegisterSkein(server)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	conn, err := grpc.NewClient("passthrough:///x", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func TestSkeinServices(t *testing.T) {
	r := newRig(t)
	r.register(t)
	conn := r.dial(t)
	ctx := t.Context()
	clusters, placements := skeinv1.NewClusterServiceClient(conn), skeinv1.NewPlacementServiceClient(conn)

	for range 2 { // the second time it is known already
		out, err := clusters.RegisterCluster(ctx, &skeinv1.RegisterClusterRequest{Name: "east", Labels: map[string]string{"gpu": "yes"},
			Taints: []*skeinv1.Taint{{Key: "gpu", Effect: "NoSchedule"}}})
		if err != nil || out.GetJoinToken() != "token-of-east" || out.GetCluster().GetLabels()["gpu"] != "yes" || out.GetCa() != "PEM" {
			t.Fatalf("registered = %v, %v", out, err)
		}
	}
	for name, bad := range map[string]*skeinv1.RegisterClusterRequest{
		"name":      {Name: "East!"},
		"taints":    {Name: "west", Taints: []*skeinv1.Taint{{Key: "k", Effect: "Never"}}},
		"labels":    {Name: "west", Labels: map[string]string{"a b": "c"}},
		"token_ttl": {Name: "west", TokenTtl: durationpb.New(48 * time.Hour)},
	} {
		if _, err := clusters.RegisterCluster(ctx, bad); status.Code(err) != codes.InvalidArgument || !strings.HasPrefix(status.Convert(err).Message(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	all, err := clusters.ListClusters(ctx, &skeinv1.ListClustersRequest{})
	if err != nil || len(all.GetClusters()) != 1 || all.GetClusters()[0].GetHealth() != "Unknown" {
		t.Errorf("clusters = %v, %v", all, err)
	}

	if _, err := service.NewAdminServiceClient(conn).CreateExecution(t.Context(), execution("e1", "pkg.wf")); err != nil {
		t.Fatal(err)
	}
	ref := &skeinv1.ExecutionRef{Project: "flytesnacks", Domain: "development", Name: "e1"}
	why, err := placements.Explain(ctx, &skeinv1.ExplainRequest{Execution: ref})
	if err != nil || !strings.Contains(why.GetSummary(), "waits for the scheduler") {
		t.Errorf("before a decision: %v, %v", why.GetSummary(), err)
	}
	r.place(t, "e1", "east")
	why, err = placements.Explain(ctx, &skeinv1.ExplainRequest{Execution: ref})
	if err != nil || why.GetCluster() != "east" || !strings.Contains(why.GetSummary(), "on cluster east. It was chosen at") ||
		!strings.Contains(why.GetSummary(), "Not chosen: west (capacity: full)") {
		t.Errorf("placed: %v, %v", why.GetSummary(), err)
	}
	got, err := r.GetExecution(t.Context(), &admin.WorkflowExecutionGetRequest{Id: execID("e1")})
	if err != nil || got.GetSpec().GetMetadata().GetSystemMetadata().GetExecutionCluster() != "east" {
		t.Errorf("execution = %v, %v", got.GetSpec(), err)
	}
	one, err := clusters.GetCluster(ctx, &skeinv1.GetClusterRequest{Name: "east"})
	if err != nil || one.GetCluster().GetReserved().GetMilliCpu() != 1000 {
		t.Errorf("reserved = %v, %v", one, err)
	}
	stream, err := placements.GetLogs(ctx, &skeinv1.GetLogsRequest{Execution: ref})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); status.Code(err) != codes.Unimplemented {
		t.Errorf("logs without a reader: %v", err)
	}
}

// place does what the scheduler does.
func (r *rig) place(t *testing.T, name, cluster string) {
	t.Helper()
	fence, err := r.store.BeginTerm(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	id := flow.ExecutionID{Project: "flytesnacks", Domain: "development", Name: name}
	_, placed, err := r.store.CommitPlan(t.Context(), fence, flow.Batch{At: time.Now(), Placements: []flow.Placement{{Execution: id, Cluster: cluster, Reasons: []flow.Reason{
		{Cluster: cluster, Chosen: true, Score: 0.5, Message: "most free capacity"},
		{Cluster: "west", Filter: "capacity", Message: "full"},
	}}}})
	if err != nil || len(placed) != 1 {
		t.Fatalf("placed %v, %v", placed, err)
	}
}
