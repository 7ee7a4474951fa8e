package cli

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/scheduler/simulate"
)

// simulation is what skein simulate was asked for.
type simulation struct {
	file, picture        string
	clusters, executions int
	seed                 uint64
	policies             []string
}

func simulateCommand(s *session) *cobra.Command {
	var o simulation
	var known strings.Builder
	var names []string
	for _, p := range simulate.Policies {
		fmt.Fprintf(&known, "  %-13s %s\n", p.Name, p.About)
		names = append(names, p.Name)
	}
	cmd := &cobra.Command{
		Use:   "simulate [-f SCENARIO]",
		Short: "Compare placement policies on a virtual clock",
		Long: `Compare placement policies on a virtual clock: waits, utilisation, fairness,
cost, moves and lost work, for one fleet and one load. It is done here; no
control plane is asked. What a scenario may say is in docs/simulate.md.

Policies:
` + known.String(),
		Example: `  skein simulate --clusters 10 --executions 20000
  skein simulate --clusters 50 --executions 100000 --seed 7 --policies skein,flyte --picture waits.svg
  skein simulate -f scenario.yaml --output json`,
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd, s) },
	}
	flags := cmd.Flags()
	flags.StringVarP(&o.file, "file", "f", "", "scenario, YAML or JSON; - for standard input (default: a mixed load)")
	flags.IntVar(&o.clusters, "clusters", 10, "clusters of the mixed load")
	flags.IntVar(&o.executions, "executions", 10_000, "executions to launch")
	flags.Uint64Var(&o.seed, "seed", 1, "seed: the same one gives the same decisions")
	flags.StringSliceVar(&o.policies, "policies", []string{"skein", "flyte", "round-robin", "first-fit"}, "policies to compare")
	flags.StringVar(&o.picture, "picture", "", "file for a picture of waits and utilisation, SVG")
	completeFlag(cmd, "file", cobra.FixedCompletions([]string{"yaml", "yml", "json"}, cobra.ShellCompDirectiveFilterFileExt))
	completeFlag(cmd, "policies", cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (o simulation) run(cmd *cobra.Command, s *session) error {
	scenario, err := o.scenario(cmd)
	if err != nil {
		return err
	}
	if problems := scenario.Problems(); len(problems) > 0 {
		return fault.E(fault.Invalid, "the scenario cannot be played: %s", strings.Join(problems, "; "))
	}
	report, err := simulate.Compare(scenario, o.policies)
	if err != nil {
		return fault.Field("--policies", "%v", err)
	}
	if o.picture != "" {
		if err := os.WriteFile(o.picture, []byte(report.Picture()), 0o644); err != nil { //nolint:gosec // a picture is for everybody
			return fault.E(fault.Invalid, "cannot write the picture: %v", err)
		}
	}
	if s.table() {
		return report.Table(cmd.OutOrStdout())
	}
	return s.write(cmd.OutOrStdout(), report)
}

// scenario is the file's, with the flags that were given, or the mixed load.
func (o simulation) scenario(cmd *cobra.Command) (simulate.Scenario, error) {
	if o.file == "" {
		if o.clusters < 1 || o.executions < 1 {
			return simulate.Scenario{}, fault.E(fault.Invalid, "--clusters and --executions must be above 0")
		}
		return simulate.Default(o.clusters, o.executions, o.seed), nil
	}
	if cmd.Flags().Changed("clusters") {
		return simulate.Scenario{}, fault.Field("--clusters", "cannot go with --file, which has its own clusters")
	}
	raw, err := readScenario(cmd.InOrStdin(), o.file)
	if err != nil {
		return simulate.Scenario{}, err
	}
	var scenario simulate.Scenario
	if err := yaml.UnmarshalStrict(raw, &scenario); err != nil {
		return scenario, fault.E(fault.Invalid, "%s is no scenario: %v", o.file, err)
	}
	if cmd.Flags().Changed("executions") {
		scenario.Executions = o.executions
	}
	if cmd.Flags().Changed("seed") || scenario.Seed == 0 {
		scenario.Seed = o.seed
	}
	return scenario, nil
}

func readScenario(in io.Reader, file string) ([]byte, error) {
	if file == "-" {
		return io.ReadAll(in)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, fault.E(fault.Invalid, "cannot read the scenario: %v", err)
	}
	return raw, nil
}
