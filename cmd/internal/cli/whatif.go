package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"sigs.k8s.io/yaml"

	"github.com/skein-project/skein/api/fault"
	skeinv1 "github.com/skein-project/skein/api/skein/v1"
)

func (s *session) placements(call func(skeinv1.PlacementServiceClient) error) error {
	conn, err := s.config.DialSkein()
	if err != nil {
		return err
	}
	defer conn.Close()
	return call(skeinv1.NewPlacementServiceClient(conn))
}

func whatIfCommand(s *session) *cobra.Command {
	var lose, drained, add, policies []string
	cmd := &cobra.Command{
		Use:   "whatif",
		Short: "Say what would be decided if clusters were lost, drained or added, or policies others",
		Long: `Say what would be decided if clusters were lost, drained or added, or policies
others: the code that decides runs on a copy of the world as it is now.
Nothing is changed. A cluster to add is a YAML file:

  name: eu-9
  labels: {region: eu-west}
  taints: [{key: dedicated, value: gpu, effect: NoSchedule}]
  capacity: {milli_cpu: 64000, memory: 274877906944, gpus: 8}
  largest_node: {milli_cpu: 16000, memory: 68719476736, gpus: 2}`,
		Example: `  skein whatif --lose eu-1
  skein whatif --drain eu-1 --drain eu-2
  skein whatif --lose eu-1 --add eu-9.yaml --policy residency.yaml -o json`,
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			request := &skeinv1.WhatIfRequest{Lose: lose, Drain: drained}
			for _, file := range add {
				sketch, err := readSketch(file)
				if err != nil {
					return err
				}
				request.Add = append(request.Add, sketch)
			}
			for _, file := range policies {
				list, err := readDocuments(cmd.InOrStdin(), file)
				if err != nil {
					return err
				}
				for _, d := range list {
					request.Policies = append(request.Policies, d.text)
				}
			}
			return s.placements(func(api skeinv1.PlacementServiceClient) error {
				answer, err := api.WhatIf(cmd.Context(), request)
				if err != nil {
					return err
				}
				return s.print(cmd.OutOrStdout(), answer, func(w io.Writer) error { return forecast(w, answer) })
			})
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&lose, "lose", nil, "a cluster that is gone at once; may be repeated")
	flags.StringArrayVar(&drained, "drain", nil, "a cluster that is emptied; may be repeated")
	flags.StringArrayVar(&add, "add", nil, "a file that describes a cluster that joins; may be repeated")
	flags.StringArrayVar(&policies, "policy", nil, "a file or folder of policies; may be repeated")
	completeFlag(cmd, "lose", s.complete(s.clusterNames))
	completeFlag(cmd, "drain", s.complete(s.clusterNames))
	return cmd
}

func readSketch(file string) (*skeinv1.ClusterSketch, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "--add")
	}
	asJSON, err := yaml.YAMLToJSONStrict(bytes.TrimSpace(raw))
	if err != nil {
		return nil, fault.Field("--add", "%s: %v", file, err)
	}
	sketch := &skeinv1.ClusterSketch{}
	if err := protojson.Unmarshal(asJSON, sketch); err != nil {
		return nil, fault.Field("--add", "%s: %s", file, strings.ReplaceAll(strings.TrimPrefix(err.Error(), "proto:"), "\u00a0", " "))
	}
	return sketch, nil
}

func forecast(w io.Writer, f *skeinv1.WhatIfResponse) error {
	fmt.Fprintf(w, "%d executions would move, %d would be placed, %d would wait; %d of them may never move\n", f.GetMoved(), f.GetPlaced(), f.GetWaiting(), f.GetStranded())
	var lines [][]string
	for _, o := range f.GetOutcomes() {
		lines = append(lines, []string{path(o.GetExecution()), orDash(o.GetFrom()), orDash(o.GetTo()), o.GetHow()})
	}
	if len(lines) > 0 {
		fmt.Fprintln(w)
		if err := rows(w, "EXECUTION FROM TO HOW", lines); err != nil {
			return err
		}
	}
	if left := f.GetMoved() + f.GetPlaced() + f.GetWaiting() - int64(len(lines)); left > 0 {
		fmt.Fprintf(w, "… and %d more\n", left)
	}
	lines = nil
	for _, c := range f.GetClusters() {
		lines = append(lines, []string{c.GetCluster(), fmt.Sprintf("%d -> %d", c.GetExecutionsBefore(), c.GetExecutionsAfter()),
			amount(c.GetReservedBefore()) + " -> " + amount(c.GetReservedAfter()), amount(c.GetCapacity())})
	}
	fmt.Fprintln(w)
	return rows(w, "CLUSTER EXECUTIONS RESERVED CAPACITY", lines)
}

// replayPage is how many rounds one call takes again: it has to answer before
// the call's time is up.
const replayPage = 100

func replayCommand(s *session) *cobra.Command {
	var last int64
	var all bool
	cmd := &cobra.Command{
		Use:     "replay",
		Short:   "Take stored decisions again and compare the answers",
		Long:    "Take stored decisions again and compare the answers. A difference means that the code or its inputs are not what they were: it is a fault, and the exit code is 1.",
		Example: "  skein replay\n  skein replay --last 1000\n  skein replay --all",
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if last < 1 {
				return fault.Field("--last", "must be at least 1, is %d; --all takes all", last)
			}
			if all {
				last = math.MaxInt64
			}
			return s.placements(func(api skeinv1.PlacementServiceClient) error {
				answer, err := replayed(cmd.Context(), api, last)
				if err != nil {
					return err
				}
				if err := s.print(cmd.OutOrStdout(), answer, func(w io.Writer) error {
					_, err := fmt.Fprintf(w, "%d rounds with %d decisions were taken again; %d came out otherwise\n%s",
						answer.GetRounds(), answer.GetDecisions(), answer.GetDifferent(), lined(answer.GetDifferences()))
					return err
				}); err != nil {
					return err
				}
				if n := answer.GetDifferent(); n > 0 {
					return fault.E(fault.Internal, "%d decisions came out otherwise", n)
				}
				return nil
			})
		},
	}
	cmd.Flags().Int64Var(&last, "last", replayPage, "how many rounds, the newest first")
	cmd.Flags().BoolVar(&all, "all", false, "all rounds that are stored")
	cmd.MarkFlagsMutuallyExclusive("last", "all")
	return cmd
}

// replayed takes the newest rounds again, page by page, and adds the answers up.
func replayed(ctx context.Context, api skeinv1.PlacementServiceClient, last int64) (*skeinv1.ReplayResponse, error) {
	sum := &skeinv1.ReplayResponse{}
	for sum.GetRounds() < last {
		page, err := api.Replay(ctx, &skeinv1.ReplayRequest{Limit: int32(min(replayPage, last-sum.GetRounds())), Before: sum.GetNext()})
		if err != nil {
			return nil, err
		}
		sum.Rounds, sum.Decisions, sum.Next = sum.GetRounds()+page.GetRounds(), sum.GetDecisions()+page.GetDecisions(), page.GetNext()
		sum.Different += page.GetDifferent()
		sum.Differences = append(sum.Differences, page.GetDifferences()...)
		if page.GetNext() == "" {
			break
		}
	}
	return sum, nil
}

func lined(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return strings.Join(list, "\n") + "\n"
}
