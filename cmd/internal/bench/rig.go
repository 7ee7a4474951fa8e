package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/api/flyteidl/service"
	"github.com/skein-project/skein/cmd/internal/client"
	"github.com/skein-project/skein/cmd/internal/local"
	"github.com/skein-project/skein/cmd/internal/manifest"
)

const (
	project, domain = "flytesnacks", "development"
	planName        = "bench.one"
	planVersion     = "v1"
	clients         = 32
	glance          = 50 * time.Millisecond // between looks, each of which the database pays for
	patience        = 60 * time.Second      // for what takes seconds
)

// oneNode has one task without inputs and outputs, since nothing runs that could
// write some, and so small that capacity is not what limits.
const oneNode = `
tasks:
  - name: bench.task
    image: none
    command: ["true"]
    resources: {cpu: 10m, memory: 16Mi}
workflow:
  name: bench.one
  nodes: [{id: only, task: bench.task}]
`

// rig is a federation with one connection for each client.
type rig struct {
	*local.Federation
	conns []*grpc.ClientConn
	admin []service.AdminServiceClient
}

func newRig(ctx context.Context, f *local.Federation) (*rig, error) {
	r := &rig{Federation: f}
	config := client.Default()
	config.Flyte = f.Replicas[0].FlyteGRPC()
	for range clients {
		conn, err := config.DialFlyte()
		if err != nil {
			return nil, err
		}
		r.conns = append(r.conns, conn)
		r.admin = append(r.admin, service.NewAdminServiceClient(conn))
	}
	return r, r.register(ctx)
}

func (r *rig) close() {
	for _, c := range r.conns {
		c.Close()
	}
}

func (r *rig) register(ctx context.Context) error {
	m, _, err := manifest.Parse([]byte(oneNode))
	if err != nil {
		return err
	}
	q, err := m.Build(manifest.Target{Project: project, Domain: domain, Version: planVersion})
	if err != nil {
		return err
	}
	for _, task := range q.Tasks {
		if _, err := r.admin[0].CreateTask(ctx, task); err != nil {
			return err
		}
	}
	if _, err = r.admin[0].CreateWorkflow(ctx, q.Workflow); err != nil {
		return err
	}
	_, err = r.admin[0].CreateLaunchPlan(ctx, q.LaunchPlan)
	return err
}

// launch launches the workflow as one of the clients and gives its name.
func (r *rig) launch(ctx context.Context, as int) (string, error) {
	name := "b" + strings.ReplaceAll(uuid.NewString(), "-", "")[:19]
	_, err := r.admin[as].CreateExecution(ctx, &admin.ExecutionCreateRequest{
		Project: project, Domain: domain, Name: name,
		Spec: &admin.ExecutionSpec{Metadata: &admin.ExecutionMetadata{}, LaunchPlan: &core.Identifier{
			ResourceType: core.ResourceType_LAUNCH_PLAN, Project: project, Domain: domain, Name: planName, Version: planVersion}},
		Inputs: &core.LiteralMap{},
	})
	return name, err
}

// allSucceeded waits until no execution is in another phase.
func (r *rig) allSucceeded(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return until(ctx, glance, func(ctx context.Context) (bool, error) {
		list, err := r.admin[0].ListExecutions(ctx, &admin.ResourceListRequest{
			Id: &admin.NamedEntityIdentifier{Project: project, Domain: domain}, Limit: 1, Filters: "ne(phase,SUCCEEDED)"})
		if err != nil {
			return false, err
		}
		for _, e := range list.GetExecutions() {
			switch e.GetClosure().GetPhase() {
			case core.WorkflowExecution_FAILED, core.WorkflowExecution_ABORTED, core.WorkflowExecution_TIMED_OUT:
				return false, fmt.Errorf("execution %s ended as %s: %s", e.GetId().GetName(), e.GetClosure().GetPhase(), e.GetClosure().GetError().GetMessage())
			}
		}
		return len(list.GetExecutions()) == 0, nil
	})
}

// cluster is a client of the one cluster's API server, without a rate limit.
func (r *rig) cluster() (ctrl.WithWatch, error) {
	config, err := r.Planes[0].Admin()
	if err != nil {
		return nil, err
	}
	config.QPS = -1
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	if err := corev1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	return ctrl.NewWithWatch(config, ctrl.Options{Scheme: scheme})
}
