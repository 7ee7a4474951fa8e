package observe

import (
	"context"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/plugins"
)

// Plugins finds the plugin that runs a task.
type Plugins struct {
	byType   map[string]plugins.Plugin
	fallback plugins.Plugin
	sweepers []plugins.Sweeper
}

// NewPlugins takes plugins in order of preference: of two that run a task
// type, the first does. The fallback runs containers and pods of any other type; it may
// be nil.
func NewPlugins(fallback plugins.Plugin, all ...plugins.Plugin) Plugins {
	p := Plugins{byType: map[string]plugins.Plugin{}, fallback: fallback}
	for _, one := range all {
		for _, t := range one.TaskTypes() {
			if p.byType[t] == nil {
				p.byType[t] = one
			}
		}
		if s, ok := one.(plugins.Sweeper); ok {
			p.sweepers = append(p.sweepers, s)
		}
	}
	return p
}

// Sweep has every plugin that can stop what is left of an execution, and
// reports whether nothing of it runs any more; see plugins.Sweeper.
func (p Plugins) Sweep(ctx context.Context, namespace, execution string, owner types.UID, thorough bool) (bool, error) {
	done := true
	for _, s := range p.sweepers {
		gone, err := s.Sweep(ctx, namespace, execution, owner, thorough)
		if err != nil {
			return false, err
		}
		done = done && gone
	}
	return done, nil
}

// For gives the plugin that runs the task, or nil.
func (p Plugins) For(taskType string, t *core.TaskTemplate) plugins.Plugin {
	if one := p.byType[taskType]; one != nil {
		return one
	}
	if t.GetContainer() != nil || t.GetK8SPod() != nil {
		return p.fallback
	}
	return nil
}

// TaskTypes are the task types that have a plugin of their own, in order.
func (p Plugins) TaskTypes() []string { return slices.Sorted(maps.Keys(p.byType)) }

// Runs gives the plugin that was recorded to run an attempt, or else the one
// that would run its task type.
func (p Plugins) Runs(id, taskType string) plugins.Plugin {
	for _, one := range p.byType {
		if one.ID() == id {
			return one
		}
	}
	if one := p.byType[taskType]; one != nil {
		return one
	}
	return p.fallback
}
