package member

import (
	"cmp"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/api/flyteidl/event"
)

// eventVersion is the version of node and task events that we write.
const eventVersion = 1

var wire = proto.MarshalOptions{Deterministic: true}

func stamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

func executionID(id flow.ExecutionID) *core.WorkflowExecutionIdentifier {
	return &core.WorkflowExecutionIdentifier{Project: id.Project, Domain: id.Domain, Name: id.Name}
}

func nodeID(e flow.Event) *core.NodeExecutionIdentifier {
	return &core.NodeExecutionIdentifier{NodeId: e.Node, ExecutionId: executionID(e.Execution)}
}

func failure(e *v1alpha1.Error) *core.ExecutionError {
	kind := core.ExecutionError_ErrorKind(core.ExecutionError_ErrorKind_value[e.Kind])
	return &core.ExecutionError{Code: e.Code, Message: e.Message, ErrorUri: e.URI, Kind: kind}
}

func target(t *v1alpha1.Target) *core.Identifier {
	if t == nil {
		return nil
	}
	return &core.Identifier{
		ResourceType: core.ResourceType(t.Kind), Project: t.Project, Domain: t.Domain, Name: t.Name, Version: t.Version,
	}
}

// workflowDetail is the event's WorkflowExecutionEvent.
func workflowDetail(fw *v1alpha1.FlyteWorkflow, e flow.Event) ([]byte, error) {
	phase := flow.ExecutionPhase(e.Phase)
	m := &event.WorkflowExecutionEvent{
		ExecutionId: executionID(e.Execution), Phase: core.WorkflowExecution_Phase(e.Phase), OccurredAt: stamp(e.OccurredAt),
	}
	switch {
	case phase == flow.ExecutionRunning:
	case fw.Status.Error != nil:
		m.OutputResult = &event.WorkflowExecutionEvent_Error{Error: failure(fw.Status.Error)}
	case phase == flow.ExecutionAborted:
		m.OutputResult = &event.WorkflowExecutionEvent_Error{Error: &core.ExecutionError{Code: "Workflow aborted", Message: fw.Spec.Cause, Kind: core.ExecutionError_USER}}
	case phase == flow.ExecutionSucceeded && fw.Status.OutputURI != "":
		m.OutputResult = &event.WorkflowExecutionEvent_OutputUri{OutputUri: fw.Status.OutputURI}
	}
	return wire.Marshal(m)
}

// nodeDetail is the event's NodeExecutionEvent.
func nodeDetail(n v1alpha1.NodeStatus, e flow.Event) ([]byte, error) {
	m := &event.NodeExecutionEvent{
		Id: nodeID(e), Phase: core.NodeExecution_Phase(e.Phase),
		OccurredAt: stamp(e.OccurredAt), ReportedAt: stamp(e.OccurredAt),
		RetryGroup: n.RetryGroup, SpecNodeId: cmp.Or(n.SpecID, e.Node), NodeName: n.Name,
		EventVersion: eventVersion, IsParent: n.IsParent, TargetEntity: target(n.Target), DeckUri: n.DeckURI,
	}
	if n.InputURI != "" {
		m.InputValue = &event.NodeExecutionEvent_InputUri{InputUri: n.InputURI}
	}
	if n.Checkpoint != "" {
		m.TargetMetadata = &event.NodeExecutionEvent_TaskNodeMetadata{TaskNodeMetadata: &event.TaskNodeMetadata{CheckpointUri: n.Checkpoint}}
	}
	if n.Parent != "" {
		m.ParentNodeMetadata = &event.ParentNodeExecutionMetadata{NodeId: n.Parent}
	}
	switch phase := flow.NodePhase(e.Phase); {
	case phase == flow.NodeRunning || phase == flow.NodeQueued:
	case n.Error != nil:
		m.OutputResult = &event.NodeExecutionEvent_Error{Error: failure(n.Error)}
	case n.OutputURI != "":
		m.OutputResult = &event.NodeExecutionEvent_OutputUri{OutputUri: n.OutputURI}
	}
	return wire.Marshal(m)
}

// taskDetail is the event's TaskExecutionEvent.
func taskDetail(n v1alpha1.NodeStatus, a v1alpha1.AttemptStatus, e flow.Event) ([]byte, error) {
	m := &event.TaskExecutionEvent{
		TaskId: target(n.Target), ParentNodeExecutionId: nodeID(e), RetryAttempt: e.Attempt,
		Phase: core.TaskExecution_Phase(e.Phase), PhaseVersion: e.Version,
		OccurredAt: stamp(e.OccurredAt), ReportedAt: stamp(e.OccurredAt),
		TaskType: n.TaskType, EventVersion: eventVersion,
		Metadata: &event.TaskExecutionMetadata{GeneratedName: a.Object, PluginIdentifier: a.Plugin},
	}
	for _, l := range a.Logs {
		m.Logs = append(m.Logs, &core.TaskLog{Name: l.Name, Uri: l.URI})
	}
	if a.Reason != "" {
		m.Reasons = []*event.EventReason{{Reason: a.Reason, OccurredAt: stamp(e.OccurredAt)}}
	}
	if n.InputURI != "" {
		m.InputValue = &event.TaskExecutionEvent_InputUri{InputUri: n.InputURI}
	}
	switch phase := flow.TaskPhase(e.Phase); {
	case !phase.Terminal():
	case a.Error != nil:
		m.OutputResult = &event.TaskExecutionEvent_Error{Error: failure(a.Error)}
	case a.OutputURI != "":
		m.OutputResult = &event.TaskExecutionEvent_OutputUri{OutputUri: a.OutputURI}
	}
	return wire.Marshal(m)
}
