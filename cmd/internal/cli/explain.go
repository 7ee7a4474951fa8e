package cli

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	skeinv1 "github.com/skein-project/skein/api/skein/v1"
)

func explainCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "explain EXECUTION",
		Short: "Say why an execution runs where it runs, or why it still waits",
		Long: `Say why an execution runs where it runs, or why it still waits: what it asks
for, and for each cluster the filter that refused it or the parts of its score.
What is shown was stored with the decision.`,
		Example: "  skein explain a7bcdfghjklmnpqrstvw\n  skein explain a7bcdfghjklmnpqrstvw -o yaml",
		Args:    exactly(1, "EXECUTION"),
		RunE: func(cmd *cobra.Command, args []string) error {
			conn, err := s.config.DialSkein()
			if err != nil {
				return err
			}
			defer conn.Close()
			why, err := skeinv1.NewPlacementServiceClient(conn).Explain(cmd.Context(), &skeinv1.ExplainRequest{Execution: s.ref(args[0])})
			if err != nil {
				return err
			}
			return s.print(cmd.OutOrStdout(), why, func(w io.Writer) error { return explain(w, why) })
		},
	}
}

func explain(w io.Writer, why *skeinv1.ExplainResponse) error {
	fmt.Fprintf(w, "%s\n", why.GetSummary())
	r := why.GetRequirement()
	fmt.Fprintf(w, "asks for   selector %s; task types %s; largest pod %s; reserves %s\n", orDash(r.GetSelector()),
		orDash(strings.Join(r.GetTaskTypes(), ", ")), amount(r.GetLargest()), amount(r.GetReservation()))
	for _, d := range why.GetDecisions() {
		what := "waits: no cluster fits"
		if d.GetCluster() != "" {
			what = fmt.Sprintf("placed on %s at epoch %s", d.GetCluster(), epoch(d.GetEpoch()))
		}
		fmt.Fprintf(w, "\n%s, decided by scheduler epoch %s at %s\n", what, epoch(d.GetScheduler()), d.GetAt().AsTime().Format(time.RFC3339Nano))
		var lines [][]string
		for _, reason := range d.GetReasons() {
			lines = append(lines, []string{chosen(reason), reason.GetCluster(), verdict(reason), reason.GetMessage()})
		}
		if err := rows(w, ". CLUSTER SCORE WHY", lines); err != nil {
			return err
		}
	}
	return nil
}

func chosen(r *skeinv1.Reason) string {
	if r.GetChosen() {
		return "*"
	}
	return " "
}

func verdict(r *skeinv1.Reason) string {
	if r.GetFilter() != "" {
		return "no (" + r.GetFilter() + ")"
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(r.GetParts())) {
		parts = append(parts, fmt.Sprintf("%s %.3f", name, r.GetParts()[name]))
	}
	return fmt.Sprintf("%.3f (%s)", r.GetScore(), strings.Join(parts, ", "))
}

func epoch(e *skeinv1.Epoch) string { return fmt.Sprintf("%d.%d", e.GetEra(), e.GetN()) }

func amount(r *skeinv1.Resources) string {
	s := fmt.Sprintf("%dm cpu, %d MiB", r.GetMilliCpu(), r.GetMemory()>>20)
	if r.GetGpus() > 0 {
		s += fmt.Sprintf(", %d gpu", r.GetGpus())
	}
	return s
}
