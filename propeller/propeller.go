// Package propeller drives the FlyteWorkflows of one cluster to their end.
//
// It assembles the loop: controller wakes up, observe reads, workflow decides,
// act performs through plugins. It knows nothing of placements or of the
// control plane: what it may start is told by a Gate, and what it did stands
// in the status of the custom resources, for others to read.
//
// Invariant: it owns the status and the finalizer of FlyteWorkflows and never
// writes their spec.
package propeller

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/plugins"
	"github.com/skein-project/skein/plugins/pod"
	"github.com/skein-project/skein/propeller/act"
	"github.com/skein-project/skein/propeller/controller"
	"github.com/skein-project/skein/propeller/observe"
	"github.com/skein-project/skein/propeller/workflow"
)

// Blobs is the object store. A request that hangs should end by itself: it
// holds a worker (blob.Within).
type Blobs interface {
	observe.Blobs
	// Write puts a whole object, or none of it; it overwrites.
	Write(ctx context.Context, uri string, data []byte) error
}

// Config holds the propeller's numbers.
type Config struct {
	Workers     int           `json:"workers"`
	Parallel    int           `json:"parallel"` // actions of one execution at once
	QPS         float32       `json:"qps"`
	Burst       int           `json:"burst"`
	CRTTL       time.Duration `json:"crTTL"`       // of tombstones, once acked
	UnackedTTL  time.Duration `json:"unackedTTL"`  // of tombstones that were never acked
	Collect     time.Duration `json:"collect"`     // how often tombstones are looked for
	Timeout     time.Duration `json:"timeout"`     // of a write that no lease bounds
	StrictGrace time.Duration `json:"strictGrace"` // most that pods of strict executions get to end in
	MetricsAddr string        `json:"metricsAddr"` // "0": none
	Policy      workflow.Policy
}

// Default is the configuration for one cluster of ordinary size.
func Default() Config {
	return Config{Workers: 20, Parallel: 16, QPS: 200, Burst: 400, CRTTL: 24 * time.Hour, UnackedTTL: 7 * 24 * time.Hour,
		Collect: 10 * time.Minute, Timeout: 30 * time.Second, StrictGrace: 5 * time.Second, MetricsAddr: "0", Policy: workflow.DefaultPolicy()}
}

// Clients are what a plugin may need of the cluster.
type Clients struct {
	Client client.Client // reads from the cache
	Live   client.Reader // reads from the API server
}

// Options are what a propeller needs from outside.
type Options struct {
	Config     Config
	RESTConfig *rest.Config
	Cluster    string // name, for spans
	Blobs      Blobs
	Gate       controller.Gate // nil: everything may start
	Log        *slog.Logger
	// Plugins makes the plugins, in order of preference, and the one that runs
	// containers of task types that nobody claims.
	Plugins func(Clients) (all []plugins.Plugin, fallback plugins.Plugin)
	// Now is the wall clock; nil: time.Now.
	Now func() time.Time
}

// Propeller is a running, or not yet running, propeller.
type Propeller struct {
	mgr     ctrl.Manager
	plugins observe.Plugins
	wake    chan event.GenericEvent
}

// New assembles a propeller. It contacts the API server.
func New(o Options) (*Propeller, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Gate == nil {
		o.Gate = controller.Open{}
	}
	mgr, err := manager(o)
	if err != nil {
		return nil, fmt.Errorf("make the manager: %w", err)
	}
	if err := pod.Index(context.Background(), mgr.GetFieldIndexer()); err != nil {
		return nil, fmt.Errorf("index pods: %w", err)
	}
	all, fallback := o.Plugins(Clients{Client: mgr.GetClient(), Live: mgr.GetAPIReader()})
	p := &Propeller{mgr: mgr, plugins: observe.NewPlugins(fallback, all...), wake: make(chan event.GenericEvent, 1024)}
	r := &controller.Reconciler{
		Client:   mgr.GetClient(),
		Observer: observe.New(observe.Options{Plugins: p.plugins, Blobs: o.Blobs, Policy: o.Config.Policy}),
		Actor: act.New(act.Options{Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Plugins: p.plugins, Blobs: o.Blobs, Cluster: o.Cluster,
			Log: o.Log, Parallel: o.Config.Parallel, MayStart: o.Gate.MayStart, Late: controller.CountLate}),
		Gate: o.Gate, Log: o.Log, Now: o.Now, Timeout: o.Config.Timeout, Grace: o.Config.StrictGrace,
	}
	if err := r.Setup(mgr, o.Config.Workers, p.wake); err != nil {
		return nil, fmt.Errorf("set up the controller: %w", err)
	}
	err = mgr.Add(&controller.Collector{Client: mgr.GetClient(), TTL: o.Config.CRTTL, Unacked: o.Config.UnackedTTL,
		Every: o.Config.Collect, Now: o.Now, Log: o.Log})
	if err != nil {
		return nil, fmt.Errorf("set up the collector: %w", err)
	}
	return p, nil
}

// Run drives until the context ends.
func (p *Propeller) Run(ctx context.Context) error { return p.mgr.Start(ctx) }

// Client reads from the cache and writes to the API server.
func (p *Propeller) Client() client.Client { return p.mgr.GetClient() }

// Reader reads from the API server itself.
func (p *Propeller) Reader() client.Reader { return p.mgr.GetAPIReader() }

// Cache tells of changed objects.
func (p *Propeller) Cache() cache.Cache { return p.mgr.GetCache() }

// TaskTypes are the task types that the cluster runs.
func (p *Propeller) TaskTypes() []string { return p.plugins.TaskTypes() }

// Wake looks again at every execution that has not ended. The gate's owner
// calls it when the gate opens.
func (p *Propeller) Wake(ctx context.Context) error {
	if !p.mgr.GetCache().WaitForCacheSync(ctx) {
		return ctx.Err()
	}
	var list v1alpha1.FlyteWorkflowList
	if err := p.mgr.GetClient().List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("list executions: %w", err)
	}
	for i := range list.Items {
		wf := &list.Items[i]
		if workflow.Phase(wf.Status.Phase).Terminal() {
			continue
		}
		o := &v1alpha1.FlyteWorkflow{}
		o.Name, o.Namespace = wf.Name, wf.Namespace
		select {
		case p.wake <- event.GenericEvent{Object: o}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func manager(o Options) (ctrl.Manager, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	managed, err := labels.Parse(v1alpha1.LabelManaged)
	if err != nil {
		return nil, err
	}
	cfg := rest.CopyConfig(o.RESTConfig)
	cfg.QPS, cfg.Burst = o.Config.QPS, o.Config.Burst
	return ctrl.NewManager(cfg, ctrl.Options{
		Scheme:  scheme,
		Logger:  logr.FromSlogHandler(o.Log.Handler()),
		Metrics: server.Options{BindAddress: o.Config.MetricsAddr},
		Cache: cache.Options{
			DefaultTransform: cache.TransformStripManagedFields(),
			ByObject:         map[client.Object]cache.ByObject{&corev1.Pod{}: {Label: managed}},
		},
	})
}
