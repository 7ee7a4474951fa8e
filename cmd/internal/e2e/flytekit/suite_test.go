package flytekit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skein-project/skein/cmd/internal/local"
	"github.com/skein-project/skein/cmd/internal/local/federationtest"
	"github.com/skein-project/skein/deploy/local/venv"
)

// patience bounds one command, with everything that it waits for.
const patience = 5 * time.Minute

// target is where everything is registered and run.
var target = []string{"-p", "flytesnacks", "-d", "development"}

// suite is a running federation and a client of it with a home of its own.
type suite struct {
	ground
	fed    *local.Federation
	dir    string // scratch
	home   string
	venv   string // folder of Python's programs
	one    string // the project
	two    string // the project in another edition
	driver *driver
	passed atomic.Int32 // cases

	outcomes sync.Map // of once
}

// start starts a federation and a client, or skips where there is no Python.
func start(t *testing.T, g ground) *suite {
	t.Helper()
	if testing.Short() {
		t.Skip("a whole federation and Python take minutes")
	}
	root, err := venv.Ensure(t.Context(), func(line string) { t.Log(line) })
	if errors.Is(err, venv.ErrUnavailable) {
		fmt.Fprintln(os.Stdout, venv.SkipLine)
		t.SkipNow()
	}
	if err != nil {
		t.Fatal(err)
	}
	s := &suite{ground: g, venv: filepath.Join(root, "bin"), dir: t.TempDir()}
	s.home, s.one, s.two = filepath.Join(s.dir, "home"), filepath.Join(s.dir, "one"), filepath.Join(s.dir, "two")
	if err := os.Mkdir(s.home, 0o755); err != nil {
		t.Fatal(err)
	}
	s.project(t, s.one, "one")
	s.project(t, s.two, "two")
	g.options.VenvBin = s.venv
	s.fed = federationtest.Start(t, g.options)
	s.driver = startDriver(t, s)
	return s
}

// project makes a copy of the project in an edition.
func (s *suite) project(t *testing.T, dir, edition string) {
	t.Helper()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "project"))); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "textkit", "helpers.py")
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	raw = bytes.Replace(raw, []byte(`EDITION = "one"`), []byte(`EDITION = "`+edition+`"`), 1)
	if err := os.WriteFile(file, raw, 0o644); err != nil {
		t.Fatal(err)
	}
}

// env is what Python gets: nothing of the user's own.
func (s *suite) env() []string {
	return append([]string{
		"HOME=" + s.home, "PATH=" + s.venv + string(os.PathListSeparator) + os.Getenv("PATH"), "LANG=C.UTF-8",
		"TMPDIR=" + s.dir, "COLUMNS=1000", "NO_COLOR=1", "PYTHONDONTWRITEBYTECODE=1",
		"SUITE_PROJECT=" + s.one, "SUITE_CONFIG=" + s.fed.Flyte, "FLYTECTL_CONFIG=" + s.fed.Flyte, "SUITE_IMAGE=" + s.image,
	}, s.environ...)
}

// pyflyte runs the real command in a folder and returns all that it printed.
func (s *suite) pyflyte(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	began := time.Now()
	cmd := exec.CommandContext(ctx, filepath.Join(s.venv, "pyflyte"), append([]string{"--config", s.fed.Flyte}, args...)...)
	cmd.Dir, cmd.Env = dir, s.env()
	raw, err := cmd.CombinedOutput()
	t.Logf("%5.1fs  pyflyte %s (%v)", time.Since(began).Seconds(), strings.Join(args, " "), err)
	return string(raw), err
}

// must runs pyflyte, which must succeed.
func (s *suite) must(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, err := s.pyflyte(t, dir, args...)
	if err != nil {
		t.Fatalf("pyflyte: %v\n%s", err, out)
	}
	return out
}

// register registers a folder's project, with default flags, in a version.
func (s *suite) register(t *testing.T, dir, version string) (string, error) {
	t.Helper()
	return s.pyflyte(t, dir, slices.Concat([]string{"register"}, target, s.imageFlag(), []string{"-v", version, "textkit"})...)
}

// imageFlag is how commands are told of the image of tasks.
func (s *suite) imageFlag() []string {
	if s.image == "" {
		return nil
	}
	return []string{"--image", s.image}
}

// run is "pyflyte run --remote --wait" of an entity of the project, with flags
// of its own and the entity's inputs.
func (s *suite) run(t *testing.T, name, file, entity string, own []string, inputs ...string) (string, error) {
	t.Helper()
	return s.pyflyte(t, s.one, slices.Concat(
		[]string{"run", "--remote", "--wait", "--poll-interval", "1", "--name", name}, target, s.imageFlag(), own,
		[]string{filepath.Join("textkit", file), entity}, inputs)...)
}

// shared makes a folder through which tasks meet each other and the test.
func (s *suite) shared(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp(s.dir, "shared-")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// eventually polls until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatalf("%s: not within %s", what, patience)
		case <-tick.C:
		}
	}
}
