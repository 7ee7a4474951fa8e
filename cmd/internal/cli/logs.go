package cli

import (
	"errors"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/skein-project/skein/api/fault"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
)

func logsCommand(s *session) *cobra.Command {
	var node, container string
	var attempt uint32
	var tail int64
	cmd := &cobra.Command{
		Use:   "logs EXECUTION",
		Short: "Print the log of one task attempt, from the cluster where it runs",
		Long: `Print the log of one task attempt, from the cluster where it runs. The log is
read from the pod, and is gone with it: an abort deletes its pods. It is
printed as it is, or with -o json or yaml as one text.`,
		Example: `  skein logs a7bcdfghjklmnpqrstvw --node split
  skein logs a7bcdfghjklmnpqrstvw --node split --attempt 0 --tail 20
  skein logs a7bcdfghjklmnpqrstvw --container side-car`,
		Args: exactly(1, "EXECUTION"),

		ValidArgsFunction: s.complete(first(s.executionNames)),
		RunE: func(cmd *cobra.Command, args []string) error {
			conn, err := s.config.DialSkein()
			if err != nil {
				return err
			}
			defer conn.Close()
			request := &skeinv1.GetLogsRequest{Execution: s.ref(args[0]), Node: node, Container: container, TailLines: tail}
			if cmd.Flags().Changed("attempt") {
				request.Attempt = &attempt
			}
			stream, err := skeinv1.NewPlacementServiceClient(conn).GetLogs(cmd.Context(), request)
			if err != nil {
				return err
			}
			return noAttempt(s.printLog(cmd.OutOrStdout(), stream.Recv), args[0])
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&node, "node", "", "node id (may be left out if there is only one)")
	flags.StringVarP(&container, "container", "c", "", "container (default: the task's own)")
	flags.Uint32Var(&attempt, "attempt", 0, "attempt (left out: the newest)")
	flags.Int64Var(&tail, "tail", 0, "only so many of the last lines")
	completeFlag(cmd, "node", s.complete(s.nodeNames))
	return cmd
}

// noAttempt adds what to ask instead.
func noAttempt(err error, execution string) error {
	switch told := fromWire(err); {
	case fault.Is(told, fault.NotFound) && strings.Contains(told.Error(), "task attempt"):
		return advise(told, fault.NotFound, "skein get %s shows its nodes", execution)
	case fault.Is(told, fault.NotFound) && strings.Contains(told.Error(), "and its log with it"):
		return advise(told, fault.NotFound, "skein get %s shows what was recorded of it", execution)
	case fault.Is(told, fault.Precondition):
		return advise(told, fault.Precondition, "skein explain %s says more", execution)
	}
	return noExecution(err)
}

// printLog copies a log as it comes, or prints it whole as JSON or YAML.
func (s *session) printLog(w io.Writer, receive func() (*skeinv1.GetLogsResponse, error)) error {
	if s.table() {
		return copyLog(w, receive)
	}
	var log strings.Builder
	if err := copyLog(&log, receive); err != nil {
		return err
	}
	return s.write(w, map[string]string{"log": log.String()})
}

func copyLog(w io.Writer, receive func() (*skeinv1.GetLogsResponse, error)) error {
	for {
		chunk, err := receive()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := w.Write(chunk.GetData()); err != nil {
			return err
		}
	}
}

func (s *session) ref(name string) *skeinv1.ExecutionRef {
	return &skeinv1.ExecutionRef{Project: s.config.Project, Domain: s.config.Domain, Name: name}
}
