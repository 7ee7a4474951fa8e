package service

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/core"
)

// maxListedError bounds error messages in lists.
const maxListedError = 100

// GetExecution reads one execution.
func (s *Service) GetExecution(ctx context.Context, req *admin.WorkflowExecutionGetRequest) (*admin.Execution, error) {
	row, err := s.execution(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	return toExecution(row)
}

func (s *Service) execution(ctx context.Context, id *core.WorkflowExecutionIdentifier) (flow.Execution, error) {
	key, err := executionID("id", id)
	if err != nil {
		return flow.Execution{}, err
	}
	return s.deps.Executions.GetExecution(ctx, key)
}

// ListExecutions lists executions, archived ones only if the filters speak of
// the state.
func (s *Service) ListExecutions(ctx context.Context, req *admin.ResourceListRequest) (*admin.ExecutionList, error) {
	id := req.GetId()
	if err := texts("id.project", id.GetProject(), "id.domain", id.GetDomain()); err != nil {
		return nil, err
	}
	q, err := query(req, "execution")
	if err != nil {
		return nil, err
	}
	if !hasField(q, "state") {
		q.Filters = append(q.Filters, flow.Filter{Field: "state", Op: flow.OpEqual, Values: []string{"0"}})
	}
	if id.GetName() != "" {
		q.Filters = append(q.Filters, flow.Filter{Field: "execution_name", Op: flow.OpEqual, Values: []string{id.GetName()}})
	}
	rows, err := s.deps.Executions.ListExecutions(ctx, id.GetProject(), id.GetDomain(), q)
	if err != nil {
		return nil, err
	}
	out := &admin.ExecutionList{Token: nextToken(q, len(rows))}
	for _, row := range rows {
		e, err := toExecution(row)
		if err != nil {
			return nil, err
		}
		if failure := e.GetClosure().GetError(); len(failure.GetMessage()) > maxListedError {
			failure.Message = validPrefix(failure.GetMessage(), maxListedError)
		}
		out.Executions = append(out.Executions, e)
	}
	return out, nil
}

// UpdateExecution archives an execution, or brings it back.
func (s *Service) UpdateExecution(ctx context.Context, req *admin.ExecutionUpdateRequest) (*admin.ExecutionUpdateResponse, error) {
	id, err := executionID("id", req.GetId())
	if err != nil {
		return nil, err
	}
	archived := req.GetState() == admin.ExecutionState_EXECUTION_ARCHIVED
	if !archived && req.GetState() != admin.ExecutionState_EXECUTION_ACTIVE {
		return nil, fault.Field("state", "%d is not a state", req.GetState())
	}
	return &admin.ExecutionUpdateResponse{}, s.deps.Executions.ArchiveExecution(ctx, id, archived)
}

// GetExecutionData reads an execution's inputs and outputs.
func (s *Service) GetExecutionData(ctx context.Context, req *admin.WorkflowExecutionGetDataRequest) (*admin.WorkflowExecutionGetDataResponse, error) {
	row, err := s.execution(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	inputs, inputsBlob := &core.LiteralMap{}, &admin.UrlBlob{Bytes: int64(len(row.Inputs))}
	if row.InputsURI != "" {
		inputs, inputsBlob, err = s.literals(ctx, row.InputsURI)
	} else {
		err = decode(row.Inputs, inputs)
	}
	if err != nil {
		return nil, err
	}
	outputs, outputsBlob, err := s.literals(ctx, row.OutputURI)
	if err != nil {
		return nil, err
	}
	return &admin.WorkflowExecutionGetDataResponse{
		FullInputs: inputs, FullOutputs: outputs, Inputs: inputsBlob, Outputs: outputsBlob,
	}, nil
}

// literals reads a LiteralMap from the object store. What is missing, too
// large to load, or in another store is an empty map beside its URL, not an
// error (contract 9.1).
func (s *Service) literals(ctx context.Context, uri string) (*core.LiteralMap, *admin.UrlBlob, error) {
	out, blob := &core.LiteralMap{Literals: map[string]*core.Literal{}}, &admin.UrlBlob{Url: uri}
	if uri == "" {
		return out, blob, nil
	}
	data, err := s.deps.Objects.Read(ctx, uri)
	switch fault.Of(err) {
	case fault.NotFound, fault.Invalid, fault.Exhausted:
		return out, blob, nil
	}
	if err != nil {
		return nil, nil, err
	}
	blob.Bytes = int64(len(data))
	return out, blob, decode(data, out)
}

func toExecution(row flow.Execution) (*admin.Execution, error) {
	spec := &admin.ExecutionSpec{}
	if err := decode(row.Spec, spec); err != nil {
		return nil, err
	}
	if spec.Metadata == nil {
		spec.Metadata = &admin.ExecutionMetadata{}
	}
	spec.Metadata.SystemMetadata = &admin.SystemMetadata{ExecutionCluster: row.Cluster, Namespace: row.ID.Namespace()}
	closure := &admin.ExecutionClosure{
		Phase:         core.WorkflowExecution_Phase(row.Phase),
		CreatedAt:     timestamp(row.CreatedAt),
		UpdatedAt:     timestamp(row.UpdatedAt),
		StartedAt:     timestamp(row.StartedAt),
		Duration:      duration(row.StartedAt, row.CreatedAt, row.EndedAt),
		WorkflowId:    toIdentifier(flow.KindWorkflow, row.Workflow),
		Notifications: spec.GetNotifications().GetNotifications(),
		StateChangeDetails: &admin.ExecutionStateChangeDetails{
			OccurredAt: timestamp(row.CreatedAt), Principal: row.Principal,
		},
	}
	if row.Archived {
		closure.StateChangeDetails.State = admin.ExecutionState_EXECUTION_ARCHIVED
		closure.StateChangeDetails.OccurredAt = timestamp(row.UpdatedAt)
	}
	return &admin.Execution{Id: toExecutionID(row.ID), Spec: spec, Closure: closure}, setResult(closure, row)
}

// setResult tells how an execution ended, or that it is being stopped.
func setResult(closure *admin.ExecutionClosure, row flow.Execution) error {
	switch row.Phase {
	case flow.ExecutionSucceeded:
		if row.OutputURI != "" {
			closure.OutputResult = &admin.ExecutionClosure_Outputs{
				Outputs: &admin.LiteralMapBlob{Data: &admin.LiteralMapBlob_Uri{Uri: row.OutputURI}},
			}
		}
	case flow.ExecutionAborting, flow.ExecutionAborted:
		closure.OutputResult = &admin.ExecutionClosure_AbortMetadata{
			AbortMetadata: &admin.AbortMetadata{Cause: row.AbortCause, Principal: row.AbortPrincipal},
		}
	case flow.ExecutionFailing, flow.ExecutionFailed, flow.ExecutionTimedOut:
		if len(row.Error) == 0 {
			return nil
		}
		failure := &core.ExecutionError{}
		if err := decode(row.Error, failure); err != nil {
			return err
		}
		closure.OutputResult = &admin.ExecutionClosure_Error{Error: failure}
	}
	return nil
}

// timestamp is nil for a time that has not come.
func timestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// duration is nil until the end has come.
func duration(started, created, ended time.Time) *durationpb.Duration {
	if ended.IsZero() {
		return nil
	}
	if started.IsZero() {
		started = created
	}
	return durationpb.New(max(ended.Sub(started), 0))
}
