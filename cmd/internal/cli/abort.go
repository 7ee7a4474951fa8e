package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/service"
)

func abortCommand(s *session) *cobra.Command {
	var cause string
	var wait bool
	cmd := &cobra.Command{
		Use:     "abort EXECUTION",
		Short:   "Stop an execution and what it runs",
		Example: `  skein abort a7bcdfghjklmnpqrstvw --cause "wrong inputs"`,
		Args:    exactly(1, "EXECUTION"),
		RunE: func(cmd *cobra.Command, args []string) error {
			conn, err := s.config.DialFlyte()
			if err != nil {
				return err
			}
			defer conn.Close()
			api, id := service.NewAdminServiceClient(conn), s.execution(args[0])
			if _, err := api.TerminateExecution(cmd.Context(), &admin.ExecutionTerminateRequest{Id: id, Cause: cause}); err != nil {
				return err
			}
			if wait {
				return s.follow(cmd.Context(), cmd.OutOrStdout(), api, id)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "aborting %s\n", args[0])
			return err
		},
	}
	cmd.Flags().StringVar(&cause, "cause", "aborted by skein", "why, for people")
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until nothing of it runs any more")
	return cmd
}
