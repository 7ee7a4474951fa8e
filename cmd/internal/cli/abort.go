package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/service"
)

func abortCommand(s *session) *cobra.Command {
	var cause string
	var wait bool
	cmd := &cobra.Command{
		Use:     "abort EXECUTION",
		Short:   "Stop an execution and what it runs",
		Example: `  skein abort a7bcdfghjklmnpqrstvw --cause "wrong inputs" --wait`,
		Args:    exactly(1, "EXECUTION"),

		ValidArgsFunction: s.complete(first(s.executionNames)),
		RunE: func(cmd *cobra.Command, args []string) error {
			conn, err := s.config.DialFlyte()
			if err != nil {
				return err
			}
			defer conn.Close()
			api, id := service.NewAdminServiceClient(conn), s.execution(args[0])
			if _, err := api.TerminateExecution(cmd.Context(), &admin.ExecutionTerminateRequest{Id: id, Cause: cause}); err != nil {
				return noExecution(err)
			}
			if wait {
				x, err := s.follow(cmd.Context(), s.progress(cmd), api, id)
				if err != nil {
					return err
				}
				if phase := flow.ExecutionPhase(x.GetClosure().GetPhase()); phase != flow.ExecutionAborted {
					return fault.E(fault.Precondition, "execution %s ended as %s before it could be aborted", id.Name, phase)
				}
				if s.table() {
					return nil
				}
			}
			return s.print(cmd.OutOrStdout(), id, func(w writer) error {
				_, err := fmt.Fprintf(w, "aborting %s; follow it with: skein get %s --watch\n", id.Name, id.Name)
				return err
			})
		},
	}
	cmd.Flags().StringVar(&cause, "cause", "aborted by skein", "why, for people")
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until nothing of it runs any more")
	return cmd
}
