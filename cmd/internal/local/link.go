package local

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/skein-project/skein/cmd/internal/config"
)

// link is the address to dial for a link of that name.
func (f *Federation) link(name, address string) (string, error) {
	if f.opts.Link == nil {
		return address, nil
	}
	through, err := f.opts.Link(name, address)
	if err != nil {
		return "", fmt.Errorf("link %s: %w", name, err)
	}
	return through, nil
}

// linkURL is link for the host of a URL.
func (f *Federation) linkURL(name, raw string) (string, error) {
	if f.opts.Link == nil {
		return raw, nil
	}
	u, err := url.Parse(raw)
	if err != nil {
		return "", fmt.Errorf("link %s: %w", name, err)
	}
	u.Host, err = f.link(name, u.Host)
	return u.String(), err
}

// linkReplicas gives each replica its own way to the database and to its peers.
// What raft calls a replica is replicated, and so the same for all.
func (f *Federation) linkReplicas(configs []config.Admin) error {
	raft := map[string]string{}
	for _, c := range configs {
		address, err := f.link("raft/"+c.Replica, c.Raft.Listen)
		if err != nil {
			return err
		}
		raft[c.Replica] = address
	}
	for i := range configs {
		c := &configs[i]
		through, err := f.linkURL(c.Replica+"/database", c.Database.URL.Reveal())
		if err != nil {
			return err
		}
		c.Database.URL = config.Secret(through)
		peers := make([]config.Peer, len(c.Peers))
		for j, p := range c.Peers {
			peers[j] = config.Peer{ID: p.ID, Raft: raft[p.ID], RPC: p.RPC}
			if p.ID == c.Replica {
				continue
			}
			if peers[j].RPC, err = f.link(c.Replica+"/peer-"+p.ID, p.RPC); err != nil {
				return err
			}
		}
		c.Peers = peers
	}
	return nil
}

// linkKubeconfig gives a propeller its own way to its API server: a copy of its
// kubeconfig with another address.
func (f *Federation) linkKubeconfig(p *Plane, path string) (string, error) {
	if f.opts.Link == nil && f.opts.APIFront == nil {
		return path, nil
	}
	kubeconfig, err := clientcmd.LoadFromFile(path)
	if err != nil {
		return "", err
	}
	for _, c := range kubeconfig.Clusters {
		if f.opts.APIFront != nil {
			if c.Server, err = f.opts.APIFront(p.Server, path); err != nil {
				return "", fmt.Errorf("before the API server of %s: %w", p.Name, err)
			}
		}
		if c.Server, err = f.linkURL(p.Name+"/api", c.Server); err != nil {
			return "", err
		}
	}
	linked := filepath.Join(p.dir, "propeller", "linked.kubeconfig")
	if err := os.MkdirAll(filepath.Dir(linked), 0o700); err != nil {
		return "", err
	}
	return linked, clientcmd.WriteToFile(*kubeconfig, linked)
}
