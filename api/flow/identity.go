package flow

import (
	"fmt"
	"strings"
)

// ExecutionID names one execution; unique for ever within a control plane.
type ExecutionID struct {
	Project string
	Domain  string
	Name    string
}

// String prints "project:domain:name", the form used in logs and in labels.
func (id ExecutionID) String() string {
	return id.Project + ":" + id.Domain + ":" + id.Name
}

// Namespace is the Kubernetes namespace in which the execution's objects live.
func (id ExecutionID) Namespace() string { return id.Project + "-" + id.Domain }

// ParseExecutionID reads the form that String prints.
func ParseExecutionID(s string) (ExecutionID, error) {
	parts := strings.Split(s, ":")
	if len(parts) != 3 || parts[0] == "" || parts[1] == "" || parts[2] == "" {
		return ExecutionID{}, fmt.Errorf("execution id %q: want project:domain:name", s)
	}
	return ExecutionID{Project: parts[0], Domain: parts[1], Name: parts[2]}, nil
}

// EntityKind says what a registered entity is; the numbers are those of
// flyteidl.core.ResourceType.
type EntityKind int32

// The kinds of registered entities.
const (
	KindTask       EntityKind = 1
	KindWorkflow   EntityKind = 2
	KindLaunchPlan EntityKind = 3
)

// String prints the kind as users write it.
func (k EntityKind) String() string {
	switch k {
	case KindTask:
		return "task"
	case KindWorkflow:
		return "workflow"
	case KindLaunchPlan:
		return "launch plan"
	}
	return fmt.Sprintf("entity kind %d", int32(k))
}

// EntityID names one version of a registered entity of some kind.
type EntityID struct {
	Project string
	Domain  string
	Name    string
	Version string
}

// String prints "project:domain:name:version".
func (id EntityID) String() string {
	return id.Project + ":" + id.Domain + ":" + id.Name + ":" + id.Version
}

// Zero reports whether no entity is named.
func (id EntityID) Zero() bool { return id == EntityID{} }

// NodeID names one node of one execution by its unique node id (at most 20
// characters; contract section 12.6).
type NodeID struct {
	Execution ExecutionID
	Node      string
}

// String prints "project:domain:name/node".
func (id NodeID) String() string { return id.Execution.String() + "/" + id.Node }
