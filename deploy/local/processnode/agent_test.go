package processnode_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/skein-project/skein/deploy/local/cluster"
	"github.com/skein-project/skein/deploy/local/localtest"
	"github.com/skein-project/skein/deploy/local/nodetest"
	"github.com/skein-project/skein/deploy/local/ports"
	"github.com/skein-project/skein/deploy/local/processnode"
	"github.com/skein-project/skein/deploy/local/tools"
)

// rig is one agent at a real API server.
type rig struct {
	t       *testing.T
	opts    processnode.Options
	client  kubernetes.Interface
	stop    context.CancelFunc
	stopped chan error
	env     nodetest.Env
}

func TestMain(m *testing.M) { localtest.Main(m) }

// ownCluster starts a cluster that no other test uses: an agent binds all pods.
func ownCluster(t *testing.T) *cluster.Cluster {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a real API server")
	}
	programs, err := tools.Ensure(t.Context(), func(line string) { t.Log(line) })
	if err != nil {
		t.Fatal(err)
	}
	free, err := ports.Free(3)
	if err != nil {
		t.Fatal(err)
	}
	group := localtest.Group(t)
	c, err := cluster.Start(t.Context(), group, cluster.Options{
		Name: "nodes", Dir: filepath.Join(group.State(), "nodes"), Tools: programs,
		EtcdPort: free[0], EtcdPeerPort: free[1], APIPort: free[2],
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// newRig starts an agent; change may change its options before.
func newRig(t *testing.T, cluster *cluster.Cluster, change func(*processnode.Options)) *rig {
	t.Helper()
	config, err := cluster.RESTConfig()
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1
	r := &rig{t: t, opts: processnode.Options{
		RESTConfig: config, NodeName: "node", Dir: filepath.Join(t.TempDir(), "agent"), StorePrefix: t.TempDir(),
		TLSConfig: logTLS(t, cluster), Log: slog.New(slog.NewTextHandler(t.Output(), nil)), MaxRunning: 8,
	}}
	if change != nil {
		change(&r.opts)
	}
	if r.client, err = kubernetes.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	space, err := r.client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "nodetest-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	r.env = nodetest.Env{Client: r.client, Namespace: space.Name, NodeName: "node", Restart: func(*testing.T) { r.halt(); r.start() }}
	r.start()
	t.Cleanup(r.halt)
	return r
}

// logTLS lets the API server, and nobody else, read logs.
func logTLS(t *testing.T, cluster *cluster.Cluster) *tls.Config {
	t.Helper()
	pem, err := os.ReadFile(cluster.NodeClientCAFile())
	if err != nil {
		t.Fatal(err)
	}
	files, err := cluster.ServerCert("node")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		t.Fatal(err)
	}
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM(pem)
	return &tls.Config{ClientCAs: clients, Certificates: []tls.Certificate{pair}}
}

func (r *rig) start() {
	agent, err := processnode.New(r.opts)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.stop, r.stopped = cancel, make(chan error, 1)
	go func() { r.stopped <- agent.Run(ctx) }()
}

func (r *rig) halt() {
	r.stop()
	if err := <-r.stopped; err != nil {
		r.t.Errorf("agent: %v", err)
	}
	r.stopped <- nil // halt may be called again
}

// TestAgent runs one agent after the other at one real API server.
func TestAgent(t *testing.T) {
	c := ownCluster(t)
	t.Run("lifecycle", func(t *testing.T) { nodetest.Lifecycle(t, newRig(t, c, nil).env) })
	t.Run("execution", func(t *testing.T) { nodetest.Execution(t, newRig(t, c, nil).env) })
}
