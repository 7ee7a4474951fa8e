package service

import (
	"context"
	"strconv"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/api/flyteidl/event"
)

// GetTaskExecution reads what was recorded of one task attempt.
func (s *Service) GetTaskExecution(ctx context.Context, req *admin.TaskExecutionGetRequest) (*admin.TaskExecution, error) {
	t, ev, err := s.attempt(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	return toTaskExecution(t, ev), nil
}

// ListTaskExecutions lists the attempts of one node's task.
func (s *Service) ListTaskExecutions(ctx context.Context, req *admin.TaskExecutionListRequest) (*admin.TaskExecutionList, error) {
	id, err := nodeID("node_execution_id", req.GetNodeExecutionId())
	if err != nil {
		return nil, err
	}
	q, err := query(req, "task_execution")
	if err != nil {
		return nil, err
	}
	tasks, err := s.deps.Runs.ListTasks(ctx, id, q)
	if err != nil {
		return nil, err
	}
	out := &admin.TaskExecutionList{Token: nextToken(q, len(tasks))}
	for _, t := range tasks {
		ev := &event.TaskExecutionEvent{}
		if err := decode(t.Detail, ev); err != nil {
			return nil, err
		}
		out.TaskExecutions = append(out.TaskExecutions, toTaskExecution(t, ev))
	}
	return out, nil
}

// GetTaskExecutionData reads an attempt's inputs and outputs.
func (s *Service) GetTaskExecutionData(ctx context.Context, req *admin.TaskExecutionGetDataRequest) (*admin.TaskExecutionGetDataResponse, error) {
	t, ev, err := s.attempt(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	d, err := s.data(ctx, ev)
	if err != nil {
		return nil, err
	}
	return &admin.TaskExecutionGetDataResponse{
		Inputs: d.inputsBlob, Outputs: d.outputsBlob, FullInputs: d.inputs, FullOutputs: d.outputs,
		FlyteUrls: flyteURLs(t.Node, &t.Attempt, false),
	}, nil
}

func (s *Service) attempt(ctx context.Context, id *core.TaskExecutionIdentifier) (flow.TaskExecution, *event.TaskExecutionEvent, error) {
	node, task, attempt, err := taskKey("id", id)
	if err != nil {
		return flow.TaskExecution{}, nil, err
	}
	t, err := s.deps.Runs.GetTask(ctx, node, task, attempt)
	if err != nil {
		return t, nil, err
	}
	ev := &event.TaskExecutionEvent{}
	return t, ev, decode(t.Detail, ev)
}

func taskKey(field string, id *core.TaskExecutionIdentifier) (flow.NodeID, flow.EntityID, uint32, error) {
	if id == nil {
		return flow.NodeID{}, flow.EntityID{}, 0, fault.Field(field, "must be set")
	}
	task, err := untypedID(field+".task_id", id.GetTaskId())
	if err != nil {
		return flow.NodeID{}, task, 0, err
	}
	node, err := nodeID(field+".node_execution_id", id.GetNodeExecutionId())
	return node, task, id.GetRetryAttempt(), err
}

func toTaskExecution(t flow.TaskExecution, ev *event.TaskExecutionEvent) *admin.TaskExecution {
	closure := &admin.TaskExecutionClosure{
		Phase:        core.TaskExecution_Phase(t.Phase),
		Logs:         ev.GetLogs(),
		CreatedAt:    timestamp(t.CreatedAt),
		UpdatedAt:    timestamp(t.UpdatedAt),
		StartedAt:    timestamp(t.StartedAt),
		Duration:     duration(t.StartedAt, t.CreatedAt, t.EndedAt),
		CustomInfo:   ev.GetCustomInfo(),
		TaskType:     ev.GetTaskType(),
		Metadata:     ev.GetMetadata(),
		EventVersion: ev.GetEventVersion(),
		LogContext:   ev.GetLogContext(),
		Reason:       ev.GetReason(), // consoles still read it
	}
	for _, r := range ev.GetReasons() {
		closure.Reasons = append(closure.Reasons, &admin.Reason{OccurredAt: r.GetOccurredAt(), Message: r.GetReason()})
	}
	if closure.Reason == "" && len(closure.Reasons) > 0 {
		closure.Reason = closure.Reasons[len(closure.Reasons)-1].GetMessage()
	}
	switch {
	case t.Reason != "":
		failure := closedByUs(t.Reason)
		closure.Reason = failure.GetMessage()
		closure.Reasons = append(closure.Reasons, &admin.Reason{OccurredAt: timestamppb.New(t.UpdatedAt), Message: failure.GetMessage()})
		closure.OutputResult = &admin.TaskExecutionClosure_Error{Error: failure}
	case ev.GetError() != nil:
		closure.OutputResult = &admin.TaskExecutionClosure_Error{Error: ev.GetError()}
	case ev.GetOutputUri() != "":
		closure.OutputResult = &admin.TaskExecutionClosure_OutputUri{OutputUri: ev.GetOutputUri()}
	}
	return &admin.TaskExecution{
		Id: &core.TaskExecutionIdentifier{
			TaskId: toIdentifier(flow.KindTask, t.Task), NodeExecutionId: toNodeID(t.Node), RetryAttempt: t.Attempt,
		},
		InputUri: ev.GetInputUri(),
		Closure:  closure,
	}
}

// flyteURLs are the addresses that DataProxyService.GetData understands.
func flyteURLs(id flow.NodeID, attempt *uint32, deck bool) *admin.FlyteURLs {
	base := "flyte://v1/" + strings.Join([]string{id.Execution.Project, id.Execution.Domain, id.Execution.Name, id.Node}, "/")
	if attempt != nil {
		base += "/" + strconv.FormatUint(uint64(*attempt), 10)
	}
	urls := &admin.FlyteURLs{Inputs: base + "/i", Outputs: base + "/o"}
	if deck {
		urls.Deck = base + "/d"
	}
	return urls
}
