package assemble

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"github.com/skein-project/skein/admin/gateway"
	"github.com/skein-project/skein/admin/middleware"
	"github.com/skein-project/skein/api/fault"
	flyteservice "github.com/skein-project/skein/api/flyteidl/service"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
	"github.com/skein-project/skein/cmd/internal/config"
	"github.com/skein-project/skein/cmd/internal/telemetry"
	"github.com/skein-project/skein/federation/identity"
)

const (
	// MaxMessage bounds one message on any of our ports, in bytes.
	MaxMessage = 20 << 20
	// graceful bounds how long a stopping replica waits for calls under way.
	graceful = 5 * time.Second
)

// keepalives allow what flytekit and our members do: pings every 30 s and
// every few seconds, also without a call.
var keepalives = []grpc.ServerOption{
	grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 2 * time.Second, PermitWithoutStream: true}),
	grpc.KeepaliveParams(keepalive.ServerParameters{Time: 20 * time.Second, Timeout: 5 * time.Second}),
	grpc.MaxRecvMsgSize(MaxMessage), grpc.MaxSendMsgSize(MaxMessage), grpc.MaxHeaderListSize(64 << 10),
}

// addChecks tells what makes a replica ready, and who leads.
func (a *Admin) addChecks(ops *telemetry.Ops) {
	ops.Check("database", a.store.Ping)
	ops.Check("raft", a.elector.Check)
	ops.Check("leader", func(context.Context) error {
		if _, ok := a.elector.Leader(); !ok {
			return errors.New("no replica leads at the moment")
		}
		return nil
	})
	ops.Handle("GET /leader", func(w http.ResponseWriter, _ *http.Request) {
		leader, _ := a.elector.Leader()
		epoch, leading := a.scheduler.Leading()
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"replica": a.cfg.Replica, "leader": leader, "leading": leading, "epoch": epoch.String()})
	})
}

// serve runs every listener, and stops them in order: the hub says goodbye
// first, so that members dial elsewhere while their calls still finish.
func (a *Admin) serve(ctx context.Context, group *errgroup.Group) error {
	interceptors := middleware.New(middleware.Config{Log: a.log, Registerer: a.registry})
	guard := identity.Guard{TrustDomain: a.cfg.TrustDomain, Operator: a.operator}

	leads := toLeader{self: a.cfg.Replica, leader: a.elector.Leader, conns: a.peers.conn, methods: leadersCalls()}

	flyte := grpc.NewServer(append(serverOptions(interceptors), keepalives...)...)
	calls := middleware.Registrar(flyte)
	a.service.RegisterFlyte(calls)
	flyteservice.RegisterDataProxyServiceServer(calls, a.proxy)
	own := grpc.NewServer(append(append(serverOptions(interceptors), keepalives...),
		grpc.Creds(identity.ServerCredentials(a.cert.source, a.ca.Pool(), a.hub.Stranger)),
		grpc.ChainUnaryInterceptor(guard.Unary, leads.Unary), grpc.ChainStreamInterceptor(guard.Stream))...)
	calls = middleware.Registrar(own)
	a.service.RegisterSkein(calls)
	a.hub.Register(calls)
	skeinv1.RegisterPeerServiceServer(calls, peerServer{scheduler: a.scheduler, hub: a.hub})
	for _, s := range []*grpc.Server{flyte, own} {
		addProbes(s)
	}
	loop, err := grpc.NewClient("passthrough:///"+a.cfg.Flyte.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(MaxMessage)))
	if err != nil {
		return err
	}
	defer loop.Close()
	web, err := gateway.New(ctx, loop, a.proxy.Handler(), a.cfg.Flyte.Origins)
	if err != nil {
		return err
	}
	hubGone := make(chan struct{})
	group.Go(func() error { defer close(hubGone); return a.hub.Run(ctx) })
	group.Go(func() error { return serveGRPC(ctx, "flyte.grpc", a.cfg.Flyte.GRPC, flyte, nil) })
	group.Go(func() error { return serveGRPC(ctx, "federation.listen", a.cfg.Federation.Listen, own, hubGone) })
	group.Go(func() error { return serveHTTP(ctx, a.cfg.Flyte.HTTP, web) })
	return group.Wait()
}

// addProbes adds what probes and people with grpcurl ask.
func addProbes(s *grpc.Server) {
	status := health.NewServer() // the empty name, too, is being served
	status.SetServingStatus("flyteadmin", healthv1.HealthCheckResponse_SERVING)
	healthv1.RegisterHealthServer(s, status)
	reflection.Register(s)
}

func serverOptions(i *middleware.Interceptors) []grpc.ServerOption {
	return append([]grpc.ServerOption{grpc.StatsHandler(otelgrpc.NewServerHandler())}, i.ServerOptions()...)
}

// serveGRPC serves until ctx ends; then it waits for after, if that is given,
// and for the calls under way.
func serveGRPC(ctx context.Context, key, address string, server *grpc.Server, after <-chan struct{}) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fault.Wrap(fault.Conflict, err, "%s: cannot listen on %s", key, address)
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		<-ctx.Done()
		if after != nil {
			<-after
		}
		force := time.AfterFunc(graceful, server.Stop)
		server.GracefulStop()
		force.Stop()
	}()
	err = server.Serve(listener)
	if ctx.Err() == nil {
		return fault.Wrap(fault.Internal, err, "serve %s", key)
	}
	<-stopped
	return nil
}

func serveHTTP(ctx context.Context, address string, handler http.Handler) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fault.Wrap(fault.Conflict, err, "flyte.http: cannot listen on %s", address)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 32 * time.Second, IdleTimeout: 2 * time.Minute}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		<-ctx.Done()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), graceful)
		defer cancel()
		if server.Shutdown(ctx) != nil {
			server.Close()
		}
	}()
	err = server.Serve(listener)
	if !errors.Is(err, http.ErrServerClosed) {
		return fault.Wrap(fault.Internal, err, "serve flyte.http")
	}
	<-stopped
	return nil
}

// hosts are the names that a replica's certificate is valid for, beside its
// SPIFFE name: what people's tools dial.
func hosts(cfg config.Admin) []string {
	names := []string{"localhost", "127.0.0.1"}
	for _, p := range cfg.Peers {
		if host, _, err := net.SplitHostPort(p.RPC); err == nil && p.ID == cfg.Replica && host != "127.0.0.1" {
			names = append(names, host)
		}
	}
	return names
}
