package helptest

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// program has one child with an example and a flag, as the test changes them.
func program(example, usage string) func() *cobra.Command {
	return func() *cobra.Command {
		run := func(*cobra.Command, []string) {}
		root := &cobra.Command{Use: "p", Short: "A program", Example: "  p do --it x", Args: cobra.NoArgs, Run: run}
		do := &cobra.Command{Use: "do", Short: "Do it", Example: example, Args: cobra.NoArgs, Run: run}
		do.Flags().StringP("it", "i", "", usage)
		root.AddCommand(do)
		return root
	}
}

// TestEachMistakeIsFound plants what Check is there for.
func TestEachMistakeIsFound(t *testing.T) {
	for _, c := range []struct{ name, example, usage, want string }{
		{"nothing wrong", "  p do --it x\n  V=1 p do -i 'x y' | less\n  source <(p do) >> x", "it", ""},
		{"no example", "", "it", "p do --help has no example"},
		{"a flag without a description", "  p do --it x", "", "p do: --it has no description"},
		{"a flag that no example shows", "  p do", "it", "no example has --it"},
		{"an example with an unknown flag", "  p do --it x --that", "it", "unknown flag: --that"},
		{"an example with a value too much", "  p do --it x y", "it", "unknown command"},
		{"an example of an unknown command", "  p do --it x\n  p dont", "it", "unknown command"},
		{"an example of another program", "  p do --it x\n  q do", "it", "is not a command line of p"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := strings.Join(problems(program(c.example, c.usage)), "\n")
			if c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("found %q, want %q", got, c.want)
			}
		})
	}
}

func TestWords(t *testing.T) {
	if got := Words(`a  --b="c d" 'e "f' "" g`); !slices.Equal(got, []string{"a", "--b=c d", `e "f`, "", "g"}) {
		t.Errorf("got %q", got)
	}
}
