// Package service answers Flyte's AdminService and SignalService, and Skein's
// ClusterService, PlacementService, PolicyService and ControlPlaneService: a
// file per noun.
//
// A handler checks the request, turns wire messages into api/flow values,
// asks one port, and turns the answer back. The package holds no SQL, and no
// state of its own but a bounded memory of what is immutable (launchables); it
// never waits for a cluster, and makes no decision about
// placement or phases: those are the scheduler's and lifecycle's. Bodies of
// entities (compiled tasks, closures, launch plans, specs) are serialised here
// and read here; the store sees bytes.
//
// Invariants: a refused request stores nothing; every error is a fault or a
// gRPC status (never a plain error that would become UNKNOWN by accident); an
// id once registered means one structure for ever; every operator's call that
// changes something, or was refused to, is in the audit with its caller.
package service

import (
	"log/slog"
	"time"

	"google.golang.org/grpc"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/service"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
)

// Limits of what one request may hold or ask for. They bound memory, not use:
// what clients send stays far below them.
const (
	// MaxInlineInputs is the largest serialised LiteralMap kept in the
	// execution's row; larger ones lie in the object store.
	MaxInlineInputs = 16 << 10
	// MaxInlineClosure is the largest closure kept in the entity's row.
	MaxInlineClosure = 256 << 10
	// MaxSpec bounds the serialised spec of an execution, with what its launch
	// plan adds. It travels to the cluster inside one object there, which an API
	// server takes only up to about a MiB.
	MaxSpec = 256 << 10
	// MaxNameLength bounds names and versions of entities, in bytes.
	MaxNameLength = 255
	// MaxExecutionName bounds the name of an execution, which becomes a
	// Kubernetes object's name and label value.
	MaxExecutionName = 63
	// MaxPageSize is the largest page of a list; larger limits are cut to it.
	MaxPageSize = 1000
	// MaxParallelismLimit bounds the tasks of one execution that may run at
	// once, so that a reservation stays a number.
	MaxParallelismLimit = 100_000
	// MaxCause bounds the cause of a termination; the rest is cut off.
	MaxCause = 4096
	// DefaultLogBytes bounds the log that GetLogs reads from a pod.
	DefaultLogBytes = 10 << 20
)

// Config is what an operator sets. Zero fields mean the defaults.
type Config struct {
	// Domains that every project has; their ids are their names.
	Domains []string
	// MaxParallelism of executions that name none.
	MaxParallelism int32
	// TaskDefaults are what a container gets that asks for nothing.
	TaskDefaults flow.Resources
	// TaskLimits are what a container can ask for at most; zero fields bound
	// nothing.
	TaskLimits flow.Resources
	// RawPrefix is where tasks put raw output by default; <root>/raw if empty.
	RawPrefix string
	// Version and Build are what GetVersion tells.
	Version, Build, BuildTime string
}

// Default is the configuration where the operator says nothing.
func Default() Config {
	return Config{
		Domains:        []string{"development", "staging", "production"},
		MaxParallelism: 25,
		TaskDefaults:   flow.Resources{MilliCPU: 100, Memory: 512 << 20, Pods: 1},
		Version:        "dev",
	}
}

func (c Config) withDefaults() Config {
	d := Default()
	if len(c.Domains) == 0 {
		c.Domains = d.Domains
	}
	if c.MaxParallelism == 0 {
		c.MaxParallelism = d.MaxParallelism
	}
	if c.TaskDefaults.MilliCPU == 0 {
		c.TaskDefaults.MilliCPU = d.TaskDefaults.MilliCPU
	}
	if c.TaskDefaults.Memory == 0 {
		c.TaskDefaults.Memory = d.TaskDefaults.Memory
	}
	if c.Version == "" {
		c.Version = d.Version
	}
	return c
}

// Deps are what the service stands on.
type Deps struct {
	Entities   Entities
	Named      NamedEntities
	Projects   Projects
	Executions Executions
	Runs       Runs
	Clusters   Clusters
	Decisions  Decisions
	Reserved   Reservations // may be nil: clusters then show nothing reserved
	Objects    Objects
	Joiner     Joiner
	Policies   Policies
	Language   PolicyLanguage
	Fleet      Fleet
	Audits     Audits
	Histories  Histories

	Forecaster   Forecaster
	ControlPlane ControlPlane
	Rebuilds     Rebuilds

	Logs  LogReader        // may be nil: GetLogs is then UNIMPLEMENTED
	Nudge func()           // tells the scheduler that work waits; must not block; may be nil
	Now   func() time.Time // nil: time.Now
	Log   *slog.Logger     // nil: slog.Default
}

// Service answers Flyte's AdminService. Clusters, Placements and Signals give
// the other services over the same ports.
type Service struct {
	service.UnimplementedAdminServiceServer
	cfg         Config
	deps        Deps
	launchables *launchables
	policies    policyBook
}

// New makes the service; it does no I/O.
func New(cfg Config, deps Deps) *Service {
	if deps.Nudge == nil {
		deps.Nudge = func() {}
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Log == nil {
		deps.Log = slog.Default()
	}
	return &Service{cfg: cfg.withDefaults(), deps: deps, launchables: newLaunchables()}
}

// RegisterFlyte registers Flyte's services. The auth services are left out:
// with authentication off they answer UNIMPLEMENTED, as Flyte's do.
func (s *Service) RegisterFlyte(r grpc.ServiceRegistrar) {
	service.RegisterAdminServiceServer(r, s)
	service.RegisterSignalServiceServer(r, Signals{})
}

// RegisterSkein registers the services whose callers must be operators: the
// server that they are registered with checks it.
func (s *Service) RegisterSkein(r grpc.ServiceRegistrar) {
	skeinv1.RegisterClusterServiceServer(r, clusterServer{s: s})
	skeinv1.RegisterPlacementServiceServer(r, placementServer{s: s})
	skeinv1.RegisterPolicyServiceServer(r, policyServer{s: s})
	skeinv1.RegisterControlPlaneServiceServer(r, controlPlaneServer{s: s})
}

// now is in UTC and to the microsecond, as databases keep times.
func (s *Service) now() time.Time { return s.deps.Now().UTC().Truncate(time.Microsecond) }
