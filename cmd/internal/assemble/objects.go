package assemble

import (
	"log/slog"
	"maps"
	"strings"
	"time"

	"github.com/skein-project/skein/admin/dataproxy"
	"github.com/skein-project/skein/cmd/internal/config"
	"github.com/skein-project/skein/plugins/blob"
)

// endpointVariable is where flytekit finds the S3 server.
const endpointVariable = "FLYTE_AWS_ENDPOINT"

// bounded is an object store that answers in time, or says that it does not:
// what hangs holds up no client that has no deadline.
type bounded struct {
	blob.Requests
	root string
}

// Root is the store's URI.
func (b bounded) Root() string { return b.root }

// patience bounds one request with its tries: whoever waits has a worker of the
// propeller, or a client that may have no deadline.
func patience(c config.Store) time.Duration { return 2 * c.Timeout.Duration }

// objects is where the object store lies; public is the server as clients
// reach it, if that is another way.
func objects(c config.Store, public string) blob.Config {
	return blob.Config{Root: c.Root, S3: blob.S3{Endpoint: c.Endpoint, PublicEndpoint: public, Region: c.Region,
		PathStyle: c.PathStyle, Timeout: c.Timeout.Duration}}
}

// newProxy lets a store that signs links sign them.
func newProxy(c dataproxy.Config, store *blob.Store, data dataproxy.Data, log *slog.Logger) (*dataproxy.Proxy, error) {
	deps := dataproxy.Deps{Objects: store, Data: data, Log: log}
	if store.Signs() {
		deps.Signer = store
	}
	return dataproxy.New(c, deps)
}

// storeName is the object store's name, by which two clusters know whether they
// share one. Empty: it has none, and an execution that moves begins anew.
func storeName(store *blob.Store, log *slog.Logger) string {
	name, err := store.Name()
	if err != nil {
		log.Warn("the object store has no name; what moves from or to this cluster is restarted and not resumed", "error", err)
	}
	return name
}

// copilotStore tells the programs beside raw containers where the store lies.
func copilotStore(c config.Store) []string {
	flags := []string{"--store", c.Root}
	if c.Endpoint != "" {
		flags = append(flags, "--store-endpoint", c.Endpoint)
	}
	if c.Region != "" {
		flags = append(flags, "--store-region", c.Region)
	}
	if c.PathStyle {
		flags = append(flags, "--store-path-style")
	}
	return flags
}

// podEnv is what containers find in their environment: the operator's word
// comes before ours.
func podEnv(cfg config.Propeller) map[string]string {
	env := map[string]string{}
	if cfg.ObjectStore.Endpoint != "" && strings.HasPrefix(cfg.ObjectStore.Root, "s3://") {
		env[endpointVariable] = cfg.ObjectStore.Endpoint
	}
	maps.Copy(env, cfg.Pods.Env)
	return env
}
