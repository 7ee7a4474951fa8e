package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	skeinv1 "github.com/skein-project/skein/api/skein/v1"
)

func adminCommand(s *session) *cobra.Command {
	cmd := &cobra.Command{
		Use: "admin", Short: "Look after the control plane itself", Example: "  skein admin replicas list", Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	replicas := &cobra.Command{
		Use: "replicas", Short: "Show and change the replicas that elect the scheduler", Example: "  skein admin replicas list", Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	replicas.AddCommand(replicasList(s), replicasAdd(s), replicasRemove(s), replicasTransfer(s))
	cmd.AddCommand(adminStatus(s), replicas, overruleDoubt(s), finishRebuild(s))
	return cmd
}

func (s *session) controlPlane(call func(skeinv1.ControlPlaneServiceClient) error) error {
	conn, err := s.config.DialSkein()
	if err != nil {
		return err
	}
	defer conn.Close()
	return call(skeinv1.NewControlPlaneServiceClient(conn))
}

func replicasList(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the replicas and who leads", Example: "  skein admin replicas list", Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.controlPlane(func(api skeinv1.ControlPlaneServiceClient) error {
				answer, err := api.GetControlPlane(cmd.Context(), &skeinv1.GetControlPlaneRequest{})
				if err != nil {
					return err
				}
				return s.print(cmd.OutOrStdout(), answer, func(w io.Writer) error { return planeTable(w, answer) })
			})
		},
	}
}

func planeTable(w io.Writer, p *skeinv1.GetControlPlaneResponse) error {
	fmt.Fprintf(w, "control plane %s, version %s, scheduler epoch %s\n", orDash(p.GetId()), orDash(p.GetVersion()), epoch(p.GetEpoch()))
	if p.GetDoubt() != "" {
		fmt.Fprintf(w, "\n%s\n", wrap("In doubt, no work is moved: "+p.GetDoubt()+" If the clusters are really gone, skein admin overrule-doubt lets it be moved.", 100))
	}
	if r := p.GetRebuild(); r != nil {
		fmt.Fprintln(w)
		if err := rebuildText(w, r); err != nil {
			return err
		}
	}
	fmt.Fprintln(w)
	return replicaTable(w, p.GetReplicas())
}

func replicaTable(w io.Writer, list []*skeinv1.Replica) error {
	var lines [][]string
	for _, r := range list {
		role := "follows"
		switch {
		case r.GetLeader():
			role = "leads"
		case !r.GetVoter():
			role = "does not vote"
		}
		lines = append(lines, []string{r.GetId(), r.GetAddress(), role, orDash(r.GetVersion())})
	}
	return rows(w, "REPLICA ADDRESS ROLE VERSION", lines)
}

func replicasAdd(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "add ID ADDRESS",
		Short: "Let a replica vote, or change its address",
		Long: `Let a replica vote, or change its address. Start it first, with raft.bootstrap
off: nobody votes who does not answer. ADDRESS is where its peers reach its
raft.listen.`,
		Example: "  skein admin replicas add admin-3 10.0.0.4:8300", Args: exactly(2, "ID and ADDRESS"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.controlPlane(func(api skeinv1.ControlPlaneServiceClient) error {
				answer, err := api.AddReplica(cmd.Context(), &skeinv1.AddReplicaRequest{Id: args[0], Address: args[1]})
				if err != nil {
					return err
				}
				return s.print(cmd.OutOrStdout(), answer, func(w io.Writer) error { return replicaTable(w, answer.GetReplicas()) })
			})
		},
	}
}

func replicasRemove(s *session) *cobra.Command {
	return &cobra.Command{
		Use:     "remove ID",
		Short:   "Take a replica's vote",
		Long:    "Take a replica's vote. The leader hands its leadership over first (skein admin replicas transfer); the last replica stays.",
		Example: "  skein admin replicas remove admin-3", Args: exactly(1, "ID"),
		ValidArgsFunction: s.complete(first(s.replicaNames)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.controlPlane(func(api skeinv1.ControlPlaneServiceClient) error {
				answer, err := api.RemoveReplica(cmd.Context(), &skeinv1.RemoveReplicaRequest{Id: args[0]})
				if err != nil {
					return err
				}
				return s.print(cmd.OutOrStdout(), answer, func(w io.Writer) error { return replicaTable(w, answer.GetReplicas()) })
			})
		},
	}
}

func replicasTransfer(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "transfer [ID]",
		Short: "Hand the leadership over, and wait until the new term has begun",
		Long:  "Hand the leadership over, to a replica or to the most up to date one, and wait until the new term has begun.",
		Example: `  skein admin replicas transfer
  skein admin replicas transfer admin-2`,
		Args:              between(0, 1, "ID or nothing"),
		ValidArgsFunction: s.complete(first(s.replicaNames)),
		RunE: func(cmd *cobra.Command, args []string) error {
			request := &skeinv1.TransferLeadershipRequest{}
			if len(args) == 1 {
				request.To = args[0]
			}
			return s.controlPlane(func(api skeinv1.ControlPlaneServiceClient) error {
				answer, err := api.TransferLeadership(cmd.Context(), request)
				if err != nil {
					return err
				}
				return s.print(cmd.OutOrStdout(), answer, func(w io.Writer) error {
					_, err := fmt.Fprintf(w, "%s leads, at scheduler epoch %s\n", answer.GetLeader(), epoch(answer.GetEpoch()))
					return err
				})
			})
		},
	}
}

func overruleDoubt(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "overrule-doubt",
		Short: "Let work be moved although most clusters seem to be lost",
		Long: `Let work be moved although more than half of the clusters seem to be lost. The
control plane then takes the outage for its own, and moves nothing; say this
only if the clusters are really gone. It holds until a majority is back, or
another replica leads: a new leader doubts again.`,
		Example: "  skein admin overrule-doubt", Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.controlPlane(func(api skeinv1.ControlPlaneServiceClient) error {
				answer, err := api.OverruleDoubt(cmd.Context(), &skeinv1.OverruleDoubtRequest{})
				if err != nil {
					return err
				}
				return s.print(cmd.OutOrStdout(), answer, func(w io.Writer) error {
					_, err := fmt.Fprintln(w, "the doubt is overruled: work of lapsed clusters is moved")
					return err
				})
			})
		},
	}
}
