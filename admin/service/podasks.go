package service

import (
	"cmp"
	"strconv"

	"google.golang.org/protobuf/types/known/structpb"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/core"
)

// ask is what one container asks for, and what it limits itself to. Zero fields
// say nothing.
type ask struct{ requests, limits flow.Resources }

func asks(r *core.Resources) (ask, error) {
	requests, err := quantities("resources.requests", r.GetRequests())
	if err != nil {
		return ask{}, err
	}
	limits, err := quantities("resources.limits", r.GetLimits())
	return ask{amount(requests), amount(limits)}, err
}

// over lays what one says over another.
func (a ask) over(b ask) ask {
	return ask{first(a.requests, b.requests), first(a.limits, b.limits)}
}

// settled is what Kubernetes will be asked for, as the propeller settles it
// (contract 19.2): limits stand in for requests, defaults for both, and nothing
// is above its own limit or the platform's.
func (a ask) settled(defaults, most flow.Resources) flow.Resources {
	return cut(cut(first(a.requests, first(a.limits, defaults)), a.limits), most)
}

// podOf is the pod that a task or its node brings, and the name of the
// container that is the task; nil if it brings none.
func podOf(t *core.TaskTemplate, over *core.K8SPod) (*structpb.Struct, string) {
	config := t.GetConfig()["primary_container_name"]
	custom := t.GetCustom().GetFields()
	switch {
	case len(over.GetPodSpec().GetFields()) > 0:
		return over.GetPodSpec(), cmp.Or(over.GetPrimaryContainerName(), "primary")
	case t.GetK8SPod() != nil:
		return t.GetK8SPod().GetPodSpec(), cmp.Or(t.GetK8SPod().GetPrimaryContainerName(), config, "primary")
	case t.GetTarget() == nil && custom["podSpec"] != nil: // as old pod plugins left it
		return custom["podSpec"].GetStructValue(), cmp.Or(custom["primaryContainerName"].GetStringValue(), config, "primary")
	case t.GetTarget() == nil && custom["containers"] != nil:
		return t.GetCustom(), cmp.Or(config, "primary")
	}
	return nil, ""
}

// podAsks is what all containers of a pod ask for together, or one of its init
// containers if that is more. What cannot be read asks for nothing: Kubernetes
// will say what is wrong with it.
func podAsks(spec *structpb.Struct, primary string, over ask, cfg Config) flow.Resources {
	var total, most flow.Resources
	for _, c := range spec.GetFields()["containers"].GetListValue().GetValues() {
		one, defaults := containerAsks(c), flow.Resources{}
		if ofContainer(c, "name") == primary {
			one, defaults = over.over(one), cfg.TaskDefaults
		}
		total = sum(total, one.settled(defaults, cfg.TaskLimits))
	}
	for _, c := range spec.GetFields()["initContainers"].GetListValue().GetValues() {
		one := containerAsks(c).settled(flow.Resources{}, cfg.TaskLimits)
		if ofContainer(c, "restartPolicy") == "Always" { // a side-car: it stays
			total = sum(total, one)
		}
		most = most.Max(one)
	}
	total.Pods = 0 // counted once, for the pod
	return total.Max(most).Min(flow.Resources{MilliCPU: maxAmount, Memory: maxAmount, GPUs: maxAmount})
}

func containerAsks(c *structpb.Value) ask {
	resources := c.GetStructValue().GetFields()["resources"].GetStructValue().GetFields()
	return ask{podQuantities(resources["requests"]), podQuantities(resources["limits"])}
}

func ofContainer(v *structpb.Value, name string) string {
	return v.GetStructValue().GetFields()[name].GetStringValue()
}

func podQuantities(v *structpb.Value) flow.Resources {
	list := quantityMap{}
	for name, entry := range map[string]core.Resources_ResourceName{
		"cpu": core.Resources_CPU, "memory": core.Resources_MEMORY, "nvidia.com/gpu": core.Resources_GPU,
		"gpu": core.Resources_GPU, // as flytekit writes it
	} {
		text := v.GetStructValue().GetFields()[name].GetStringValue()
		if n, ok := v.GetStructValue().GetFields()[name].GetKind().(*structpb.Value_NumberValue); ok {
			text = strconv.FormatFloat(n.NumberValue, 'f', -1, 64)
		}
		if q, err := resource.ParseQuantity(text); err == nil {
			list[entry] = q
		}
	}
	return amount(list)
}
