package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/deploy/local/example"
	"github.com/skein-project/skein/deploy/local/venv"
)

const (
	flowers  = "rose tulip rose lily" // what the project is given
	onLabel  = "region=us-east"
	onNode   = "us-1" // the cluster with that label
	commands = 3 * time.Minute
)

// author runs a flytekit project against a federation, as its author would.
type author struct {
	*demo
	bin     string // of the Python environment
	flyte   string // configuration of Flyte's own clients
	project string // folder of the project
	run     string // name of the execution
}

// needPython makes the environment, or says what is missing for it.
func needPython(ctx context.Context, say func(string)) (bin string, err error) {
	dir, err := venv.Ensure(ctx, say)
	switch {
	case err == nil:
		return filepath.Join(dir, "bin"), nil
	case errors.Is(err, venv.ErrNoPython):
		return "", fault.E(fault.Precondition, "no Python for flytekit: put Python 3.10, 3.11 or 3.12 with its venv module on PATH "+
			"(Debian: apt-get install python3-venv); `make demo` needs none")
	case errors.Is(err, venv.ErrUnavailable):
		return "", fault.Wrap(fault.Unavailable, err, "no package index for flytekit: check the network or set PIP_INDEX_URL, and try again; `make demo` needs none")
	}
	return "", err
}

// author makes the project's folder.
func (d *demo) author(bin, flyte string) (*author, error) {
	a := &author{demo: d, bin: bin, flyte: flyte, project: filepath.Join(d.state, "flytekit-example"),
		run: fmt.Sprintf("bouquet-%x", time.Now().Unix())}
	return a, example.Write(a.project)
}

// steps are what an author does, in order.
func (a *author) steps() []step {
	return []step{
		{"flytekit-register", "an author registers a project of their own with pyflyte", a.register},
		{"flytekit-run", "and runs its workflow on a cluster that a label chooses", a.runIt},
		{"flytekit-outputs", "values came back", a.outputs},
		{"flytekit-file", "and a file", a.file},
		{"flytekit-deck", "and a deck, a page that the task has drawn", a.deck},
		{"flytekit-retry", "a task that failed was tried again", a.retry},
		{"flytekit-placement", "why it ran there is written down", a.placement},
	}
}

// shell prints a command as the author would type it, and runs it in the
// project's folder.
func (a *author) shell(ctx context.Context, words ...string) error {
	fmt.Fprintf(a.out, "$ %s\n", typed(words))
	ctx, cancel := context.WithTimeout(ctx, commands)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(a.bin, words[0]), words[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = a.project, a.out, a.out
	cmd.Env = append(os.Environ(), "FLYTECTL_CONFIG="+a.flyte, "SKEIN_STATE="+a.state, "PATH="+a.bin+string(os.PathListSeparator)+os.Getenv("PATH"),
		"COLUMNS=200", "NO_COLOR=1", "PYTHONDONTWRITEBYTECODE=1", "PYTHONWARNINGS=ignore")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", words[0], err)
	}
	return nil
}

// typed quotes what a shell would take apart.
func typed(words []string) string {
	out := make([]string, len(words))
	for i, w := range words {
		if out[i] = w; strings.ContainsAny(w, " ()&|;<>*$\"") {
			out[i] = "'" + w + "'"
		}
	}
	return strings.Join(out, " ")
}

// where tells the author's terminal what it needs once.
func (a *author) where(w io.Writer) {
	fmt.Fprintf(w, "\nIn a terminal of your own, the same works after:\n  export PATH=%s:%s:$PATH\n  export SKEIN_CONFIG=%s\n  export FLYTECTL_CONFIG=%s\n  cd %s\n",
		programs(), a.bin, a.path, a.flyte, a.project)
}
