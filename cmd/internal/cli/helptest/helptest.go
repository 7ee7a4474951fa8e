// Package helptest holds a program's help to what the program takes: a test of
// each of our programs calls it with its root command.
//
// It is for tests only. Invariant: no command and no flag passes without a
// description, and none without an example that the real parser takes.
package helptest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Check walks all commands below root, hidden ones too. make gives a fresh
// root each time: parsing an example leaves its flags set.
func Check(t *testing.T, program func() *cobra.Command) {
	t.Helper()
	for _, problem := range problems(program) {
		t.Error(problem)
	}
}

func problems(program func() *cobra.Command) (found []string) {
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		found = append(found, described(cmd)...)
		for _, line := range Lines(cmd) {
			if err := Parse(program(), cmd.Root().Name(), line); err != nil {
				found = append(found, fmt.Sprintf("%s --help: %q: %v", cmd.CommandPath(), line, err))
			}
		}
		for _, child := range cmd.Commands() {
			walk(child)
		}
	}
	walk(program())
	return found
}

// Lines are the examples of a command, one command line each.
func Lines(cmd *cobra.Command) (lines []string) {
	for line := range strings.Lines(cmd.Example) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	return lines
}

func described(cmd *cobra.Command) (found []string) {
	lines := Lines(cmd)
	if cmd.Short == "" {
		found = append(found, cmd.CommandPath()+" has no description")
	}
	if len(lines) == 0 {
		found = append(found, cmd.CommandPath()+" --help has no example")
	}
	cmd.NonInheritedFlags().VisitAll(func(f *pflag.Flag) {
		if f.Name == "help" || f.Name == "version" {
			return
		}
		if f.Usage == "" {
			found = append(found, fmt.Sprintf("%s: --%s has no description", cmd.CommandPath(), f.Name))
		}
		if !shown(f, lines) {
			found = append(found, fmt.Sprintf("%s --help: no example has --%s", cmd.CommandPath(), f.Name))
		}
	})
	return found
}

func shown(f *pflag.Flag, lines []string) bool {
	for _, line := range lines {
		for _, word := range Words(line) {
			name, _, _ := strings.Cut(word, "=")
			if name == "--"+f.Name || f.Shorthand != "" && name == "-"+f.Shorthand {
				return true
			}
		}
	}
	return false
}

// Parse gives one command line to the parser of the program, without running
// it: the command must be there, and take these flags and arguments. What
// follows a pipe, a redirection or a comment is not looked at, nor are
// variables that are set in front.
func Parse(root *cobra.Command, name, line string) error {
	if inner, sourced := strings.CutPrefix(line, "source <("); sourced {
		line, _, _ = strings.Cut(inner, ")")
	}
	words := Words(line)
	for len(words) > 0 && strings.Contains(words[0], "=") {
		words = words[1:]
	}
	if len(words) == 0 || words[0] != name {
		return fmt.Errorf("is not a command line of %s", name)
	}
	words = words[1:]
	for i, word := range words {
		if word == "|" || strings.HasPrefix(word, ">") || word == "#" || word == "&&" {
			words = words[:i]
			break
		}
	}
	cmd, rest, err := root.Find(words)
	if err != nil {
		return err
	}
	if err := cmd.ParseFlags(rest); err != nil {
		return err
	}
	return cmd.ValidateArgs(cmd.Flags().Args())
}

// Words splits a line at spaces outside quotation marks, as a shell does.
func Words(line string) (words []string) {
	var word strings.Builder
	quote, open := rune(0), false
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '"' || r == '\''):
			quote, open = r, true
		case quote == 0 && r == ' ':
			if open || word.Len() > 0 {
				words = append(words, word.String())
			}
			word.Reset()
			open = false
		default:
			word.WriteRune(r)
		}
	}
	if open || word.Len() > 0 {
		words = append(words, word.String())
	}
	return words
}
