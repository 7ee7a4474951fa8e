package failover

import (
	"context"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/api/flyteidl/service"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
	"github.com/skein-project/skein/cmd/internal/local"
	"github.com/skein-project/skein/cmd/internal/local/federationtest"
	"github.com/skein-project/skein/cmd/internal/manifest"
)

const project, domain, version = "flytesnacks", "development", "v1"

// rig is a federation with what the test looks at it by.
type rig struct {
	*local.Federation
	admin   service.AdminServiceClient
	placed  skeinv1.PlacementServiceClient
	control skeinv1.ControlPlaneServiceClient
	planes  map[string]ctrl.Client
}

func newRig(t *testing.T, o local.Options) *rig {
	t.Helper()
	r := &rig{Federation: federationtest.Start(t, o), planes: map[string]ctrl.Client{}}
	clients, err := r.Client()
	must(t, err)
	flyte, err := clients.DialFlyte()
	must(t, err)
	skein, err := clients.DialSkein()
	must(t, err)
	t.Cleanup(func() { flyte.Close(); skein.Close() })
	r.admin, r.placed = service.NewAdminServiceClient(flyte), skeinv1.NewPlacementServiceClient(skein)
	r.control = skeinv1.NewControlPlaneServiceClient(skein)
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
	return r
}

func (r *rig) register(t *testing.T, text string) {
	t.Helper()
	m, _, err := manifest.Parse([]byte(text))
	must(t, err)
	q, err := m.Build(manifest.Target{Project: project, Domain: domain, Version: version})
	must(t, err)
	for _, task := range q.Tasks {
		_, err := r.admin.CreateTask(t.Context(), task)
		must(t, err)
	}
	_, err = r.admin.CreateWorkflow(t.Context(), q.Workflow)
	must(t, err)
	_, err = r.admin.CreateLaunchPlan(t.Context(), q.LaunchPlan)
	must(t, err)
}

// cluster is where an execution is placed.
func (r *rig) cluster(t *testing.T, name string) string {
	t.Helper()
	why, err := r.placed.Explain(t.Context(), &skeinv1.ExplainRequest{Execution: &skeinv1.ExecutionRef{Project: project, Domain: domain, Name: name}})
	must(t, err)
	return why.GetCluster()
}

func executionID(name string) *core.WorkflowExecutionIdentifier {
	return &core.WorkflowExecutionIdentifier{Project: project, Domain: domain, Name: name}
}

// eventually waits until the condition says nothing.
func eventually(t *testing.T, within time.Duration, condition func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := condition(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("not within %s: %v", within, err)
		case <-tick.C:
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
