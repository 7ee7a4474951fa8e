// Package container runs the task types of one container: Python tasks,
// containers and raw containers, whose inputs and outputs package copilot
// carries.
//
// It names the types and nothing else: a task of them may bring a pod of its
// own (flytekit's PodTemplate), so pods are made and read in plugins/pod.
//
// Invariant: it sweeps for every plugin of plugins/pod, whose pods have the same
// owner.
package container

import "github.com/skein-project/skein/plugins/pod"

// Plugin runs containers.
type Plugin struct{ *pod.Runner }

// New makes the plugin.
func New(r *pod.Runner) Plugin { return Plugin{r} }

// ID is "container".
func (Plugin) ID() string { return "container" }

// TaskTypes are those whose target is a container, unless they bring a pod.
func (Plugin) TaskTypes() []string { return []string{"python-task", "container", "raw-container"} }
