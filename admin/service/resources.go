package service

import (
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/core"
)

// maxAmount bounds every amount, so that sums of them stay numbers.
const maxAmount = 1 << 50

type quantityMap map[core.Resources_ResourceName]resource.Quantity

// checkLimits checks requests and limits against the platform's limits; that
// they make sense by themselves is the compiler's to check.
func (s *Service) checkLimits(field string, r *core.Resources) error {
	for where, entries := range map[string][]*core.Resources_ResourceEntry{"requests": r.GetRequests(), "limits": r.GetLimits()} {
		list, err := quantities(field+"."+where, entries)
		if err != nil {
			return err
		}
		asked, most := amount(list), s.cfg.TaskLimits
		switch {
		case above(asked.MilliCPU, most.MilliCPU):
			return overLimit(field+"."+where, list, core.Resources_CPU, resource.NewMilliQuantity(most.MilliCPU, resource.DecimalSI))
		case above(asked.Memory, most.Memory):
			return overLimit(field+"."+where, list, core.Resources_MEMORY, resource.NewQuantity(most.Memory, resource.BinarySI))
		case above(asked.GPUs, most.GPUs):
			return overLimit(field+"."+where, list, core.Resources_GPU, resource.NewQuantity(most.GPUs, resource.DecimalSI))
		}
	}
	return nil
}

func above(asked, most int64) bool { return most > 0 && asked > most }

func overLimit(field string, list quantityMap, name core.Resources_ResourceName, most *resource.Quantity) error {
	asked := list[name]
	return fault.Field(field, "%s of %s is above the platform's limit of %s", name, asked.String(), most.String())
}

func quantities(field string, entries []*core.Resources_ResourceEntry) (quantityMap, error) {
	list := make(quantityMap, len(entries))
	for _, e := range entries {
		q, err := resource.ParseQuantity(e.GetValue())
		if err != nil {
			return nil, fault.Field(field, "%s: %q is not a quantity such as 500m or 1Gi", e.GetName(), e.GetValue())
		}
		list[e.GetName()] = q
	}
	return list, nil
}

// amount is what the quantities mean to placement.
func amount(list quantityMap) flow.Resources {
	cpu, memory, gpu := list[core.Resources_CPU], list[core.Resources_MEMORY], list[core.Resources_GPU]
	most := flow.Resources{MilliCPU: maxAmount, Memory: maxAmount, GPUs: maxAmount}
	return flow.Resources{MilliCPU: cpu.MilliValue(), Memory: memory.Value(), GPUs: gpu.Value()}.Min(most)
}

// ParseResources reads a CPU and a memory quantity; empty ones are zero.
func ParseResources(cpu, memory string) (flow.Resources, error) {
	var entries []*core.Resources_ResourceEntry
	if cpu != "" {
		entries = append(entries, &core.Resources_ResourceEntry{Name: core.Resources_CPU, Value: cpu})
	}
	if memory != "" {
		entries = append(entries, &core.Resources_ResourceEntry{Name: core.Resources_MEMORY, Value: memory})
	}
	list, err := quantities("resources", entries)
	return amount(list), err
}

// first is a, and b where a says nothing.
func first(a, b flow.Resources) flow.Resources {
	pick := func(x, y int64) int64 {
		if x != 0 {
			return x
		}
		return y
	}
	return flow.Resources{MilliCPU: pick(a.MilliCPU, b.MilliCPU), Memory: pick(a.Memory, b.Memory), GPUs: pick(a.GPUs, b.GPUs)}
}

// cut is a, at most limit where limit says something.
func cut(a, limit flow.Resources) flow.Resources {
	return a.Min(first(limit, flow.Resources{MilliCPU: maxAmount, Memory: maxAmount, GPUs: maxAmount}))
}

// sum adds without growing past what can be added again.
func sum(a, b flow.Resources) flow.Resources {
	const most = maxAmount << 8
	return a.Add(b).Min(flow.Resources{MilliCPU: most, Memory: most, GPUs: most, Pods: most})
}

// reservation is the smaller of peak and n times the largest pod, field by
// field.
func reservation(peak, largest flow.Resources, n int64) flow.Resources {
	field := func(peak, largest int64) int64 {
		if largest == 0 || peak/largest < n {
			return peak
		}
		return largest * n
	}
	return flow.Resources{MilliCPU: field(peak.MilliCPU, largest.MilliCPU), Memory: field(peak.Memory, largest.Memory),
		GPUs: field(peak.GPUs, largest.GPUs), Pods: field(peak.Pods, largest.Pods)}
}
