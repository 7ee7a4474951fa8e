package cluster

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/skein-project/skein/deploy/local/certs"
)

// Open returns a cluster that another process started with this Dir. Its processes are that one's: Etcd and APIServer
// are nil, and Stop and Restart must not be called.
func Open(dir string) (*Cluster, error) {
	c := &Cluster{Name: filepath.Base(dir), Dir: dir, Kubeconfig: filepath.Join(dir, adminKubeconfig)}
	if _, err := os.Stat(c.Kubeconfig); err != nil {
		return nil, fmt.Errorf("open the cluster in %s: %w", dir, err)
	}
	config, err := c.RESTConfig()
	if err != nil {
		return nil, err
	}
	c.URL = config.Host
	return c, c.openCAs()
}

// openCAs reads or makes the cluster's two CAs.
func (c *Cluster) openCAs() (err error) {
	dir := c.certsDir()
	if c.ca, c.caFiles, err = certs.EnsureCA(dir, "ca"); err != nil {
		return err
	}
	c.nodeClients, c.nodeClientFiles, err = certs.EnsureCA(dir, "node-clients-ca")
	return err
}

func (c *Cluster) certsDir() string { return filepath.Join(c.Dir, "certs") }
