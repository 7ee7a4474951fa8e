package assemble

import (
	"context"
	"fmt"
	"log/slog"
	"path"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/cmd/internal/client"
	"github.com/skein-project/skein/cmd/internal/config"
	"github.com/skein-project/skein/cmd/internal/telemetry"
	"github.com/skein-project/skein/deploy/install"
	"github.com/skein-project/skein/federation/capi"
)

// CAPI is one skein-capi process: what makes data planes of others' clusters.
type CAPI struct {
	cfg     config.CAPI
	conn    *grpc.ClientConn
	manager ctrl.Manager // nil: no management cluster is watched
	list    *capi.List   // also if it is empty: the last entry may have left it
}

// NewCAPI makes the controllers. It contacts the management cluster's API
// server, and nothing else.
func NewCAPI(_ context.Context, cfg config.CAPI, log *slog.Logger, _ *prometheus.Registry) (*CAPI, error) {
	ctrllog.SetLogger(logr.FromSlogHandler(log.Handler()))
	p := cfg.ControlPlane
	conn, err := client.Config{Skein: p.Address, CA: p.CA, ServerName: p.ServerName, TokenFile: p.TokenFile}.DialSkein()
	if err != nil {
		return nil, err
	}
	c := &CAPI{cfg: cfg, conn: conn}
	if err := c.controllers(log); err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

func (c *CAPI) controllers(log *slog.Logger) error {
	base, err := propellerBase(c.cfg.Member)
	if err != nil {
		return err
	}
	d := c.cfg.Drain
	options := capi.Options{
		Name: c.cfg.Name, Selector: c.cfg.Management.Selector, AtDeadline: capi.AtDeadline(d.AtDeadline), Log: log,
		Registry: newRegistry(c.conn, c.cfg.Member.Hubs),
		Install:  capi.Apply{Objects: func(j capi.Join) ([]*unstructured.Unstructured, error) { return memberObjects(c.cfg.Member, base, j) }},
		Rules:    capi.Rules{Copy: c.cfg.Rules.Copy, Rename: c.cfg.Rules.Rename, Set: c.cfg.Rules.Set, FailureDomains: c.cfg.Rules.FailureDomains},
		Drain:    capi.Drain{Budget: int32(d.Budget), Grace: d.Grace.Duration, Deadline: d.Deadline.Duration},
	}
	var entries []capi.Entry
	for _, e := range c.cfg.Clusters {
		entries = append(entries, capi.Entry{Name: e.Name, Kubeconfig: e.Kubeconfig, Labels: e.Labels})
	}
	plain := options
	plain.Name += ".list" // so that it takes no Cluster for an entry that has left the list
	if c.list, err = capi.NewList(entries, plain); err != nil {
		return err
	}
	if !c.cfg.Management.Watch {
		return nil
	}
	return c.watch(options)
}

func (c *CAPI) watch(o capi.Options) error {
	kube, err := kubeConfig(c.cfg.Management.Kubeconfig)
	if err != nil {
		return err
	}
	scheme := runtime.NewScheme()
	if err := capi.AddToScheme(scheme); err != nil {
		return err
	}
	options := ctrl.Options{Scheme: scheme, Metrics: metricsserver.Options{BindAddress: "0"}}
	if ns := c.cfg.Management.Namespace; ns != "" {
		options.Cache.DefaultNamespaces = map[string]cache.Config{ns: {}}
	}
	if c.manager, err = ctrl.NewManager(kube, options); err != nil {
		return fault.Wrap(fault.Unavailable, err, "reach the management cluster")
	}
	controller, err := capi.New(c.manager.GetClient(), c.manager.GetAPIReader(), o)
	if err != nil {
		return err
	}
	return controller.SetUp(c.manager)
}

// Run works until ctx ends.
func (c *CAPI) Run(ctx context.Context, ops *telemetry.Ops) error {
	defer c.conn.Close()
	ops.Gather(ctrlmetrics.Registry)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return ops.Run(ctx, c.cfg.Ops.Listen) })
	if c.manager != nil {
		group.Go(func() error { return c.manager.Start(ctx) })
	}
	group.Go(func() error { return c.list.Run(ctx) })
	return group.Wait()
}

// propellerBase reads what all members' configurations have in common.
func propellerBase(m config.MemberOf) (config.Propeller, error) {
	base := config.DefaultPropeller()
	if err := config.Load(&base, config.Source{File: m.Config, Partial: true}); err != nil {
		return base, fmt.Errorf("member.config: %w", err)
	}
	base.Hubs, base.State, base.CA = m.Hubs, install.StateFolder, install.CAFile
	base.Ops.Listen = "0.0.0.0:10255" // the pod's own address: probes and scrapes come from outside it
	return base, nil
}

func memberObjects(m config.MemberOf, base config.Propeller, j capi.Join) ([]*unstructured.Unstructured, error) {
	base.Cluster, base.Instance = j.Cluster, "by-environment"
	if err := base.Validate(); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "member.config %s", path.Base(m.Config))
	}
	base.Instance = ""
	raw, err := config.Encode(&base)
	if err != nil {
		return nil, err
	}
	objects, err := install.Objects(install.Member{Cluster: j.Cluster, Image: m.Image, Config: raw, CA: j.CA, Token: j.Token, StorageClass: m.StorageClass})
	if err != nil {
		return nil, err
	}
	return objects, restarts(objects, j)
}

// restarts makes a member that runs already read its new token: its environment
// is read when a pod starts, and a pod starts when its template changes.
func restarts(objects []*unstructured.Unstructured, j capi.Join) error {
	for _, o := range objects {
		if o.GetKind() != "StatefulSet" {
			continue
		}
		if err := unstructured.SetNestedField(o.Object, j.Expires.UTC().Format(time.RFC3339),
			"spec", "template", "metadata", "annotations", capi.AnnotationToken); err != nil {
			return fmt.Errorf("annotate the member's pods: %w", err)
		}
	}
	return nil
}
