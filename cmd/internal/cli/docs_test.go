package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/cmd/internal/cli/helptest"
)

// TestDocumentedCommands demands of every command line in README.md and docs
// that the command exists and takes these flags and arguments.
func TestDocumentedCommands(t *testing.T) {
	files := []string{"../../../README.md"}
	for _, folder := range []string{"docs", "docs/runbooks", "docs/checklists"} {
		found, err := filepath.Glob("../../../" + folder + "/*.md")
		if err != nil || len(found) == 0 {
			t.Fatalf("no page in %s: %v", folder, err)
		}
		files = append(files, found...)
	}
	n := 0
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(string(raw), "\n") {
			line, indented := strings.CutPrefix(line, "    skein ")
			if !indented || strings.HasPrefix(line, "demo") { // cmd/skein has that one, and its test
				continue
			}
			n++
			checkCommand(t, filepath.Base(file), line)
		}
	}
	if n < 40 {
		t.Errorf("only %d command lines were found", n)
	}
}

func checkCommand(t *testing.T, file, line string) {
	t.Helper()
	if err := helptest.Parse(New("test"), "skein", "skein "+line); err != nil {
		t.Errorf("%s: skein %s: %v", file, line, err)
	}
}

// TestDocumentedExitCodes holds the table in docs/cli.md to the kinds.
func TestDocumentedExitCodes(t *testing.T) {
	raw, err := os.ReadFile("../../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile(`(?m)^\| ([0-9]+) \| ([^|]*) \|`).FindAllStringSubmatch(string(raw), -1)
	documented := map[string]string{}
	for _, r := range rows {
		documented[r[1]] += r[2]
	}
	known := map[string]bool{"0": true}
	for kind := fault.Internal; !strings.HasPrefix(kind.String(), "Kind("); kind++ {
		code := strconv.Itoa(kind.Exit())
		known[code] = true
		if !strings.Contains(documented[code], "`"+kind.String()+"`") {
			t.Errorf("docs/cli.md does not name %s at exit code %s: %q", kind, code, documented[code])
		}
	}
	for code := range documented {
		if !known[code] {
			t.Errorf("docs/cli.md has the exit code %s, which nothing exits with", code)
		}
	}
}
