package archtest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	// broken is a string that goes on in the next line, or after a name.
	broken  = regexp.MustCompile(`"\s*\+\s*"`)
	message = regexp.MustCompile("(?m)^\\| `([^`]+)` \\|")
)

// unsaid lists the messages of a page that no code has. The parts of a message
// between its gaps are looked for one by one.
func unsaid(page, code string) (found []string) {
	for _, m := range message.FindAllStringSubmatch(page, -1) {
		for _, part := range strings.Split(m[1], "…") {
			if part = strings.TrimSpace(part); part != "" && part != ":" && !strings.Contains(code, part) {
				found = append(found, m[1]+": no code says "+part)
			}
		}
	}
	return found
}

// TestTroubleshooting demands that each message that the page explains is said
// somewhere.
func TestTroubleshooting(t *testing.T) {
	page := read(t, "docs/troubleshooting.md")
	var code strings.Builder
	goFiles(t, func(rel, text string) {
		if !strings.HasSuffix(rel, "_test.go") {
			code.WriteString(broken.ReplaceAllString(text, ""))
		}
	})
	script, err := os.ReadFile(filepath.Join(root, "cmd", "internal", "tools", "build"))
	if err != nil {
		t.Fatal(err)
	}
	code.Write(script)
	for _, problem := range unsaid(page, code.String()) {
		t.Error(problem)
	}
	if n := len(message.FindAllString(page, -1)); n < 25 {
		t.Errorf("only %d messages were found: the pattern is wrong", n)
	}
}

// TestAMessageThatNobodySaysIsNoticed plants one.
func TestAMessageThatNobodySaysIsNoticed(t *testing.T) {
	code := broken.ReplaceAllString("say(\"the port %d \" +\n\t\"is taken\")", "")
	page := "| `the port … is taken` | x |\n| `the port … is free` | x |\n"
	if got := strings.Join(unsaid(page, code), "\n"); got != "the port … is free: no code says is free" {
		t.Errorf("found %q", got)
	}
}
