// Package v1alpha1 holds the custom resources of group skein.dev: FlyteWorkflow
// and Fence.
//
// It is the words that member and propeller share inside one cluster; it has
// no behaviour beyond registration and deep copies. The group is our own, so
// that Flyte's propeller can run beside ours during a migration. Invariant:
// identity, era, epoch and incarnation of an existing object never change.
//
// +kubebuilder:object:generate=true
// +groupName=skein.dev
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is the API group and version of this package's kinds.
var GroupVersion = schema.GroupVersion{Group: "skein.dev", Version: "v1alpha1"}

// AddToScheme registers this package's kinds with a scheme.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion, &FlyteWorkflow{}, &FlyteWorkflowList{}, &Fence{}, &FenceList{})
	metav1.AddToGroupVersion(s, GroupVersion)
	return nil
}

// Labels and annotations of the objects that we make.
const (
	LabelExecution = "execution-id" // the execution's name
	LabelProject   = "project"
	LabelDomain    = "domain"
	LabelWorkflow  = "workflow-name"
	LabelNode      = "node-id"
	LabelTask      = "task-name"
	LabelEra       = "skein.dev/era"
	LabelEpoch     = "skein.dev/epoch"
	// LabelIncarnation holds the cluster's incarnation under which the object was
	// made. With era and epoch it never changes on an existing object, and one
	// below the cluster's Fence is refused by the API server.
	LabelIncarnation = "skein.dev/incarnation"
	// LabelManaged is on every object that a member or propeller made.
	LabelManaged = "skein.dev/managed"
	// Finalizer is put on a FlyteWorkflow before its first side effect.
	Finalizer = "skein.dev/finalizer"
	// AnnotationAcked holds the status sequence that the control plane had
	// acked when the object became a tombstone.
	AnnotationAcked = "skein.dev/acked"
)
