package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
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
		Example: `  skein get --limit 50
  skein get a7bcdfghjklmnpqrstvw --watch
  skein get a7bcdfghjklmnpqrstvw -o json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return exactly(1, "one EXECUTION or none")(cmd, args)
		},
		ValidArgsFunction: s.complete(first(s.executionNames)),
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
				x, err := s.follow(cmd.Context(), s.progress(cmd), api, id)
				if err != nil {
					return noExecution(err)
				}
				return errors.Join(s.show(cmd.Context(), cmd.OutOrStdout(), api, id), ending(x))
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

// noExecution adds where the name of an execution is found.
func noExecution(err error) error {
	return advise(err, fault.NotFound, "skein get lists executions; --project and --domain choose where")
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
		if len(list.Executions) == 0 {
			_, err := fmt.Fprintf(w, "no executions in %s/%s\n", s.config.Project, s.config.Domain)
			return err
		}
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
		return noExecution(err)
	}
	data, err := api.GetExecutionData(ctx, &admin.WorkflowExecutionGetDataRequest{Id: id})
	if err != nil {
		return err
	}
	byStart(nodes)
	if s.table() {
		return describe(w, x, nodes, data)
	}
	whole, err := document(x, nodes, data)
	if err != nil {
		return err
	}
	return s.write(w, whole)
}

// document is all that get knows: Flyte's Execution, with its nodes, inputs
// and outputs beside its own fields.
func document(x *admin.Execution, nodes []*admin.NodeExecution, data *admin.WorkflowExecutionGetDataResponse) (map[string]any, error) {
	raw, err := encode(x)
	if err != nil {
		return nil, err
	}
	out := map[string]any{}
	if err := json.Unmarshal(raw, &out); err != nil {
		return nil, err
	}
	list := []json.RawMessage{}
	for _, n := range nodes {
		raw, err := encode(n)
		if err != nil {
			return nil, err
		}
		list = append(list, raw)
	}
	out["nodes"] = list
	for key, m := range map[string]*core.LiteralMap{"inputs": data.GetFullInputs(), "outputs": data.GetFullOutputs()} {
		raw, err := encode(m)
		if err != nil {
			return nil, err
		}
		out[key] = raw
	}
	return out, nil
}

func describe(w io.Writer, x *admin.Execution, nodes []*admin.NodeExecution, data *admin.WorkflowExecutionGetDataResponse) error {
	c := x.GetClosure()
	fmt.Fprintf(w, "execution  %s\nworkflow   %s version %s\nphase      %s\n", x.Id.Name,
		c.GetWorkflowId().GetName(), c.GetWorkflowId().GetVersion(), flow.ExecutionPhase(c.GetPhase()))
	cluster := x.GetSpec().GetMetadata().GetSystemMetadata().GetExecutionCluster()
	if cluster == "" && !flow.ExecutionPhase(c.GetPhase()).Terminal() {
		cluster = "none yet; skein explain " + x.Id.Name + " says why"
	}
	fmt.Fprintf(w, "cluster    %s\n", orDash(cluster))
	if label := x.GetSpec().GetExecutionClusterLabel().GetValue(); label != "" {
		fmt.Fprintf(w, "label      %s\n", label)
	}
	fmt.Fprintf(w, "created    %s, %s ago\n", c.GetCreatedAt().AsTime().Format(time.RFC3339), age(c.GetCreatedAt()))
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
