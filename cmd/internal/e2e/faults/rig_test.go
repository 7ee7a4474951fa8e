package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/skein-project/skein/api/crd/v1alpha1"
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
	napVersion      = "v1"
	// lease is short, so that a lapse is soon seen; the scheduler wants it above
	// two of its timeouts.
	lease = 12 * time.Second
	every = 50 * time.Millisecond // how often a condition is looked at
)

// workflows has a chain of two quick tasks, and a wide one that naps.
const workflows = `
tasks:
  - name: faults.touch
    image: sh
    command: [sh, -c, "true"]
  - name: faults.nap
    image: sh
    command: [sh, -c]
    args: ['sleep "$(cat /var/flyte/inputs/seconds)"']
    inputs: {seconds: integer}
workflow:
  name: %s
  inputs: {seconds: {type: integer%s}}
  nodes:
%s
`

var plans = map[string]string{
	"faults.chain": fmt.Sprintf(workflows, "faults.chain", ", default: 0",
		"    - {id: first, task: faults.touch}\n    - {id: second, task: faults.touch, after: [first]}"),
	"faults.words": `
tasks:
  - name: faults.read
    image: sh
    command: [sh, -c, "true"]
    inputs: {words: string}
workflow:
  name: faults.words
  inputs: {words: {type: string}}
  nodes:
    - {id: only, task: faults.read, inputs: {words: "${inputs.words}"}}
`,
	"faults.naps": fmt.Sprintf(workflows, "faults.naps", "",
		"    - {id: a, task: faults.nap, inputs: {seconds: \"${inputs.seconds}\"}}\n"+
			"    - {id: b, task: faults.nap, inputs: {seconds: \"${inputs.seconds}\"}}\n"+
			"    - {id: last, task: faults.touch, after: [a, b]}"),
}

// rig is a federation with what tests look at it by.
type rig struct {
	*local.Federation
	client   client.Config
	flyte    *grpc.ClientConn
	admin    service.AdminServiceClient
	clusters skeinv1.ClusterServiceClient
	placed   skeinv1.PlacementServiceClient
	planes   map[string]ctrl.Client
}

func newRig(t *testing.T, o local.Options) *rig {
	t.Helper()
	r := &rig{Federation: federationtest.Start(t, o), planes: map[string]ctrl.Client{}}
	var err error
	r.client, err = r.Client()
	must(t, err)
	r.flyte, err = r.client.DialFlyte()
	must(t, err)
	skein, err := r.client.DialSkein()
	must(t, err)
	t.Cleanup(func() { r.flyte.Close(); skein.Close() })
	r.admin = service.NewAdminServiceClient(r.flyte)
	r.clusters, r.placed = skeinv1.NewClusterServiceClient(skein), skeinv1.NewPlacementServiceClient(skein)
	ctrllog.SetLogger(logr.Discard())
	scheme := runtime.NewScheme()
	must(t, v1alpha1.AddToScheme(scheme))
	must(t, corev1.AddToScheme(scheme))
	for _, p := range r.Planes {
		config, err := p.Admin()
		must(t, err)
		r.planes[p.Name], err = ctrl.New(config, ctrl.Options{Scheme: scheme})
		must(t, err)
	}
	for _, text := range plans {
		r.register(t, text)
	}
	return r
}

func (r *rig) register(t *testing.T, text string) {
	t.Helper()
	m, _, err := manifest.Parse([]byte(text))
	must(t, err)
	q, err := m.Build(manifest.Target{Project: project, Domain: domain, Version: napVersion})
	must(t, err)
	known := func(err error) error {
		if status.Code(err) == codes.AlreadyExists {
			return nil
		}
		return err
	}
	for _, task := range q.Tasks {
		_, err := r.admin.CreateTask(t.Context(), task)
		must(t, known(err))
	}
	_, err = r.admin.CreateWorkflow(t.Context(), q.Workflow)
	must(t, known(err))
	_, err = r.admin.CreateLaunchPlan(t.Context(), q.LaunchPlan)
	must(t, known(err))
}

func executionID(name string) *core.WorkflowExecutionIdentifier {
	return &core.WorkflowExecutionIdentifier{Project: project, Domain: domain, Name: name}
}

func launchRequest(plan, name string, seconds int64) *admin.ExecutionCreateRequest {
	return &admin.ExecutionCreateRequest{Project: project, Domain: domain, Name: name,
		Spec: &admin.ExecutionSpec{Metadata: &admin.ExecutionMetadata{}, LaunchPlan: &core.Identifier{
			ResourceType: core.ResourceType_LAUNCH_PLAN, Project: project, Domain: domain, Name: plan, Version: napVersion}},
		Inputs: &core.LiteralMap{Literals: map[string]*core.Literal{"seconds": integer(seconds)}}}
}

func integer(n int64) *core.Literal {
	return &core.Literal{Value: &core.Literal_Scalar{Scalar: &core.Scalar{Value: &core.Scalar_Primitive{
		Primitive: &core.Primitive{Value: &core.Primitive_Integer{Integer: n}}}}}}
}

// launch repeats a launch by name until it is known to have been accepted, as
// a client does that met a replica's death.
func (r *rig) launch(ctx context.Context, plan, name string, seconds int64) error {
	return retry(ctx, func(ctx context.Context) error {
		_, err := r.admin.CreateExecution(ctx, launchRequest(plan, name, seconds))
		if status.Code(err) == codes.AlreadyExists {
			return nil
		}
		return err
	})
}

// retry repeats a call while its outcome may change by itself.
func retry(ctx context.Context, call func(context.Context) error) error {
	for {
		once, cancel := context.WithTimeout(ctx, 5*time.Second)
		err := call(once)
		cancel()
		if c := status.Code(err); ctx.Err() != nil || c != codes.Unavailable && c != codes.DeadlineExceeded {
			return err
		}
		if pause(ctx, every) != nil {
			return err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// eventually waits until the condition says nothing.
func eventually(t *testing.T, within time.Duration, condition func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	var last error
	for {
		err := condition(ctx)
		if err == nil {
			return
		}
		if ctx.Err() == nil || last == nil {
			last = err // what the deadline itself cuts short says nothing
		}
		if ctx.Err() != nil || pause(ctx, every) != nil {
			t.Fatalf("not within %s: %v", within, last)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// phases are the executions whose names begin so, by the API.
func (r *rig) phases(ctx context.Context, prefix string) (map[string]core.WorkflowExecution_Phase, error) {
	out, token := map[string]core.WorkflowExecution_Phase{}, ""
	for {
		list, err := r.admin.ListExecutions(ctx, &admin.ResourceListRequest{
			Id: &admin.NamedEntityIdentifier{Project: project, Domain: domain}, Limit: 100, Token: token})
		if err != nil {
			return nil, err
		}
		for _, x := range list.Executions {
			if strings.HasPrefix(x.Id.Name, prefix) {
				out[x.Id.Name] = x.GetClosure().GetPhase()
			}
		}
		if token = list.Token; token == "" {
			return out, nil
		}
	}
}

// allIn says what is missing until all named executions are in the phase.
func (r *rig) allIn(names []string, want core.WorkflowExecution_Phase) func(context.Context) error {
	return func(ctx context.Context) error {
		have, err := r.phases(ctx, "")
		if err != nil {
			return err
		}
		var rest []string
		for _, name := range names {
			if phase, known := have[name]; !known || phase != want {
				rest = append(rest, fmt.Sprintf("%s %s", name, phase))
			}
		}
		if len(rest) > 0 {
			return fmt.Errorf("%d of %d are %s; not %s", len(names)-len(rest), len(names), want, strings.Join(rest, ", "))
		}
		return nil
	}
}

// placement is what the database says of one execution.
type placement struct {
	Cluster   string
	Era, N    int64
	Decisions int64
}

// query reads rows of the database, which nothing but these checks does.
func query[T any](t *testing.T, r *rig, sql string, args ...any) []T {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), r.Database.URL)
	must(t, err)
	defer conn.Close(context.Background())
	rows, err := conn.Query(t.Context(), sql, args...)
	must(t, err)
	out, err := pgx.CollectRows(rows, pgx.RowTo[T])
	must(t, err)
	return out
}

// exec runs a statement on a connection of its own.
func (r *rig) exec(ctx context.Context, sql string) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, r.Database.URL)
	if err != nil {
		return err
	}
	defer conn.Close(context.Background())
	_, err = conn.Exec(ctx, sql)
	return err
}

func (r *rig) placement(t *testing.T, name string) placement {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), r.Database.URL)
	must(t, err)
	defer conn.Close(context.Background())
	var p placement
	must(t, conn.QueryRow(t.Context(), `SELECT cluster, epoch_era, epoch_n,
		(SELECT count(*) FROM decisions d WHERE d.name = e.name AND d.project = e.project AND d.domain = e.domain AND d.cluster <> '')
		FROM executions e WHERE name = $1`, name).Scan(&p.Cluster, &p.Era, &p.N, &p.Decisions))
	return p
}

// object is one FlyteWorkflow or pod on some API server.
type object struct {
	cluster, kind, execution, name string
	era, epoch                     int64
	phase, detail                  string
}

// objects are all FlyteWorkflows and pods of all API servers.
func (r *rig) objects(ctx context.Context) ([]object, error) {
	var out []object
	for cluster, c := range r.planes {
		var workflows v1alpha1.FlyteWorkflowList
		if err := c.List(ctx, &workflows); err != nil {
			return nil, err
		}
		for _, w := range workflows.Items {
			detail, _ := json.Marshal(w.Status)
			out = append(out, object{cluster: cluster, kind: "FlyteWorkflow", execution: w.Spec.Execution.Name, name: w.Name,
				era: w.Spec.Era, epoch: w.Spec.Epoch, phase: w.Status.Phase, detail: string(detail)})
		}
		var pods corev1.PodList
		if err := c.List(ctx, &pods); err != nil {
			return nil, err
		}
		for _, p := range pods.Items {
			out = append(out, object{cluster: cluster, kind: "Pod", execution: p.Labels[v1alpha1.LabelExecution], name: p.Name,
				phase: string(p.Status.Phase), detail: fmt.Sprintf("made %v, deleted %v", p.CreationTimestamp, p.DeletionTimestamp)})
		}
	}
	return out, nil
}

// checkOneOwner checks over the database and all API servers that each
// execution was placed once, and that nothing is there without an execution.
func (r *rig) checkOneOwner(t *testing.T, names []string) {
	t.Helper()
	objects, err := r.objects(t.Context())
	must(t, err)
	held := map[string][]object{}
	known := query[string](t, r, `SELECT name FROM executions`)
	for _, o := range objects {
		if !slices.Contains(known, o.execution) {
			t.Errorf("%s %s on %s has no execution in the database", o.kind, o.name, o.cluster)
		}
		if o.kind == "FlyteWorkflow" {
			held[o.execution] = append(held[o.execution], o)
		}
	}
	for _, name := range names {
		p := r.placement(t, name)
		if p.Era != 1 || p.N != 1 || p.Decisions != 1 {
			t.Errorf("%s is at epoch %d.%d after %d decisions, want 1.1 after one", name, p.Era, p.N, p.Decisions)
		}
		if h := held[name]; len(h) != 1 || h[0].cluster != p.Cluster || h[0].era != p.Era || h[0].epoch != p.N {
			t.Errorf("%s is on %s in the database, and on API servers: %+v", name, p.Cluster, h)
		}
	}
}
