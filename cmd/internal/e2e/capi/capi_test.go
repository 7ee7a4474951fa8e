// Package capi shows that a Cluster API cluster becomes a data plane, takes
// work, and is drained before it goes: with cluster-api's own CRDs on a real API
// server, a real federation, and skein-capi as it is shipped.
//
// The API server is management cluster and workload cluster in one. It has no
// controller manager, so that the test stands in for two controllers that are
// not ours: Cluster API's, which brings a Cluster up, and that of StatefulSets,
// which starts the member that skein-capi has installed.
package capi

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/api/flyteidl/service"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
	"github.com/skein-project/skein/cmd/internal/config"
	"github.com/skein-project/skein/cmd/internal/local"
	"github.com/skein-project/skein/cmd/internal/local/federationtest"
	"github.com/skein-project/skein/cmd/internal/manifest"
	"github.com/skein-project/skein/deploy/install"
	"github.com/skein-project/skein/deploy/local/apply"
	"github.com/skein-project/skein/deploy/local/cluster"
	"github.com/skein-project/skein/deploy/local/ports"
	"github.com/skein-project/skein/deploy/local/proc"
	"github.com/skein-project/skein/deploy/local/tools"
	"github.com/skein-project/skein/federation/capi/capitest"
)

func TestMain(m *testing.M) { federationtest.Main(m) }

const project, domain = "flytesnacks", "development"

// workflow naps, so that it is there to be moved.
const workflow = `
tasks:
  - name: capi.step
    image: sh
    command: [sh, -c, "true"]
workflow:
  name: capi.chain
  nodes:
    - {id: first, task: capi.step}
    - {id: second, task: capi.step, after: [first]}
`

type world struct {
	*testing.T
	*local.Federation
	group      *proc.Group
	bin        string
	kubernetes client.Client
	kubeconfig string
	token      string // by which the member that was installed has joined
	flyte      service.AdminServiceClient
	clusters   skeinv1.ClusterServiceClient
	placement  skeinv1.PlacementServiceClient
}

func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) await(what string, within time.Duration, cond func(ctx context.Context) bool) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), within)
	defer cancel()
	for !cond(ctx) {
		select {
		case <-ctx.Done():
			w.Fatalf("not within %s: %s", within, what)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func newWorld(t *testing.T) *world {
	state := federationtest.State(t)
	w := &world{T: t, group: proc.NewGroup(state, slog.New(slog.DiscardHandler)), bin: federationtest.Binaries(t)}
	t.Cleanup(func() { w.ok(w.group.Stop(context.Background())) })
	w.Federation = federationtest.Start(t, local.Options{Nodes: local.SimulatedNodes, Lease: 12 * time.Second,
		Clusters: []local.Cluster{{Name: "standing", Labels: map[string]string{"kind": "standing"}}}})
	ctrllog.SetLogger(logr.Discard())
	built, err := tools.Ensure(t.Context(), func(string) {})
	w.ok(err)
	free, err := ports.Free(3)
	w.ok(err)
	server, err := cluster.Start(t.Context(), w.group, cluster.Options{Name: "made", Dir: filepath.Join(w.group.State(), "kubernetes"),
		Tools: built, EtcdPort: free[0], EtcdPeerPort: free[1], APIPort: free[2]})
	w.ok(err)
	w.kubeconfig = server.Kubeconfig
	admin, err := server.RESTConfig()
	w.ok(err)
	w.ok(apply.Manifests(t.Context(), admin, capitest.Definitions(t)...))
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clusterv1.AddToScheme, corev1.AddToScheme, appsv1.AddToScheme} {
		w.ok(add(scheme))
	}
	w.kubernetes, err = client.New(admin, client.Options{Scheme: scheme})
	w.ok(err)
	c, err := w.Client()
	w.ok(err)
	flyte, err := c.DialFlyte()
	w.ok(err)
	skein, err := c.DialSkein()
	w.ok(err)
	t.Cleanup(func() { flyte.Close(); skein.Close() })
	w.flyte, w.clusters, w.placement = service.NewAdminServiceClient(flyte), skeinv1.NewClusterServiceClient(skein), skeinv1.NewPlacementServiceClient(skein)
	w.register()
	return w
}

func (w *world) register() {
	m, _, err := manifest.Parse([]byte(workflow))
	w.ok(err)
	q, err := m.Build(manifest.Target{Project: project, Domain: domain, Version: "v1"})
	w.ok(err)
	for _, task := range q.Tasks {
		_, err := w.flyte.CreateTask(w.Context(), task)
		w.ok(err)
	}
	_, err = w.flyte.CreateWorkflow(w.Context(), q.Workflow)
	w.ok(err)
	_, err = w.flyte.CreateLaunchPlan(w.Context(), q.LaunchPlan)
	w.ok(err)
}

// controller starts skein-capi.
func (w *world) controller() {
	dir := w.group.State()
	base := config.DefaultPropeller()
	base.ObjectStore = config.Store{Root: w.Store, Timeout: config.Seconds(10)}
	base.Pods.StoreHostPath = true
	member := filepath.Join(dir, "member.yaml")
	w.ok(config.Save(member, &base))
	c, err := w.Client()
	w.ok(err)
	conf := config.DefaultCAPI()
	conf.ControlPlane = config.ControlPlane{Address: c.Skein, CA: c.CA, ServerName: c.ServerName, TokenFile: c.TokenFile}
	conf.Management.Kubeconfig = w.kubeconfig
	conf.Member = config.MemberOf{Image: "skein/skein-propeller:test", Config: member}
	for _, r := range w.Replicas {
		conf.Member.Hubs = append(conf.Member.Hubs, r.Federation())
	}
	conf.Rules.Set = map[string]string{"kind": "made"}
	conf.Drain.Grace, conf.Ops.Listen = config.Seconds(1), "127.0.0.1:0"
	path := filepath.Join(dir, "skein-capi.yaml")
	w.ok(config.Save(path, &conf))
	_, err = w.group.Start(w.Context(), proc.Spec{Name: "skein-capi", Path: filepath.Join(w.bin, "skein-capi"),
		Args: []string{"run", "--config", path}, Log: filepath.Join(dir, "skein-capi.log")})
	w.ok(err)
	w.Cleanup(func() {
		if w.Failed() {
			raw, _ := os.ReadFile(filepath.Join(dir, "skein-capi.log"))
			w.Logf("skein-capi:\n%s", raw)
		}
	})
}

// statefulSet does what its controller and a kubelet would: it starts what was
// installed, with the configuration and the token that were installed.
func (w *world) statefulSet(ctx context.Context) {
	key := client.ObjectKey{Namespace: install.Namespace, Name: "skein-propeller"}
	var set appsv1.StatefulSet
	var settings corev1.ConfigMap
	var join corev1.Secret
	w.await("the member is installed", time.Minute, func(ctx context.Context) bool {
		return w.kubernetes.Get(ctx, key, &set) == nil && w.kubernetes.Get(ctx, key, &settings) == nil &&
			w.kubernetes.Get(ctx, client.ObjectKey{Namespace: key.Namespace, Name: "skein-propeller-join"}, &join) == nil
	})
	w.token = string(join.Data["token"])
	dir := filepath.Join(w.group.State(), "member")
	w.ok(os.MkdirAll(dir, 0o700))
	for name, text := range settings.Data {
		text = strings.ReplaceAll(text, install.ConfigFolder+"/", dir+"/") // what it mounts there
		text = strings.ReplaceAll(text, install.StateFolder, filepath.Join(dir, "state"))
		w.ok(os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	env := append(os.Environ(), "SKEIN_PROPELLER_INSTANCE=skein-propeller-0", "SKEIN_PROPELLER_JOIN_TOKEN="+w.token,
		"SKEIN_PROPELLER_KUBECONFIG="+w.kubeconfig, "SKEIN_PROPELLER_OPS_LISTEN=127.0.0.1:0")
	w.ok(os.MkdirAll(filepath.Join(dir, "state"), 0o700))
	args := append(set.Spec.Template.Spec.Containers[0].Args[:2:2], filepath.Join(dir, "skein-propeller.yaml"))
	_, err := w.group.Start(ctx, proc.Spec{Name: "made-propeller", Path: filepath.Join(w.bin, set.Spec.Template.Spec.Containers[0].Command[0]),
		Args: args, Env: env, Log: filepath.Join(dir, "propeller.log")})
	w.ok(err)
	_, err = w.group.Start(ctx, proc.Spec{Name: "made-node", Path: filepath.Join(w.bin, "skein"),
		Args: []string{"node", "--kubeconfig", w.kubeconfig, "--name", "made-node", "--simulated"}, Log: filepath.Join(dir, "node.log")})
	w.ok(err)
}

func (w *world) health(ctx context.Context, name string) string {
	answer, err := w.clusters.GetCluster(ctx, &skeinv1.GetClusterRequest{Name: name})
	if err != nil {
		return status.Code(err).String()
	}
	return answer.GetCluster().GetHealth()
}

func (w *world) launch(name, label string) {
	_, err := w.flyte.CreateExecution(w.Context(), &admin.ExecutionCreateRequest{Project: project, Domain: domain, Name: name,
		Spec: &admin.ExecutionSpec{Metadata: &admin.ExecutionMetadata{}, ExecutionClusterLabel: &admin.ExecutionClusterLabel{Value: label},
			Annotations: &admin.Annotations{Values: map[string]string{"simulated.skein.dev/delay": "4s"}},
			LaunchPlan:  &core.Identifier{ResourceType: core.ResourceType_LAUNCH_PLAN, Project: project, Domain: domain, Name: "capi.chain", Version: "v1"}}})
	w.ok(err)
}

func (w *world) cordon(cluster string, cordoned bool) {
	_, err := w.clusters.Cordon(w.Context(), &skeinv1.CordonRequest{Name: cluster, Cordoned: cordoned})
	w.ok(err)
}

func (w *world) phase(ctx context.Context, name string) core.WorkflowExecution_Phase {
	e, err := w.flyte.GetExecution(ctx, &admin.WorkflowExecutionGetRequest{Id: &core.WorkflowExecutionIdentifier{Project: project, Domain: domain, Name: name}})
	if err != nil {
		return core.WorkflowExecution_UNDEFINED
	}
	return e.GetClosure().GetPhase()
}

func TestAClusterIsMadeAndDrained(t *testing.T) {
	w := newWorld(t)
	w.controller()
	made := &clusterv1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "made", Namespace: "default", Labels: map[string]string{"skein.dev/data-plane": ""}},
		Spec: clusterv1.ClusterSpec{InfrastructureRef: clusterv1.ContractVersionedObjectReference{APIGroup: "infrastructure.cluster.x-k8s.io", Kind: "TestCluster", Name: "made"}}}
	w.ok(w.kubernetes.Create(t.Context(), made))
	kubeconfig, err := os.ReadFile(w.kubeconfig)
	w.ok(err)
	w.ok(w.kubernetes.Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "made-kubeconfig", Namespace: "default"},
		Data: map[string][]byte{"value": kubeconfig}}))
	made.Status.Initialization = clusterv1.ClusterInitializationStatus{InfrastructureProvisioned: new(true), ControlPlaneInitialized: new(true)}
	w.ok(w.kubernetes.Status().Update(t.Context(), made))

	w.statefulSet(t.Context())
	w.await("the cluster takes work", time.Minute, func(ctx context.Context) bool { return w.health(ctx, "made") == "Healthy" })
	w.launch("before", "kind=made")
	w.await("it has run there", time.Minute, func(ctx context.Context) bool { return w.phase(ctx, "before") == core.WorkflowExecution_SUCCEEDED })

	federationtest.NoSecrets(t, w.Federation, []string{w.token}, w.group.State()) // nor the kubeconfig by which it was installed

	names := []string{"moved0", "moved1", "moved2", "stays"}
	w.cordon("standing", true) // so that all begin on the one that goes
	for _, name := range names[:3] {
		w.launch(name, "kind in (made, standing)")
	}
	w.launch("stays", "kind=made")
	w.await("all run", time.Minute, func(ctx context.Context) bool {
		return !slices.ContainsFunc(names, func(name string) bool { return w.phase(ctx, name) != core.WorkflowExecution_RUNNING })
	})
	w.cordon("standing", false)
	w.ok(w.kubernetes.Delete(t.Context(), made))
	w.await("the cluster has gone", 2*time.Minute, func(ctx context.Context) bool {
		return client.IgnoreNotFound(w.kubernetes.Get(ctx, client.ObjectKeyFromObject(made), made)) == nil && w.health(ctx, "made") == codes.NotFound.String()
	})
	// What could go nowhere else has ended there, since the drain waited for it.
	for _, name := range names {
		w.await(name+" has ended well", time.Minute, func(ctx context.Context) bool { return w.phase(ctx, name) == core.WorkflowExecution_SUCCEEDED })
		answer, err := w.placement.Explain(t.Context(), &skeinv1.ExplainRequest{Execution: &skeinv1.ExecutionRef{Project: project, Domain: domain, Name: name}})
		w.ok(err)
		ended, moved := "standing", []string{"made Drain"}
		if name == "stays" {
			ended, moved = "made", nil
		}
		var moves []string
		for _, m := range answer.GetMoves() {
			moves = append(moves, m.GetFrom()+" "+m.GetKind())
		}
		if answer.GetCluster() != ended || !slices.Equal(moves, moved) {
			t.Errorf("%s has ended on %s after the moves %q, want %s and %q", name, answer.GetCluster(), moves, ended, moved)
		}
	}
}
