package service

import (
	"context"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/api/flyteidl/event"
)

// GetNodeExecution reads what was recorded of one node.
func (s *Service) GetNodeExecution(ctx context.Context, req *admin.NodeExecutionGetRequest) (*admin.NodeExecution, error) {
	n, ev, err := s.node(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	return toNode(n, ev), nil
}

func (s *Service) node(ctx context.Context, id *core.NodeExecutionIdentifier) (flow.NodeExecution, *event.NodeExecutionEvent, error) {
	key, err := nodeID("id", id)
	if err != nil {
		return flow.NodeExecution{}, nil, err
	}
	n, err := s.deps.Runs.GetNode(ctx, key)
	if err != nil {
		return n, nil, err
	}
	ev := &event.NodeExecutionEvent{}
	return n, ev, decode(n.Detail, ev)
}

// ListNodeExecutions lists the top-level nodes of an execution, or the
// children of one node.
func (s *Service) ListNodeExecutions(ctx context.Context, req *admin.NodeExecutionListRequest) (*admin.NodeExecutionList, error) {
	id, err := executionID("workflow_execution_id", req.GetWorkflowExecutionId())
	if err != nil {
		return nil, err
	}
	q, err := query(req, "node_execution")
	if err != nil {
		return nil, err
	}
	nodes, err := s.deps.Runs.ListNodes(ctx, id, req.GetUniqueParentId(), q)
	if err != nil {
		return nil, err
	}
	out := &admin.NodeExecutionList{Token: nextToken(q, len(nodes))}
	for _, n := range nodes {
		ev := &event.NodeExecutionEvent{}
		if err := decode(n.Detail, ev); err != nil {
			return nil, err
		}
		out.NodeExecutions = append(out.NodeExecutions, toNode(n, ev))
	}
	return out, nil
}

// ListNodeExecutionsForTask is empty: no task of ours is a parent of nodes.
func (s *Service) ListNodeExecutionsForTask(_ context.Context, req *admin.NodeExecutionForTaskListRequest) (*admin.NodeExecutionList, error) {
	if _, _, _, err := taskKey("task_execution_id", req.GetTaskExecutionId()); err != nil {
		return nil, err
	}
	if _, err := query(req, "node_execution"); err != nil {
		return nil, err
	}
	return &admin.NodeExecutionList{}, nil
}

// GetNodeExecutionData reads a node's inputs and outputs.
func (s *Service) GetNodeExecutionData(ctx context.Context, req *admin.NodeExecutionGetDataRequest) (*admin.NodeExecutionGetDataResponse, error) {
	n, ev, err := s.node(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	d, err := s.data(ctx, ev)
	if err != nil {
		return nil, err
	}
	out := &admin.NodeExecutionGetDataResponse{
		Inputs: d.inputsBlob, Outputs: d.outputsBlob, FullInputs: d.inputs, FullOutputs: d.outputs,
		FlyteUrls: flyteURLs(n.ID, nil, ev.GetDeckUri() != ""),
	}
	if dynamic := ev.GetTaskNodeMetadata().GetDynamicWorkflow(); dynamic != nil {
		out.DynamicWorkflow = &admin.DynamicWorkflowNodeMetadata{
			Id: dynamic.GetId(), CompiledWorkflow: dynamic.GetCompiledWorkflow(), DynamicJobSpecUri: dynamic.GetDynamicJobSpecUri(),
		}
	}
	return out, nil
}

// GetDynamicNodeWorkflow reads the workflow that a dynamic node made.
func (s *Service) GetDynamicNodeWorkflow(ctx context.Context, req *admin.GetDynamicNodeWorkflowRequest) (*admin.DynamicNodeWorkflowResponse, error) {
	n, ev, err := s.node(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	closure := ev.GetTaskNodeMetadata().GetDynamicWorkflow().GetCompiledWorkflow()
	if closure == nil {
		return nil, fault.E(fault.NotFound, "node %s made no workflow", n.ID)
	}
	return &admin.DynamicNodeWorkflowResponse{CompiledWorkflow: closure}, nil
}

// dataEvent is what events of nodes and of tasks say of inputs and outputs.
type dataEvent interface {
	GetInputUri() string
	GetInputData() *core.LiteralMap
	GetOutputUri() string
	GetOutputData() *core.LiteralMap
}

type data struct {
	inputs, outputs         *core.LiteralMap
	inputsBlob, outputsBlob *admin.UrlBlob
}

func (s *Service) data(ctx context.Context, ev dataEvent) (data, error) {
	var d data
	var err error
	if d.inputs, d.inputsBlob, err = s.literals(ctx, ev.GetInputUri()); err != nil {
		return d, err
	}
	if ev.GetInputData() != nil {
		d.inputs = ev.GetInputData()
	}
	if d.outputs, d.outputsBlob, err = s.literals(ctx, ev.GetOutputUri()); err != nil {
		return d, err
	}
	if ev.GetOutputData() != nil {
		d.outputs = ev.GetOutputData()
	}
	return d, nil
}

func toNode(n flow.NodeExecution, ev *event.NodeExecutionEvent) *admin.NodeExecution {
	closure := &admin.NodeExecutionClosure{
		Phase:     core.NodeExecution_Phase(n.Phase),
		CreatedAt: timestamp(n.CreatedAt),
		UpdatedAt: timestamp(n.UpdatedAt),
		StartedAt: timestamp(n.StartedAt),
		Duration:  duration(n.StartedAt, n.CreatedAt, n.EndedAt),
		DeckUri:   ev.GetDeckUri(),
	}
	setNodeResult(closure, n, ev)
	setNodeTarget(closure, ev)
	spec := ev.GetSpecNodeId()
	if spec == "" {
		spec = n.ID.Node // at top level the two are the same
	}
	return &admin.NodeExecution{
		Id: toNodeID(n.ID), InputUri: ev.GetInputUri(), Closure: closure,
		Metadata: &admin.NodeExecutionMetaData{
			RetryGroup: ev.GetRetryGroup(), IsParentNode: ev.GetIsParent(), SpecNodeId: spec,
			IsDynamic: ev.GetIsDynamic(), IsArray: ev.GetIsArray(), IsEager: ev.GetIsEager(),
		},
	}
}

func setNodeResult(closure *admin.NodeExecutionClosure, n flow.NodeExecution, ev *event.NodeExecutionEvent) {
	switch {
	case n.Reason != "":
		closure.OutputResult = &admin.NodeExecutionClosure_Error{Error: closedByUs(n.Reason)}
	case ev.GetError() != nil:
		closure.OutputResult = &admin.NodeExecutionClosure_Error{Error: ev.GetError()}
	case ev.GetOutputUri() != "":
		closure.OutputResult = &admin.NodeExecutionClosure_OutputUri{OutputUri: ev.GetOutputUri()}
	}
}

// closedByUs is the error of what the control plane itself has closed.
func closedByUs(reason string) *core.ExecutionError {
	message := reason
	if reason == flow.ReasonClusterLost {
		message = "the execution was taken from a cluster that no longer holds it; it runs again elsewhere"
	}
	return &core.ExecutionError{Code: reason, Message: message, Kind: core.ExecutionError_SYSTEM}
}

func setNodeTarget(closure *admin.NodeExecutionClosure, ev *event.NodeExecutionEvent) {
	if child := ev.GetWorkflowNodeMetadata(); child != nil {
		closure.TargetMetadata = &admin.NodeExecutionClosure_WorkflowNodeMetadata{
			WorkflowNodeMetadata: &admin.WorkflowNodeMetadata{ExecutionId: child.GetExecutionId()},
		}
	}
	if task := ev.GetTaskNodeMetadata(); task != nil {
		closure.TargetMetadata = &admin.NodeExecutionClosure_TaskNodeMetadata{TaskNodeMetadata: &admin.TaskNodeMetadata{
			CacheStatus: task.GetCacheStatus(), CatalogKey: task.GetCatalogKey(), CheckpointUri: task.GetCheckpointUri(),
		}}
		closure.DynamicJobSpecUri = task.GetDynamicWorkflow().GetDynamicJobSpecUri()
	}
}
