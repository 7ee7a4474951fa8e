package federation_test

import (
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	kubefake "k8s.io/client-go/kubernetes/fake"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/federation/hub"
	"github.com/skein-project/skein/federation/identity"
	"github.com/skein-project/skein/federation/join"
	"github.com/skein-project/skein/federation/member"
	"github.com/skein-project/skein/federation/session"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const trustDomain = "skein.test"

// clock is a boot clock that tests set forward.
type clock struct {
	mu    sync.Mutex
	begun time.Time
	extra time.Duration
}

func (c *clock) Now() session.Clock {
	c.mu.Lock()
	defer c.mu.Unlock()
	return session.Clock{}.Later(time.Hour + time.Since(c.begun) + c.extra)
}

func (c *clock) forward(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.extra += d
}

// rig is a control plane in memory with hubs on loopback, and one cluster.
type rig struct {
	t     *testing.T
	plane *plane
	ca    *identity.CA
	desk  *join.Desk
	clock *clock
	kube  client.Client
	pods  *kubefake.Clientset // whose logs are read
	opens chan []types.NamespacedName
	state string
	token string
	stats *prometheus.Registry // of the member started last
}

func newRig(t *testing.T) *rig {
	dir := t.TempDir()
	ca, err := identity.OpenCA(filepath.Join(dir, "ca.key"), filepath.Join(dir, "ca.crt"), trustDomain, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{v1alpha1.AddToScheme, corev1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}, Status: corev1.NodeStatus{
		Conditions:  []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}},
		Allocatable: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("4"), corev1.ResourcePods: resource.MustParse("110")},
	}}
	p := newPlane()
	desk := join.New(p, ca, 0, nil)
	tok, _, err := desk.Mint(t.Context(), "east", 0)
	if err != nil {
		t.Fatal(err)
	}
	return &rig{
		t: t, plane: p, ca: ca, desk: desk, clock: &clock{begun: time.Now()}, state: filepath.Join(dir, "member"), token: tok,
		kube:  fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(&v1alpha1.FlyteWorkflow{}).WithObjects(node).Build(),
		pods:  kubefake.NewClientset(),
		opens: make(chan []types.NamespacedName, 64),
	}
}

// hub starts a hub; stop ends it and waits.
func (r *rig) hub(name string) (h *hub.Hub, addr string, stop func()) {
	r.t.Helper()
	cert, err := r.ca.ReplicaCert(name, []string{"127.0.0.1"}, time.Now(), time.Hour)
	if err != nil {
		r.t.Fatal(err)
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	guard := identity.Guard{TrustDomain: trustDomain}
	srv := grpc.NewServer(grpc.Creds(credentials.NewTLS(identity.ServerTLS(identity.Fixed(cert), r.ca.Pool()))),
		grpc.UnaryInterceptor(guard.Unary), grpc.StreamInterceptor(guard.Stream))
	p := r.plane
	h = hub.New(hub.Options{
		Name: name, TrustDomain: trustDomain, Desk: r.desk, Outbox: p, Sessions: p, Sink: p, Leases: p,
		Heartbeat: 100 * time.Millisecond, Log: testLog(r.t),
	})
	h.Register(srv)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = srv.Serve(lis) })
	wg.Go(func() { _ = h.Run(ctx); srv.Stop() })
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			wg.Wait()
		})
	}
	r.t.Cleanup(stop)
	return h, lis.Addr().String(), stop
}

// member starts the cluster's end; stop ends it and waits.
func (r *rig) member(hubs ...string) (m *member.Member, stop func()) {
	r.t.Helper()
	r.stats = prometheus.NewRegistry()
	m, err := member.New(member.Options{
		Client: r.kube, Kube: r.pods, Hubs: hubs, CA: r.ca.Bundle(), StateDir: r.state, JoinToken: r.token,
		Instance: "prop-0", TaskTypes: []string{"container"}, Version: "test", Clock: r.clock, Registerer: r.stats,
		Sweep: 50 * time.Millisecond, CapacityEvery: 50 * time.Millisecond, Log: testLog(r.t),
		OnOpen: func(names []types.NamespacedName) {
			select {
			case r.opens <- names:
			default:
			}
		},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = m.Run(ctx) })
	stop = func() {
		cancel()
		wg.Wait()
	}
	r.t.Cleanup(stop)
	return m, stop
}

// workflow reads a FlyteWorkflow; nil if it is not there.
func (r *rig) workflow(id flow.ExecutionID, n uint64) *v1alpha1.FlyteWorkflow {
	var fw v1alpha1.FlyteWorkflow
	if err := r.kube.Get(context.Background(), member.Name(id, flow.Epoch{Era: 1, N: n}), &fw); err != nil {
		return nil
	}
	return &fw
}

// status writes a FlyteWorkflow's status, as a propeller would.
func (r *rig) status(id flow.ExecutionID, n uint64, f func(*v1alpha1.FlyteWorkflowStatus)) {
	r.t.Helper()
	fw := r.workflow(id, n)
	f(&fw.Status)
	fw.Status.ObservedRevision = fw.Spec.Revision
	if err := r.kube.Status().Update(context.Background(), fw); err != nil {
		r.t.Fatal(err)
	}
}

// until waits for a condition.
func (r *rig) until(what string, ok func() bool) {
	r.t.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			r.t.Fatalf("waited in vain until %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// applied counts assignments by what became of them at the member.
func (r *rig) applied(result string) (n float64) {
	families, err := r.stats.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "skein_federation_member_assignments_total" && m.GetLabel()[0].GetValue() == result {
				n = m.GetCounter().GetValue()
			}
		}
	}
	return n
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Helper()
	w.t.Log(string(b))
	return len(b), nil
}

func testLog(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelDebug}))
}
