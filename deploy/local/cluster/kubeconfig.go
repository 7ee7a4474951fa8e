package cluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/skein-project/skein/deploy/local/certs"
)

// UserKubeconfig writes a kubeconfig whose client certificate names the user and groups, and returns its path. What the
// user may do is up to RBAC objects that the caller creates. A second call for the same user replaces the file; older
// certificates stay valid.
func (c *Cluster) UserKubeconfig(_ context.Context, user string, groups []string) (string, error) {
	pair, err := c.ca.Issue(certs.Leaf{CommonName: user, Organizations: groups})
	if err != nil {
		return "", err
	}
	path := filepath.Join(c.Dir, "users", fileName(user)+".kubeconfig")
	return path, c.save(path, user, pair)
}

func (c *Cluster) writeKubeconfig(path, user string, files certs.Files) error {
	cert, err := os.ReadFile(files.Cert)
	if err != nil {
		return err
	}
	key, err := os.ReadFile(files.Key)
	if err != nil {
		return err
	}
	return c.save(path, user, certs.Pair{Cert: cert, Key: key})
}

// save writes a kubeconfig that holds all it needs, so that it can be copied.
func (c *Cluster) save(path, user string, pair certs.Pair) error {
	config := clientcmdapi.NewConfig()
	config.Clusters[c.Name] = &clientcmdapi.Cluster{Server: c.URL, CertificateAuthorityData: c.ca.Cert}
	config.AuthInfos[user] = &clientcmdapi.AuthInfo{ClientCertificateData: pair.Cert, ClientKeyData: pair.Key}
	config.Contexts[c.Name] = &clientcmdapi.Context{Cluster: c.Name, AuthInfo: user}
	config.CurrentContext = c.Name
	data, err := clientcmd.Write(*config)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		return fmt.Errorf("write the kubeconfig of %s: %w", user, err)
	}
	return os.Rename(path+".new", path)
}

func restConfig(kubeconfig string) (*rest.Config, error) {
	return clientcmd.BuildConfigFromFlags("", kubeconfig)
}

// fileName makes a user's name fit for a file: KUBECONFIG separates paths by colons.
func fileName(user string) string { return strings.NewReplacer("/", "-", ":", "-").Replace(user) }
