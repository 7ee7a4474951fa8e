package scenario

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/chaos/script"
)

// market is script.Market.
type market struct{ *World }

// Offer makes one call.
func (m market) Offer(ctx context.Context, l script.Launch) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	_, err := m.admin.CreateExecution(ctx, creation(l))
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded:
		return fault.Wrap(fault.Unavailable, err, "not answered")
	}
	return err
}

// Recorded asks as a console does.
func (m market) Recorded(ctx context.Context, execution string) (out []script.Accepted, err error) {
	id := &core.WorkflowExecutionIdentifier{Project: project, Domain: domain, Name: execution}
	e, err := m.admin.GetExecution(ctx, &admin.WorkflowExecutionGetRequest{Id: id})
	if err != nil {
		return nil, err
	}
	out = append(out, script.Accepted{Execution: execution, Kind: flow.EventWorkflow, Phase: int32(e.GetClosure().GetPhase())})
	nodes, err := m.admin.ListNodeExecutions(ctx, &admin.NodeExecutionListRequest{WorkflowExecutionId: id, Limit: pageSize})
	if err != nil {
		return nil, err
	}
	for _, n := range nodes.GetNodeExecutions() {
		node := n.GetId().GetNodeId()
		out = append(out, script.Accepted{Execution: execution, Node: node, Kind: flow.EventNode, Phase: int32(n.GetClosure().GetPhase())})
		tasks, err := m.admin.ListTaskExecutions(ctx, &admin.TaskExecutionListRequest{NodeExecutionId: n.GetId(), Limit: pageSize})
		if err != nil {
			return nil, err
		}
		for _, t := range tasks.GetTaskExecutions() {
			out = append(out, script.Accepted{Execution: execution, Node: node, Attempt: t.GetId().GetRetryAttempt(),
				Kind: flow.EventTask, Phase: int32(t.GetClosure().GetPhase())})
		}
	}
	return out, nil
}

// Memory reads the resident memory of each propeller that runs from /proc.
func (m market) Memory() (map[string]int64, error) {
	out := map[string]int64{}
	for _, p := range m.federation.Planes {
		if !p.Propeller.Alive() {
			continue
		}
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.Propeller.PID()))
		if err != nil {
			return nil, fmt.Errorf("memory of %s's propeller: %w", p.Name, err)
		}
		fields := strings.Fields(string(raw))
		if len(fields) < 2 {
			continue // it ends just now
		}
		pages, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("memory of %s's propeller: %w", p.Name, err)
		}
		out[p.Name] = pages * int64(os.Getpagesize())
	}
	return out, nil
}
