package pod

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/skein-project/skein/api/flyteidl/core"
)

// shortGPU is how flytekit writes a GPU into a pod's resources.
const shortGPU corev1.ResourceName = "gpu"

// primaryResources is contract 19.2 for the container that is the task: the
// node's word over its own, one of request and limit for the other, the
// platform's defaults for neither, its limits above.
func primaryResources(own corev1.ResourceRequirements, over *core.Resources, c Config) (corev1.ResourceRequirements, error) {
	nodes, err := amounts(over, c)
	if err != nil {
		return own, err
	}
	requests, limits := overlay(long(own.Requests, c), nodes.Requests), overlay(long(own.Limits, c), nodes.Limits)
	for name, q := range c.Defaults.list() {
		_, asked := requests[name]
		_, limited := limits[name]
		if !asked && !limited {
			requests[name] = q
		}
	}
	return within(corev1.ResourceRequirements{Requests: requests, Limits: limits, Claims: own.Claims}, c), nil
}

// within lets a container ask for what it names, and for no more than the
// platform's limits.
func within(r corev1.ResourceRequirements, c Config) corev1.ResourceRequirements {
	requests, limits := long(r.Requests, c), long(r.Limits, c)
	fill(requests, limits)
	fill(limits, requests)
	for name, most := range c.Limits.list() {
		if q, asks := limits[name]; asks && q.Cmp(most) > 0 {
			limits[name] = most
		}
	}
	for name, q := range requests {
		if l := limits[name]; q.Cmp(l) > 0 {
			requests[name] = l
		}
	}
	if len(requests) == 0 {
		return corev1.ResourceRequirements{Claims: r.Claims}
	}
	return corev1.ResourceRequirements{Requests: requests, Limits: limits, Claims: r.Claims}
}

// long is a copy of a list with Kubernetes' name for a GPU.
func long(list corev1.ResourceList, c Config) corev1.ResourceList {
	out := corev1.ResourceList{}
	for name, q := range list {
		if name == shortGPU {
			name = corev1.ResourceName(c.GPUResource)
		}
		out[name] = q
	}
	return out
}

func overlay(own, over corev1.ResourceList) corev1.ResourceList {
	out := corev1.ResourceList{}
	for _, list := range []corev1.ResourceList{own, over} {
		for name, q := range list {
			out[name] = q
		}
	}
	return out
}

func fill(into, from corev1.ResourceList) {
	for name, q := range from {
		if _, there := into[name]; !there {
			into[name] = q
		}
	}
}

// amounts reads Flyte's resources.
func amounts(r *core.Resources, c Config) (corev1.ResourceRequirements, error) {
	requests, err := collect(r.GetRequests(), c)
	if err != nil {
		return corev1.ResourceRequirements{}, err
	}
	limits, err := collect(r.GetLimits(), c)
	return corev1.ResourceRequirements{Requests: requests, Limits: limits}, err
}

func collect(entries []*core.Resources_ResourceEntry, c Config) (corev1.ResourceList, error) {
	list := corev1.ResourceList{}
	for _, e := range entries {
		name := resourceName(e.GetName(), c)
		if name == "" {
			continue
		}
		q, err := resource.ParseQuantity(e.GetValue())
		if err != nil {
			return nil, bad("resource %s: %q is not an amount", name, e.GetValue())
		}
		list[name] = q
	}
	return list, nil
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
