package service

import (
	"context"

	"google.golang.org/grpc"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/event"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
)

// maxLogNodes bounds the search for an execution's only task node.
const maxLogNodes = 100

// GetLogs streams the log of one task attempt's pod.
func (p placementServer) GetLogs(req *skeinv1.GetLogsRequest, stream grpc.ServerStreamingServer[skeinv1.GetLogsResponse]) error {
	if p.s.deps.Logs == nil {
		return fault.E(fault.Unsupported, "this control plane cannot read logs")
	}
	if req.GetTailLines() < 0 {
		return fault.Field("tail_lines", "must not be negative")
	}
	q, err := p.s.findLog(stream.Context(), req)
	if err != nil {
		return err
	}
	return p.s.deps.Logs(stream.Context(), q, func(part []byte) error {
		return stream.Send(&skeinv1.GetLogsResponse{Data: part})
	})
}

// findLog finds the pod of the attempt asked for.
func (s *Service) findLog(ctx context.Context, req *skeinv1.GetLogsRequest) (LogQuery, error) {
	id, err := refID(req.GetExecution())
	if err != nil {
		return LogQuery{}, err
	}
	row, err := s.deps.Executions.GetExecution(ctx, id)
	if err != nil {
		return LogQuery{}, err
	}
	if row.Cluster == "" {
		return LogQuery{}, fault.E(fault.Precondition, "execution %s is on no cluster yet", id)
	}
	task, err := s.findAttempt(ctx, id, req)
	if err != nil {
		return LogQuery{}, err
	}
	if task.Epoch != row.Epoch {
		return LogQuery{}, fault.E(fault.Precondition, "attempt %d of node %s ran on a cluster that the execution has left", task.Attempt, task.Node.Node)
	}
	ev := &event.TaskExecutionEvent{}
	if err := decode(task.Detail, ev); err != nil {
		return LogQuery{}, err
	}
	pod := ev.GetMetadata().GetGeneratedName()
	if pod == "" {
		return LogQuery{}, fault.E(fault.Precondition, "attempt %d of node %s has no pod yet", task.Attempt, task.Node.Node)
	}
	return LogQuery{Cluster: row.Cluster, Execution: id, Epoch: row.Epoch, Pod: pod, Container: req.GetContainer(),
		TailLines: req.GetTailLines(), LimitBytes: DefaultLogBytes}, nil
}

func (s *Service) findAttempt(ctx context.Context, id flow.ExecutionID, req *skeinv1.GetLogsRequest) (flow.TaskExecution, error) {
	candidates := []string{req.GetNode()}
	if req.GetNode() == "" {
		nodes, err := s.deps.Runs.ListNodes(ctx, id, "", flow.Query{Limit: maxLogNodes})
		if err != nil {
			return flow.TaskExecution{}, err
		}
		candidates = candidates[:0]
		for _, n := range nodes {
			candidates = append(candidates, n.ID.Node)
		}
	}
	var found []flow.TaskExecution
	for _, node := range candidates {
		tasks, err := s.deps.Runs.ListTasks(ctx, flow.NodeID{Execution: id, Node: node}, flow.Query{Limit: MaxPageSize})
		if err != nil {
			return flow.TaskExecution{}, err
		}
		if t, ok := pickAttempt(tasks, req.Attempt); ok {
			found = append(found, t)
		}
	}
	switch len(found) {
	case 0:
		return flow.TaskExecution{}, fault.E(fault.NotFound, "execution %s has recorded no such task attempt", id)
	case 1:
		return found[0], nil
	}
	return flow.TaskExecution{}, fault.Field("node", "must be set: execution %s has several task nodes, %s and %s among them",
		id, found[0].Node.Node, found[1].Node.Node)
}

// pickAttempt takes the attempt asked for, else the newest.
func pickAttempt(tasks []flow.TaskExecution, attempt *uint32) (flow.TaskExecution, bool) {
	var best flow.TaskExecution
	ok := false
	for _, t := range tasks {
		switch {
		case attempt != nil && t.Attempt != *attempt:
		case !ok || t.Attempt > best.Attempt:
			best, ok = t, true
		}
	}
	return best, ok
}
