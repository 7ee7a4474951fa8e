package container

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/plugins"
)

// podResources is contract 19.2: override over container, one of request and
// limit for the other, the platform's defaults for neither, its limits above.
func podResources(task plugins.Task, target *core.Container, c Config) (corev1.ResourceRequirements, error) {
	requests, limits := corev1.ResourceList{}, corev1.ResourceList{}
	for _, r := range []*core.Resources{target.GetResources(), task.Overrides.GetResources()} {
		if err := collect(requests, r.GetRequests(), c); err != nil {
			return corev1.ResourceRequirements{}, err
		}
		if err := collect(limits, r.GetLimits(), c); err != nil {
			return corev1.ResourceRequirements{}, err
		}
	}
	for name, q := range c.Defaults.list() {
		if _, asked := requests[name]; asked {
			continue
		}
		if l, limited := limits[name]; limited {
			requests[name] = l
		} else {
			requests[name] = q
		}
	}
	fill(requests, limits)
	fill(limits, requests)
	for name, most := range c.Limits.list() {
		if q := limits[name]; q.Cmp(most) > 0 {
			limits[name] = most
		}
	}
	for name, q := range requests {
		if l := limits[name]; q.Cmp(l) > 0 {
			requests[name] = l
		}
	}
	return corev1.ResourceRequirements{Requests: requests, Limits: limits}, nil
}

func fill(into, from corev1.ResourceList) {
	for name, q := range from {
		if _, there := into[name]; !there {
			into[name] = q
		}
	}
}

func collect(into corev1.ResourceList, entries []*core.Resources_ResourceEntry, c Config) error {
	for _, e := range entries {
		name := resourceName(e.GetName(), c)
		if name == "" {
			continue
		}
		q, err := resource.ParseQuantity(e.GetValue())
		if err != nil {
			return &plugins.Failure{Code: "BadTaskFormat", Message: fmt.Sprintf("resource %s: %q is not an amount", name, e.GetValue())}
		}
		into[name] = q
	}
	return nil
}

func resourceName(n core.Resources_ResourceName, c Config) corev1.ResourceName {
	switch n {
	case core.Resources_CPU:
		return corev1.ResourceCPU
	case core.Resources_MEMORY:
		return corev1.ResourceMemory
	case core.Resources_GPU:
		return corev1.ResourceName(c.GPUResource)
	case core.Resources_EPHEMERAL_STORAGE, core.Resources_STORAGE:
		return corev1.ResourceEphemeralStorage
	}
	return ""
}
