package placement

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/skein-project/skein/api/flow"
)

// Filter says whether a cluster may take an execution, and if not, why.
type Filter struct {
	Name  string
	Check func(Requirement, ClusterView) (ok bool, message string)
}

// Filters are asked in this order; the first that refuses gives the reason. So
// the order is from what concerns the whole cluster to what concerns this one
// execution at this moment.
var Filters = []Filter{
	{"health", Healthy},
	{"selector", Selected},
	{"taints", Tolerated},
	{"capability", Capable},
	{"capacity", Fits},
}

// Healthy lets through clusters that are healthy, were heard in this term, and
// hold a live recorded lease: nothing else may be given new work.
func Healthy(_ Requirement, c ClusterView) (bool, string) {
	switch {
	case c.Health != flow.HealthHealthy:
		return false, fmt.Sprintf("cluster is %s", c.Health)
	case !c.Leased:
		return false, "no member holds a live recorded lease"
	case !c.Heard:
		return false, "no member was heard since this scheduler took over"
	}
	return true, ""
}

// Selected lets through clusters whose labels match the selector.
func Selected(r Requirement, c ClusterView) (bool, string) {
	if r.problem != "" {
		return false, r.problem
	}
	if !r.selector.Matches(labels.Set(c.Labels)) {
		return false, fmt.Sprintf("labels do not match selector %q", r.Selector)
	}
	return true, ""
}

// Tolerated lets through clusters all of whose NoSchedule and NoExecute taints
// are tolerated.
func Tolerated(r Requirement, c ClusterView) (bool, string) {
	for _, t := range c.Taints {
		if t.Effect != flow.PreferNoSchedule && !tolerates(r.Tolerations, t) {
			return false, fmt.Sprintf("taint %s=%s:%s is not tolerated", t.Key, t.Value, t.Effect)
		}
	}
	return true, ""
}

func tolerates(list []flow.Toleration, taint flow.Taint) bool {
	for _, t := range list {
		if t.Tolerates(taint) {
			return true
		}
	}
	return false
}

// Capable lets through clusters whose propeller runs every task type needed.
func Capable(r Requirement, c ClusterView) (bool, string) {
	var missing []string
	for _, t := range r.TaskTypes {
		if !slices.Contains(c.TaskTypes, t) {
			missing = append(missing, t)
		}
	}
	if len(missing) > 0 {
		return false, "does not run task types: " + strings.Join(missing, ", ")
	}
	return true, ""
}

// Fits lets through clusters one of whose nodes holds the largest pod, and
// where all reservations and one such pod fit. Peak demand is scored, never
// filtered: a wide workflow can run narrowly.
func Fits(r Requirement, c ClusterView) (bool, string) {
	node := r.Largest
	node.Pods = 0 // a node is asked for one pod: that is what Largest is
	if s := shortage(node, c.LargestNode); s != "" {
		return false, "the largest pod fits no node: " + s
	}
	total := c.Reserved.Add(r.Largest)
	if c.Capacity.Pods == 0 {
		total.Pods = 0 // not reported
	}
	if s := shortage(total, c.Capacity); s != "" {
		return false, "reservations and the largest pod do not fit: " + s
	}
	return true, ""
}

// shortage names the resources of which less is there than asked, or nothing.
func shortage(asked, there flow.Resources) string {
	if asked.FitsIn(there) {
		return ""
	}
	var out []string
	for _, d := range dimensions {
		if a, t := d.of(asked), d.of(there); a > t {
			out = append(out, fmt.Sprintf("%s %d%s of %d%s", d.name, a, d.unit, t, d.unit))
		}
	}
	return strings.Join(out, ", ")
}

type dimension struct {
	name, unit string
	of         func(flow.Resources) int64
}

var dimensions = []dimension{
	{"cpu", "m", func(r flow.Resources) int64 { return r.MilliCPU }},
	{"memory", " bytes", func(r flow.Resources) int64 { return r.Memory }},
	{"gpus", "", func(r flow.Resources) int64 { return r.GPUs }},
	{"pods", "", func(r flow.Resources) int64 { return r.Pods }},
}
