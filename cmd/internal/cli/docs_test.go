package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// TestDocumentedCommands demands of every command line in README.md and docs
// that the command exists and takes these flags and arguments.
func TestDocumentedCommands(t *testing.T) {
	files, err := filepath.Glob("../../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, file := range append(files, "../../../README.md") {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(string(raw), "\n") {
			line, indented := strings.CutPrefix(line, "    skein ")
			if !indented || strings.HasPrefix(line, "demo") {
				continue
			}
			line, _, _ = strings.Cut(line, " #")
			n++
			checkCommand(t, filepath.Base(file), line)
		}
	}
	if n < 10 {
		t.Errorf("only %d command lines were found", n)
	}
}

func checkCommand(t *testing.T, file, line string) {
	t.Helper()
	cmd, rest, err := New("test").Find(words(line))
	if err != nil {
		t.Errorf("%s: skein %s: %v", file, line, err)
		return
	}
	if err := cmd.ParseFlags(rest); err != nil {
		t.Errorf("%s: skein %s: %v", file, line, err)
		return
	}
	if err := cmd.ValidateArgs(cmd.Flags().Args()); err != nil {
		t.Errorf("%s: skein %s: %v", file, line, err)
	}
}

// words splits a line at spaces outside quotation marks.
func words(line string) []string {
	quoted := false
	fields := strings.FieldsFunc(line, func(r rune) bool {
		if r == '"' {
			quoted = !quoted
		}
		return r == ' ' && !quoted
	})
	for i := range fields {
		fields[i] = strings.ReplaceAll(fields[i], `"`, "")
	}
	return fields
}

// TestExamplesParse holds the examples in --help to the same.
func TestExamplesParse(t *testing.T) {
	root := New("test")
	for _, cmd := range append(root.Commands(), clusterCommand(&session{}).Commands()...) {
		for _, line := range strings.Split(cmd.Example, "\n") {
			if line, found := strings.CutPrefix(strings.TrimSpace(line), "skein "); found {
				checkCommand(t, cmd.Name()+" --help", line)
			}
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" {
				t.Errorf("%s: flag --%s has no description", cmd.Name(), f.Name)
			}
		})
	}
}
