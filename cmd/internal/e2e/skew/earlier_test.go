package skew

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/skein-project/skein/deploy/local/tools"
)

// noHistory is printed where the clone has no commit to build: .ci/run looks for it.
const noHistory = "SKEIN-NO-HISTORY: nothing was upgraded, since this clone does not hold the earlier release"

// earlier is the folder with the programs of the earlier release; empty if the
// clone does not hold it, as after a shallow one.
func earlier(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile("testdata/earlier")
	if err != nil {
		t.Fatal(err)
	}
	commit := strings.TrimSpace(string(raw))
	if err := exec.CommandContext(t.Context(), "git", "cat-file", "-e", commit+"^{commit}").Run(); err != nil {
		return ""
	}
	dir, err := built(t, commit)
	if err != nil {
		t.Fatalf("build the release of %s: %v", commit, err)
	}
	return dir
}

// built gives the programs of a commit, from the cache if they are there: they
// appear in it all at once.
func built(t *testing.T, commit string) (string, error) {
	root, err := tools.CacheRoot()
	if err != nil {
		return "", err
	}
	version, err := exec.CommandContext(t.Context(), "go", "env", "GOVERSION").Output()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(root, "releases", commit[:12]+"-"+strings.TrimSpace(string(version)))
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(dir+".lock", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", err
	}
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	t.Logf("building the programs of %s once, into %s", commit, dir)
	return dir, compile(t, commit, dir)
}

func compile(t *testing.T, commit, dir string) (err error) {
	source, fresh := t.TempDir(), dir+".new"
	defer func() { err = errors.Join(err, os.RemoveAll(fresh)) }()
	top, err := exec.CommandContext(t.Context(), "git", "rev-parse", "--show-toplevel").Output()
	if err != nil {
		return err
	}
	archive := filepath.Join(source, "source.tar")
	build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", fresh+string(os.PathSeparator), "./cmd/skein-admin", "./cmd/skein-propeller")
	build.Dir, build.Env = source, append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	for _, step := range []*exec.Cmd{
		exec.CommandContext(t.Context(), "git", "-C", strings.TrimSpace(string(top)), "archive", "--output", archive, commit),
		exec.CommandContext(t.Context(), "tar", "-xf", archive, "-C", source),
		build,
	} {
		if out, err := step.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", step, err, out)
		}
	}
	return os.Rename(fresh, dir)
}
