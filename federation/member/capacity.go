package member

import (
	"context"

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
	sum, largest := Capacity(nodes.Items)
	m.mu.Lock()
	defer m.mu.Unlock()
	changed = m.seen.Capacity != sum || m.seen.LargestNode != largest
	m.seen = flow.ClusterReport{Capacity: sum, LargestNode: largest, TaskTypes: m.o.TaskTypes, Version: m.o.Version}
	return changed
}

// Capacity is what the ready, schedulable nodes offer together, and what the
// largest pod can have on one of them, field by field. It is pure.
func Capacity(nodes []corev1.Node) (sum, largest flow.Resources) {
	for _, n := range nodes {
		if n.Spec.Unschedulable || !ready(n) {
			continue
		}
		a := n.Status.Allocatable
		gpus := a[gpu]
		r := flow.Resources{MilliCPU: a.Cpu().MilliValue(), Memory: a.Memory().Value(), GPUs: gpus.Value(), Pods: a.Pods().Value()}
		sum, largest = sum.Add(r), largest.Max(r)
	}
	return sum, largest
}

func ready(n corev1.Node) bool {
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
