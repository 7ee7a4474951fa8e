package member

import (
	"cmp"
	"context"
	"maps"
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/skein-project/skein/api/flow"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
	"github.com/skein-project/skein/federation/codec"
	"github.com/skein-project/skein/federation/session"
)

const gpu corev1.ResourceName = "nvidia.com/gpu"

// capacities reports the cluster's capacity when it has changed.
func (m *Member) capacities(ctx context.Context) {
	every(ctx, m.o.CapacityEvery, func() {
		if !m.look(ctx) {
			return
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.link != nil && m.state.Stage() > session.Greeting {
			m.link.tell(&skeinv1.ConnectRequest{Message: &skeinv1.ConnectRequest_Report{Report: codec.ReportTo(m.seen)}})
		}
	})
}

// look reads the nodes; changed reports whether they offer something else now.
func (m *Member) look(ctx context.Context) (changed bool) {
	var nodes corev1.NodeList
	if err := m.o.Client.List(ctx, &nodes); err != nil {
		m.log.Warn("nodes were not listed", "error", err)
		return false
	}
	now := flow.ClusterReport{TaskTypes: m.o.TaskTypes, Version: m.o.Version, Store: m.o.Store}
	now.Capacity, now.LargestNode = Capacity(nodes.Items)
	now.Architectures, now.Accelerators = Kinds(nodes.Items)
	m.mu.Lock()
	defer m.mu.Unlock()
	changed = !reflect.DeepEqual(m.seen, now)
	m.seen = now
	return changed
}

// Capacity is what the ready, schedulable nodes offer together, and what the
// largest pod can have on one of them, field by field. It is pure.
func Capacity(nodes []corev1.Node) (sum, largest flow.Resources) {
	for _, n := range nodes {
		if !usable(n) {
			continue
		}
		a := n.Status.Allocatable
		gpus := a[gpu]
		r := flow.Resources{MilliCPU: a.Cpu().MilliValue(), Memory: a.Memory().Value(), GPUs: gpus.Value(), Pods: a.Pods().Value()}
		sum, largest = sum.Add(r), largest.Max(r)
	}
	return sum, largest
}

// productLabels are where vendors and clouds say which accelerator a node has.
var productLabels = []string{
	"nvidia.com/gpu.product", "amd.com/gpu.product-name", "gpu.intel.com/product",
	"cloud.google.com/gke-accelerator", "cloud.google.com/gke-tpu-accelerator",
	"k8s.amazonaws.com/accelerator", "karpenter.k8s.aws/instance-gpu-name", "kubernetes.azure.com/accelerator",
}

// maxKinds bounds what is reported of each.
const maxKinds = 64

// Kinds is which architectures and accelerators the ready, schedulable nodes
// have, each once and sorted. An accelerator is named in lower case, by the
// value of a label that vendors or clouds set, and by its extended resource
// (like nvidia.com/gpu) as well. It is pure.
func Kinds(nodes []corev1.Node) (architectures, accelerators []string) {
	arch, acc := map[string]bool{}, map[string]bool{}
	for _, n := range nodes {
		if !usable(n) {
			continue
		}
		arch[cmp.Or(n.Labels[corev1.LabelArchStable], n.Status.NodeInfo.Architecture)] = true
		for _, l := range productLabels {
			acc[strings.ToLower(n.Labels[l])] = true
		}
		for name, q := range n.Status.Allocatable {
			if domain, _, ok := strings.Cut(string(name), "/"); ok && domain != "kubernetes.io" && !q.IsZero() {
				acc[string(name)] = true
			}
		}
	}
	return sorted(arch), sorted(acc)
}

func sorted(set map[string]bool) []string {
	delete(set, "")
	list := slices.Sorted(maps.Keys(set))
	return list[:min(len(list), maxKinds)]
}

func usable(n corev1.Node) bool { return !n.Spec.Unschedulable && ready(n) }

func ready(n corev1.Node) bool {
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
