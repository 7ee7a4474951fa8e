package author

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/skein-project/skein/cmd/internal/cli/helptest"
	"github.com/skein-project/skein/cmd/internal/local/federationtest"
	"github.com/skein-project/skein/deploy/local/venv"
)

// root is the folder from which README.md tells people to type.
var root = filepath.Join("..", "..", "..", "..")

// byHand types what README.md and the example's own tell a reader to type by
// hand, word by word and in order, on a demo that runs.
func byHand(t *testing.T, state string) {
	t.Helper()
	type page struct{ file, heading, folder string }
	for _, p := range []page{{"README.md", "## By hand\n", root}, {"deploy/local/example/README.md", "By hand, with", filepath.Join(state, "flytekit-example")}} {
		raw, err := os.ReadFile(filepath.Join(root, p.file))
		if err != nil {
			t.Fatal(err)
		}
		_, text, found := strings.Cut(string(raw), p.heading)
		if !found {
			t.Fatalf("%s has no %q", p.file, p.heading)
		}
		text, _, _ = strings.Cut(text, "\n## ")
		n := 0
		for line := range strings.Lines(text) {
			if command, indented := strings.CutPrefix(line, "    "); indented {
				n++
				typed(t, state, p.folder, strings.TrimSpace(command))
			}
		}
		if n < 4 {
			t.Errorf("%s tells only %d commands", p.file, n)
		}
	}
}

// typed runs one line as a shell with the demo's export lines would.
func typed(t *testing.T, state, folder, line string) {
	t.Helper()
	python, err := venv.Place()
	if err != nil {
		t.Fatal(err)
	}
	words := helptest.Words(line)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	path := federationtest.Binaries(t) + string(os.PathListSeparator) + filepath.Join(python, "bin")
	program := filepath.Join(federationtest.Binaries(t), words[0])
	if words[0] != "skein" {
		program = filepath.Join(python, "bin", words[0])
	}
	cmd := exec.CommandContext(ctx, program, words[1:]...)
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "PATH="+path+string(os.PathListSeparator)+os.Getenv("PATH"), "SKEIN_CONFIG="+filepath.Join(state, "config.yaml"),
		"FLYTECTL_CONFIG="+filepath.Join(state, "flyte-config.yaml"), "PYTHONDONTWRITEBYTECODE=1")
	began := time.Now()
	out, err := cmd.CombinedOutput()
	t.Logf("%5.1fs  $ %s", time.Since(began).Seconds(), line)
	if err != nil {
		t.Errorf("$ %s: %v\n%s", line, err, out)
	}
}
