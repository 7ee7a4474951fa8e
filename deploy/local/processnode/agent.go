// Package processnode is the "process" node agent: on a bare API server, with no
// scheduler, controller manager or kubelet, it makes a Node, binds the pods that
// fit on it, and acts as their kubelet by running their containers as plain
// processes of this machine, without root and without a container runtime.
//
// It is for development only. It isolates nothing: images are ignored (the first
// line of each container's log says so), limits are not enforced, all pods share
// one network and one file system. So it refuses an API server that is not on a
// loopback address. It also leaves out what needs a runtime or a network of
// pods: probes but exec start-up probes (a running container is ready), lifecycle hooks, exec and attach,
// image pulls, OOM kills, evictions, service variables, volumes that need a
// provisioner. It is no part of a cluster that people rely on.
//
// A pod goes this way; only a pod's own goroutine (pod.go, run.go) moves it:
//
//	Pending, unbound ── fits ──▶ bound ── volumes made, a place at the gate ──▶
//	init containers, side-cars ──▶ main containers ──▶ side-cars TERMed ──▶
//	Succeeded | Failed ── deletion asked for ──▶ object deleted, folder removed
//
// Invariants: a pod's phase never leaves Succeeded or Failed; a pod is reported
// ended only when none of its processes is alive; no process outlives the agent;
// at most MaxRunning pods have processes at a time; nothing outside Dir and the
// object store's folder is written.
package processnode

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/skein-project/skein/deploy/local/node"
	"github.com/skein-project/skein/deploy/local/processnode/container"
	"github.com/skein-project/skein/deploy/local/processnode/gate"
)

// Agent is one node of one cluster.
type Agent struct {
	opts   Options
	log    *slog.Logger
	client kubernetes.Interface
	build  *container.Builder
	gate   *gate.Gate
	// nudge asks the binder for a round; one waiting request is enough.
	nudge chan struct{}

	mu   sync.Mutex
	runs map[types.UID]*run
	// work counts the goroutines of pods.
	work sync.WaitGroup
}

// New checks the options (all problems at once), makes the agent's folder and
// the client. It does not talk to the API server.
func New(opts Options) (*Agent, error) {
	opts, err := opts.complete()
	if err != nil {
		return nil, err
	}
	client, err := kubernetes.NewForConfig(opts.RESTConfig)
	if err != nil {
		return nil, fmt.Errorf("make client: %w", err)
	}
	return &Agent{
		opts: opts, log: opts.Log, client: client,
		build: &container.Builder{
			BinDirs: opts.BinDirs, VenvBin: opts.VenvBin, StorePrefix: opts.StorePrefix, Root: opts.Dir,
			Capacity: opts.Capacity, Source: source{client: client, config: opts.RESTConfig},
		},
		gate:  gate.New(opts.MaxRunning),
		nudge: make(chan struct{}, 1),
		runs:  map[types.UID]*run{},
	}, nil
}

// Run serves until the context ends, however long the API server is away, and
// returns nil then, after it has killed
// all containers and marked the Node not ready. It writes nothing about the
// pods that it killed: the next agent of the same folder fails them. Run may be
// called once.
func (a *Agent) Run(ctx context.Context) error {
	unlock, err := a.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if n := a.killLeftovers(); n > 0 {
		a.log.Info("killed processes of an earlier agent", "count", n)
	}
	server, err := newLogServer(a)
	if err != nil {
		return err
	}
	defer server.close()
	self := node.New(node.Options{
		Client: a.client, Name: a.opts.NodeName, Kind: "process", Message: "the process node agent runs; it isolates nothing",
		Port: server.port(), Capacity: a.opts.Capacity, Labels: a.opts.Labels, Log: a.log,
	})
	if !self.Register(ctx) {
		return nil
	}
	a.log.Info("process node serves", "folder", a.opts.Dir, "running_at_most", a.opts.MaxRunning)
	var loops sync.WaitGroup
	loops.Go(func() { self.Heartbeat(ctx) })
	loops.Go(server.serve)
	a.watch(ctx, &loops)
	<-ctx.Done()
	server.close()
	loops.Wait()
	a.shutdown()
	self.Leave(context.WithoutCancel(ctx))
	return nil
}

// watch starts what follows the cluster's pods and our Node.
func (a *Agent) watch(ctx context.Context, loops *sync.WaitGroup) {
	rc := a.client.CoreV1().RESTClient()
	nodes := cache.NewSharedInformer(cache.NewListWatchFromClient(rc, "nodes", "",
		fields.OneTermEqualSelector("metadata.name", a.opts.NodeName)), &corev1.Node{}, 0)
	pods := cache.NewSharedInformer(cache.NewListWatchFromClient(rc, "pods", "", fields.Everything()), &corev1.Pod{}, 0)
	_ = pods.SetTransform(dropManagedFields) // errors of both: only after the start
	_, _ = nodes.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { a.nudgeNow() },
		UpdateFunc: func(any, any) { a.nudgeNow() },
	})
	_, _ = pods.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(obj any) { a.observe(ctx, obj.(*corev1.Pod)) },
		UpdateFunc: func(before, obj any) {
			// After a break of the watch, another pod may have taken the name.
			if old, pod := before.(*corev1.Pod), obj.(*corev1.Pod); old.UID != pod.UID {
				a.forget(old)
			}
			a.observe(ctx, obj.(*corev1.Pod))
		},
		DeleteFunc: a.forget,
	})
	loops.Go(func() { nodes.Run(ctx.Done()) })
	loops.Go(func() { pods.Run(ctx.Done()) })
	b := &binder{agent: a, pods: pods.GetStore(), nodes: nodes.GetStore(),
		assumed: map[types.UID]*corev1.Pod{}, told: map[types.UID]string{}}
	loops.Go(func() {
		if cache.WaitForCacheSync(ctx.Done(), pods.HasSynced, nodes.HasSynced) {
			a.removeStrangers(pods.GetStore())
			b.run(ctx)
		}
	})
}

func dropManagedFields(obj any) (any, error) {
	if pod, ok := obj.(*corev1.Pod); ok {
		pod.ManagedFields = nil
	}
	return obj, nil
}

// observe hands the newest form of a pod to its run, and starts the run of a
// new one.
func (a *Agent) observe(ctx context.Context, pod *corev1.Pod) {
	defer a.nudgeNow()
	if pod.Spec.NodeName != a.opts.NodeName || ctx.Err() != nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.runs[pod.UID]
	if r == nil {
		r = newRun(a, pod)
		a.runs[pod.UID] = r
		a.work.Go(r.main)
	}
	r.update(pod)
}

// forget kills what is left of a pod whose object is gone and removes its folder.
func (a *Agent) forget(obj any) {
	if unknown, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		obj = unknown.Obj
	}
	pod, ok := obj.(*corev1.Pod)
	if !ok {
		return
	}
	defer a.nudgeNow()
	a.mu.Lock()
	r := a.runs[pod.UID]
	delete(a.runs, pod.UID)
	a.mu.Unlock()
	if r == nil {
		return
	}
	r.stop(endGone, 0)
	a.work.Go(func() {
		<-r.finished
		a.removeFolder(pod)
	})
}

// shutdown kills all containers and waits for the pods' goroutines.
func (a *Agent) shutdown() {
	a.mu.Lock()
	for _, r := range a.runs {
		r.stop(endShutdown, 0)
	}
	a.mu.Unlock()
	a.work.Wait()
}

func (a *Agent) find(namespace, name string) *run {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range a.runs {
		if r.pod.Namespace == namespace && r.pod.Name == name {
			return r
		}
	}
	return nil
}

func (a *Agent) nudgeNow() {
	select {
	case a.nudge <- struct{}{}:
	default:
	}
}

func (a *Agent) nudgeAfter(d time.Duration) { time.AfterFunc(d, a.nudgeNow) }

// pause waits; it tells whether the context is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
