package gateway_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"

	"github.com/skein-project/skein/admin/dataproxy"
	"github.com/skein-project/skein/admin/gateway"
	"github.com/skein-project/skein/admin/lifecycle"
	"github.com/skein-project/skein/admin/middleware"
	"github.com/skein-project/skein/admin/service"
	"github.com/skein-project/skein/admin/store"
	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/api/flyteidl/event"
	flyteservice "github.com/skein-project/skein/api/flyteidl/service"
	"github.com/skein-project/skein/deploy/local/localtest"
)

func TestMain(m *testing.M) { localtest.Main(m) }

// began is when all that is seeded came to be.
var began = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// objects is an object store in memory.
type objects struct {
	mu   sync.Mutex
	data map[string][]byte
}

func (o *objects) Root() string { return "/store" }

func (o *objects) Read(_ context.Context, uri string) ([]byte, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if data, ok := o.data[uri]; ok {
		return data, nil
	}
	return nil, fault.E(fault.NotFound, "no object %s", uri)
}

func (o *objects) Write(_ context.Context, uri string, data []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.data[uri] = data
	return nil
}

func (o *objects) Attributes(ctx context.Context, uri string) (int64, []byte, error) {
	data, err := o.Read(ctx, uri)
	return int64(len(data)), nil, err
}

func (o *objects) Reader(ctx context.Context, uri string) (io.ReadCloser, error) {
	data, err := o.Read(ctx, uri)
	return io.NopCloser(bytes.NewReader(data)), err
}

func (o *objects) Create(context.Context, string, bool) (io.WriteCloser, error) {
	return nil, fault.E(fault.Unsupported, "nothing is uploaded here")
}

// world is a control plane over a real store, by gRPC and by HTTP.
type world struct {
	store   *store.Store
	objects *objects
	service *service.Service
	conn    *grpc.ClientConn
	url     string
}

// newWorld makes a control plane. All worlds are equal: their clocks stand
// still.
func newWorld(t *testing.T) *world {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{URL: localtest.Database(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	quiet := slog.New(slog.DiscardHandler)
	if err := s.Migrate(t.Context(), quiet); err != nil {
		t.Fatal(err)
	}
	w := &world{store: s, objects: &objects{data: map[string][]byte{}}}
	clock := func() time.Time { return began }
	w.service = service.New(service.Config{}, service.Deps{
		Entities: s, Named: s, Projects: s, Executions: s, Runs: s, Clusters: s, Decisions: s, Reserved: s,
		Objects: w.objects, Now: clock, Log: quiet,
	})
	proxy, err := dataproxy.New(dataproxy.Config{PublicURL: "http://flyte.example", Key: bytes.Repeat([]byte("k"), dataproxy.MinKey)},
		dataproxy.Deps{Objects: w.objects, Data: w.service, Now: clock, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	listener := bufconn.Listen(1 << 20)
	server := grpc.NewServer(middleware.New(middleware.Config{Log: quiet}).ServerOptions()...)
	w.service.RegisterFlyte(server)
	flyteservice.RegisterDataProxyServiceServer(server, proxy)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	w.conn, err = grpc.NewClient("passthrough:///x", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.conn.Close() })
	handler, err := gateway.New(t.Context(), w.conn, proxy.Handler(), []string{"http://console.example"})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(handler)
	t.Cleanup(web.Close)
	w.url = web.URL
	return w
}

// seed fills a world: projects, entities in versions, executions, and one that
// has run, with its nodes, attempts and data.
func (w *world) seed(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(nil, w.store.Seed(ctx, []flow.Project{{ID: "flytesnacks", Name: "flytesnacks", CreatedAt: began}, {ID: "old", Name: "old", State: 1, CreatedAt: began}}))
	must(nil, w.store.CreateCluster(ctx, flow.Cluster{Name: "east", Health: flow.HealthUnknown}))
	for _, version := range []string{"v1", "v2"} {
		for _, name := range []string{"pkg.mod.t", "odd name:x+y&z=ü%41"} {
			must(w.service.CreateTask(ctx, task(name, version)))
		}
		must(w.service.CreateWorkflow(ctx, workflow("pkg.wf", version, "pkg.mod.t")))
		must(w.service.CreateLaunchPlan(ctx, plan("pkg.wf", version)))
	}
	must(w.service.UpdateLaunchPlan(ctx, activate("pkg.wf", "v1")))
	for i := range 5 {
		must(w.service.CreateExecution(ctx, execution(fmt.Sprintf("e%d", i))))
	}
	w.run(t, "e0")
	for uri, m := range map[string]*core.LiteralMap{"/store/in": integers("x", 1), "/store/out": integers("o0", 2)} {
		data, err := proto.Marshal(m)
		must(nil, err)
		w.objects.data[uri] = data
	}
	w.objects.data["/store/deck.html"] = []byte("<b>deck</b>")
}

// run does what the scheduler and a member do for an execution that succeeds.
func (w *world) run(t *testing.T, name string) {
	t.Helper()
	ctx := t.Context()
	id := flow.ExecutionID{Project: "flytesnacks", Domain: "development", Name: name}
	fence, err := w.store.BeginTerm(ctx, "test")
	if err != nil {
		t.Fatal(err)
	}
	_, placed, err := w.store.CommitPlan(ctx, fence, flow.Batch{At: began,
		Placements: []flow.Placement{{Execution: id, Cluster: "east"}}})
	if err != nil || len(placed) != 1 {
		t.Fatalf("placed %v, %v", placed, err)
	}
	session, err := w.store.OpenSession(ctx, flow.Member{Cluster: "east", Instance: "m0"}, "hub", flow.ClusterReport{})
	if err != nil {
		t.Fatal(err)
	}
	row, err := w.store.GetExecution(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	wire := executionID(name)
	node := &core.NodeExecutionIdentifier{NodeId: "n0", ExecutionId: wire}
	results, err := w.store.RecordEvents(ctx, session.Sender, []flow.Event{
		happened(t, row, 1, flow.EventWorkflow, int32(flow.ExecutionRunning), &event.WorkflowExecutionEvent{ExecutionId: wire}),
		happened(t, row, 2, flow.EventNode, int32(flow.NodeSucceeded), &event.NodeExecutionEvent{Id: node, SpecNodeId: "n0",
			InputValue:   &event.NodeExecutionEvent_InputUri{InputUri: "/store/in"},
			OutputResult: &event.NodeExecutionEvent_OutputUri{OutputUri: "/store/out"}, DeckUri: "/store/deck.html"}),
		happened(t, row, 3, flow.EventTask, int32(flow.TaskSucceeded), &event.TaskExecutionEvent{
			TaskId: identifier(core.ResourceType_TASK, "pkg.mod.t", "v1"), ParentNodeExecutionId: node, TaskType: "python-task",
			InputValue:   &event.TaskExecutionEvent_InputUri{InputUri: "/store/in"},
			OutputResult: &event.TaskExecutionEvent_OutputUri{OutputUri: "/store/out"},
			Metadata:     &event.TaskExecutionMetadata{GeneratedName: name + "-n0-0"}}),
		happened(t, row, 4, flow.EventWorkflow, int32(flow.ExecutionSucceeded), &event.WorkflowExecutionEvent{ExecutionId: wire,
			OutputResult: &event.WorkflowExecutionEvent_OutputUri{OutputUri: "/store/out"}}),
	}, lifecycle.Apply)
	if err != nil {
		t.Fatal(err)
	}
	for i, result := range results {
		if !result.Accepted {
			t.Fatalf("event %d was refused: %s", i, result.Reason)
		}
	}
}

func happened(t *testing.T, row flow.Execution, sequence uint64, kind flow.EventKind, phase int32, detail proto.Message) flow.Event {
	t.Helper()
	e := flow.Event{Execution: row.ID, Epoch: row.Epoch, Kind: kind, Phase: phase, Sequence: sequence, Revision: row.Revision,
		OccurredAt: began, QueuedAt: began, StartedAt: began}
	if kind != flow.EventWorkflow {
		e.Node = "n0"
	}
	if kind != flow.EventWorkflow || flow.ExecutionPhase(phase).Terminal() {
		e.EndedAt = began.Add(time.Second)
	}
	var err error
	if e.Detail, err = proto.Marshal(detail); err != nil {
		t.Fatal(err)
	}
	return e
}
