package cli

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-project/skein/api/fault"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
)

func clusterCommand(s *session) *cobra.Command {
	cmd := &cobra.Command{
		Use: "cluster", Short: "Register, look after and take leave of clusters", Example: "  skein cluster list", Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(clusterRegister(s), clusterList(s), clusterDescribe(s), clusterLabel(s), clusterTaint(s), clusterCordon(s, true),
		clusterCordon(s, false), clusterDrain(s), clusterRemove(s), memberRevoke(s, true), memberRevoke(s, false), clusterLost(s), clusterFound(s))
	return cmd
}

func (s *session) clusters(call func(skeinv1.ClusterServiceClient) error) error {
	conn, err := s.config.DialSkein()
	if err != nil {
		return err
	}
	defer conn.Close()
	return call(skeinv1.NewClusterServiceClient(conn))
}

func clusterRegister(s *session) *cobra.Command {
	var labelFlags map[string]string
	var taints []string
	var ttl time.Duration
	var caOut string
	var manifest memberManifest
	cmd := &cobra.Command{
		Use:   "register NAME",
		Short: "Record a cluster and make the one-time token with which it joins",
		Example: `  skein cluster register eu-1 --label region=eu-west --label tier=gold
  skein cluster register gpu-1 --label gpu=true --taint dedicated=gpu:NoSchedule
  skein cluster register eu-1 --token-ttl 15m --ca-out ca.crt
  skein cluster register eu-1 --manifest --image registry.example/skein:0.4 --hub skein.example:8443 --propeller-config eu.yaml | kubectl apply -f -
  skein cluster register eu-1 --manifest --image i --hub h:8443 --propeller-config eu.yaml --storage-class fast > eu-1.yaml`,
		Args: exactly(1, "NAME"),

		ValidArgsFunction: s.complete(first(s.clusterNames)), // for a new token
		RunE: func(cmd *cobra.Command, args []string) error {
			request := &skeinv1.RegisterClusterRequest{Name: args[0], Labels: labelFlags, TokenTtl: durationpb.New(ttl)}
			for _, t := range taints {
				taint, err := parseTaint(t)
				if err != nil {
					return err
				}
				request.Taints = append(request.Taints, taint)
			}
			base, err := manifest.check(args[0])
			if err != nil {
				return err
			}
			return s.clusters(func(api skeinv1.ClusterServiceClient) error {
				answer, err := api.RegisterCluster(cmd.Context(), request)
				if err != nil {
					return err
				}
				if caOut != "" {
					if err := os.WriteFile(caOut, []byte(answer.GetCa()), 0o644); err != nil {
						return fault.Wrap(fault.Invalid, err, "--ca-out")
					}
				}
				unchanged(cmd.ErrOrStderr(), request, answer.GetCluster())
				if manifest.wanted {
					return manifest.write(cmd.OutOrStdout(), base, answer)
				}
				return s.print(cmd.OutOrStdout(), answer, func(w io.Writer) error { return joinHint(w, answer, caOut) })
			})
		},
	}
	flags := cmd.Flags()
	flags.StringToStringVar(&labelFlags, "label", nil, "a label as key=value; may be repeated")
	flags.StringArrayVar(&taints, "taint", nil, "a taint as key=value:Effect; may be repeated")
	flags.DurationVar(&ttl, "token-ttl", time.Hour, "how long the token can be used")
	manifest.flags(cmd)
	flags.StringVar(&caOut, "ca-out", "", "write the control plane's CA bundle to this file")
	return cmd
}

// unchanged says so if labels or taints were given for a cluster that has
// others: registering it again makes a token and changes nothing else.
func unchanged(w io.Writer, asked *skeinv1.RegisterClusterRequest, c *skeinv1.Cluster) {
	if len(asked.GetLabels()) > 0 && !maps.Equal(asked.GetLabels(), c.GetLabels()) {
		fmt.Fprintf(w, "note: %s was registered before; its labels stay %s\n", c.GetName(), labels(c.GetLabels()))
	}
	if len(asked.GetTaints()) > 0 && taintList(asked.GetTaints()) != taintList(c.GetTaints()) {
		fmt.Fprintf(w, "note: %s was registered before; its taints stay %s\n", c.GetName(), taintList(c.GetTaints()))
	}
}

func joinHint(w io.Writer, answer *skeinv1.RegisterClusterResponse, caOut string) error {
	if caOut == "" {
		caOut = "what --ca-out writes"
	}
	_, err := fmt.Fprintf(w, `cluster %s is registered. Start its propeller before %s with

  SKEIN_PROPELLER_JOIN_TOKEN=%s skein-propeller run --config skein-propeller.yaml

The token works once; it is shown only here. In skein-propeller.yaml, cluster
is %s, ca is %s; docs/configuration.md has all keys.
`, answer.GetCluster().GetName(), answer.GetTokenExpiresAt().AsTime().Format(time.RFC3339), answer.GetJoinToken(),
		answer.GetCluster().GetName(), caOut)
	return err
}

// parseTaint reads "key=value:Effect" or "key:Effect", as kubectl does.
func parseTaint(s string) (*skeinv1.Taint, error) {
	i := strings.LastIndex(s, ":")
	if i < 1 {
		return nil, fault.Field("--taint", "want key=value:Effect, got %q", s)
	}
	key, value, _ := strings.Cut(s[:i], "=")
	return &skeinv1.Taint{Key: key, Value: value, Effect: s[i+1:]}, nil
}

func clusterList(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List clusters with their health and load", Example: "  skein cluster list -o json", Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.clusters(func(api skeinv1.ClusterServiceClient) error {
				list, err := api.ListClusters(cmd.Context(), &skeinv1.ListClustersRequest{})
				if err != nil {
					return err
				}
				return s.print(cmd.OutOrStdout(), list, func(w io.Writer) error { return clusterTable(w, list.GetClusters()) })
			})
		},
	}
}

func clusterTable(w io.Writer, clusters []*skeinv1.Cluster) error {
	var lines [][]string
	for _, c := range clusters {
		lines = append(lines, []string{c.GetName(), condition(c), age(c.GetHealthSince()), labels(c.GetLabels()), taintList(c.GetTaints()),
			amount(c.GetCapacity()), amount(c.GetReserved())})
	}
	return rows(w, "NAME HEALTH FOR LABELS TAINTS CAPACITY RESERVED", lines)
}

// condition is a cluster's health, and what operators ordered.
func condition(c *skeinv1.Cluster) string {
	switch {
	case c.GetDrain() != nil:
		return c.GetHealth() + ",draining"
	case c.GetCordoned():
		return c.GetHealth() + ",cordoned"
	}
	return c.GetHealth()
}

func clusterDescribe(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "describe NAME", Aliases: []string{"get"}, Short: "Show one cluster with its members and leases", Example: "  skein cluster describe eu-1", Args: exactly(1, "NAME"),
		ValidArgsFunction: s.complete(first(s.clusterNames)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.clusters(func(api skeinv1.ClusterServiceClient) error {
				answer, err := api.GetCluster(cmd.Context(), &skeinv1.GetClusterRequest{Name: args[0]})
				if err != nil {
					return advise(err, fault.NotFound, "skein cluster list shows all")
				}
				return s.print(cmd.OutOrStdout(), answer, func(w io.Writer) error { return describeCluster(w, answer) })
			})
		},
	}
}

func describeCluster(w io.Writer, answer *skeinv1.GetClusterResponse) error {
	c := answer.GetCluster()
	fmt.Fprintf(w, "cluster      %s\nhealth       %s for %s\nlabels       %s\ntaints       %s\n", c.GetName(),
		condition(c), age(c.GetHealthSince()), labels(c.GetLabels()), taintList(c.GetTaints()))
	fmt.Fprintf(w, "capacity     %s\nlargest node %s\nreserved     %s\ntask types   %s\nversion      %s\n", amount(c.GetCapacity()),
		amount(c.GetLargestNode()), amount(c.GetReserved()), orDash(strings.Join(slices.Sorted(slices.Values(c.GetTaskTypes())), ", ")), orDash(c.GetVersion()))
	fmt.Fprintf(w, "hardware     %s\nstore        %s\nincarnation  %d\n",
		orDash(strings.Join(append(slices.Clone(c.GetArchitectures()), c.GetAccelerators()...), ", ")), orDash(c.GetStore()), c.GetIncarnation())
	if d := c.GetDrain(); d != nil {
		fmt.Fprintf(w, "drain        %s\n", drainLine(d))
	}
	if len(answer.GetMembers()) == 0 {
		_, err := fmt.Fprintln(w, "no member has joined yet")
		return err
	}
	fmt.Fprintln(w)
	var lines [][]string
	for _, m := range answer.GetMembers() {
		lines = append(lines, []string{m.GetInstance(), memberHub(m), fmt.Sprint(m.GetGeneration()),
			fmt.Sprint(m.GetOwnershipRevision()), ago(m.GetLastSeenAt()), until(m.GetLeaseExpiresAt().AsTime())})
	}
	return rows(w, "MEMBER HUB SESSION OWNERSHIP SEEN LEASE", lines)
}

func memberHub(m *skeinv1.Member) string {
	if m.GetRevoked() {
		return "revoked"
	}
	return orDash(m.GetHub())
}

func ago(t *timestamppb.Timestamp) string {
	if s := age(t); s != "-" {
		return s + " ago"
	}
	return "never"
}

func until(t time.Time) string {
	if t.Unix() <= 0 {
		return "never had one"
	}
	if left := time.Until(t); left > 0 {
		return "for " + short(left)
	}
	return "ended " + short(time.Since(t)) + " ago"
}

func taintList(taints []*skeinv1.Taint) string {
	var parts []string
	for _, t := range taints {
		s := t.GetKey()
		if t.GetValue() != "" {
			s += "=" + t.GetValue()
		}
		parts = append(parts, s+":"+t.GetEffect())
	}
	return orDash(strings.Join(parts, ","))
}
