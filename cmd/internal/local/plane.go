package local

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/rest"

	skeinv1 "github.com/skein-project/skein/api/skein/v1"
	"github.com/skein-project/skein/cmd/internal/config"
	"github.com/skein-project/skein/deploy/crd"
	"github.com/skein-project/skein/deploy/kustomize/propeller"
	"github.com/skein-project/skein/deploy/local/apply"
	"github.com/skein-project/skein/deploy/local/cluster"
	"github.com/skein-project/skein/deploy/local/image"
	"github.com/skein-project/skein/deploy/local/kubelet"
	"github.com/skein-project/skein/deploy/local/proc"
)

// joinTime bounds how long a cluster may take from its propeller's start until
// it can be given work.
const joinTime = 60 * time.Second

// Plane is one cluster with its propeller and its node.
type Plane struct {
	Cluster
	Server    *cluster.Cluster
	Propeller *proc.Process
	Node      *proc.Process // its agent or kubelet
	Real      *kubelet.Node // with kubelet nodes
	Ops       string        // the propeller's address for health, readiness and metrics
	dir       string
}

// startServers starts the API servers and installs what propellers need.
func (f *Federation) startServers(ctx context.Context) error {
	f.progress(fmt.Sprintf("%d Kubernetes API servers", len(f.opts.Clusters)))
	f.Planes = make([]*Plane, len(f.opts.Clusters))
	group, ctx := errgroup.WithContext(ctx)
	for i, c := range f.opts.Clusters {
		group.Go(func() (err error) {
			f.Planes[i], err = f.startServer(ctx, c)
			return err
		})
	}
	return group.Wait()
}

func (f *Federation) startServer(ctx context.Context, c Cluster) (*Plane, error) {
	dir, err := f.folder.Sub(c.Name, true)
	if err != nil {
		return nil, err
	}
	o := cluster.Options{Name: c.Name, Dir: filepath.Join(dir, "kubernetes"), Tools: f.tools, APIServerArgs: f.opts.APIServerArgs, GCPercent: f.opts.APIServerGC,
		Controllers: f.opts.Nodes == KubeletNodes}
	for key, port := range map[string]*int{"etcd": &o.EtcdPort, "etcd-peer": &o.EtcdPeerPort, "api": &o.APIPort} {
		if *port, err = f.book.Port(c.Name + "." + key); err != nil {
			return nil, err
		}
	}
	server, err := cluster.Start(ctx, f.group, o)
	if err != nil {
		return nil, err
	}
	admin, err := server.RESTConfig()
	if err != nil {
		return nil, err
	}
	return &Plane{Cluster: c, Server: server, dir: dir}, apply.Manifests(ctx, admin, crd.FlyteWorkflows, crd.Fences, propeller.RBAC, propeller.Fence)
}

// startPlanes joins each cluster and waits until it is healthy.
func (f *Federation) startPlanes(ctx context.Context) error {
	begin := time.Now()
	group, startCtx := errgroup.WithContext(ctx)
	for _, p := range f.Planes {
		group.Go(func() error {
			if err := f.startNode(startCtx, p); err != nil {
				return err
			}
			return f.startPropeller(startCtx, p)
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return f.awaitHealthy(ctx, begin)
}

func (f *Federation) startNode(ctx context.Context, p *Plane) error {
	if f.opts.Nodes == KubeletNodes {
		return f.startKubelet(ctx, p)
	}
	args, err := f.nodeArgs(p)
	if err != nil {
		return err
	}
	p.Node, err = f.group.Start(ctx, proc.Spec{
		Name: p.Name + "-node", Path: filepath.Join(f.opts.BinDir, "skein"), Args: args,
		Env: f.environment(), Log: f.log(p.Name + "-node"), Grace: 10 * time.Second,
		Ready: func(ctx context.Context) error { return nodeReady(ctx, p.Server, p.Name+"-node") },
	})
	return err
}

func (f *Federation) nodeArgs(p *Plane) ([]string, error) {
	args := []string{"node", "--kubeconfig", p.Server.Kubeconfig, "--name", p.Name + "-node"}
	if f.opts.Nodes == SimulatedNodes {
		return append(args, "--simulated", "--pods", strconv.Itoa(f.opts.Pods), "--startup", f.opts.Startup.String()), nil
	}
	if f.Objects == nil {
		args = append(args, "--store", f.Store)
	}
	cert, err := p.Server.ServerCert("node")
	return append(args, "--dir", filepath.Join(p.dir, "node"), "--bin-dir", f.opts.BinDir,
		"--client-ca", p.Server.NodeClientCAFile(), "--venv-bin", f.opts.VenvBin, "--cert", cert.Cert, "--key", cert.Key), err
}

func (f *Federation) startPropeller(ctx context.Context, p *Plane) error {
	c, err := f.propellerConfig(ctx, p)
	if err != nil {
		return err
	}
	if c.JoinToken, err = f.joinToken(ctx, p); err != nil {
		return err
	}
	path := p.propellerFile()
	defaults := config.DefaultPropeller()
	if err := config.SaveChanges(path, &c, &defaults); err != nil {
		return err
	}
	p.Ops = c.Ops.Listen
	p.Propeller, err = f.group.Start(ctx, proc.Spec{
		Name: p.Name + "-propeller", Path: f.program(p.Name+"/propeller", "skein-propeller"), Args: []string{"run", "--config", path},
		Env: f.withKeys(f.environment()), Log: f.log(p.Name + "-propeller"), Grace: 10 * time.Second,
		Ready:        func(ctx context.Context) error { return get(ctx, "http://"+c.Ops.Listen+"/readyz", nil) },
		ReadyTimeout: joinTime,
	})
	return err
}

// propellerConfig makes a propeller's configuration, without a join token.
func (f *Federation) propellerConfig(ctx context.Context, p *Plane) (config.Propeller, error) {
	c := config.DefaultPropeller()
	c.State = p.Folder()
	if err := os.MkdirAll(c.State, 0o700); err != nil {
		return c, err
	}
	kubeconfig, err := p.Server.UserKubeconfig(ctx, "propeller", []string{propeller.Group})
	if err != nil {
		return c, err
	}
	if kubeconfig, err = f.linkKubeconfig(p, kubeconfig); err != nil {
		return c, err
	}
	ops, err := f.book.Port(p.Name + ".ops")
	if err != nil {
		return c, err
	}
	c.Cluster = p.Name
	c.Instance, c.Kubeconfig, c.Ops.Listen = p.Name+"-0", kubeconfig, fmt.Sprintf("127.0.0.1:%d", ops)
	c.CA, c.ObjectStore = filepath.Join(f.folder.Path, "keys", "ca.crt"), f.store
	c.Pods.StoreHostPath, c.Pods.Env = f.Objects == nil, f.keys()
	c.Tasks = f.Replicas[0].config.Tasks
	if f.opts.Nodes == KubeletNodes {
		c.Pods.CopilotImage = image.TaskName
		c.Pods.ImagePullGrace = config.Seconds(15) // there is no registry that could come back
	}
	for _, r := range f.Replicas {
		hub, err := f.link(p.Name+"/hub-"+r.Name, r.config.Federation.Listen)
		if err != nil {
			return c, err
		}
		c.Hubs = append(c.Hubs, hub)
	}
	return c, nil
}

// joinToken registers the cluster, unless its propeller has joined before.
func (f *Federation) joinToken(ctx context.Context, p *Plane) (config.Secret, error) {
	if joined, _ := filepath.Glob(filepath.Join(p.Folder(), "*.crt")); len(joined) > 0 {
		return "", nil
	}
	token, err := f.register(ctx, p.Cluster)
	return config.Secret(token), err
}

// register records a cluster and returns its one-time token.
func (f *Federation) register(ctx context.Context, c Cluster) (string, error) {
	api, done, err := f.clusterAPI()
	if err != nil {
		return "", err
	}
	defer done()
	request := &skeinv1.RegisterClusterRequest{Name: c.Name, Labels: maps.Clone(c.Labels)}
	for _, t := range c.Taints {
		key, effect, _ := strings.Cut(t, ":")
		key, value, _ := strings.Cut(key, "=")
		request.Taints = append(request.Taints, &skeinv1.Taint{Key: key, Value: value, Effect: effect})
	}
	answer, err := api.RegisterCluster(ctx, request)
	return answer.GetJoinToken(), err
}

func (f *Federation) clusterAPI() (skeinv1.ClusterServiceClient, func(), error) {
	c, err := f.Client()
	if err != nil {
		return nil, nil, err
	}
	conn, err := c.DialSkein()
	if err != nil {
		return nil, nil, err
	}
	return skeinv1.NewClusterServiceClient(conn), func() { conn.Close() }, nil
}

// awaitHealthy waits until every cluster can be given work: it is Healthy, by a
// lease granted since the beginning. What was recorded before says nothing.
func (f *Federation) awaitHealthy(ctx context.Context, begin time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, joinTime)
	defer cancel()
	api, done, err := f.clusterAPI()
	if err != nil {
		return err
	}
	defer done()
	leased := begin.Add(f.Replicas[0].config.Scheduler.Lease.Duration)
	for {
		waiting, err := f.unhealthy(ctx, api, leased)
		if err == nil && len(waiting) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("clusters did not become healthy within %s: %s", joinTime, strings.Join(waiting, ", ")), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// unhealthy lists the clusters that cannot be given work yet: those without a
// lease that ends after the given time.
func (f *Federation) unhealthy(ctx context.Context, api skeinv1.ClusterServiceClient, leased time.Time) ([]string, error) {
	var waiting []string
	for _, p := range f.Planes {
		answer, err := api.GetCluster(ctx, &skeinv1.GetClusterRequest{Name: p.Name})
		if err != nil {
			return waiting, err
		}
		holds := slices.ContainsFunc(answer.GetMembers(), func(m *skeinv1.Member) bool { return m.GetLeaseExpiresAt().AsTime().After(leased) })
		switch health := answer.GetCluster().GetHealth(); {
		case health != "Healthy":
			waiting = append(waiting, p.Name+" is "+health)
		case !holds:
			waiting = append(waiting, p.Name+" has no new lease")
		}
	}
	return waiting, nil
}

// Admin is a client configuration of the cluster's administrator.
func (p *Plane) Admin() (*rest.Config, error) { return p.Server.RESTConfig() }
