package cli

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
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

// atLeast wants n arguments or more and names what is missing.
func atLeast(n int, what string) cobra.PositionalArgs { return between(n, 1<<20, what) }

// between wants from low to high arguments.
func between(low, high int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < low || len(args) > high {
			return fault.E(fault.Invalid, "want %s, got %d arguments; see %s --help", what, len(args), cmd.CommandPath())
		}
		return nil
	}
}

// none wants no arguments, and says what it knows instead.
func none(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if !cmd.HasAvailableSubCommands() {
		return fault.E(fault.Invalid, "want no arguments, got %q; see %s --help", args[0], cmd.CommandPath())
	}
	cmd.SuggestionsMinimumDistance = 2 // letters that may be wrong
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return fault.E(fault.Invalid, "unknown command %q; did you mean %s %s?", args[0], cmd.CommandPath(), near[0])
	}
	return fault.E(fault.Invalid, "unknown command %q; see %s --help", args[0], cmd.CommandPath())
}

// badFlag says what a flag wants.
func badFlag(cmd *cobra.Command, err error) error {
	var value *pflag.InvalidValueError
	if !errors.As(err, &value) {
		return fault.E(fault.Invalid, "%v; see %s --help", err, cmd.CommandPath())
	}
	kind := value.GetFlag().Value.Type()
	if want, known := wants[kind]; known {
		kind = want
	}
	return fault.Field("--"+value.GetFlag().Name, "want %s, got %q", kind, value.GetValue())
}

var wants = map[string]string{
	"uint32": "a whole number of 0 or more", "int": "a whole number", "int32": "a whole number", "int64": "a whole number",
	"duration": "a duration such as 30s or 1h", "stringToString": "key=value", "bool": "true or false",
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
	return short(time.Since(t.AsTime()))
}

// short is a duration as people say it.
func short(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	case d >= time.Hour:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return d.Round(time.Second).String()
}

// wrap breaks a long text into lines between words.
func wrap(text string, width int) string {
	var out strings.Builder
	column := 0
	for _, word := range strings.Fields(text) {
		switch {
		case column == 0:
		case column+1+len(word) > width:
			out.WriteByte('\n')
			column = 0
		default:
			out.WriteByte(' ')
			column++
		}
		out.WriteString(word)
		column += len(word)
	}
	return out.String()
}
