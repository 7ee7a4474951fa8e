package main

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/deploy/local/processnode"
	"github.com/skein-project/skein/deploy/local/simnode"
)

// nodeCommand runs a process node, or a simulated one, for a cluster on this
// machine. It is hidden: skein demo and benches start it.
func nodeCommand() *cobra.Command {
	var kubeconfig, name, dir, store, venv, clientCA, cert, key string
	var bins []string
	var simulated bool
	var pods int64
	var startup time.Duration
	cmd := &cobra.Command{
		Use: "node", Hidden: true, Args: cobra.NoArgs,
		Short: "Run pods of a loopback cluster as plain processes (development only)",
		Example: `  skein node --kubeconfig admin.kubeconfig --name eu-1-node --simulated --pods 1000 --startup 3s
  skein node --kubeconfig admin.kubeconfig --dir /var/tmp/pods --bin-dir bin --store /var/tmp/objects --venv-bin venv/bin
  skein node --kubeconfig admin.kubeconfig --client-ca kubelet-ca.crt --cert node.crt --key node.key`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			rest, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
			if err != nil {
				return fault.Wrap(fault.Invalid, err, "--kubeconfig")
			}
			log := slog.New(slog.NewTextHandler(os.Stderr, nil))
			if simulated {
				agent, err := simnode.New(simnode.Options{RESTConfig: rest, NodeName: name, Log: log, Capacity: room(pods), Startup: startup})
				if err != nil {
					return err
				}
				return agent.Run(cmd.Context())
			}
			logs, err := logTLS(cert, key, clientCA)
			if err != nil {
				return err
			}
			agent, err := processnode.New(processnode.Options{
				RESTConfig: rest, NodeName: name, Dir: dir, BinDirs: bins, VenvBin: venv, StorePrefix: store, TLSConfig: logs,
				Log: log,
			})
			if err != nil {
				return err
			}
			return agent.Run(cmd.Context())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&kubeconfig, "kubeconfig", "", "an administrator's kubeconfig of the cluster")
	flags.StringVar(&name, "name", "process-node", "name of the Node")
	flags.BoolVar(&simulated, "simulated", false, "run nothing and complete pods by rule: no other flag but --kubeconfig, --name, --pods and --startup counts")
	flags.Int64Var(&pods, "pods", 0, "how many pods a simulated node takes at once; 0: what nodes here declare")
	flags.DurationVar(&startup, "startup", 0, "how long after its creation a pod of a simulated node begins to run")
	flags.StringVar(&dir, "dir", "", "folder for pods")
	flags.StringSliceVar(&bins, "bin-dir", nil, "folders in which programs are looked up first")
	flags.StringVar(&store, "store", "", "folder of the object store, the only hostPath")
	flags.StringVar(&venv, "venv-bin", "", "folder of a Python environment's programs")
	flags.StringVar(&clientCA, "client-ca", "", "CA of those who may read logs")
	flags.StringVar(&cert, "cert", "", "certificate of the log server")
	flags.StringVar(&key, "key", "", "its key")
	return cmd
}

// room is the capacity of a node for so many pods; nil says nothing.
func room(pods int64) corev1.ResourceList {
	if pods == 0 {
		return nil
	}
	return corev1.ResourceList{corev1.ResourcePods: *resource.NewQuantity(pods, resource.DecimalSI)}
}

// logTLS is nil without a certificate: the agent then makes its own.
func logTLS(cert, key, clientCA string) (*tls.Config, error) {
	if cert == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "--cert and --key")
	}
	raw, err := os.ReadFile(clientCA)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "--client-ca")
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(raw) {
		return nil, fault.Field("--client-ca", "%s holds no certificate", clientCA)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: pool, MinVersion: tls.VersionTLS13}, nil
}
