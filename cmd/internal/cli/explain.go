package cli

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
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

		ValidArgsFunction: s.complete(first(s.executionNames)),
		RunE: func(cmd *cobra.Command, args []string) error {
			conn, err := s.config.DialSkein()
			if err != nil {
				return err
			}
			defer conn.Close()
			why, err := skeinv1.NewPlacementServiceClient(conn).Explain(cmd.Context(), &skeinv1.ExplainRequest{Execution: s.ref(args[0])})
			if err != nil {
				return noExecution(err)
			}
			return s.print(cmd.OutOrStdout(), why, func(w io.Writer) error { return explain(w, why) })
		},
	}
}

func explain(w io.Writer, why *skeinv1.ExplainResponse) error {
	fmt.Fprintf(w, "%s\n\n", wrap(why.GetSummary(), 100))
	r := why.GetRequirement()
	fmt.Fprintf(w, "asks for   selector %s; task types %s\n", cmp.Or(r.GetSelector(), "none (any cluster that is not special)"),
		orDash(strings.Join(r.GetTaskTypes(), ", ")))
	fmt.Fprintf(w, "           largest pod %s; reserves %s\n", amount(r.GetLargest()), amount(r.GetReservation()))
	explainMore(w, why)
	for _, d := range why.GetDecisions() {
		what := "waits: no cluster fits"
		if d.GetCluster() != "" {
			what = fmt.Sprintf("placed on %s at epoch %s", d.GetCluster(), epoch(d.GetEpoch()))
		}
		if d.GetFallback() != "" {
			what += " (restarted, not resumed: " + d.GetFallback() + ")"
		}
		fmt.Fprintf(w, "\n%s, decided by scheduler epoch %s at %s\n", what, epoch(d.GetScheduler()), d.GetAt().AsTime().Format(time.RFC3339Nano))
		var lines [][]string
		for _, reason := range d.GetReasons() {
			lines = append(lines, []string{chosen(reason), reason.GetCluster(), verdict(reason), reason.GetMessage()})
		}
		if err := rows(w, "_ CLUSTER SCORE WHY", lines); err != nil {
			return err
		}
	}
	return nil
}

// explainMore prints what not every execution has.
func explainMore(w io.Writer, why *skeinv1.ExplainResponse) {
	r := why.GetRequirement()
	for _, more := range []struct{ what, said string }{
		{"pool", r.GetPool()}, {"priority class", r.GetPriorityClass()}, {"architecture", strings.Join(r.GetArchitectures(), " or ")},
		{"accelerators", strings.Join(r.GetAccelerators(), ", ")}, {"group", r.GetGroup()}, {"near", strings.Join(r.GetNear(), ", ")},
		{"apart from", strings.Join(r.GetApart(), ", ")}, {"data at", strings.Join(r.GetData(), ", ")},
	} {
		if more.said != "" {
			fmt.Fprintf(w, "           %s %s\n", more.what, more.said)
		}
	}
	if f := why.GetFailover(); f != nil {
		strict := ""
		if f.GetStrict() {
			strict = ", strictly"
		}
		fmt.Fprintf(w, "failover   %s%s; moved by force %d of at most %d times\n", f.GetMode(), strict, f.GetMoves(), f.GetMaxMoves())
	}
	for i, m := range why.GetMoves() {
		head := "moves"
		if i > 0 {
			head = ""
		}
		fmt.Fprintf(w, "%-10s left %s (epoch %s) at %s: %s, %s\n", head, m.GetFrom(), epoch(m.GetEpoch()), m.GetAt().AsTime().Format(time.RFC3339), m.GetKind(), m.GetReason())
	}
	for i, remedy := range why.GetRemedies() {
		if i == 0 {
			fmt.Fprintln(w, "\nwhat would have to change, the easiest first:")
		}
		fmt.Fprintf(w, "  - %s\n", strings.ReplaceAll(wrap(remedy, 96), "\n", "\n    "))
	}
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

// amount prints resources as a person would say them; what is zero is left out.
func amount(r *skeinv1.Resources) string {
	var parts []string
	switch cpu := r.GetMilliCpu(); {
	case cpu == 0:
	case cpu%1000 == 0:
		parts = append(parts, fmt.Sprintf("%d cpu", cpu/1000))
	default:
		parts = append(parts, fmt.Sprintf("%dm cpu", cpu))
	}
	switch mib := r.GetMemory() >> 20; {
	case mib == 0:
	case mib >= 1024 && mib%256 == 0:
		parts = append(parts, strconv.FormatFloat(float64(mib)/1024, 'f', -1, 64)+" GiB")
	default:
		parts = append(parts, fmt.Sprintf("%d MiB", mib))
	}
	if gpus := r.GetGpus(); gpus > 0 {
		parts = append(parts, fmt.Sprintf("%d gpu", gpus))
	}
	return orDash(strings.Join(parts, ", "))
}
