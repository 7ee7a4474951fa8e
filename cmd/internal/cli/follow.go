package cli

import (
	"context"
	"fmt"
	"io"
	"sort"
	"strings"
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/api/flyteidl/service"
)

const (
	followEvery = 300 * time.Millisecond
	// followPatience is how long a watched control plane may be away before
	// the watch gives up: longer than a change of leader, or of replica.
	followPatience = 30 * time.Second
	nodesPerPage   = 500
)

// follow prints what changes until the execution ends, and returns it as it
// ended.
func (s *session) follow(ctx context.Context, w io.Writer, api service.AdminServiceClient, id *core.WorkflowExecutionIdentifier) (*admin.Execution, error) {
	p := progress{w: w, seen: map[string]string{}, start: time.Now()}
	lastAnswer := time.Now()
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		x, nodes, err := look(ctx, api, id)
		switch kind := fault.Of(fromWire(err)); {
		case err == nil:
			lastAnswer = time.Now()
			p.show(x, nodes)
			if flow.ExecutionPhase(x.GetClosure().GetPhase()).Terminal() {
				return x, nil
			}
		case ctx.Err() != nil:
			return nil, interrupted(id)
		case kind != fault.Unavailable || time.Since(lastAnswer) > followPatience:
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, interrupted(id)
		case <-tick.C:
		}
	}
}

func interrupted(id *core.WorkflowExecutionIdentifier) error {
	return fault.E(fault.Precondition, "interrupted; execution %s goes on: skein get %s --watch", id.Name, id.Name)
}

// ending is an error if the execution did not succeed.
func ending(x *admin.Execution) error {
	phase := flow.ExecutionPhase(x.GetClosure().GetPhase())
	switch phase {
	case flow.ExecutionSucceeded:
		return nil
	case flow.ExecutionAborted:
		return fault.E(fault.Precondition, "execution %s was aborted: %s", x.Id.Name, x.GetClosure().GetAbortMetadata().GetCause())
	}
	failure := x.GetClosure().GetError()
	return fault.E(fault.Precondition, "execution %s %s: %s: %s", x.Id.Name, strings.ToLower(phase.String()), failure.GetCode(), failure.GetMessage())
}

func look(ctx context.Context, api service.AdminServiceClient, id *core.WorkflowExecutionIdentifier) (*admin.Execution, []*admin.NodeExecution, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	x, err := api.GetExecution(ctx, &admin.WorkflowExecutionGetRequest{Id: id})
	if err != nil {
		return nil, nil, err
	}
	nodes, err := api.ListNodeExecutions(ctx, &admin.NodeExecutionListRequest{WorkflowExecutionId: id, Limit: nodesPerPage})
	return x, nodes.GetNodeExecutions(), err
}

// progress prints each change of phase once.
type progress struct {
	w     io.Writer
	seen  map[string]string
	start time.Time
}

func (p *progress) show(x *admin.Execution, nodes []*admin.NodeExecution) {
	cluster := x.GetSpec().GetMetadata().GetSystemMetadata().GetExecutionCluster()
	where := ""
	if cluster != "" {
		where = " on " + cluster
	}
	phase := flow.ExecutionPhase(x.GetClosure().GetPhase())
	if !phase.Terminal() {
		p.line("", "execution "+x.Id.Name, phase.String()+where)
	}
	sort.SliceStable(nodes, func(i, j int) bool {
		a, b := nodes[i].GetClosure().GetUpdatedAt().AsTime(), nodes[j].GetClosure().GetUpdatedAt().AsTime()
		return a.Before(b)
	})
	for _, n := range nodes {
		took := ""
		np := flow.NodePhase(n.GetClosure().GetPhase())
		if d := n.GetClosure().GetDuration(); np.Terminal() && d != nil {
			took = " in " + d.AsDuration().Round(10*time.Millisecond).String()
		}
		p.line("  ", n.GetId().GetNodeId(), np.String()+took)
	}
	if phase.Terminal() {
		p.line("", "execution "+x.Id.Name, phase.String()+where)
	}
}

func (p *progress) line(indent, what, state string) {
	if p.seen[what] == state {
		return
	}
	p.seen[what] = state
	fmt.Fprintf(p.w, "%7.2fs  %s%s %s\n", time.Since(p.start).Seconds(), indent, what, state)
}
