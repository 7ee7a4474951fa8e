// Package builtin is the explicit list of the plugins that exist.
//
// There is no other registration: a plugin that is not named here does not
// run. Invariant: order is preference.
package builtin

import (
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skein-project/skein/plugins"
	"github.com/skein-project/skein/plugins/container"
)

// Config holds the configuration of each plugin.
type Config struct {
	Container container.Config
}

// Default is each plugin's own default.
func Default() Config { return Config{Container: container.Default()} }

// All makes every plugin, and names the one that runs containers of task types
// that nobody claims. The client reads from a cache, live from the API server.
func All(c Config, cached client.Client, live client.Reader) (all []plugins.Plugin, fallback plugins.Plugin) {
	containers := container.New(container.Options{Client: cached, Live: live, Config: c.Container})
	return []plugins.Plugin{containers}, containers
}
