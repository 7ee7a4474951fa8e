package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// FenceName is the name of a cluster's one Fence.
const FenceName = "skein"

// Fence tells a cluster's API server which incarnation of the cluster is the
// least that may still make objects. It is raised by a member when a session
// opens, before anything is written in it, and never sinks.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster
// +kubebuilder:validation:XValidation:rule="self.metadata.name == 'skein'",message="a cluster has one Fence, and its name is skein"
// +kubebuilder:printcolumn:name="Incarnation",type=integer,JSONPath=`.spec.incarnation`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Fence struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec FenceSpec `json:"spec"`
}

// FenceSpec is what the API server holds objects against.
type FenceSpec struct {
	// Incarnation is the least that an object may be made with.
	// +kubebuilder:validation:XValidation:rule="self >= oldSelf",message="the incarnation of a Fence never sinks"
	Incarnation int64 `json:"incarnation"`
}

// FenceList is a list of Fences.
//
// +kubebuilder:object:root=true
type FenceList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []Fence `json:"items"`
}
