package scenario

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/skein-project/skein/chaos/inject/kubeapi"
	"github.com/skein-project/skein/chaos/inject/pgwire"
	"github.com/skein-project/skein/deploy/local/cluster"
)

// link puts a proxy into a link that can be cut, and one behind it into a link
// to the database, if its transactions are to be disturbed.
func (w *World) link(name, address string) (string, error) {
	if w.disturbed && strings.HasSuffix(name, "/database") {
		p, err := pgwire.Start(address)
		if err != nil {
			return "", err
		}
		if err := w.traffic.Add(name, p); err != nil {
			return "", err
		}
		address = p.Address()
	}
	return w.links.Through(name, address)
}

// apiFront puts a proxy before an API server that answers in its place, with a
// certificate of the cluster's authority and in the name of the propeller.
func (w *World) apiFront(server *cluster.Cluster, kubeconfig string) (string, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return "", err
	}
	transport, err := rest.TransportFor(config)
	if err != nil {
		return "", err
	}
	files, err := server.ServerCert("disturber")
	if err != nil {
		return "", err
	}
	cert, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		return "", err
	}
	ca, err := os.ReadFile(server.CAFile())
	if err != nil {
		return "", err
	}
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM(ca)
	p, err := kubeapi.Start(kubeapi.Options{Server: config.Host, Transport: transport, Cert: cert, Clients: clients})
	if err != nil {
		return "", err
	}
	return p.URL(), w.traffic.Add(server.Name+"/api", p)
}
