// Package kubelettest gives tests a cluster with one real node.
//
// It is for tests only. Invariant: with the test's end all of it has ended, without a process, a mount or a control
// group left over, or the test fails.
package kubelettest

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/skein-project/skein/deploy/local/cluster"
	"github.com/skein-project/skein/deploy/local/image"
	"github.com/skein-project/skein/deploy/local/kubelet"
	"github.com/skein-project/skein/deploy/local/namespace"
	"github.com/skein-project/skein/deploy/local/namespace/namespacetest"
	"github.com/skein-project/skein/deploy/local/ports"
	"github.com/skein-project/skein/deploy/local/proc"
	"github.com/skein-project/skein/deploy/local/tools"
)

// NodeName is the name of the node.
const NodeName = "east-node"

// Inside starts the test again in a network of its own, once all that needs the world is there, and returns false; in
// there, it returns true.
func Inside(t *testing.T) bool {
	t.Helper()
	if testing.Short() {
		t.Skip("runs a real cluster")
	}
	return namespacetest.Rerun(t, namespace.Options{Network: true}, func() {
		log := func(text string) { t.Log(text) }
		if _, err := tools.Ensure(t.Context(), log); err != nil {
			t.Fatal(err)
		}
		if _, err := tools.EnsureNode(t.Context(), log); err != nil {
			t.Fatal(err)
		}
		if err := kubelet.Ensure(t.Context(), log); err != nil {
			t.Fatal(err)
		}
	})
}

// Rig is a cluster with one real node.
type Rig struct {
	// Dir holds everything.
	Dir     string
	Cluster *cluster.Cluster
	Node    *kubelet.Node
	// Client speaks to the cluster as its administrator.
	Client kubernetes.Interface

	group *proc.Group
}

// Start starts a rig, with options as change leaves them (nil: as they are), and stops it after the test.
func Start(t *testing.T, change func(*kubelet.Options)) *Rig {
	t.Helper()
	dir, err := os.MkdirTemp("/var/tmp", "skein-kubelet-") // short, for sockets
	if err != nil {
		t.Fatal(err)
	}
	r := &Rig{Dir: dir, group: proc.NewGroup(dir, slog.New(slog.DiscardHandler))}
	t.Cleanup(func() { r.stop(t) })
	log := func(text string) { t.Log(text) }
	built, err := tools.Ensure(t.Context(), log)
	if err != nil {
		t.Fatal(err)
	}
	nodes, err := tools.EnsureNode(t.Context(), log)
	if err != nil {
		t.Fatal(err)
	}
	free, err := ports.Free(5)
	if err != nil {
		t.Fatal(err)
	}
	r.Cluster, err = cluster.Start(t.Context(), r.group, cluster.Options{Name: "east", Dir: filepath.Join(dir, "c"), Tools: built,
		EtcdPort: free[0], EtcdPeerPort: free[1], APIPort: free[2], Controllers: true})
	if err != nil {
		t.Fatal(err)
	}
	o := kubelet.Options{Cluster: r.Cluster, Name: NodeName, Dir: filepath.Join(dir, "n"), Number: 1, Port: free[3], HealthPort: free[4],
		Tools: nodes, Images: images(t), Log: log}
	if change != nil {
		change(&o)
	}
	began := time.Now()
	if r.Node, err = kubelet.Start(t.Context(), r.group, o); err != nil {
		t.Fatal(err)
	}
	t.Logf("node ready in %s", time.Since(began).Round(10*time.Millisecond))
	config, err := r.Cluster.RESTConfig()
	if err != nil {
		t.Fatal(err)
	}
	config.QPS, config.Burst = 200, 400
	if r.Client, err = kubernetes.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	return r
}

// images are a pause image and one with a shell.
func images(t *testing.T) []*image.Image {
	t.Helper()
	root, err := tools.CacheRoot()
	if err != nil {
		t.Fatal(err)
	}
	cache := filepath.Join(root, "image")
	pause, err := image.Pause(t.Context(), cache)
	if err != nil {
		t.Fatal(err)
	}
	task, err := image.Task(t.Context(), image.TaskOptions{Cache: cache, Work: cache})
	if err != nil {
		t.Fatal(err)
	}
	return []*image.Image{pause, task}
}

// stop stops everything and sees that nothing is left of it.
func (r *Rig) stop(t *testing.T) {
	ctx := context.Background()
	if r.Node != nil {
		if err := r.Node.Stop(ctx); err != nil {
			t.Error(err)
		}
	}
	if err := r.group.Stop(ctx); err != nil {
		t.Error(err)
	}
	if left, err := proc.Leftovers(r.Dir); err != nil || len(left) > 0 {
		t.Errorf("left over: %q, %v", left, err)
	}
	if t.Failed() && os.Getenv("SKEIN_KEEP_STATE") != "" {
		t.Logf("state is kept in %s", r.Dir)
		return
	}
	if err := os.RemoveAll(r.Dir); err != nil {
		t.Errorf("the folder cannot be removed, so something is mounted or running: %v", err)
	}
}
