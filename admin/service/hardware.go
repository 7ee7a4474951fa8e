package service

import (
	"slices"

	"google.golang.org/protobuf/types/known/structpb"

	"github.com/skein-project/skein/api/flyteidl/core"
)

// archLabel is the node label by which pods choose an architecture.
const archLabel = "kubernetes.io/arch"

// hardware notes what a task's pod needs of the nodes: accelerators by name, and
// the architectures that its pod chooses from.
func (d *walk) hardware(t *core.TaskTemplate, over *core.TaskNodeOverrides) {
	device := over.GetExtendedResources().GetGpuAccelerator().GetDevice()
	if device == "" {
		device = t.GetExtendedResources().GetGpuAccelerator().GetDevice()
	}
	if device != "" {
		d.accelerators[device] = true
	}
	spec, _ := podOf(t, over.GetPodTemplate())
	if arch := architectures(spec); arch != nil {
		d.architectures = append(d.architectures, arch)
	}
}

// architectures of a pod: of its node selector, or of its required node
// affinity; nil: any.
func architectures(spec *structpb.Struct) []string {
	if arch := spec.GetFields()["nodeSelector"].GetStructValue().GetFields()[archLabel].GetStringValue(); arch != "" {
		return []string{arch}
	}
	var out []string
	required := spec.GetFields()["affinity"].GetStructValue().GetFields()["nodeAffinity"].GetStructValue().
		GetFields()["requiredDuringSchedulingIgnoredDuringExecution"].GetStructValue()
	for _, term := range required.GetFields()["nodeSelectorTerms"].GetListValue().GetValues() {
		found := false
		for _, e := range term.GetStructValue().GetFields()["matchExpressions"].GetListValue().GetValues() {
			if ofContainer(e, "key") != archLabel || ofContainer(e, "operator") != "In" {
				continue
			}
			found = true
			for _, v := range e.GetStructValue().GetFields()["values"].GetListValue().GetValues() {
				out = append(out, v.GetStringValue())
			}
		}
		if !found {
			return nil // terms are alternatives, and this one takes any
		}
	}
	return out
}

// common is what suits every task that chooses: some cluster's nodes must have
// one of these. Where no architecture suits all, any that was named does: a
// cluster may have nodes of several.
func common(choices [][]string) []string {
	if len(choices) == 0 {
		return nil
	}
	all := slices.Clone(choices[0])
	shared := slices.Clone(choices[0])
	for _, c := range choices[1:] {
		all = append(all, c...)
		shared = slices.DeleteFunc(shared, func(a string) bool { return !slices.Contains(c, a) })
	}
	if len(shared) == 0 {
		shared = all
	}
	slices.Sort(shared)
	return slices.Compact(shared)
}
