package service

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/core"
)

// checkTask checks what compilation does not look at (contract section 4.3).
func (s *Service) checkTask(t *core.TaskTemplate) error {
	const at = "spec.template"
	if t == nil {
		return fault.Field(at, "must be set")
	}
	if err := text(at+".type", t.GetType()); err != nil {
		return err
	}
	if t.GetMetadata() == nil {
		return fault.Field(at+".metadata", "must be set")
	}
	if t.GetInterface() == nil {
		return fault.Field(at+".interface", "must be set")
	}
	for dir, vars := range map[string]*core.VariableMap{"inputs": t.GetInterface().GetInputs(), "outputs": t.GetInterface().GetOutputs()} {
		if err := checkVariables(at+".interface."+dir, vars); err != nil {
			return err
		}
	}
	container := t.GetContainer()
	if container == nil {
		return nil
	}
	if container.GetImage() == "" {
		return fault.Field(at+".container.image", "must be set")
	}
	return s.checkResources(at+".container.resources", container.GetResources())
}

func checkVariables(field string, vars *core.VariableMap) error {
	for name, v := range vars.GetVariables() {
		if name == "" {
			return fault.Field(field, "holds a variable without a name")
		}
		if v.GetType().GetType() == nil {
			return fault.Field(field+"."+name+".type", "must be set")
		}
	}
	return nil
}

// checkResources checks quantities, requests against limits, and limits
// against the platform's.
func (s *Service) checkResources(field string, r *core.Resources) error {
	requests, err := quantities(field+".requests", r.GetRequests())
	if err != nil {
		return err
	}
	limits, err := quantities(field+".limits", r.GetLimits())
	if err != nil {
		return err
	}
	for name, request := range requests {
		limit, ok := limits[name]
		if ok && request.Cmp(limit) > 0 {
			return fault.Field(field, "%s: the request of %s is above the limit of %s", name, request.String(), limit.String())
		}
		if ok && name == core.Resources_GPU && request.Cmp(limit) != 0 {
			return fault.Field(field, "GPU: request and limit must be equal")
		}
	}
	for where, list := range map[string]map[core.Resources_ResourceName]resource.Quantity{"requests": requests, "limits": limits} {
		if err := s.checkPlatform(field+"."+where, list); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) checkPlatform(field string, list map[core.Resources_ResourceName]resource.Quantity) error {
	asked := amount(list)
	for _, c := range []struct {
		name       core.Resources_ResourceName
		asked, max int64
	}{
		{core.Resources_CPU, asked.MilliCPU, s.cfg.TaskLimits.MilliCPU},
		{core.Resources_MEMORY, asked.Memory, s.cfg.TaskLimits.Memory},
		{core.Resources_GPU, asked.GPUs, s.cfg.TaskLimits.GPUs},
	} {
		if q, ok := list[c.name]; ok && c.max > 0 && c.asked > c.max {
			return fault.Field(field, "%s of %s is above the platform's limit of %s", c.name, q.String(), limitText(c.name, c.max))
		}
	}
	return nil
}

func limitText(name core.Resources_ResourceName, max int64) string {
	switch name {
	case core.Resources_CPU:
		return resource.NewMilliQuantity(max, resource.DecimalSI).String()
	case core.Resources_MEMORY:
		return resource.NewQuantity(max, resource.BinarySI).String()
	}
	return fmt.Sprint(max)
}

// quantities parses resource entries; each resource may appear once.
func quantities(field string, entries []*core.Resources_ResourceEntry) (map[core.Resources_ResourceName]resource.Quantity, error) {
	list := make(map[core.Resources_ResourceName]resource.Quantity, len(entries))
	for _, e := range entries {
		name := e.GetName()
		if _, ok := list[name]; ok {
			return nil, fault.Field(field, "%s is there twice", name)
		}
		q, err := resource.ParseQuantity(e.GetValue())
		if err != nil || q.Sign() < 0 {
			return nil, fault.Field(field, "%s: %q is not a quantity such as 500m or 1Gi", name, e.GetValue())
		}
		if name == core.Resources_GPU && q.MilliValue()%1000 != 0 {
			return nil, fault.Field(field, "GPU: %q is not a whole number", e.GetValue())
		}
		list[name] = q
	}
	return list, nil
}

// amount is what the quantities mean to placement.
func amount(list map[core.Resources_ResourceName]resource.Quantity) flow.Resources {
	cpu, memory, gpu := list[core.Resources_CPU], list[core.Resources_MEMORY], list[core.Resources_GPU]
	return flow.Resources{MilliCPU: cpu.MilliValue(), Memory: memory.Value(), GPUs: gpu.Value()}
}

// ParseResources reads a CPU and a memory quantity; empty ones are zero.
func ParseResources(cpu, memory string) (flow.Resources, error) {
	var entries []*core.Resources_ResourceEntry
	for name, value := range map[core.Resources_ResourceName]string{core.Resources_CPU: cpu, core.Resources_MEMORY: memory} {
		if value != "" {
			entries = append(entries, &core.Resources_ResourceEntry{Name: name, Value: value})
		}
	}
	list, err := quantities("resources", entries)
	return amount(list), err
}
