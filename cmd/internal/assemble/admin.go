// Package assemble builds each process out of the planes: it is the one place
// where they meet.
//
// It is plain constructor calls, readable top to bottom, and holds no rules of
// its own: what passes between planes goes through ports that the callers
// declare (ports.go asserts that each is filled). Invariant: what was opened is
// closed in reverse, on every path.
package assemble

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/skein-project/skein/admin/dataproxy"
	"github.com/skein-project/skein/admin/ingest"
	"github.com/skein-project/skein/admin/service"
	"github.com/skein-project/skein/admin/store"
	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/cmd/internal/config"
	"github.com/skein-project/skein/cmd/internal/telemetry"
	"github.com/skein-project/skein/cmd/internal/version"
	"github.com/skein-project/skein/federation/hub"
	"github.com/skein-project/skein/federation/identity"
	"github.com/skein-project/skein/federation/join"
	"github.com/skein-project/skein/plugins/blob"
	"github.com/skein-project/skein/scheduler"
	"github.com/skein-project/skein/scheduler/election"
)

// databasePatience is how long a starting replica waits for its database.
const databasePatience = 60 * time.Second

// Admin is one replica of the control plane.
type Admin struct {
	cfg      config.Admin
	log      *slog.Logger
	registry *prometheus.Registry
	closers  []func()

	id        string // of the control plane
	store     *store.Store
	objects   *blob.Store
	ca        *identity.CA
	cert      *replicaCert
	operator  *identity.OperatorToken
	desk      *join.Desk
	elector   *election.Elector
	remembers atomic.Pointer[election.Elector] // the same, for what is opened before it
	scheduler *scheduler.Scheduler
	peers     *peers
	hub       *hub.Hub
	service   *service.Service
	proxy     *dataproxy.Proxy
}

// NewAdmin opens everything that a replica needs; Run serves, Close closes.
// It waits for the database, and for another replica that migrates it.
func NewAdmin(ctx context.Context, cfg config.Admin, log *slog.Logger, registry *prometheus.Registry) (*Admin, error) {
	a := &Admin{cfg: cfg, log: log, registry: registry}
	for _, open := range []func(context.Context) error{a.openKeys, a.openStore, a.openScheduler, a.openHub, a.openService} {
		if err := open(ctx); err != nil {
			a.Close()
			return nil, err
		}
	}
	return a, nil
}

// Close gives back what NewAdmin opened. Run must have returned.
func (a *Admin) Close() {
	for i := len(a.closers) - 1; i >= 0; i-- {
		a.closers[i]()
	}
	a.closers = nil
}

func (a *Admin) openKeys(context.Context) error {
	var err error
	if a.ca, err = identity.OpenCA(a.cfg.Keys.CAKey, a.cfg.Keys.CACert, a.cfg.TrustDomain, time.Now()); err != nil {
		return err
	}
	a.cert = &replicaCert{ca: a.ca, replica: a.cfg.Replica, hosts: hosts(a.cfg)}
	if a.cert.source() == nil {
		return fault.E(fault.Internal, "no certificate could be made for replica %s", a.cfg.Replica)
	}
	a.operator, err = identity.OpenOperatorToken(a.cfg.Keys.OperatorToken)
	return err
}

func (a *Admin) openStore(ctx context.Context) error {
	config := store.Default()
	config.URL, config.MaxConnections, config.Registerer = a.cfg.Database.URL.Reveal(), int32(a.cfg.Database.MaxConns), a.registry
	config.Known = a.known
	config.IdleMin = min(config.IdleMin, config.MaxConnections)
	var err error
	if a.store, err = openWithPatience(ctx, config, a.log); err != nil {
		return err
	}
	a.closers = append(a.closers, a.store.Close)
	if err := a.store.Migrate(ctx, a.log); err != nil {
		return err
	}
	var projects []flow.Project
	for _, id := range a.cfg.Projects {
		projects = append(projects, flow.Project{ID: id, Name: id, CreatedAt: time.Now().UTC()})
	}
	if err := a.store.Seed(ctx, projects); err != nil {
		return err
	}
	a.objects, err = blob.Open(ctx, objects(a.cfg.ObjectStore, a.cfg.Flyte.PublicStoreURL))
	return err
}

// known is the highest fence that this replica remembers: none before it has
// opened its raft log.
func (a *Admin) known() flow.Fence {
	if e := a.remembers.Load(); e != nil {
		return e.Known()
	}
	return flow.Fence{}
}

// openWithPatience waits for a database that is not up yet: processes start in
// no order.
func openWithPatience(ctx context.Context, config store.Config, log *slog.Logger) (*store.Store, error) {
	deadline := time.Now().Add(databasePatience)
	for {
		s, err := store.Open(ctx, config)
		if err == nil || fault.Of(err) != fault.Unavailable || time.Now().After(deadline) {
			return s, err
		}
		log.InfoContext(ctx, "waiting for the database", "error", err.Error())
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(500 * time.Millisecond):
		}
	}
}

func (a *Admin) openScheduler(ctx context.Context) error {
	var err error
	if a.id, err = a.store.ControlPlaneID(ctx); err != nil {
		return err
	}
	var voters []election.Peer
	for _, p := range a.cfg.Peers {
		voters = append(voters, election.Peer{ID: p.ID, Addr: p.Raft})
	}
	a.elector, err = election.New(election.Options{
		ID: a.cfg.Replica, ControlPlaneID: a.id, Bind: a.cfg.Raft.Listen, Advertise: advertised(a.cfg), Peers: voters,
		Dir: filepath.Join(a.cfg.State, "raft"), Bootstrap: a.cfg.Raft.Bootstrap, Epochs: a.store,
		TLS:       identity.ReplicaTLS(a.cert.source, a.ca.Pool(), a.cfg.TrustDomain),
		Heartbeat: a.cfg.Raft.Heartbeat.Duration, Election: a.cfg.Raft.Election.Duration, Lease: a.cfg.Raft.Lease.Duration,
		Log: a.log, Registerer: a.registry,
	})
	if err != nil {
		return err
	}
	a.remembers.Store(a.elector)
	a.closers = append(a.closers, func() {
		if err := a.elector.Close(); err != nil {
			a.log.Warn("leave the election", "error", err)
		}
	})
	self := flow.Replica{ID: a.cfg.Replica, Address: advertised(a.cfg), RPC: reachable(a.cfg), Version: version.String()}
	a.peers = &peers{self: a.cfg.Replica, others: newPhonebook(self, a.cfg.Peers, a.store,
		identity.ClientTLS(a.cert.source, a.ca.Pool(), a.cfg.TrustDomain), a.log)}
	a.closers = append(a.closers, a.peers.close)
	a.scheduler, err = scheduler.New(clocks(a.cfg.Scheduler), scheduler.Deps{Elector: a.elector, Ledger: a.store, Fleet: a.store,
		Commit: a.store, Orders: a.store, Rebuild: a.store, Trim: a.store.Trim, Rounds: a.store.Rounds,
		Trouble: a.elector.Trouble, Begun: a.peers.Begun, Woken: a.peers.Wake,
		Log: a.log, Registerer: a.registry})
	a.peers.leader, a.peers.scheduler = a.elector.Leader, a.scheduler
	return err
}

// clocks is the scheduler's configuration.
func clocks(s config.Scheduling) scheduler.Config {
	c := scheduler.Default()
	c.Version, c.Timeout, c.Lease = version.Number, s.TransactionTimeout(), s.Lease.Duration
	c.Health.Suspect, c.Health.Margin = s.Suspect.Duration, s.Margin.Duration
	c.Limits.Moves, c.Limits.Preemptions, c.Limits.Starve = s.Moves, s.Preemptions, s.Starve.Duration
	if s.Preemptions == 0 {
		c.Limits.Preemptions = -1 // none, where 0 is the default
	}
	c.MoveBackOff, c.Keep, c.Rounds = s.MoveBackOff.Duration, s.Keep.Duration, s.Rounds
	if s.DefaultSelector != "" {
		c.Policy.DefaultSelector = s.DefaultSelector
	}
	return c
}

func (a *Admin) openHub(context.Context) error {
	a.desk = join.New(a.store, a.ca, a.cfg.Federation.Certificate.Duration, time.Now)
	a.hub = hub.New(hub.Options{
		Name: a.cfg.Replica, TrustDomain: a.cfg.TrustDomain, Desk: a.desk, Outbox: a.store, Sessions: a.store,
		Sink: ingest.New(a.store, a.log, a.registry), Leases: a.peers, Revocations: a.store, Rebuilder: rebuilder{a.store, a}, Known: a.known, Lease: a.cfg.Scheduler.Lease.Duration,
		Log: a.log, Registerer: a.registry,
	})
	a.peers.wake, a.peers.beat = a.hub.Wake, a.hub.Beat
	return nil
}

func (a *Admin) openService(context.Context) error {
	c := service.Default()
	c.Domains, c.Version = a.cfg.Domains, version.Number
	var err error
	if c.TaskDefaults, err = amount(a.cfg.Tasks.DefaultCPU, a.cfg.Tasks.DefaultMemory); err != nil {
		return err
	}
	if c.TaskLimits, err = amount(a.cfg.Tasks.LimitCPU, a.cfg.Tasks.LimitMemory); err != nil {
		return err
	}
	a.service = service.New(c, service.Deps{
		Entities: a.store, Named: a.store, Projects: a.store, Executions: a.store, Runs: a.store, Clusters: a.store,
		Decisions: a.store, Reserved: a.store, Objects: bounded{blob.Within(patience(a.cfg.ObjectStore), a.objects), a.objects.Root()}, Joiner: joiner{a.desk},
		Logs: logs{peers: a.peers, hub: a.hub, fleet: a.store}.read, Nudge: a.peers.Nudge, Log: a.log,
		Policies: a.store, Language: policyLanguage{}, Fleet: a.store, Audits: a.store, Histories: a.store, Rebuilds: a.store,
		Forecaster:   forecaster{config: clocks(a.cfg.Scheduler), ledger: a.store, fleet: a.store, rounds: a.store.Rounds},
		ControlPlane: controlPlane{id: a.id, self: a.cfg.Replica, elector: a.elector, scheduler: a.scheduler, fence: a.store.ReadFence, others: a.peers.others},
	})
	key, err := sharedKey(a.cfg.Keys.UploadHMAC)
	if err != nil {
		return err
	}
	a.proxy, err = newProxy(dataproxy.Config{PublicURL: a.cfg.Flyte.PublicURL, Key: key}, a.objects, a.service, a.log)
	return err
}

// Run serves until ctx ends or a part fails.
func (a *Admin) Run(ctx context.Context, ops *telemetry.Ops) error {
	a.addChecks(ops)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return ops.Run(ctx, a.cfg.Ops.Listen) })
	group.Go(func() error { return a.scheduler.Run(ctx) })
	group.Go(func() error { a.peers.others.run(ctx); return nil })
	return a.serve(ctx, group)
}

func amount(cpu, memory string) (flow.Resources, error) {
	c, err := resource.ParseQuantity(cpu)
	if err != nil {
		return flow.Resources{}, fault.Field("tasks", "cpu %q is no quantity", cpu)
	}
	m, err := resource.ParseQuantity(memory)
	if err != nil {
		return flow.Resources{}, fault.Field("tasks", "memory %q is no quantity", memory)
	}
	return flow.Resources{MilliCPU: c.MilliValue(), Memory: m.Value(), Pods: 1}, nil
}

// advertised is where the peers reach this replica's raft listener.
func advertised(cfg config.Admin) string {
	for _, p := range cfg.Peers {
		if p.ID == cfg.Replica {
			return p.Raft
		}
	}
	return fmt.Sprint(cfg.Raft.Listen)
}

// reachable is where the peers reach this replica's federation listener.
func reachable(cfg config.Admin) string {
	for _, p := range cfg.Peers {
		if p.ID == cfg.Replica {
			return p.RPC
		}
	}
	return cfg.Federation.Listen
}
