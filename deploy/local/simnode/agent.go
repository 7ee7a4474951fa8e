// Package simnode is the "simulated" node agent: on a bare API server, with no
// scheduler, controller manager or kubelet, it makes a Node, binds the pods that
// fit on it, and completes them by rule. It runs nothing.
//
// It is for benches, chaos and scale. It writes no outputs: a task that declares
// some fails with it, unless Options.Outputs writes them. There are no logs. Like
// processnode it refuses an API server that is not on a loopback address, since
// it takes every pod that it finds.
//
// A pod costs two writes, its binding and its end; one more if its rule has a
// delay (it is then seen running), and one to delete it when that is asked for.
//
// Invariants: a pod's phase never leaves Succeeded or Failed; what the pods that
// are assigned and have not ended ask for is at most the capacity; one worker at
// a time writes about one pod.
package simnode

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/workqueue"

	"github.com/skein-project/skein/deploy/local/node"
)

const (
	defaultWorkers = 32
	retryFirst     = 50 * time.Millisecond
	retryLongest   = 5 * time.Second
)

// Options say which cluster the agent serves, what its node is like and what
// becomes of pods.
type Options struct {
	// RESTConfig leads to the API server, whose host must be loopback. It is
	// copied, and the copy has no rate limit and speaks protobuf.
	RESTConfig *rest.Config
	// NodeName names the Node object.
	NodeName string
	// Capacity is what the node declares; by default 16 CPU, 32Gi and 200 pods.
	Capacity corev1.ResourceList
	// Startup is how long after its creation a pod is bound and begins to run, as
	// schedulers, sandboxes and images take their time in real clusters. By default
	// it is at once. Creation times have whole seconds.
	Startup time.Duration
	// Rule is what becomes of a pod whose annotations say nothing: by default it
	// succeeds at once.
	Rule Rule
	// Outputs, if set, is called before a pod is reported as succeeded, to leave
	// what a program would have left. It may be called again for the same pod.
	Outputs func(ctx context.Context, pod *corev1.Pod) error
	// Workers is how many pods are written about at once (default: 32).
	Workers int
	// Log takes the agent's own log (default: slog.Default()).
	Log *slog.Logger
}

// Agent is one node of one cluster.
type Agent struct {
	opts   Options
	log    *slog.Logger
	client kubernetes.Interface
	// queue holds pods about which something is to be written; the empty key
	// stands for all pods that wait for room.
	queue workqueue.TypedRateLimitingInterface[types.UID]

	mu      sync.Mutex
	node    *corev1.Node
	used    corev1.ResourceList
	pods    map[types.UID]*pod
	waiting []types.UID // oldest first; pods that have left are dropped at the next look
}

// room is the key under which pods that wait for room are looked at.
const room = types.UID("")

// New checks the options and makes the client. It does not talk to the API
// server.
func New(opts Options) (*Agent, error) {
	var problems []error
	if opts.NodeName == "" {
		problems = append(problems, errors.New("no node name"))
	}
	if opts.RESTConfig == nil {
		problems = append(problems, errors.New("no API server"))
	} else if err := node.RequireLoopback(opts.RESTConfig); err != nil {
		problems = append(problems, err)
	}
	if opts.Startup < 0 {
		problems = append(problems, fmt.Errorf("startup %s is below 0", opts.Startup))
	}
	if err := errors.Join(append(problems, opts.Rule.check())...); err != nil {
		return nil, fmt.Errorf("simulated node agent: %w", err)
	}
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	if opts.Workers <= 0 {
		opts.Workers = defaultWorkers
	}
	opts.Capacity = node.Capacity(opts.Capacity)
	opts.RESTConfig = rest.CopyConfig(opts.RESTConfig)
	opts.RESTConfig.QPS, opts.RESTConfig.RateLimiter = -1, nil
	opts.RESTConfig.ContentType = "application/vnd.kubernetes.protobuf"
	opts.RESTConfig.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	client, err := kubernetes.NewForConfig(opts.RESTConfig)
	if err != nil {
		return nil, fmt.Errorf("make client: %w", err)
	}
	return &Agent{
		opts: opts, log: opts.Log.With("node", opts.NodeName), client: client,
		queue: workqueue.NewTypedRateLimitingQueue(
			workqueue.NewTypedItemExponentialFailureRateLimiter[types.UID](retryFirst, retryLongest)),
		used: corev1.ResourceList{}, pods: map[types.UID]*pod{},
	}, nil
}

// Run serves until the context ends, however long the API server is away, marks
// the Node not ready and returns nil. It may be called once. The next agent of
// the same name fails the pods that were running.
func (a *Agent) Run(ctx context.Context) error {
	self := node.New(node.Options{
		Client: a.client, Name: a.opts.NodeName, Kind: "simulated", Message: "the simulated node agent runs; no pod does",
		Capacity: a.opts.Capacity, Log: a.log,
	})
	if !self.Register(ctx) {
		return nil
	}
	a.log.Info("simulated node serves", "workers", a.opts.Workers)
	var loops sync.WaitGroup
	loops.Go(func() { self.Heartbeat(ctx) })
	a.watch(ctx, &loops)
	for range a.opts.Workers {
		loops.Go(func() { a.work(ctx) })
	}
	<-ctx.Done()
	a.queue.ShutDown()
	loops.Wait()
	self.Leave(context.WithoutCancel(ctx))
	return nil
}

// work takes one pod after the other.
func (a *Agent) work(ctx context.Context) {
	for {
		uid, stop := a.queue.Get()
		if stop {
			return
		}
		if uid == room {
			a.placeWaiting()
			a.queue.Done(uid)
			continue
		}
		again, err := a.step(ctx, uid)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			a.log.Warn("pod not moved on", "uid", uid, "error", err)
			a.queue.AddRateLimited(uid)
		default:
			a.queue.Forget(uid)
			if again > 0 {
				a.queue.AddAfter(uid, again)
			}
		}
		a.queue.Done(uid)
	}
}
