package processnode

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"

	"github.com/skein-project/skein/deploy/local/node"
)

// Options say which cluster the agent serves and what its node is like.
type Options struct {
	// RESTConfig leads to the API server, whose host must be loopback. It is
	// copied; a client-side rate limit that is not set is lifted.
	RESTConfig *rest.Config
	// NodeName names the Node object.
	NodeName string
	// Dir is the agent's folder, made if missing. Only one agent may use it at
	// a time, which a lock ensures; a later agent of the same folder cleans up
	// after an earlier one. Keep it short, since TMPDIR lies below it, and free of
	// spaces, since mapped paths are put into shell scripts too.
	Dir string
	// BinDirs and VenvBin (may be empty) are searched for programs, in this
	// order, before the system's folders, and lead PATH.
	BinDirs []string
	VenvBin string
	// StorePrefix is the object store's folder, the only place for hostPath.
	StorePrefix string
	// Capacity is what the node declares: nothing measures or enforces it. The
	// default is 16 CPU, 32Gi and 200 pods.
	Capacity corev1.ResourceList
	// MaxRunning bounds the pods whose processes run at once (default: twice the
	// cores); the others that are bound stay Pending, first come, first served.
	MaxRunning int
	// Labels are put on the Node.
	Labels map[string]string
	// TLSConfig serves container logs. It needs a certificate; with ClientCAs,
	// a client certificate of theirs may read logs, so they should be those of
	// the API server's kubelet client alone. By default the certificate is
	// self-signed, and only the bearer token in <Dir>/log-token is accepted.
	TLSConfig *tls.Config
	// Log takes the agent's own log (default: slog.Default()).
	Log *slog.Logger
}

// complete checks the options and fills in the defaults.
func (o Options) complete() (Options, error) {
	if err := errors.Join(o.problems()...); err != nil {
		return o, fmt.Errorf("process node agent: %w", err)
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	o.Log = o.Log.With("node", o.NodeName)
	if o.MaxRunning <= 0 {
		o.MaxRunning = 2 * runtime.NumCPU()
	}
	o.Capacity = node.Capacity(o.Capacity)
	o.RESTConfig = rest.CopyConfig(o.RESTConfig)
	if o.RESTConfig.QPS == 0 && o.RESTConfig.RateLimiter == nil {
		o.RESTConfig.QPS = -1
	}
	return o, o.resolve()
}

// problems lists all that is wrong.
func (o Options) problems() []error {
	var problems []error
	if o.NodeName == "" {
		problems = append(problems, errors.New("no node name"))
	}
	if o.Dir == "" {
		problems = append(problems, errors.New("no folder"))
	}
	if o.StorePrefix != "" && !filepath.IsAbs(o.StorePrefix) {
		problems = append(problems, fmt.Errorf("the object store's folder %q is not an absolute path", o.StorePrefix))
	}
	if o.RESTConfig == nil {
		problems = append(problems, errors.New("no API server"))
	} else if err := node.RequireLoopback(o.RESTConfig); err != nil {
		problems = append(problems, fmt.Errorf("pods run as plain processes, which isolates nothing: %w", err))
	}
	if o.TLSConfig != nil && len(o.TLSConfig.Certificates) == 0 && o.TLSConfig.GetCertificate == nil {
		problems = append(problems, errors.New("the TLS configuration has no certificate"))
	}
	return problems
}

// resolve makes the folder and gives it its real name, which is how the kernel
// shows a working directory; programs are started elsewhere, so their folders
// become absolute.
func (o *Options) resolve() error {
	for _, name := range []string{podsName, tmpName} { // not for others: secrets lie in volumes
		if err := os.MkdirAll(filepath.Join(o.Dir, name), 0o700); err != nil {
			return fmt.Errorf("make the agent's folder: %w", err)
		}
	}
	abs, err := filepath.Abs(o.Dir)
	if err != nil {
		return fmt.Errorf("find the agent's folder: %w", err)
	}
	if o.Dir, err = filepath.EvalSymlinks(abs); err != nil {
		return fmt.Errorf("find the agent's folder: %w", err)
	}
	o.BinDirs = slices.Clone(o.BinDirs)
	for i, dir := range o.BinDirs {
		if o.BinDirs[i], err = filepath.Abs(dir); err != nil {
			return fmt.Errorf("find the programs: %w", err)
		}
	}
	if o.VenvBin != "" {
		if o.VenvBin, err = filepath.Abs(o.VenvBin); err != nil {
			return fmt.Errorf("find the virtual environment: %w", err)
		}
	}
	return nil
}
