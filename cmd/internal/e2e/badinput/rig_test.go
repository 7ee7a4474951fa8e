package badinput

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/skein-project/skein/admin/dataproxy"
	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/api/flyteidl/service"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
	"github.com/skein-project/skein/cmd/internal/client"
	"github.com/skein-project/skein/cmd/internal/local"
	"github.com/skein-project/skein/cmd/internal/local/federationtest"
	"github.com/skein-project/skein/cmd/internal/manifest"
)

const (
	project, domain = "flytesnacks", "development"
	archived        = "old"                                                   // a project that takes nothing new
	longProject     = "p23456789-123456789-123456789-123456789-123456789-123" // with the domain no namespace
	plan            = "bad.sleep"
	version         = "v1"
	ended           = "ended" // an execution that has SUCCEEDED
)

// sleep has an input of a type, so that inputs can be wrong.
const sleep = `
tasks:
  - name: bad.nap
    image: sh
    command: [sh, -c]
    args: ['sleep "$(cat /var/flyte/inputs/seconds)"']
    inputs: {seconds: integer}
workflow:
  name: bad.sleep
  inputs: {seconds: {type: integer}}
  nodes:
    - {id: a, task: bad.nap, inputs: {seconds: "${inputs.seconds}"}}
`

// rig is a federation of one replica and one cluster, with clients that note
// what they are refused.
type rig struct {
	*local.Federation
	client   client.Config
	admin    service.AdminServiceClient
	signals  service.SignalServiceClient
	data     service.DataProxyServiceClient
	clusters skeinv1.ClusterServiceClient
	placed   skeinv1.PlacementServiceClient
	policies skeinv1.PolicyServiceClient
	plane    skeinv1.ControlPlaneServiceClient
	road     skeinv1.DataPlaneServiceClient // without a certificate
	flyte    *grpc.ClientConn
	web      string // URL of the HTTP port

	mu      sync.Mutex
	refused map[string]bool // full names of methods
	tokens  []string        // for joining, used and unused
}

func newRig(t *testing.T) *rig {
	t.Helper()
	f := federationtest.Start(t, local.Options{Replicas: 1, Clusters: local.ThreeRegions()[:1]})
	r := &rig{Federation: f, refused: map[string]bool{}}
	var err error
	r.client, err = r.Client()
	must(t, err)
	noted := []grpc.DialOption{grpc.WithUnaryInterceptor(r.note), grpc.WithStreamInterceptor(r.noteStream)}
	r.flyte, err = grpc.NewClient(r.client.Flyte, append(noted, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	must(t, err)
	t.Cleanup(func() { r.flyte.Close() })
	operator, err := os.ReadFile(r.client.TokenFile)
	must(t, err)
	own := r.anonymous(t, append(noted, grpc.WithPerRPCCredentials(token(strings.TrimSpace(string(operator)))))...)
	r.admin, r.signals = service.NewAdminServiceClient(r.flyte), service.NewSignalServiceClient(r.flyte)
	r.data = service.NewDataProxyServiceClient(r.flyte)
	r.clusters, r.placed = skeinv1.NewClusterServiceClient(own), skeinv1.NewPlacementServiceClient(own)
	r.policies, r.plane = skeinv1.NewPolicyServiceClient(own), skeinv1.NewControlPlaneServiceClient(own)
	r.road = skeinv1.NewDataPlaneServiceClient(r.anonymous(t))
	link, err := r.data.CreateUploadLocation(t.Context(), upload(func(*service.CreateUploadLocationRequest) {}))
	must(t, err)
	r.web, _, _ = strings.Cut(link.GetSignedUrl(), dataproxy.Prefix)
	r.seed(t)
	return r
}

// token is sent with every call, as an operator's.
type token string

func (k token) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(k)}, nil
}
func (token) RequireTransportSecurity() bool { return true }

// note remembers the methods that have refused something.
func (r *rig) note(ctx context.Context, method string, q, a any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	err := invoke(ctx, method, q, a, conn, opts...)
	r.noted(method, err)
	return err
}

func (r *rig) noteStream(ctx context.Context, d *grpc.StreamDesc, conn *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	stream, err := open(ctx, d, conn, method, opts...)
	return &noting{ClientStream: stream, rig: r, method: method}, err
}

type noting struct {
	grpc.ClientStream
	rig    *rig
	method string
}

func (n *noting) RecvMsg(m any) error {
	err := n.ClientStream.RecvMsg(m)
	n.rig.noted(n.method, err)
	return err
}

func (r *rig) noted(method string, err error) {
	if err == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refused[method] = true
}

// anonymous connects to Skein's own API without the operator's token.
func (r *rig) anonymous(t *testing.T, opts ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	raw, err := os.ReadFile(r.client.CA)
	must(t, err)
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(raw) {
		t.Fatal("the CA bundle holds no certificate")
	}
	creds := credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS13, RootCAs: pool})
	conn, err := grpc.NewClient(r.client.Skein, append(opts, grpc.WithTransportCredentials(creds))...)
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn
}

// seed makes what rows refer to, and waits until nothing goes on any more.
func (r *rig) seed(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	q := r.manifest(t, sleep)
	for _, task := range q.Tasks {
		_, err := r.admin.CreateTask(ctx, task)
		must(t, err)
	}
	_, err := r.admin.CreateWorkflow(ctx, q.Workflow)
	must(t, err)
	_, err = r.admin.CreateLaunchPlan(ctx, q.LaunchPlan)
	must(t, err)
	_, err = r.admin.CreateLaunchPlan(ctx, &admin.LaunchPlanCreateRequest{Id: identifier(core.ResourceType_LAUNCH_PLAN, "bad.hourly"), Spec: &admin.LaunchPlanSpec{
		WorkflowId: identifier(core.ResourceType_WORKFLOW, plan), FixedInputs: seconds(1),
		EntityMetadata: &admin.LaunchPlanMetadata{Schedule: cron("0 * * * *")}}})
	must(t, err)
	for _, p := range []*admin.Project{{Id: archived, Name: archived}, {Id: longProject, Name: "long"}} {
		_, err = r.admin.RegisterProject(ctx, &admin.ProjectRegisterRequest{Project: p})
		must(t, err)
	}
	_, err = r.admin.UpdateProject(ctx, &admin.Project{Id: archived, State: admin.Project_ARCHIVED})
	must(t, err)
	_, err = r.admin.CreateExecution(ctx, launch(func(q *admin.ExecutionCreateRequest) { q.Name, q.Inputs = ended, seconds(0) }))
	must(t, err)
	for {
		x, err := r.admin.GetExecution(ctx, &admin.WorkflowExecutionGetRequest{Id: executionID(ended)})
		must(t, err)
		if x.GetClosure().GetPhase() == core.WorkflowExecution_SUCCEEDED {
			return
		}
	}
}

func (r *rig) manifest(t *testing.T, text string) manifest.Requests {
	t.Helper()
	m, _, err := manifest.Parse([]byte(text))
	must(t, err)
	q, err := m.Build(manifest.Target{Project: project, Domain: domain, Version: version})
	must(t, err)
	return q
}

// stored counts the rows of every table, and the objects. Refusals of tokens are
// audited, so the audit is left out.
func (r *rig) stored(t *testing.T) map[string]int {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), r.Database.URL)
	must(t, err)
	defer conn.Close(context.Background())
	rows, err := conn.Query(t.Context(), "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND table_name <> 'audit'")
	must(t, err)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	must(t, err)
	out := map[string]int{}
	for _, table := range tables {
		var n int
		must(t, conn.QueryRow(t.Context(), "SELECT count(*) FROM "+pgx.Identifier{table}.Sanitize()).Scan(&n))
		out["rows of "+table] = n
	}
	var bound int
	must(t, conn.QueryRow(t.Context(), "SELECT count(*) FROM join_tokens WHERE key_hash IS NOT NULL").Scan(&bound))
	out["bound tokens"] = bound
	must(t, filepath.WalkDir(r.Store, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			out["objects"]++
		}
		return err
	}))
	return out
}

// everyMethod checks that no method of the services that people call was left
// out. Some cannot be asked anything bad: their requests are empty.
func (r *rig) everyMethod(t *testing.T) {
	t.Helper()
	for _, d := range []grpc.ServiceDesc{service.AdminService_ServiceDesc, service.SignalService_ServiceDesc, service.DataProxyService_ServiceDesc,
		skeinv1.ClusterService_ServiceDesc, skeinv1.PlacementService_ServiceDesc, skeinv1.PolicyService_ServiceDesc, skeinv1.ControlPlaneService_ServiceDesc} {
		var methods []string
		for _, m := range d.Methods {
			methods = append(methods, m.MethodName)
		}
		for _, s := range d.Streams {
			methods = append(methods, s.StreamName)
		}
		for _, m := range methods {
			name := "/" + d.ServiceName + "/" + m
			if takesAnything := strings.Contains(" GetVersion GetDomains ListMatchableAttributes ListClusters GetControlPlane ", " "+m+" "); r.refused[name] == takesAnything {
				t.Errorf("%s: refused something is %t, want %t", name, r.refused[name], !takesAnything)
			}
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func identifier(kind core.ResourceType, name string) *core.Identifier {
	return &core.Identifier{ResourceType: kind, Project: project, Domain: domain, Name: name, Version: version}
}

func executionID(name string) *core.WorkflowExecutionIdentifier {
	return &core.WorkflowExecutionIdentifier{Project: project, Domain: domain, Name: name}
}

func nodeID(execution, node string) *core.NodeExecutionIdentifier {
	return &core.NodeExecutionIdentifier{ExecutionId: executionID(execution), NodeId: node}
}

func literal(v any) *core.Literal {
	p := &core.Primitive{Value: &core.Primitive_StringValue{StringValue: fmt.Sprint(v)}}
	if n, ok := v.(int); ok {
		p = &core.Primitive{Value: &core.Primitive_Integer{Integer: int64(n)}}
	}
	return &core.Literal{Value: &core.Literal_Scalar{Scalar: &core.Scalar{Value: &core.Scalar_Primitive{Primitive: p}}}}
}

func seconds(v any) *core.LiteralMap {
	return &core.LiteralMap{Literals: map[string]*core.Literal{"seconds": literal(v)}}
}

func cron(s string) *admin.Schedule {
	return &admin.Schedule{ScheduleExpression: &admin.Schedule_CronSchedule{CronSchedule: &admin.CronSchedule{Schedule: s}}}
}
