// Package builtin is the explicit list of the plugins that exist.
//
// There is no other registration: a plugin that is not named here does not
// run. Invariant: order is preference.
package builtin

import (
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skein-project/skein/plugins"
	"github.com/skein-project/skein/plugins/container"
	"github.com/skein-project/skein/plugins/pod"
	"github.com/skein-project/skein/plugins/sidecar"
)

// Config holds the configuration of what plugins share, and of each.
type Config struct {
	Pod pod.Config // of every plugin that makes pods
}

// Default is the default of each.
func Default() Config { return Config{Pod: pod.Default()} }

// All makes every plugin, and names the one that runs containers of task types
// that nobody claims. The client reads from a cache, live from the API server.
func All(c Config, cached client.Client, live client.Reader) (all []plugins.Plugin, fallback plugins.Plugin) {
	pods := pod.NewRunner(pod.Options{Client: cached, Live: live, Config: c.Pod})
	containers := container.New(pods)
	return []plugins.Plugin{containers, sidecar.New(pods)}, containers
}
