package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/skein-project/skein/api/fault"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
)

type drain struct {
	budget             int32
	deadline, grace    time.Duration
	dryRun, stop, wait bool
}

func clusterDrain(s *session) *cobra.Command {
	var d drain
	cmd := &cobra.Command{
		Use:   "drain NAME",
		Short: "Cordon a cluster and move its executions elsewhere, a few at a time",
		Long: `Cordon a cluster and move its executions elsewhere, a few at a time. The cluster
stops each of them before it is placed elsewhere, so nothing runs twice. What
may never move (failover never), and what fits nowhere, stays and is counted.
Repeating it changes budget, deadline and grace; --stop ends it, and keeps the
cordon.`,
		Example: `  skein cluster drain eu-1 --dry-run
  skein cluster drain eu-1 --budget 20 --grace 5m --deadline 2h --wait
  skein cluster drain eu-1 --stop`,
		Args:              exactly(1, "NAME"),
		ValidArgsFunction: s.complete(first(s.clusterNames)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.clusters(func(api skeinv1.ClusterServiceClient) error { return d.run(cmd, s, api, args[0]) })
		},
	}
	flags := cmd.Flags()
	flags.Int32Var(&d.budget, "budget", 0, "executions that may be on the move at a time (default 10)")
	flags.DurationVar(&d.deadline, "deadline", 0, "give up after this long; 0: never")
	flags.DurationVar(&d.grace, "grace", 0, "let running executions finish for so long before they are moved")
	flags.BoolVar(&d.dryRun, "dry-run", false, "print where each execution would go, and change nothing")
	flags.BoolVar(&d.stop, "stop", false, "end the drain; the cluster stays cordoned")
	flags.BoolVar(&d.wait, "wait", false, "print progress until the drain ends")
	cmd.MarkFlagsMutuallyExclusive("stop", "wait")
	cmd.MarkFlagsMutuallyExclusive("stop", "dry-run")
	cmd.MarkFlagsMutuallyExclusive("wait", "dry-run")
	return cmd
}

func (d drain) run(cmd *cobra.Command, s *session, api skeinv1.ClusterServiceClient, name string) error {
	request := &skeinv1.DrainRequest{Name: name, Budget: d.budget, Stop: d.stop, DryRun: d.dryRun}
	if cmd.Flags().Changed("deadline") && d.deadline != 0 {
		request.Deadline = durationpb.New(d.deadline)
	}
	if d.grace != 0 {
		request.Grace = durationpb.New(d.grace)
	}
	answer, err := api.Drain(cmd.Context(), request)
	if err != nil {
		return err
	}
	if !d.wait {
		return s.print(cmd.OutOrStdout(), answer, func(w io.Writer) error { return d.tell(w, name, answer) })
	}
	last, err := watchDrain(cmd.Context(), s.progress(cmd), api, name)
	if err != nil {
		return err
	}
	if !s.table() {
		if err := s.print(cmd.OutOrStdout(), &skeinv1.WatchDrainResponse{Status: last}, nil); err != nil {
			return err
		}
	}
	return drained(name, last)
}

func (d drain) tell(w io.Writer, name string, answer *skeinv1.DrainResponse) error {
	status := answer.GetStatus()
	if d.stop {
		_, err := fmt.Fprintf(w, "the drain of %s is stopped with %d executions left; it stays cordoned: skein cluster uncordon %s\n", name, status.GetRemaining(), name)
		return err
	}
	var lines [][]string
	for _, step := range answer.GetPlan() {
		lines = append(lines, []string{path(step.GetExecution()), orDash(step.GetTo()), step.GetHow()})
	}
	if len(lines) > 0 {
		if err := rows(w, "EXECUTION TO HOW", lines); err != nil {
			return err
		}
	}
	if left := status.GetRemaining() - int64(len(lines)); len(lines) > 0 && left > 0 {
		fmt.Fprintf(w, "… and %d more\n", left)
	}
	if d.dryRun {
		_, err := fmt.Fprintf(w, "%d executions are there; %d may never move, %d fit nowhere else now. Nothing was changed.\n",
			status.GetRemaining(), status.GetPinned(), status.GetUnplaceable())
		return err
	}
	_, err := fmt.Fprintf(w, "cluster %s is being drained: %s\n", name, drainLine(status))
	return err
}

// watchDrain prints each change of a drain's progress.
func watchDrain(ctx context.Context, w io.Writer, api skeinv1.ClusterServiceClient, name string) (*skeinv1.DrainStatus, error) {
	stream, err := api.WatchDrain(ctx, &skeinv1.WatchDrainRequest{Name: name})
	if err != nil {
		return nil, err
	}
	var last *skeinv1.DrainStatus
	told := ""
	for {
		next, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return last, nil
		case err != nil && last == nil && fault.Is(fromWire(err), fault.Precondition):
			// It was over before we looked: nothing was there.
			return &skeinv1.DrainStatus{Done: true}, nil
		case ctx.Err() != nil:
			return nil, fault.E(fault.Precondition, "interrupted; the drain goes on: skein cluster describe %s", name)
		case err != nil:
			return nil, err
		}
		last = next.GetStatus()
		if line := drainLine(last); line != told {
			told = line
			fmt.Fprintln(w, line)
		}
	}
}

// drained is an error if a drain ended before the cluster was empty.
func drained(name string, last *skeinv1.DrainStatus) error {
	switch {
	case last.GetDone() || last.GetRemaining() == 0:
		return nil
	case last.GetExpired():
		return fault.E(fault.Precondition, "the deadline has passed with %d executions left on %s; skein cluster drain %s goes on", last.GetRemaining(), name, name)
	}
	return fault.E(fault.Precondition, "the drain of %s was stopped with %d executions left", name, last.GetRemaining())
}

func drainLine(d *skeinv1.DrainStatus) string {
	line := fmt.Sprintf("%d left, %d on the move, %d may never move, %d fit nowhere now", d.GetRemaining(), d.GetMoving(), d.GetPinned(), d.GetUnplaceable())
	switch {
	case d.GetExpired():
		line += "; the deadline has passed"
	case d.GetDone():
		line += "; done"
	case d.GetEta() != nil:
		line += "; about " + short(d.GetEta().AsDuration()) + " to go"
	}
	return line
}

func path(e *skeinv1.ExecutionRef) string {
	return e.GetProject() + "/" + e.GetDomain() + "/" + e.GetName()
}
