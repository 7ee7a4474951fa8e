package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/api/flyteidl/service"
)

func getCommand(s *session) *cobra.Command {
	var watch bool
	var limit uint32
	cmd := &cobra.Command{
		Use:   "get [EXECUTION]",
		Short: "Show one execution with its nodes and outputs, or list the newest",
		Example: `  skein get
  skein get a7bcdfghjklmnpqrstvw --watch
  skein get a7bcdfghjklmnpqrstvw -o json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			conn, err := s.config.DialFlyte()
			if err != nil {
				return err
			}
			defer conn.Close()
			api := service.NewAdminServiceClient(conn)
			if len(args) == 0 {
				if watch {
					return fault.Field("--watch", "needs the name of an execution")
				}
				return s.list(cmd.Context(), cmd.OutOrStdout(), api, limit)
			}
			id := s.execution(args[0])
			if watch {
				if err := s.follow(cmd.Context(), cmd.OutOrStdout(), api, id); err != nil {
					return err
				}
			}
			return s.show(cmd.Context(), cmd.OutOrStdout(), api, id)
		},
	}
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "show progress until it ends")
	cmd.Flags().Uint32Var(&limit, "limit", 20, "how many executions to list")
	return cmd
}

func (s *session) execution(name string) *core.WorkflowExecutionIdentifier {
	return &core.WorkflowExecutionIdentifier{Project: s.config.Project, Domain: s.config.Domain, Name: name}
}

func (s *session) list(ctx context.Context, w io.Writer, api service.AdminServiceClient, limit uint32) error {
	list, err := api.ListExecutions(ctx, &admin.ResourceListRequest{
		Id:     &admin.NamedEntityIdentifier{Project: s.config.Project, Domain: s.config.Domain},
		Limit:  limit,
		SortBy: &admin.Sort{Key: "created_at", Direction: admin.Sort_DESCENDING},
	})
	if err != nil {
		return err
	}
	return s.print(w, list, func(w io.Writer) error {
		var lines [][]string
		for _, x := range list.Executions {
			c := x.GetClosure()
			lines = append(lines, []string{x.Id.Name, c.GetWorkflowId().GetName(), flow.ExecutionPhase(c.GetPhase()).String(),
				orDash(x.GetSpec().GetMetadata().GetSystemMetadata().GetExecutionCluster()), age(c.GetCreatedAt())})
		}
		return rows(w, "NAME WORKFLOW PHASE CLUSTER AGE", lines)
	})
}

func (s *session) show(ctx context.Context, w io.Writer, api service.AdminServiceClient, id *core.WorkflowExecutionIdentifier) error {
	x, nodes, err := look(ctx, api, id)
	if err != nil {
		return err
	}
	return s.print(w, x, func(w io.Writer) error {
		data, err := api.GetExecutionData(ctx, &admin.WorkflowExecutionGetDataRequest{Id: id})
		if err != nil {
			return err
		}
		return describe(w, x, nodes, data)
	})
}

func describe(w io.Writer, x *admin.Execution, nodes []*admin.NodeExecution, data *admin.WorkflowExecutionGetDataResponse) error {
	c := x.GetClosure()
	fmt.Fprintf(w, "execution  %s\nworkflow   %s version %s\nphase      %s\n", x.Id.Name,
		c.GetWorkflowId().GetName(), c.GetWorkflowId().GetVersion(), flow.ExecutionPhase(c.GetPhase()))
	fmt.Fprintf(w, "cluster    %s\n", orDash(x.GetSpec().GetMetadata().GetSystemMetadata().GetExecutionCluster()))
	if d := c.GetDuration(); d != nil {
		fmt.Fprintf(w, "took       %s\n", d.AsDuration().Round(time.Millisecond))
	}
	if failure := c.GetError(); failure != nil {
		fmt.Fprintf(w, "error      %s: %s\n", failure.GetCode(), failure.GetMessage())
	}
	if cause := c.GetAbortMetadata().GetCause(); cause != "" {
		fmt.Fprintf(w, "aborted    %s\n", cause)
	}
	literals(w, "inputs", data.GetFullInputs())
	literals(w, "outputs", data.GetFullOutputs())
	if len(nodes) == 0 {
		return nil
	}
	byStart(nodes)
	var lines [][]string
	for _, n := range nodes {
		took := "-"
		if d := n.GetClosure().GetDuration(); d != nil {
			took = d.AsDuration().Round(10 * time.Millisecond).String()
		}
		lines = append(lines, []string{n.GetId().GetNodeId(), flow.NodePhase(n.GetClosure().GetPhase()).String(), took})
	}
	return rows(w, "NODE PHASE TOOK", lines)
}

// byStart puts nodes into the order in which they came up.
func byStart(nodes []*admin.NodeExecution) {
	slices.SortStableFunc(nodes, func(a, b *admin.NodeExecution) int {
		return cmp.Or(started(a).Compare(started(b)), cmp.Compare(a.GetId().GetNodeId(), b.GetId().GetNodeId()))
	})
}

// started is when a node started, or when it was made if it has not.
func started(n *admin.NodeExecution) time.Time {
	if at := n.GetClosure().GetStartedAt(); at.IsValid() {
		return at.AsTime()
	}
	return n.GetClosure().GetCreatedAt().AsTime()
}
