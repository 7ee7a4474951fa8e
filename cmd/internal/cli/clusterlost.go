package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/skein-project/skein/api/fault"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
)

func clusterLost(s *session) *cobra.Command {
	var yes, failPinned bool
	cmd := &cobra.Command{
		Use:   "declare-lost NAME",
		Short: "Give up a cluster that will not come back, and what it holds",
		Long: `Give up a cluster that will not come back: its sessions end, it gets no lease
any more, and what it holds is placed elsewhere, or ended, when the leases that
it may still have are over. Without --yes it only prints what that does and
risks. A cluster that may come back needs nothing of the kind: its work is moved
when its leases have ended.`,
		Example: `  skein cluster declare-lost eu-1
  skein cluster declare-lost eu-1 --yes
  skein cluster declare-lost eu-1 --fail-pinned --yes`,
		Args:              exactly(1, "NAME"),
		ValidArgsFunction: s.complete(first(s.clusterNames)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.clusters(func(api skeinv1.ClusterServiceClient) error {
				request := &skeinv1.DeclareLostRequest{Name: args[0], FailPinned: failPinned, DryRun: true}
				risk, err := api.DeclareLost(cmd.Context(), request)
				if err != nil {
					return err
				}
				if !yes {
					if err := s.print(cmd.OutOrStdout(), risk, func(w io.Writer) error { return lossTable(w, args[0], "would be", risk) }); err != nil {
						return err
					}
					return fault.E(fault.Precondition, "nothing was done; say --yes to declare %s lost", args[0])
				}
				request.DryRun = false
				done, err := api.DeclareLost(cmd.Context(), request)
				if err != nil {
					return err
				}
				return s.print(cmd.OutOrStdout(), done, func(w io.Writer) error { return lossTable(w, args[0], "is", done) })
			})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do it: the risks are known")
	cmd.Flags().BoolVar(&failPinned, "fail-pinned", false, "end executions that may never move as FAILED")
	return cmd
}

func lossTable(w io.Writer, name, verb string, r *skeinv1.DeclareLostResponse) error {
	fmt.Fprintf(w, "cluster %s %s declared lost: %d executions placed elsewhere as room allows, %d that may not move, %d aborted\n",
		name, verb, r.GetMovable(), r.GetPinned(), r.GetAborting())
	for _, risk := range r.GetRisks() {
		if _, err := fmt.Fprintf(w, "\n%s\n", wrap(risk, 100)); err != nil {
			return err
		}
	}
	return nil
}

func clusterFound(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "declare-found NAME",
		Short: "Let a cluster join again that was declared lost",
		Long:  "Let a cluster join again that was declared lost. What it still runs of its earlier life is stopped when its members return.",
		Example: `  skein cluster declare-found eu-1
  skein cluster declare-found eu-1 -o json`,
		Args:              exactly(1, "NAME"),
		ValidArgsFunction: s.complete(first(s.clusterNames)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.clusters(func(api skeinv1.ClusterServiceClient) error {
				answer, err := api.DeclareFound(cmd.Context(), &skeinv1.DeclareFoundRequest{Name: args[0]})
				if err != nil {
					return err
				}
				return s.print(cmd.OutOrStdout(), answer, func(w io.Writer) error {
					_, err := fmt.Fprintf(w, "cluster %s may join again, at incarnation %d\n", args[0], answer.GetCluster().GetIncarnation())
					return err
				})
			})
		},
	}
}
