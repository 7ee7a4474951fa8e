package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/skein-project/skein/api/fault"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
)

func clusterLabel(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "label NAME KEY=VALUE… [KEY-…]",
		Short: "Set and remove a cluster's labels",
		Long:  "Set and remove a cluster's labels. What is placed already stays; the next decisions go by the new ones.",
		Example: `  skein cluster label eu-1 tier=gold region=eu-west
  skein cluster label eu-1 tier-`,
		Args:              atLeast(2, "NAME and KEY=VALUE or KEY-"),
		ValidArgsFunction: s.complete(first(s.clusterNames)),
		RunE: func(cmd *cobra.Command, args []string) error {
			request := &skeinv1.UpdateClusterRequest{Name: args[0], SetLabels: map[string]string{}}
			for _, word := range args[1:] {
				key, value, set := strings.Cut(word, "=")
				switch {
				case set:
					request.SetLabels[key] = value
				case strings.HasSuffix(word, "-"):
					request.RemoveLabels = append(request.RemoveLabels, strings.TrimSuffix(word, "-"))
				default:
					return fault.E(fault.Invalid, "want KEY=VALUE to set a label or KEY- to remove it, got %q", word)
				}
			}
			return s.updateCluster(cmd, request)
		},
	}
}

func clusterTaint(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "taint NAME KEY[=VALUE]:EFFECT… [KEY[:EFFECT]-…]",
		Short: "Add and remove a cluster's taints",
		Long: `Add and remove a cluster's taints, as kubectl does for nodes. NoSchedule keeps
new work off that does not tolerate it, PreferNoSchedule lowers its score, and
NoExecute also moves what is there and does not tolerate it.`,
		Example: `  skein cluster taint gpu-1 dedicated=gpu:NoSchedule
  skein cluster taint eu-1 maintenance:NoExecute
  skein cluster taint eu-1 maintenance:NoExecute- dedicated-`,
		Args:              atLeast(2, "NAME and KEY[=VALUE]:EFFECT or KEY-"),
		ValidArgsFunction: s.complete(first(s.clusterNames)),
		RunE: func(cmd *cobra.Command, args []string) error {
			request := &skeinv1.UpdateClusterRequest{Name: args[0]}
			for _, word := range args[1:] {
				if gone, remove := strings.CutSuffix(word, "-"); remove {
					key, effect, _ := strings.Cut(gone, ":")
					key, _, _ = strings.Cut(key, "=")
					request.RemoveTaints = append(request.RemoveTaints, &skeinv1.Taint{Key: key, Effect: effect})
					continue
				}
				taint, err := parseTaint(word)
				if err != nil {
					return fault.E(fault.Invalid, "want KEY[=VALUE]:EFFECT to add a taint or KEY- to remove it, got %q", word)
				}
				request.AddTaints = append(request.AddTaints, taint)
			}
			return s.updateCluster(cmd, request)
		},
	}
}

func (s *session) updateCluster(cmd *cobra.Command, request *skeinv1.UpdateClusterRequest) error {
	return s.clusters(func(api skeinv1.ClusterServiceClient) error {
		answer, err := api.UpdateCluster(cmd.Context(), request)
		if err != nil {
			return err
		}
		return s.print(cmd.OutOrStdout(), answer, func(w io.Writer) error {
			_, err := fmt.Fprintf(w, "cluster %s has labels %s and taints %s\n", request.GetName(),
				labels(answer.GetCluster().GetLabels()), taintList(answer.GetCluster().GetTaints()))
			return err
		})
	})
}

func clusterCordon(s *session, on bool) *cobra.Command {
	use, short, told := "cordon", "Keep new work off a cluster; what runs there stays", "is cordoned: it takes no new work, and what runs there stays"
	if !on {
		use, short, told = "uncordon", "Let new work onto a cluster again", "takes new work"
	}
	return &cobra.Command{
		Use: use + " NAME", Short: short, Example: "  skein cluster " + use + " eu-1", Args: exactly(1, "NAME"),
		ValidArgsFunction: s.complete(first(s.clusterNames)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.clusters(func(api skeinv1.ClusterServiceClient) error {
				answer, err := api.Cordon(cmd.Context(), &skeinv1.CordonRequest{Name: args[0], Cordoned: on})
				if err != nil {
					return err
				}
				return s.print(cmd.OutOrStdout(), answer, func(w io.Writer) error {
					_, err := fmt.Fprintf(w, "cluster %s %s\n", args[0], told)
					return err
				})
			})
		},
	}
}

func clusterRemove(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "remove NAME",
		Short: "Forget a cluster that holds no executions",
		Long: `Forget a cluster that holds no executions: drain it first, or declare it lost.
Its members can join no more; what lies in the cluster itself stays there.`,
		Example: "  skein cluster remove eu-1", Args: exactly(1, "NAME"),
		ValidArgsFunction: s.complete(first(s.clusterNames)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.clusters(func(api skeinv1.ClusterServiceClient) error {
				answer, err := api.RemoveCluster(cmd.Context(), &skeinv1.RemoveClusterRequest{Name: args[0]})
				if err != nil {
					return err
				}
				return s.print(cmd.OutOrStdout(), answer, func(w io.Writer) error {
					_, err := fmt.Fprintf(w, "cluster %s is removed\n", args[0])
					return err
				})
			})
		},
	}
}

func memberRevoke(s *session, revoke bool) *cobra.Command {
	use, short := "revoke NAME [INSTANCE]", "Refuse a member's certificate from now on, or those of all members of a cluster"
	long := `Refuse a member's certificate from now on, or those of all members of a cluster:
its sessions end, and nothing that it sends is accepted. Its work is moved when
its leases have ended, as that of a cluster that was lost from sight.`
	if !revoke {
		use, short = "restore NAME [INSTANCE]", "Accept the certificates of revoked members again"
		long = "Accept the certificates of revoked members again. They dial in by themselves."
	}
	verb, _, _ := strings.Cut(use, " ")
	return &cobra.Command{
		Use: use, Short: short, Long: long, Example: fmt.Sprintf("  skein cluster %s eu-1 propeller-0\n  skein cluster %[1]s eu-1", verb),
		Args:              between(1, 2, "NAME and, if one member is meant, INSTANCE"),
		ValidArgsFunction: s.complete(first(s.clusterNames)),
		RunE: func(cmd *cobra.Command, args []string) error {
			request := &skeinv1.RevokeMemberRequest{Cluster: args[0], Restore: !revoke}
			if len(args) == 2 {
				request.Instance = args[1]
			}
			return s.clusters(func(api skeinv1.ClusterServiceClient) error {
				answer, err := api.RevokeMember(cmd.Context(), request)
				if err != nil {
					return advise(err, fault.NotFound, "skein cluster describe %s shows its members", args[0])
				}
				return s.print(cmd.OutOrStdout(), answer, func(w io.Writer) error {
					for _, m := range answer.GetMembers() {
						state := "is accepted"
						if m.GetRevoked() {
							state = "is revoked"
						}
						if _, err := fmt.Fprintf(w, "member %s/%s %s\n", args[0], m.GetInstance(), state); err != nil {
							return err
						}
					}
					return nil
				})
			})
		},
	}
}
