package assemble

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/go-logr/logr"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/cmd/internal/config"
	"github.com/skein-project/skein/cmd/internal/telemetry"
	"github.com/skein-project/skein/cmd/internal/version"
	"github.com/skein-project/skein/federation/member"
	"github.com/skein-project/skein/plugins/blob"
	"github.com/skein-project/skein/propeller"
)

// wakeTime bounds one look at all executions after the gate has opened.
const wakeTime = 30 * time.Second

// Propeller is one propeller process: the engine of its cluster, and the
// cluster's end of the road.
type Propeller struct {
	cfg    config.Propeller
	engine *propeller.Propeller
	member *member.Member
}

// NewPropeller makes the engine and the member. It contacts the cluster's API
// server, and nothing else.
func NewPropeller(ctx context.Context, cfg config.Propeller, log *slog.Logger, registry *prometheus.Registry) (*Propeller, error) {
	ctrllog.SetLogger(logr.FromSlogHandler(log.Handler()))
	kube, err := kubeConfig(cfg.Kubeconfig)
	if err != nil {
		return nil, err
	}
	blobs, err := blob.Open(ctx, objects(cfg.ObjectStore, ""))
	if err != nil {
		return nil, err
	}
	p, gate := &Propeller{cfg: cfg}, &gate{}
	c := propeller.Default()
	c.Workers, c.QPS, c.Burst, c.CRTTL = cfg.Workers, float32(cfg.QPS), cfg.Burst, cfg.Retention.Duration
	c.StrictGrace = cfg.StrictGrace.Duration
	p.engine, err = propeller.New(propeller.Options{
		Config: c, RESTConfig: kube, Cluster: cfg.Cluster, Blobs: blob.Within(patience(cfg.ObjectStore), blobs), Gate: gate, Log: log, Plugins: builtins(cfg),
	})
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "start the engine of cluster %s", cfg.Cluster)
	}
	if err := p.newMember(ctx, kube, storeName(blobs, log), log, registry); err != nil {
		return nil, err
	}
	gate.member.Store(p.member)
	return p, nil
}

func (p *Propeller) newMember(ctx context.Context, kube *rest.Config, store string, log *slog.Logger, registry *prometheus.Registry) error {
	bundle, err := os.ReadFile(p.cfg.CA)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "ca")
	}
	logs, err := kubernetes.NewForConfig(kube)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "kubeconfig")
	}
	p.member, err = member.New(member.Options{
		Client: p.engine.Client(), Reader: p.engine.Reader(), Cache: p.engine.Cache(), Kube: logs,
		Hubs: p.cfg.Hubs, CA: bundle, StateDir: p.cfg.State, JoinToken: p.cfg.JoinToken.Reveal(), Instance: p.cfg.Instance,
		TaskTypes: p.engine.TaskTypes(), Version: version.Number, Store: store, Log: log, Registerer: registry,
		OnOpen: func([]types.NamespacedName) {
			ctx, cancel := context.WithTimeout(ctx, wakeTime)
			defer cancel()
			if err := p.engine.Wake(ctx); err != nil && !errors.Is(err, context.Canceled) {
				log.Warn("executions were not looked at after the gate had opened", "error", err)
			}
		},
	})
	return err
}

// Run drives until ctx ends or a part fails.
func (p *Propeller) Run(ctx context.Context, ops *telemetry.Ops) error {
	// The process's own figures are in our registry already.
	ctrlmetrics.Registry.Unregister(collectors.NewGoCollector())
	ctrlmetrics.Registry.Unregister(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	ops.Gather(ctrlmetrics.Registry)
	ops.Check("cache", func(ctx context.Context) error {
		if !p.engine.Cache().WaitForCacheSync(ctx) {
			return errors.New("the cluster's objects are not read yet")
		}
		return nil
	})
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return ops.Run(ctx, p.cfg.Ops.Listen) })
	group.Go(func() error { return p.engine.Run(ctx) })
	group.Go(func() error {
		// The member reads nodes and its first workflows from the cache.
		if !p.engine.Cache().WaitForCacheSync(ctx) {
			return ctx.Err()
		}
		return p.member.Run(ctx)
	})
	return group.Wait()
}

// gate asks the member, which is made after the engine that asks.
type gate struct{ member atomic.Pointer[member.Member] }

// MayStart reports whether work may be started now, and until when.
func (g *gate) MayStart(id flow.ExecutionID, epoch flow.Epoch) (time.Time, string, bool) {
	if m := g.member.Load(); m != nil {
		return m.MayStart(id, epoch)
	}
	return time.Time{}, "this propeller is starting", false
}

// MustStop reports by when strict work must have ended; see member.MustStop.
func (g *gate) MustStop(id flow.ExecutionID, epoch flow.Epoch) (time.Time, bool) {
	if m := g.member.Load(); m != nil {
		return m.MustStop(id, epoch)
	}
	return time.Time{}, false // nothing is driven before the member is there
}

// Incarnation is the cluster's; zero while it is not known.
func (g *gate) Incarnation() uint64 {
	if m := g.member.Load(); m != nil {
		return m.Incarnation()
	}
	return 0
}

func kubeConfig(path string) (*rest.Config, error) {
	if path == "" {
		c, err := rest.InClusterConfig()
		return c, fault.Wrap(fault.Invalid, err, "kubeconfig is not set, and this is no pod")
	}
	c, err := clientcmd.BuildConfigFromFlags("", path)
	return c, fault.Wrap(fault.Invalid, err, "kubeconfig")
}
