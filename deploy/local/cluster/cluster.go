// Package cluster runs a real Kubernetes control plane on loopback: one etcd and one kube-apiserver.
//
// It is a bare API server: no garbage collector, no namespace deletion, no scheduler, no default service accounts, no
// nodes. Whoever needs one of these brings it (deploy/local/processnode brings nodes; the propeller creates the service
// accounts it needs; deploy/local/kubelet brings all of it). Admission that waits for an absent controller is switched
// off, unless Options.Controllers says that they will be there; RBAC, quotas and limit ranges are real. `skein demo`, localtest, chaos and benches call it.
//
// Invariant: everything speaks TLS with certificates of the cluster's own CA and listens on 127.0.0.1 only; all state
// is in Dir, so that a Start with the same Dir and ports after any end is the same cluster.
package cluster

import (
	"context"
	"fmt"
	"path/filepath"

	"k8s.io/client-go/rest"

	"github.com/skein-project/skein/deploy/local/certs"
	"github.com/skein-project/skein/deploy/local/ports"
	"github.com/skein-project/skein/deploy/local/proc"
	"github.com/skein-project/skein/deploy/local/tools"
)

// Options says what to start. All ports must be given; deploy/local/ports chooses them.
type Options struct {
	// Name is unique among the clusters of one group.
	Name string
	// Dir keeps the cluster: data, certificates, logs.
	Dir   string
	Tools tools.Tools

	EtcdPort, EtcdPeerPort, APIPort int

	// Controllers says that a controller manager and a scheduler will run, so that admission may leave work to them.
	Controllers bool
	// APIServerArgs are appended to kube-apiserver's flags, and win over ours.
	APIServerArgs []string
	// GCPercent is kube-apiserver's GOGC: memory for less of the machine's time. Zero: Go's default.
	GCPercent int
}

// Cluster is a running control plane.
type Cluster struct {
	Name string
	Dir  string
	// URL is the API server's address.
	URL string
	// Kubeconfig is the path of a cluster administrator's kubeconfig.
	Kubeconfig string
	// Etcd and APIServer are the processes, for stopping, killing and starting again. The group stops them as well.
	Etcd, APIServer *proc.Process

	ca, nodeClients          *certs.CA
	caFiles, nodeClientFiles certs.Files
}

// Start starts a cluster in the group and waits until it is ready, which takes about three seconds. On an error
// nothing of it runs.
func Start(ctx context.Context, group *proc.Group, o Options) (*Cluster, error) {
	c, err := start(ctx, group, o)
	if err != nil {
		return nil, fmt.Errorf("start cluster %s: %w", o.Name, err)
	}
	return c, nil
}

func start(ctx context.Context, group *proc.Group, o Options) (*Cluster, error) {
	if err := ports.Await(ctx, o.EtcdPort, o.EtcdPeerPort, o.APIPort); err != nil {
		return nil, err
	}
	c := &Cluster{Name: o.Name, Dir: o.Dir, URL: address(o.APIPort), Kubeconfig: filepath.Join(o.Dir, adminKubeconfig)}
	if err := c.openCAs(); err != nil {
		return nil, err
	}
	creds, err := c.issue()
	if err != nil {
		return nil, err
	}
	if err := c.writeKubeconfig(c.Kubeconfig, adminUser, creds.admin); err != nil {
		return nil, err
	}
	if c.Etcd, err = group.Start(ctx, c.etcdSpec(o, creds)); err != nil {
		return nil, err
	}
	if c.APIServer, err = group.Start(ctx, c.apiServerSpec(o, creds)); err != nil {
		_ = c.Etcd.Stop(ctx) // its data is safe after any end; the first error is the one to tell
		return nil, err
	}
	return c, nil
}

// Stop stops the API server, then etcd. The state is kept, and Restart brings it back.
func (c *Cluster) Stop(ctx context.Context) error {
	if err := c.APIServer.Stop(ctx); err != nil {
		return err
	}
	return c.Etcd.Stop(ctx)
}

// Restart stops what runs and starts both again, on the same data and ports.
func (c *Cluster) Restart(ctx context.Context) error {
	if err := c.Stop(ctx); err != nil {
		return err
	}
	if err := c.Etcd.Restart(ctx); err != nil {
		return err
	}
	return c.APIServer.Restart(ctx)
}

// RESTConfig returns a client configuration of the cluster administrator, a fresh copy at each call.
func (c *Cluster) RESTConfig() (*rest.Config, error) { return restConfig(c.Kubeconfig) }

// CAFile returns the path of the CA certificate, which every certificate of this cluster is checked against.
func (c *Cluster) CAFile() string { return c.caFiles.Cert }

// AccountsKeyFile returns the path of the key that signs the tokens of service accounts.
func (c *Cluster) AccountsKeyFile() string { return filepath.Join(c.certsDir(), accountsKeys+".key") }

// NodeClientCAFile returns the path of the CA that signed nothing but the API server's client certificate for nodes: a
// node's log server that takes clients of this CA alone is read through the API server only, and so under RBAC.
func (c *Cluster) NodeClientCAFile() string { return c.nodeClientFiles.Cert }

// ServerCert returns a certificate below the cluster's CA for a server beside the cluster, such as a node's log server;
// it is made once for a name, for 127.0.0.1, localhost and the further hosts.
func (c *Cluster) ServerCert(name string, hosts ...string) (certs.Files, error) {
	leaf := certs.Leaf{CommonName: name, Hosts: append([]string{loopback, "localhost"}, hosts...)}
	return c.ca.EnsureLeaf(filepath.Join(c.certsDir(), "servers"), fileName(name), leaf)
}
