// Package sidecar runs the task type that always brings a pod of its own: what
// flytekit's pod plugin registers, in each of the ways that it ever did.
//
// It names the type and nothing else: pods are made and read in plugins/pod.
//
// Invariant: it leaves sweeping to package container, so that pods are listed
// once.
package sidecar

import (
	"context"

	"github.com/skein-project/skein/plugins"
	"github.com/skein-project/skein/plugins/pod"
)

// Plugin runs pods.
type Plugin struct{ pods *pod.Runner }

// New makes the plugin.
func New(r *pod.Runner) Plugin { return Plugin{r} }

// ID is "sidecar".
func (Plugin) ID() string { return "sidecar" }

// TaskTypes are those that bring a pod.
func (Plugin) TaskTypes() []string { return []string{"sidecar", "pod"} }

// Start creates the attempt's pod.
func (p Plugin) Start(ctx context.Context, task plugins.Task) error { return p.pods.Start(ctx, task) }

// Observe reads the attempt's pod from the cache.
func (p Plugin) Observe(ctx context.Context, ref plugins.Ref) (plugins.Status, error) {
	return p.pods.Observe(ctx, ref)
}

// Abort deletes the attempt's pod, and is done when the API server has none.
func (p Plugin) Abort(ctx context.Context, ref plugins.Ref) (bool, error) {
	return p.pods.Abort(ctx, ref)
}
