package processnode

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"runtime"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const (
	leaseSeconds  = 40
	leasePeriod   = 10 * time.Second
	statusPeriods = 6 // of leasePeriod
)

// node keeps our Node object and its lease.
type node struct {
	agent *Agent
	port  int32
	uid   types.UID
	since metav1.Time
}

// registered registers, as often as it takes; false if the context ends before.
func (n *node) registered(ctx context.Context) bool {
	for wait := 200 * time.Millisecond; ; wait = min(2*wait, leasePeriod) {
		err := n.register(ctx)
		if err == nil {
			return true
		}
		if ctx.Err() == nil {
			n.agent.log.Warn("node not registered", "error", err)
		}
		if !pause(ctx, wait) {
			return false
		}
	}
}

// register makes the Node, or takes over the one of an earlier agent.
func (n *node) register(ctx context.Context) error {
	nodes := n.agent.client.CoreV1().Nodes()
	labels := map[string]string{
		corev1.LabelHostname:   n.agent.opts.NodeName,
		corev1.LabelOSStable:   runtime.GOOS,
		corev1.LabelArchStable: runtime.GOARCH,
		"skein.dev/node-agent": "process",
	}
	maps.Copy(labels, n.agent.opts.Labels)
	object, err := nodes.Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: n.agent.opts.NodeName, Labels: labels}}, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		var patch []byte
		if patch, err = json.Marshal(map[string]any{"metadata": map[string]any{"labels": labels}}); err == nil {
			object, err = nodes.Patch(ctx, n.agent.opts.NodeName, types.MergePatchType, patch, metav1.PatchOptions{})
		}
	}
	if err != nil {
		return fmt.Errorf("register node %s: %w", n.agent.opts.NodeName, err)
	}
	n.uid, n.since = object.UID, metav1.Now()
	if err := n.report(ctx, corev1.ConditionTrue, "KubeletReady", "the process node agent runs; it isolates nothing"); err != nil {
		return fmt.Errorf("report node %s: %w", n.agent.opts.NodeName, err)
	}
	if err := n.untaint(ctx, object); err != nil {
		return fmt.Errorf("untaint node %s: %w", n.agent.opts.NodeName, err)
	}
	if err := n.renew(ctx); err != nil {
		return fmt.Errorf("renew lease of node %s: %w", n.agent.opts.NodeName, err)
	}
	return nil
}

// untaint removes the not-ready taint that admission puts on every new Node and
// that a node life-cycle controller, which is not there, would remove.
func (n *node) untaint(ctx context.Context, object *corev1.Node) error {
	keep := []corev1.Taint{}
	for _, t := range object.Spec.Taints {
		if t.Key != corev1.TaintNodeNotReady {
			keep = append(keep, t)
		}
	}
	if len(keep) == len(object.Spec.Taints) {
		return nil
	}
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"taints": keep}})
	if err != nil {
		return err
	}
	_, err = n.agent.client.CoreV1().Nodes().Patch(ctx, object.Name, types.MergePatchType, patch, metav1.PatchOptions{})
	return err
}

// report writes the Node's status.
func (n *node) report(ctx context.Context, ready corev1.ConditionStatus, reason, message string) error {
	now := metav1.Now()
	condition := func(kind corev1.NodeConditionType, status corev1.ConditionStatus, reason, message string) corev1.NodeCondition {
		return corev1.NodeCondition{Type: kind, Status: status, Reason: reason, Message: message,
			LastHeartbeatTime: now, LastTransitionTime: n.since}
	}
	status := corev1.NodeStatus{
		Capacity: n.agent.opts.Capacity, Allocatable: n.agent.opts.Capacity,
		Addresses:       []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: localhost}},
		DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: n.port}},
		NodeInfo: corev1.NodeSystemInfo{
			OperatingSystem: runtime.GOOS, Architecture: runtime.GOARCH,
			KubeletVersion: "skein-process", ContainerRuntimeVersion: "process://0", OSImage: "this machine",
		},
		Conditions: []corev1.NodeCondition{
			condition(corev1.NodeMemoryPressure, corev1.ConditionFalse, "NotMeasured", ""),
			condition(corev1.NodeDiskPressure, corev1.ConditionFalse, "NotMeasured", ""),
			condition(corev1.NodePIDPressure, corev1.ConditionFalse, "NotMeasured", ""),
			condition(corev1.NodeReady, ready, reason, message),
		},
	}
	patch, err := json.Marshal(map[string]any{"status": status})
	if err != nil {
		return err
	}
	_, err = n.agent.client.CoreV1().Nodes().Patch(ctx, n.agent.opts.NodeName, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	return err
}

// renew renews the lease, and makes it, and its namespace, if missing.
func (n *node) renew(ctx context.Context) error {
	leases := n.agent.client.CoordinationV1().Leases(corev1.NamespaceNodeLease)
	name := n.agent.opts.NodeName
	spec := coordinationv1.LeaseSpec{
		HolderIdentity: &name, LeaseDurationSeconds: new(int32(leaseSeconds)), RenewTime: new(metav1.NowMicro()),
	}
	patch, err := json.Marshal(map[string]any{"spec": spec})
	if err != nil {
		return err
	}
	_, err = leases.Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{})
	if !apierrors.IsNotFound(err) {
		return err
	}
	space := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: corev1.NamespaceNodeLease}}
	if _, err := n.agent.client.CoreV1().Namespaces().Create(ctx, space, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	owner := metav1.OwnerReference{APIVersion: "v1", Kind: "Node", Name: name, UID: n.uid}
	_, err = leases.Create(ctx, &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Name: name, OwnerReferences: []metav1.OwnerReference{owner}}, Spec: spec,
	}, metav1.CreateOptions{})
	return err
}

// heartbeat keeps the lease and the Ready condition fresh, and registers again
// if someone has deleted the Node.
func (n *node) heartbeat(ctx context.Context) {
	for beat := 1; pause(ctx, leasePeriod); beat++ {
		err := n.renew(ctx)
		if err == nil && beat%statusPeriods == 0 {
			err = n.report(ctx, corev1.ConditionTrue, "KubeletReady", "the process node agent runs; it isolates nothing")
			if apierrors.IsNotFound(err) {
				err = n.register(ctx)
			}
		}
		if err != nil && ctx.Err() == nil {
			n.agent.log.Warn("no heartbeat", "error", err)
		}
	}
}

// leave marks the Node not ready.
func (n *node) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	n.since = metav1.Now()
	if err := n.report(ctx, corev1.ConditionFalse, "AgentStopped", "the process node agent was stopped"); err != nil {
		n.agent.log.Warn("node not marked not ready", "error", err)
	}
}
