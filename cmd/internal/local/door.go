package local

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"

	"github.com/skein-project/skein/cmd/internal/client"
	"github.com/skein-project/skein/deploy/local/cluster"
	"github.com/skein-project/skein/deploy/local/forward"
)

// readyEvery is how often a replica is asked whether it is ready.
const readyEvery = 200 * time.Millisecond

// openDoors puts one address before all replicas for each of their APIs, and
// writes the configurations that name them.
func (f *Federation) openDoors() error {
	f.watchReadiness()
	grpc, err := f.door("grpc", f.opts.GRPCPort, func(r *Replica) string { return r.config.Flyte.GRPC })
	if err != nil {
		return err
	}
	if f.HTTP, err = f.door("http", f.opts.HTTPPort, func(r *Replica) string { return r.config.Flyte.HTTP }); err != nil {
		return err
	}
	api, err := f.door("api", f.opts.APIPort, func(r *Replica) string { return r.config.Federation.Listen })
	if err != nil {
		return err
	}
	return f.writeConfigs(grpc, api)
}

func (f *Federation) door(name string, fixed int, backend func(*Replica) string) (string, error) {
	port, err := f.port(name, fixed)
	if err != nil {
		return "", err
	}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	var backends []string
	for _, r := range f.Replicas {
		backends = append(backends, backend(r))
	}
	d, err := forward.Listen(address, forward.Options{Backends: backends, Ready: f.ready.is, Log: f.opts.Log})
	if err != nil {
		return "", fmt.Errorf("front door: --%s-port: %w", name, err)
	}
	f.doors = append(f.doors, d)
	return address, nil
}

func (f *Federation) watchReadiness() {
	ctx, stop := context.WithCancel(context.Background())
	f.ready = &readiness{ready: map[string]bool{}, stop: stop}
	for _, r := range f.Replicas {
		backends := []string{r.config.Flyte.GRPC, r.config.Flyte.HTTP, r.config.Federation.Listen}
		f.ready.set(backends, true)
		f.ready.done.Go(func() {
			tick := time.NewTicker(readyEvery)
			defer tick.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
					f.ready.set(backends, get(ctx, "http://"+r.config.Ops.Listen+"/readyz", nil) == nil)
				}
			}
		})
	}
}

// writeConfigs writes the configuration of our CLI and of Flyte's clients.
func (f *Federation) writeConfigs(grpc, api string) error {
	keys := filepath.Join(f.folder.Path, "keys")
	c := client.Default()
	c.Flyte, c.Skein, c.CA, c.TokenFile = grpc, api, filepath.Join(keys, "ca.crt"), filepath.Join(keys, "operator.token")
	raw, err := yaml.Marshal(c)
	if err != nil {
		return err
	}
	f.Config = filepath.Join(f.folder.Path, "config.yaml")
	if err := os.WriteFile(f.Config, raw, 0o600); err != nil {
		return err
	}
	return f.writeFlyteConfig(grpc)
}

// environment is what children get: ours, less our own processes' settings,
// with the place for traces.
func (f *Federation) environment() []string {
	var env []string
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "SKEIN_ADMIN_") && !strings.HasPrefix(kv, "SKEIN_PROPELLER_") && !strings.HasPrefix(kv, "OTEL_") {
			env = append(env, kv)
		}
	}
	if f.opts.Traces != "" {
		env = append(env, "OTEL_EXPORTER_OTLP_ENDPOINT=http://"+f.opts.Traces, "OTEL_BSP_SCHEDULE_DELAY=200")
	}
	return append(env, f.opts.Env...)
}

func (f *Federation) log(name string) string {
	return filepath.Join(f.folder.Path, "logs", name+".log")
}

func nodeReady(ctx context.Context, c *cluster.Cluster, name string) error {
	config, err := c.RESTConfig()
	if err != nil {
		return err
	}
	api, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	node, err := api.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	for _, c := range node.Status.Conditions {
		if c.Type == "Ready" && c.Status == "True" {
			return nil
		}
	}
	return fmt.Errorf("node %s is not ready", name)
}
