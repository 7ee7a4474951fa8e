package cli

import (
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-project/skein/api/fault"
)

type writer = io.Writer

// exactly wants n arguments and names what is missing.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return fault.E(fault.Invalid, "want %s, got %d arguments; see %s --help", what, len(args), cmd.CommandPath())
		}
		return nil
	}
}

// names lists the keys of a map for a message.
func names[V any](m map[string]V) string {
	if len(m) == 0 {
		return "none"
	}
	return strings.Join(slices.Sorted(maps.Keys(m)), ", ")
}

// labels prints a label map as "a=b,c=d".
func labels(m map[string]string) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, k+"="+m[k])
	}
	return orDash(strings.Join(parts, ","))
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// age is how long ago something was, for a column.
func age(t *timestamppb.Timestamp) string {
	if !t.IsValid() || t.AsTime().IsZero() || t.GetSeconds() == 0 {
		return "-"
	}
	return time.Since(t.AsTime()).Round(time.Second).String()
}
