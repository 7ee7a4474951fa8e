// Package scenario plays chaos/script's scenarios on a federation of real
// processes on this machine.
//
// It fills the script's ports: processes by deploy/local, links by
// chaos/inject, users and operators by the same APIs that everybody calls. It
// judges nothing; what was accepted it reads from the replicas' own logs, which
// tell each recorded event after its commit. Invariant: what it started has
// ended when Close returns.
package scenario

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"time"

	"google.golang.org/grpc"

	"github.com/skein-project/skein/api/flyteidl/service"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
	"github.com/skein-project/skein/chaos/inject"
	"github.com/skein-project/skein/chaos/script"
	"github.com/skein-project/skein/cmd/internal/local"
	"github.com/skein-project/skein/deploy/local/smalldisk"
)

const (
	project, domain = "flytesnacks", "development"
	nodePods        = 200 // that a node declares
	// apiServerGC gives memory for time: several API servers share few cores here,
	// and a sixth of what they do would be to collect garbage.
	apiServerGC = 300
)

// World is a running federation that scenarios can happen to.
type World struct {
	federation *local.Federation
	links      *inject.Links
	disturbed  bool // what disturbs stands in the links
	traffic    *inject.Traffic
	disks      map[string]*smalldisk.Disk // by what is above them
	bin        string                     // the tree's programs
	old        string                     // an earlier release's; empty: there is none
	bins       map[string]string          // where parts began with others than the tree's
	left       map[string]bool            // replicas that are gone for good
	flyte      *grpc.ClientConn
	admin      service.AdminServiceClient
	clusters   skeinv1.ClusterServiceClient
	placements skeinv1.PlacementServiceClient
	control    skeinv1.ControlPlaneServiceClient
	skein      *grpc.ClientConn
	tokens     map[string]string // by cluster, of those that joined by the command line
	room       int               // for executions of one task at a time, on each cluster
}

// Start starts a federation as a scenario wants it. State is its folder, bin
// that of the programs.
func Start(ctx context.Context, s script.Setup, state, bin string, progress func(string)) (*World, error) {
	return StartOld(ctx, s, state, bin, "", progress)
}

// StartOld is Start with replicas and propellers of an earlier release, from the
// folder old; bin is what they can be upgraded to.
func StartOld(ctx context.Context, s script.Setup, state, bin, old string, progress func(string)) (*World, error) {
	w := &World{links: inject.New(), traffic: inject.NewTraffic(), disks: map[string]*smalldisk.Disk{}, bin: bin, old: old, bins: map[string]string{}, left: map[string]bool{}, tokens: map[string]string{}, room: cmp.Or(s.Pods, nodePods)}
	for i := range s.Replicas {
		w.bins[fmt.Sprintf("admin-%d", i)] = old
	}
	var clusters []local.Cluster
	for i := range s.Clusters {
		name := fmt.Sprintf("c%d", i+1)
		clusters = append(clusters, local.Cluster{Name: name, Labels: map[string]string{"name": name}})
		w.bins[name+"/propeller"] = old
	}
	err := w.mountDisks(s, state)
	if err != nil {
		return nil, errors.Join(err, w.unmountDisks())
	}
	front := w.apiFront
	if !s.Disturbed { // it would take time of those who are measured
		front = nil
	}
	w.disturbed = s.Disturbed
	w.federation, err = local.Start(ctx, local.Options{
		State: state, BinDir: bin, Bins: w.bins, Replicas: s.Replicas, Clusters: clusters, Nodes: s.Nodes, Lease: s.Lease, Suspect: s.Suspect, Pods: s.Pods, Startup: s.Startup,
		NoSync:   true, // processes die here, and no machine does
		Progress: progress, Link: w.link, APIFront: front,
		Env: environment(s), APIServerGC: apiServerGC,
	})
	if err != nil {
		w.links.Close()
		w.traffic.Close()
		return nil, errors.Join(err, w.unmountDisks())
	}
	if err := w.connect(ctx); err != nil {
		_ = w.Close()
		return nil, err
	}
	return w, nil
}

// environment is what replicas are told beside what local.Start tells them.
func environment(s script.Setup) []string {
	env := []string{"SKEIN_ADMIN_TELEMETRY_LEVEL=debug", "SKEIN_ADMIN_TELEMETRY_FORMAT=json"}
	if s.Certificates != 0 {
		env = append(env, fmt.Sprintf("SKEIN_ADMIN_FEDERATION_CERTIFICATE=%s", s.Certificates))
	}
	return env
}

func (w *World) connect(ctx context.Context) error {
	config, err := w.federation.Client()
	if err != nil {
		return err
	}
	if w.flyte, err = config.DialFlyte(); err != nil {
		return err
	}
	if w.skein, err = config.DialSkein(); err != nil {
		return err
	}
	w.admin = service.NewAdminServiceClient(w.flyte)
	w.clusters, w.placements = skeinv1.NewClusterServiceClient(w.skein), skeinv1.NewPlacementServiceClient(w.skein)
	w.control = skeinv1.NewControlPlaneServiceClient(w.skein)
	return w.register(ctx)
}

// Ports are what a script needs of the world.
func (w *World) Ports(progress func(string)) script.World {
	return script.World{Links: w.links, Traffic: w.traffic, Machines: machines{w}, Processes: processes{w}, Users: users{w}, Fleet: fleet{w}, Planes: planes{w}, Gates: gates{w}, Market: market{w}, Parts: parts{w},
		Skein: w.command, Room: w.room, Progress: progress}
}

// Database is what its server says of itself.
func (w *World) Database(ctx context.Context) (string, error) {
	return w.federation.Database.Version(ctx)
}

// command runs the command line as an operator.
func (w *World) command(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, filepath.Join(w.bin, "skein"), args...)
	c.Env = append(c.Environ(), "SKEIN_CONFIG="+w.federation.Config)
	out, err := c.CombinedOutput()
	return string(out), err
}

// Close stops everything.
func (w *World) Close() error {
	for _, c := range []*grpc.ClientConn{w.flyte, w.skein} {
		if c != nil {
			c.Close()
		}
	}
	err := w.federation.Stop()
	w.links.Close()
	w.traffic.Close()
	return errors.Join(err, w.unmountDisks())
}
