// Package fit tells whether a pod fits on a node: cordon, taints, selectors and
// what containers ask for.
//
// It is pure and knows one node only; preferences, spreading and preemption are
// not for it. The process node agent binds what fits.
package fit

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
)

// Why tells why the pod does not fit on the node, in the scheduler's words; ""
// if it does. used is what the pods on the node ask for.
func Why(pod *corev1.Pod, node *corev1.Node, used corev1.ResourceList) string {
	var why []string
	if node.Spec.Unschedulable {
		why = append(why, "1 node(s) were unschedulable")
	}
	for _, taint := range node.Spec.Taints {
		if taint.Effect != corev1.TaintEffectPreferNoSchedule && !tolerates(pod, taint) {
			why = append(why, fmt.Sprintf("1 node(s) had untolerated taint {%s: %s}", taint.Key, taint.Value))
		}
	}
	if !selected(pod, node) {
		why = append(why, "1 node(s) didn't match Pod's node affinity/selector")
	}
	why = append(why, short(Requests(pod), node.Status.Allocatable, used)...)
	if len(why) == 0 {
		return ""
	}
	return "0/1 nodes are available: " + strings.Join(why, ", ") + "."
}

func tolerates(pod *corev1.Pod, taint corev1.Taint) bool {
	return slices.ContainsFunc(pod.Spec.Tolerations, func(t corev1.Toleration) bool {
		if t.Effect != "" && t.Effect != taint.Effect || t.Key != "" && t.Key != taint.Key {
			return false
		}
		if t.Operator == corev1.TolerationOpExists {
			return true
		}
		return t.Key != "" && t.Value == taint.Value
	})
}

// selected checks nodeSelector and the required node affinity, by labels and by
// the node's name.
func selected(pod *corev1.Pod, node *corev1.Node) bool {
	set := labels.Set(node.Labels)
	if !labels.SelectorFromSet(pod.Spec.NodeSelector).Matches(set) {
		return false
	}
	affinity := pod.Spec.Affinity
	if affinity == nil || affinity.NodeAffinity == nil || affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		return true
	}
	terms := affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
	fields := labels.Set{"metadata.name": node.Name}
	return slices.ContainsFunc(terms, func(t corev1.NodeSelectorTerm) bool {
		return len(t.MatchExpressions)+len(t.MatchFields) > 0 && all(t.MatchExpressions, set) && all(t.MatchFields, fields)
	})
}

var operators = map[corev1.NodeSelectorOperator]selection.Operator{
	corev1.NodeSelectorOpIn: selection.In, corev1.NodeSelectorOpNotIn: selection.NotIn,
	corev1.NodeSelectorOpExists: selection.Exists, corev1.NodeSelectorOpDoesNotExist: selection.DoesNotExist,
	corev1.NodeSelectorOpGt: selection.GreaterThan, corev1.NodeSelectorOpLt: selection.LessThan,
}

func all(expressions []corev1.NodeSelectorRequirement, set labels.Set) bool {
	for _, e := range expressions {
		r, err := labels.NewRequirement(e.Key, operators[e.Operator], e.Values)
		if err != nil || !r.Matches(set) {
			return false
		}
	}
	return true
}

// short lists the resources that do not suffice.
func short(asked, allocatable, used corev1.ResourceList) []string {
	var why []string
	for name, want := range asked {
		if want.IsZero() {
			continue
		}
		sum := used[name].DeepCopy()
		sum.Add(want)
		if sum.Cmp(allocatable[name]) <= 0 {
			continue
		}
		if name == corev1.ResourcePods {
			why = append(why, "1 Too many pods")
		} else {
			why = append(why, "1 Insufficient "+string(name))
		}
	}
	sort.Strings(why)
	return why
}

// Requests is what a pod asks for: the sum of its containers and side-cars, or
// the largest that an init container needs beside the side-cars before it.
func Requests(pod *corev1.Pod) corev1.ResourceList {
	sidecars, peak := corev1.ResourceList{}, corev1.ResourceList{}
	for i := range pod.Spec.InitContainers {
		c := &pod.Spec.InitContainers[i]
		if Sidecar(c) {
			Add(sidecars, c.Resources.Requests)
			raise(peak, sidecars)
			continue
		}
		beside := sidecars.DeepCopy()
		Add(beside, c.Resources.Requests)
		raise(peak, beside)
	}
	total := sidecars.DeepCopy()
	for i := range pod.Spec.Containers {
		Add(total, pod.Spec.Containers[i].Resources.Requests)
	}
	raise(total, peak)
	Add(total, pod.Spec.Overhead)
	total[corev1.ResourcePods] = resource.MustParse("1")
	return total
}

// Add adds more to the list.
func Add(to, more corev1.ResourceList) {
	for name, quantity := range more {
		sum := to[name].DeepCopy()
		sum.Add(quantity)
		to[name] = sum
	}
}

func raise(to, at corev1.ResourceList) {
	for name, quantity := range at {
		if quantity.Cmp(to[name]) > 0 {
			to[name] = quantity.DeepCopy()
		}
	}
}

// Sidecar tells whether an init container is a native side-car.
func Sidecar(c *corev1.Container) bool {
	return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
}
