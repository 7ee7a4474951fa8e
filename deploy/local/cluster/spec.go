package cluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/skein-project/skein/deploy/local/certs"
	"github.com/skein-project/skein/deploy/local/proc"
)

const (
	loopback  = "127.0.0.1"
	adminUser = "skein-local-admin"
	// accountsKeys is the name of the key pair for tokens of service accounts.
	accountsKeys = "service-accounts"
	// adminKubeconfig is the name of the administrator's kubeconfig in the cluster's folder.
	adminKubeconfig = "admin.kubeconfig"
	// notRouted is an address of the range for documentation. kube-apiserver refuses to advertise a loopback address
	// and exits on a machine without a default route if it has none; with the endpoint reconciler off it goes nowhere.
	notRouted = "192.0.2.1"
)

// absentControllers are admission plugins that wait for, or leave work to, a controller that a bare API server lacks:
// ServiceAccount would refuse every pod, TaintNodesByCondition would leave nodes tainted for ever.
const absentControllers = "ServiceAccount,TaintNodesByCondition,DefaultTolerationSeconds,StorageObjectInUseProtection," +
	"DefaultStorageClass,DefaultIngressClass"

// credentials are the files that the two programs authenticate with.
type credentials struct {
	etcd, etcdClient, apiServer, kubelet, accounts, admin certs.Files
}

// issue makes what is not there yet. The API server's certificate towards nodes comes from a CA of its own.
func (c *Cluster) issue() (credentials, error) {
	dir := c.certsDir()
	var creds credentials
	var errs []error
	leaf := func(name string, leaf certs.Leaf) certs.Files {
		files, err := c.ca.EnsureLeaf(dir, name, leaf)
		errs = append(errs, err)
		return files
	}
	masters := []string{"system:masters"}
	creds.etcd = leaf("etcd", certs.Leaf{CommonName: "etcd", Hosts: []string{loopback, "localhost"}})
	creds.etcdClient = leaf("etcd-client", certs.Leaf{CommonName: "kube-apiserver-etcd-client"})
	creds.apiServer = leaf("apiserver", certs.Leaf{CommonName: "kube-apiserver", Hosts: []string{
		loopback, "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "10.96.0.1"}})
	creds.admin = leaf("admin", certs.Leaf{CommonName: adminUser, Organizations: masters})
	var err error
	creds.accounts, err = certs.EnsureKeyPair(dir, accountsKeys)
	errs = append(errs, err)
	creds.kubelet, err = c.nodeClients.EnsureLeaf(dir, "kubelet-client",
		certs.Leaf{CommonName: "kube-apiserver-kubelet-client", Organizations: masters})
	return creds, errors.Join(append(errs, err)...)
}

// etcdSpec runs etcd without fsync: a killed process loses nothing by that, only a crash of the machine does.
func (c *Cluster) etcdSpec(o Options, creds credentials) proc.Spec {
	client, peer := address(o.EtcdPort), address(o.EtcdPeerPort)
	return proc.Spec{
		Name: o.Name + "-etcd",
		Path: o.Tools.Etcd,
		Args: []string{
			"--name=" + o.Name,
			"--data-dir=" + filepath.Join(o.Dir, "etcd"),
			"--listen-client-urls=" + client, "--advertise-client-urls=" + client,
			"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer,
			"--initial-cluster=" + o.Name + "=" + peer,
			"--client-cert-auth", "--trusted-ca-file=" + c.caFiles.Cert,
			"--cert-file=" + creds.etcd.Cert, "--key-file=" + creds.etcd.Key,
			"--peer-client-cert-auth", "--peer-trusted-ca-file=" + c.caFiles.Cert,
			"--peer-cert-file=" + creds.etcd.Cert, "--peer-key-file=" + creds.etcd.Key,
			"--unsafe-no-fsync", "--quota-backend-bytes=4294967296", "--log-level=warn",
		},
		Env:   cleanEnvironment(),
		Log:   filepath.Join(o.Dir, "log", "etcd.log"),
		Ready: probe(client+"/health", c.caFiles.Cert, creds.etcdClient),
		Grace: 5 * time.Second,
	}
}

func (c *Cluster) apiServerSpec(o Options, creds credentials) proc.Spec {
	args := []string{
		"--bind-address=" + loopback, fmt.Sprintf("--secure-port=%d", o.APIPort),
		"--advertise-address=" + notRouted, "--endpoint-reconciler-type=none",
		"--etcd-servers=" + address(o.EtcdPort), "--etcd-cafile=" + c.caFiles.Cert,
		"--etcd-certfile=" + creds.etcdClient.Cert, "--etcd-keyfile=" + creds.etcdClient.Key,
		"--tls-cert-file=" + creds.apiServer.Cert, "--tls-private-key-file=" + creds.apiServer.Key,
		"--client-ca-file=" + c.caFiles.Cert,
		"--anonymous-auth=false",
		"--authorization-mode=Node,RBAC",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + creds.accounts.Cert,
		"--service-account-signing-key-file=" + creds.accounts.Key,
		"--service-cluster-ip-range=10.96.0.0/16",
		"--kubelet-client-certificate=" + creds.kubelet.Cert, "--kubelet-client-key=" + creds.kubelet.Key,
		"--kubelet-preferred-address-types=InternalIP",
		"--enable-admission-plugins=NodeRestriction",
		"--allow-privileged", "--profiling=false",
	}
	if !o.Controllers {
		args = append(args, "--disable-admission-plugins="+absentControllers)
	}
	env := cleanEnvironment()
	if o.GCPercent != 0 {
		env = append(env, fmt.Sprintf("GOGC=%d", o.GCPercent))
	}
	return proc.Spec{
		Name:         o.Name + "-kube-apiserver",
		Path:         o.Tools.APIServer,
		Args:         append(args, o.APIServerArgs...),
		Env:          env,
		Log:          filepath.Join(o.Dir, "log", "kube-apiserver.log"),
		Ready:        probe(c.URL+"/readyz", c.caFiles.Cert, creds.admin),
		ReadyTimeout: time.Minute,
		Grace:        5 * time.Second,
	}
}

// probe asks an HTTPS address over a verified connection, so that a stranger on the port is not taken for ours.
func probe(url, caFile string, client certs.Files) func(context.Context) error {
	return func(ctx context.Context) error {
		transport, err := transport(caFile, client)
		if err != nil {
			return err
		}
		defer transport.CloseIdleConnections()
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		response, err := (&http.Client{Transport: transport, Timeout: 2 * time.Second}).Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		body, _ := io.ReadAll(io.LimitReader(response.Body, 2000))
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %s", response.Status, strings.TrimSpace(string(body)))
		}
		return nil
	}
}

func transport(caFile string, client certs.Files) (*http.Transport, error) {
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	pair, err := tls.LoadX509KeyPair(client.Cert, client.Key)
	if err != nil {
		return nil, err
	}
	return &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}}, nil
}

// cleanEnvironment keeps proxies and ETCD_ variables of the caller away from the programs.
func cleanEnvironment() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.TempDir()}
}

func address(port int) string { return fmt.Sprintf("https://%s:%d", loopback, port) }
