package federation_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
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
	name  string
	state string
	token string
	sweep time.Duration        // between looks at all objects; 50 ms if zero
	tap   *tap                 // also hears the log of the member started next
	stats *prometheus.Registry // of the member started last
}

func newRig(t *testing.T) *rig { return newRigOf(t, 0) }

// newRigOf is a rig whose members' certificates live for so long.
func newRigOf(t *testing.T, ttl time.Duration) *rig {
	dir := t.TempDir()
	ca, err := identity.OpenCA(filepath.Join(dir, "ca.key"), filepath.Join(dir, "ca.crt"), trustDomain, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	p := newPlane()
	r := &rig{t: t, plane: p, ca: ca, desk: join.New(p, ca, ttl, nil)}
	return r.cluster("east")
}

// cluster is another cluster of the same control plane.
func (r *rig) cluster(name string) *rig {
	t := r.t
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
	tok, _, err := r.desk.Mint(t.Context(), name, 0)
	if err != nil {
		t.Fatal(err)
	}
	return &rig{
		t: t, name: name, plane: r.plane, ca: r.ca, desk: r.desk, clock: &clock{begun: time.Now()}, state: filepath.Join(t.TempDir(), "member"), token: tok,
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
	p := r.plane
	h = hub.New(hub.Options{
		Name: name, TrustDomain: trustDomain, Desk: r.desk, Outbox: p, Sessions: p, Sink: p, Leases: p, Revocations: p, Rebuilder: p, Known: p.Known,
		Heartbeat: 100 * time.Millisecond, Log: testLog(r.t),
	})
	guard := identity.Guard{TrustDomain: trustDomain}
	srv := grpc.NewServer(grpc.Creds(identity.ServerCredentials(identity.Fixed(cert), r.ca.Pool(), h.Stranger)),
		grpc.UnaryInterceptor(guard.Unary), grpc.StreamInterceptor(guard.Stream))
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
		Sweep: cmp.Or(r.sweep, 50*time.Millisecond), CapacityEvery: 50 * time.Millisecond, Log: r.log(),
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
	deadline := time.Now().Add(time.Minute)
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

// leaf is the certificate in the member's folder.
func (r *rig) leaf() *x509.Certificate {
	b, err := os.ReadFile(filepath.Join(r.state, "member.crt"))
	if err != nil {
		r.t.Fatal(err)
	}
	block, _ := pem.Decode(b)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		r.t.Fatal(err)
	}
	return cert
}

func (r *rig) serial() string { return r.leaf().SerialNumber.String() }

// tap keeps what is logged.
type tap struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (t *tap) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.all.Write(b)
}

// listen keeps what members that are started from now on log.
func (r *rig) listen() (said func() string) {
	t := &tap{}
	r.tap = t
	return func() string {
		t.mu.Lock()
		defer t.mu.Unlock()
		return t.all.String()
	}
}

func (r *rig) log() *slog.Logger {
	if r.tap == nil {
		return testLog(r.t)
	}
	return slog.New(slog.NewTextHandler(io.MultiWriter(testWriter{r.t}, r.tap), nil))
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
