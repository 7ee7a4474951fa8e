package service

import (
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/skein-project/skein/admin/compile"
	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/core"
)

// parseSelector reads an execution cluster label as a Kubernetes selector and
// gives its canonical form; a bare word means "has this label key".
func parseSelector(value string) (string, error) {
	selector, err := labels.Parse(value)
	if err != nil {
		return "", fault.Field("spec.execution_cluster_label.value", "%q is not a Kubernetes label selector: %s", value, err.Error())
	}
	return selector.String(), nil
}

// requirement is what an execution asks of a cluster. Where it selects nothing
// itself, the policies' default selector holds when it is placed.
func (s *Service) requirement(d demand, spec *admin.ExecutionSpec, w wishes) (flow.Requirement, error) {
	selector, err := parseSelector(spec.GetExecutionClusterLabel().GetValue())
	if err != nil {
		return flow.Requirement{}, err
	}
	class := w.class
	if class == "" {
		class = tier(spec.GetQualityOfService(), d.quality)
	}
	return flow.Requirement{
		Selector: selector, TaskTypes: d.types, Largest: d.largest, Peak: d.peak,
		Reservation:   reservation(d.peak, d.largest, int64(spec.GetMaxParallelism())),
		Workflow:      d.workflowName,
		Pool:          spec.GetClusterAssignment().GetClusterPoolName(),
		Class:         class,
		Architectures: d.architectures, Accelerators: d.accelerators,
		Tolerations: w.tolerations, Preferred: w.preferred, Group: w.group, Near: w.near, Apart: w.apart,
		MinVersion: w.minVersion,
	}, nil
}

// tier is the priority class of Flyte's quality of service: the first that names
// a tier.
func tier(all ...*core.QualityOfService) string {
	for _, q := range all {
		switch q.GetTier() {
		case core.QualityOfService_HIGH:
			return "high"
		case core.QualityOfService_MEDIUM:
			return "medium"
		case core.QualityOfService_LOW:
			return "low"
		}
	}
	return ""
}

// demand is what a compiled closure asks of any cluster. Peak is an estimate: it
// supposes that the levels of the graph run in step.
type demand struct {
	workflowName  string
	types         []string
	largest, peak flow.Resources
	architectures []string
	accelerators  []string
	quality       *core.QualityOfService
}

func (s *Service) demandOf(closure *core.CompiledWorkflowClosure) (demand, error) {
	d := walk{cfg: s.cfg, tasks: map[string]*core.TaskTemplate{}, subs: map[string]*core.CompiledWorkflow{},
		types: map[string]bool{}, peaks: map[string]flow.Resources{}, accelerators: map[string]bool{}}
	for _, t := range closure.GetTasks() {
		d.tasks[fromIdentifier(t.GetTemplate().GetId()).String()] = t.GetTemplate()
	}
	for _, w := range closure.GetSubWorkflows() {
		d.subs[fromIdentifier(w.GetTemplate().GetId()).String()] = w
	}
	peak, err := d.workflow(closure.GetPrimary())
	primary := closure.GetPrimary().GetTemplate()
	return demand{
		workflowName: primary.GetId().GetName(), types: slices.Sorted(maps.Keys(d.types)), largest: d.largest, peak: peak,
		architectures: common(d.architectures), accelerators: slices.Sorted(maps.Keys(d.accelerators)),
		quality: primary.GetMetadata().GetQualityOfService(),
	}, err
}

// walk goes through a closure.
type walk struct {
	cfg     Config
	tasks   map[string]*core.TaskTemplate
	subs    map[string]*core.CompiledWorkflow
	types   map[string]bool
	largest flow.Resources
	peaks   map[string]flow.Resources // of sub-workflows seen already

	accelerators  map[string]bool
	architectures [][]string // of each pod that chooses
}

// workflow is the largest sum over one level of the graph.
func (d *walk) workflow(w *core.CompiledWorkflow) (flow.Resources, error) {
	var peak flow.Resources
	level := levels(w)
	sums := map[int]flow.Resources{}
	for _, n := range w.GetTemplate().GetNodes() {
		demand, err := d.node(n)
		if err != nil {
			return peak, err
		}
		at := level[n.GetId()]
		sums[at] = sum(sums[at], demand)
		peak = peak.Max(sums[at])
	}
	failure, err := d.node(w.GetTemplate().GetFailureNode()) // runs when all else has ended
	return peak.Max(failure), err
}

func (d *walk) node(n *core.Node) (flow.Resources, error) {
	if t := n.GetTaskNode(); t != nil {
		return d.task(d.tasks[fromIdentifier(t.GetReferenceId()).String()], t.GetOverrides())
	}
	if n.GetBranchNode() != nil {
		return d.branch(n)
	}
	ref := n.GetWorkflowNode().GetSubWorkflowRef()
	if ref == nil {
		return flow.Resources{}, nil
	}
	key := fromIdentifier(ref).String()
	if peak, ok := d.peaks[key]; ok {
		return peak, nil
	}
	d.peaks[key] = flow.Resources{} // a cycle is the compiler's to refuse
	peak, err := d.workflow(d.subs[key])
	d.peaks[key] = peak
	return peak, err
}

// branch is the most that one of its cases asks for: only one runs, but the
// cluster must be able to run any.
func (d *walk) branch(n *core.Node) (flow.Resources, error) {
	var peak flow.Resources
	for _, inner := range compile.Cases(n) {
		demand, err := d.node(inner)
		if err != nil {
			return peak, err
		}
		peak = peak.Max(demand)
	}
	return peak, nil
}

// task is one pod of a task: what its containers ask for, with what the node
// puts over it.
func (d *walk) task(t *core.TaskTemplate, over *core.TaskNodeOverrides) (flow.Resources, error) {
	d.types[t.GetType()] = true
	d.hardware(t, over)
	own, err := asks(t.GetContainer().GetResources())
	if err != nil {
		return flow.Resources{}, err
	}
	override, err := asks(over.GetResources())
	if err != nil {
		return flow.Resources{}, err
	}
	pod := override.over(own).settled(d.cfg.TaskDefaults, d.cfg.TaskLimits)
	if spec, primary := podOf(t, over.GetPodTemplate()); spec != nil {
		pod = podAsks(spec, primary, override, d.cfg)
	}
	pod.Pods = 1
	d.largest = d.largest.Max(pod)
	return pod, nil
}

// levels numbers nodes by their longest way from a start.
func levels(w *core.CompiledWorkflow) map[string]int {
	level := map[string]int{}
	upstream := w.GetConnections().GetUpstream()
	var depth func(id string, guard int) int
	depth = func(id string, guard int) int {
		if n, ok := level[id]; ok {
			return n
		}
		n := 0
		for _, up := range upstream[id].GetIds() {
			if guard > 0 {
				n = max(n, depth(up, guard-1)+1)
			}
		}
		level[id] = n
		return n
	}
	for _, n := range w.GetTemplate().GetNodes() {
		depth(n.GetId(), len(w.GetTemplate().GetNodes())+2)
	}
	return level
}
