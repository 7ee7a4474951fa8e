// Package local runs a whole federation on this machine: a database, replicas
// of the control plane behind a front door, and clusters with a propeller and
// a node each, all of real parts; only what a simulated node runs is not.
//
// It starts, restarts and stops processes; it does not know what runs on them,
// and it is not for production. `skein demo` and the end-to-end tests use it.
// Invariant: what it started ends with it, and everything is in one state
// folder and found there again at the next start.
package local

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/deploy/local/cluster"
)

// Cluster is one data plane that is to be there.
type Cluster struct {
	Name   string
	Labels map[string]string
	Taints []string // key=value:Effect
}

// Kinds of nodes: what becomes of pods.
const (
	ProcessNodes   = "process"   // they run as plain processes of this machine
	SimulatedNodes = "simulated" // they end by rule and nothing runs; for benches
	KubeletNodes   = "kubelet"   // they run in containers under the real kubelet; in a network namespace only
)

// Kinds of object stores.
const (
	FolderStore = "folder" // one folder of this machine
	S3Store     = "s3"     // a bucket of an S3 server that runs here
)

// What Start takes as Options.Nodes and Options.ObjectStore; the first of each
// is the default.
var (
	NodeKinds  = []string{ProcessNodes, SimulatedNodes, KubeletNodes}
	StoreKinds = []string{FolderStore, S3Store}
)

// Options say what to start. Zero ports are chosen and remembered.
type Options struct {
	State  string // folder for everything
	BinDir string // where skein, skein-admin and skein-propeller are
	// Bins are other folders for some parts, by name: "admin-0", "c1/propeller".
	Bins     map[string]string
	VenvBin  string // Python for tasks; may be empty
	Replicas int
	Clusters []Cluster
	GRPCPort int // front door of Flyte's gRPC API
	HTTPPort int // front door of the REST gateway and uploads
	APIPort  int // front door of Skein's own API
	Traces   string
	Nodes    string        // one of NodeKinds
	Lease    time.Duration // zero: the default
	Suspect  time.Duration // without a heartbeat for so long, a cluster gets nothing new; zero: the default
	Pods     int           // that a simulated node takes at once; zero: the default
	Startup  time.Duration // of pods on simulated nodes, from their creation on
	NoSync   bool          // the database may lose data if the machine crashes
	// Supervise starts again what ends without having been asked to.
	Supervise bool
	Progress  func(string) // told what is under way; may be nil
	Log       *slog.Logger

	// ObjectStore is one of StoreKinds.
	ObjectStore string
	// StoreFront puts something before the S3 server: given the server's URL,
	// it returns the one that everything else is told. It may be nil.
	StoreFront func(endpoint string) (string, error)

	// Link puts something before a connection between two processes: given the
	// link's name and the address that it leads to, it returns the one to dial. It
	// may be nil. The names: CLUSTER/hub-REPLICA, CLUSTER/api (the propeller's),
	// REPLICA/database, REPLICA/peer-REPLICA, and raft/REPLICA (of all others).
	Link func(name, address string) (string, error)

	// APIFront puts something before a cluster's API server for its propeller
	// alone, which is known by its kubeconfig: it returns the URL that the
	// propeller is told, behind which it must show a certificate of the cluster's
	// authority. It may be nil. A link to it is one to what APIFront returns.
	APIFront func(server *cluster.Cluster, kubeconfig string) (string, error)

	// Env is added to the environment of every process, such as
	// SKEIN_ADMIN_TELEMETRY_LEVEL=debug.
	Env []string

	// APIServerArgs are appended to the flags of every kube-apiserver.
	APIServerArgs []string
	// APIServerGC is the GOGC of every kube-apiserver; zero: Go's default.
	APIServerGC int
}

// ThreeRegions are the clusters of the demo.
func ThreeRegions() []Cluster {
	return []Cluster{
		{Name: "eu-1", Labels: map[string]string{"region": "eu-west", "tier": "standard"}},
		{Name: "us-1", Labels: map[string]string{"region": "us-east", "tier": "standard"}},
		{Name: "ap-1", Labels: map[string]string{"region": "ap-south", "tier": "spot"}},
	}
}

func (o *Options) defaults() {
	if o.Replicas == 0 {
		o.Replicas = 3
	}
	if o.Clusters == nil {
		o.Clusters = ThreeRegions()
	}
	if o.Nodes == "" {
		o.Nodes = NodeKinds[0]
	}
	if o.ObjectStore == "" {
		o.ObjectStore = StoreKinds[0]
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	if o.BinDir == "" {
		if exe, err := os.Executable(); err == nil {
			o.BinDir = filepath.Dir(exe)
		}
	}
}

// check refuses a kind that Start does not know, before anything is started.
func (o *Options) check() error {
	for _, kind := range []struct {
		flag, got string
		known     []string
	}{{"--nodes", o.Nodes, NodeKinds}, {"--object-store", o.ObjectStore, StoreKinds}} {
		if !slices.Contains(kind.known, kind.got) {
			return fault.Field(kind.flag, "want %s, got %q", strings.Join(kind.known, " or "), kind.got)
		}
	}
	if o.Nodes == KubeletNodes && o.ObjectStore == S3Store {
		return fault.Field("--object-store", "containers of %s nodes do not reach an S3 server on 127.0.0.1: want %s", KubeletNodes, FolderStore)
	}
	return nil
}
