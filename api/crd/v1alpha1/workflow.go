package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Desired is what the control plane wants of a FlyteWorkflow.
// +kubebuilder:validation:Enum=run;abort
type Desired string

// What can be wanted.
const (
	DesiredRun   Desired = "run"
	DesiredAbort Desired = "abort"
)

// FlyteWorkflow is one placement of one execution onto this cluster, named
// "<execution>-e<epoch number>". Its spec is written by the member only, its
// status by the propeller only.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=fwf
// +kubebuilder:printcolumn:name="Phase",type=string,JSONPath=`.status.phase`
// +kubebuilder:printcolumn:name="Desired",type=string,JSONPath=`.spec.desired`
// +kubebuilder:printcolumn:name="Workflow",type=string,JSONPath=`.spec.workflow.name`
// +kubebuilder:printcolumn:name="Epoch",type=integer,JSONPath=`.spec.epoch`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type FlyteWorkflow struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Both have one writer each: an API server need not keep who set which field of
	// them, which would be a fifth of what it does for a status.

	// +structType=atomic
	Spec FlyteWorkflowSpec `json:"spec"`
	// +structType=atomic
	Status FlyteWorkflowStatus `json:"status,omitempty"`
}

// FlyteWorkflowList is a list of FlyteWorkflows.
//
// +kubebuilder:object:root=true
type FlyteWorkflowList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []FlyteWorkflow `json:"items"`
}

// FlyteWorkflowSpec is the assignment, as it was delivered. Era, epoch and
// incarnation never change on an existing object; revision only rises.
type FlyteWorkflowSpec struct {
	Execution   ExecutionRef `json:"execution"`
	Era         int64        `json:"era"`
	Epoch       int64        `json:"epoch"`
	Incarnation int64        `json:"incarnation"`
	Revision    int64        `json:"revision"`
	Desired     Desired      `json:"desired"`
	// Cause of an abort, for people.
	Cause      string    `json:"cause,omitempty"`
	Workflow   EntityRef `json:"workflow"`
	LaunchPlan EntityRef `json:"launchPlan"`
	// Closure is a flyteidl.core.CompiledWorkflowClosure, gzipped; empty if
	// ClosureURI names it in the object store.
	Closure       []byte `json:"closure,omitempty"`
	ClosureURI    string `json:"closureURI,omitempty"`
	ClosureDigest []byte `json:"closureDigest,omitempty"`
	// Inputs is a flyteidl.core.LiteralMap; empty if InputsURI is set.
	Inputs    []byte `json:"inputs,omitempty"`
	InputsURI string `json:"inputsURI,omitempty"`
	// ExecutionSpec is the merged flyteidl.admin.ExecutionSpec.
	ExecutionSpec []byte           `json:"executionSpec,omitempty"`
	DataPrefix    string           `json:"dataPrefix"`
	RawPrefix     string           `json:"rawPrefix"`
	CreatedAt     metav1.MicroTime `json:"createdAt"`
	// Traceparent is the W3C trace context of the creating call.
	Traceparent string `json:"traceparent,omitempty"`
	// Pinned work goes on through a lapse: it is never placed elsewhere.
	Pinned bool `json:"pinned,omitempty"`
	// Strict work is killed early enough that its grace ends inside the lease.
	Strict bool `json:"strict,omitempty"`
	// Recovery is what earlier epochs left behind.
	Recovery *Recovery `json:"recovery,omitempty"`
}

// Recovery is what earlier epochs of an execution left behind for this one.
type Recovery struct {
	// Nodes is empty if CompressedNodes is set.
	Nodes []RecoveredNode `json:"nodes,omitempty"`
	// CompressedNodes is the gzipped JSON of Nodes, used when that is large.
	CompressedNodes []byte `json:"compressedNodes,omitempty"`
}

// RecoveredNode is what is known of one node of a resumed execution; its fields
// are those of flow.RecoveredNode.
type RecoveredNode struct {
	Node   string `json:"node"`
	Parent string `json:"parent,omitempty"`
	// Phase is a flyteidl.core.NodeExecution.Phase; 0: it has to go on.
	Phase       int32             `json:"phase,omitempty"`
	OutputURI   string            `json:"outputURI,omitempty"`
	Error       *Error            `json:"error,omitempty"`
	NextAttempt int32             `json:"nextAttempt,omitempty"`
	Charged     int32             `json:"charged,omitempty"`
	Checkpoint  string            `json:"checkpoint,omitempty"`
	StartedAt   *metav1.MicroTime `json:"startedAt,omitempty"`
}

// ExecutionRef names an execution.
type ExecutionRef struct {
	Project string `json:"project"`
	Domain  string `json:"domain"`
	Name    string `json:"name"`
}

// EntityRef names one version of a registered entity.
type EntityRef struct {
	Project string `json:"project,omitempty"`
	Domain  string `json:"domain,omitempty"`
	Name    string `json:"name,omitempty"`
	Version string `json:"version,omitempty"`
}
