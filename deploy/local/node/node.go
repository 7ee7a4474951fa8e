// Package node keeps what a node agent shows of itself in its cluster: the Node
// object, its status and its lease, as a kubelet does.
//
// It knows no pods and decides nothing; processnode and simnode call it.
// Invariant: a Node that is Ready has an agent that lived within the last lease,
// and an agent whose Node was deleted makes it again.
package node

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"runtime"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

const (
	leaseSeconds  = 40
	leasePeriod   = 10 * time.Second
	statusPeriods = 6 // of leasePeriod
)

// Options say what the Node is called and what it declares.
type Options struct {
	Client kubernetes.Interface
	Name   string
	// Kind is the agent's kind, such as "process": a label and the version say it.
	Kind string
	// Message is what the Ready condition says while the agent runs.
	Message string
	// Port is where the API server finds container logs; 0: there are none.
	Port int32
	// Capacity is what the node declares; nothing measures it.
	Capacity corev1.ResourceList
	// Labels are put on the Node besides its own.
	Labels map[string]string
	Log    *slog.Logger
}

// Node is the Node object of one agent. Its methods are not for concurrent use,
// but for Heartbeat, which runs beside none of them.
type Node struct {
	Options
	uid   types.UID
	since metav1.Time
}

// New makes a Node that is not registered yet.
func New(o Options) *Node { return &Node{Options: o} }

// Capacity fills in what an agent declares by default: 16 CPU, 32Gi, 200 pods.
func Capacity(given corev1.ResourceList) corev1.ResourceList {
	all := corev1.ResourceList{
		corev1.ResourceCPU:              resource.MustParse("16"),
		corev1.ResourceMemory:           resource.MustParse("32Gi"),
		corev1.ResourcePods:             resource.MustParse("200"),
		corev1.ResourceEphemeralStorage: resource.MustParse("100Gi"),
	}
	maps.Copy(all, given)
	return all
}

// Register registers, as often as it takes; false if the context ends before.
func (n *Node) Register(ctx context.Context) bool {
	for wait := 200 * time.Millisecond; ; wait = min(2*wait, leasePeriod) {
		err := n.register(ctx)
		if err == nil {
			return true
		}
		if ctx.Err() == nil {
			n.Log.Warn("node not registered", "error", err)
		}
		if !pause(ctx, wait) {
			return false
		}
	}
}

// register makes the Node, or takes over the one of an earlier agent.
func (n *Node) register(ctx context.Context) error {
	nodes := n.Client.CoreV1().Nodes()
	labels := map[string]string{
		corev1.LabelHostname:   n.Name,
		corev1.LabelOSStable:   runtime.GOOS,
		corev1.LabelArchStable: runtime.GOARCH,
		"skein.dev/node-agent": n.Kind,
	}
	maps.Copy(labels, n.Labels)
	object, err := nodes.Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: n.Name, Labels: labels}}, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		var patch []byte
		if patch, err = json.Marshal(map[string]any{"metadata": map[string]any{"labels": labels}}); err == nil {
			object, err = nodes.Patch(ctx, n.Name, types.MergePatchType, patch, metav1.PatchOptions{})
		}
	}
	if err != nil {
		return fmt.Errorf("register node %s: %w", n.Name, err)
	}
	n.uid, n.since = object.UID, metav1.Now()
	if err := n.report(ctx, corev1.ConditionTrue, "KubeletReady", n.Message); err != nil {
		return fmt.Errorf("report node %s: %w", n.Name, err)
	}
	if err := n.untaint(ctx, object); err != nil {
		return fmt.Errorf("untaint node %s: %w", n.Name, err)
	}
	if err := n.renew(ctx); err != nil {
		return fmt.Errorf("renew lease of node %s: %w", n.Name, err)
	}
	return nil
}

// untaint removes the not-ready taint that admission puts on every new Node and
// that a node life-cycle controller, which is not there, would remove.
func (n *Node) untaint(ctx context.Context, object *corev1.Node) error {
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
	_, err = n.Client.CoreV1().Nodes().Patch(ctx, object.Name, types.MergePatchType, patch, metav1.PatchOptions{})
	return err
}

// report writes the Node's status.
func (n *Node) report(ctx context.Context, ready corev1.ConditionStatus, reason, message string) error {
	now := metav1.Now()
	condition := func(kind corev1.NodeConditionType, status corev1.ConditionStatus, reason, message string) corev1.NodeCondition {
		return corev1.NodeCondition{Type: kind, Status: status, Reason: reason, Message: message,
			LastHeartbeatTime: now, LastTransitionTime: n.since}
	}
	status := corev1.NodeStatus{
		Capacity: n.Capacity, Allocatable: n.Capacity,
		Addresses:       []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "127.0.0.1"}},
		DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: n.Port}},
		NodeInfo: corev1.NodeSystemInfo{
			OperatingSystem: runtime.GOOS, Architecture: runtime.GOARCH,
			KubeletVersion: "skein-" + n.Kind, ContainerRuntimeVersion: n.Kind + "://0", OSImage: "this machine",
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
	_, err = n.Client.CoreV1().Nodes().Patch(ctx, n.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	return err
}

// renew renews the lease, and makes it, and its namespace, if missing.
func (n *Node) renew(ctx context.Context) error {
	leases := n.Client.CoordinationV1().Leases(corev1.NamespaceNodeLease)
	name := n.Name
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
	if _, err := n.Client.CoreV1().Namespaces().Create(ctx, space, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	owner := metav1.OwnerReference{APIVersion: "v1", Kind: "Node", Name: name, UID: n.uid}
	_, err = leases.Create(ctx, &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Name: name, OwnerReferences: []metav1.OwnerReference{owner}}, Spec: spec,
	}, metav1.CreateOptions{})
	return err
}

// Heartbeat keeps the lease and the Ready condition fresh, and registers again
// if someone has deleted the Node.
func (n *Node) Heartbeat(ctx context.Context) {
	for beat := 1; pause(ctx, leasePeriod); beat++ {
		err := n.renew(ctx)
		if err == nil && beat%statusPeriods == 0 {
			err = n.report(ctx, corev1.ConditionTrue, "KubeletReady", n.Message)
			if apierrors.IsNotFound(err) {
				err = n.register(ctx)
			}
		}
		if err != nil && ctx.Err() == nil {
			n.Log.Warn("no heartbeat", "error", err)
		}
	}
}

// Leave marks the Node not ready.
func (n *Node) Leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	n.since = metav1.Now()
	if err := n.report(ctx, corev1.ConditionFalse, "AgentStopped", "the "+n.Kind+" node agent was stopped"); err != nil {
		n.Log.Warn("node not marked not ready", "error", err)
	}
}

// RequireLoopback refuses every API server that is not surely on this machine;
// a name other than localhost is not looked up.
func RequireLoopback(config *rest.Config) error {
	url, _, err := rest.DefaultServerURL(config.Host, config.APIPath, schema.GroupVersion{Version: "v1"}, true)
	if err != nil {
		return fmt.Errorf("read the API server's address: %w", err)
	}
	host := url.Hostname()
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("API server %s is not on a loopback address: this node agent is for development on one machine only", host)
}

// pause waits; it tells whether the context is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
