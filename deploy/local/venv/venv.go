package venv

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/skein-project/skein/deploy/local/tools"
)

// ErrUnavailable says that the environment cannot be made on this machine: there is no Python that flytekit supports,
// or no package index within reach. A test that meets it prints SkipLine and skips.
var ErrUnavailable = errors.New("no Python or no package index")

// ErrNoPython is the case of ErrUnavailable in which the machine has no Python that serves.
var ErrNoPython = fmt.Errorf("no Python: %w", ErrUnavailable)

// SkipLine is what a test prints, alone on its line, when it skips because of ErrUnavailable. CI fails when it sees it.
const SkipLine = "SKEIN-NO-PYTHON-INDEX: flytekit and conformance suites did not run"

// stamp is the file that marks an environment as whole. Scripts in an environment hold its absolute path, so it cannot
// be built elsewhere and renamed into place.
const stamp = ".complete"

//go:embed requirements.txt
var requirements []byte

// Ensure returns the directory of the environment, and makes it first if need be. Concurrent calls, in this process or
// another, wait for one another. Each step that takes time is announced to log.
func Ensure(ctx context.Context, log func(string)) (string, error) {
	dir, err := Place()
	if err != nil {
		return "", err
	}

	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", fmt.Errorf("make cache directory: %w", err)
	}

	unlock, err := lock(ctx, dir+".lock", log)
	if err != nil {
		return "", err
	}
	defer unlock()

	if whole(ctx, dir) {
		return dir, nil
	}

	if err := build(ctx, dir, log); err != nil {
		return "", err
	}

	return dir, nil
}

// Find returns the directory of the environment if it was made before, without making it.
func Find(ctx context.Context) (dir string, ok bool) {
	dir, err := Place()

	return dir, err == nil && whole(ctx, dir)
}

// Place is where the environment of these requirements lies, or will when Ensure has made it.
func Place() (string, error) {
	cache, err := tools.CacheRoot()
	if err != nil {
		return "", fmt.Errorf("find cache directory: %w", err)
	}

	sum := sha256.Sum256(requirements)

	return filepath.Join(cache, "venv", hex.EncodeToString(sum[:8])), nil
}

// whole reports whether dir is a finished environment whose interpreter still runs: the Python below it may have been
// removed since.
func whole(ctx context.Context, dir string) bool {
	if _, err := os.Stat(filepath.Join(dir, stamp)); err != nil {
		return false
	}

	return exec.CommandContext(ctx, interpreter(dir), "-I", "-c", "").Run() == nil
}

func interpreter(dir string) string {
	return filepath.Join(dir, "bin", "python")
}

// build makes the environment in dir, over whatever an earlier attempt left there.
func build(ctx context.Context, dir string, log func(string)) error {
	python, err := findPython(ctx)
	if err != nil {
		return err
	}

	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("clear unfinished environment: %w", err)
	}

	log(fmt.Sprintf("making a Python environment with %s in %s", filepath.Base(python), dir))

	if out, err := exec.CommandContext(ctx, python, "-I", "-m", "venv", dir).CombinedOutput(); err != nil {
		return fmt.Errorf("make environment: %w\n%s", err, out)
	}

	list := filepath.Join(dir, "requirements.txt")
	if err := os.WriteFile(list, requirements, 0o644); err != nil {
		return fmt.Errorf("write requirements: %w", err)
	}

	log(fmt.Sprintf("installing %d Python packages (once; may take some minutes)", bytes.Count(requirements, []byte("=="))))

	install := exec.CommandContext(ctx, interpreter(dir), "-I", "-m", "pip", "install",
		"--disable-pip-version-check", "--no-input", "--progress-bar", "off",
		"--require-hashes", "--only-binary", ":all:", "-r", list)

	if out, err := install.CombinedOutput(); err != nil {
		return installError(ctx, err, string(out))
	}

	if err := os.WriteFile(filepath.Join(dir, stamp), nil, 0o644); err != nil {
		return fmt.Errorf("mark environment complete: %w", err)
	}

	log("the Python environment is complete")

	return nil
}

// installError tells a missing package index from a wrong pin, a hash that does not match, or a full disk. The first
// is a fact about the machine; the others are faults to be fixed.
func installError(ctx context.Context, err error, out string) error {
	if ctx.Err() != nil {
		return fmt.Errorf("install packages: %w", context.Cause(ctx))
	}

	if noIndex(out) {
		return fmt.Errorf("install packages: %w\n%s", ErrUnavailable, tail(out))
	}

	return fmt.Errorf("install packages: %w\n%s", err, tail(out))
}

// noIndex reports whether the output of pip says that it reached no index, or one that offers nothing.
func noIndex(out string) bool {
	for _, sign := range []string{
		"connection broken by",
		"Max retries exceeded",
		"NewConnectionError",
		"NameResolutionError",
		"ConnectTimeoutError",
		"ReadTimeoutError",
		"ProxyError",
		"Network is unreachable",
	} {
		if strings.Contains(out, sign) {
			return true
		}
	}

	// An index that leaves out versions for the sake of this Python is there, and the pin is wrong.
	return strings.Contains(out, "(from versions: none)") &&
		!strings.Contains(out, "require a different python version")
}

// tail returns the last lines of out, where pip says what went wrong.
func tail(out string) string {
	const keep = 20

	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) > keep {
		lines = lines[len(lines)-keep:]
	}

	return strings.Join(lines, "\n")
}
