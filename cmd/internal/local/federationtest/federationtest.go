// Package federationtest gives end-to-end tests a whole federation of real
// processes, and the programs that it is made of.
//
// It is for tests only and decides nothing. Invariant: what it started has
// ended, without a process left over, before the test that asked for it ends.
package federationtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/skein-project/skein/cmd/internal/local"
	"github.com/skein-project/skein/deploy/local/proc"
)

// startTime bounds the start of a federation on a slow machine, with tools that
// are built already.
const startTime = 3 * time.Minute

// builtIn is the folder that binaries has made, for Main.
var builtIn string

var binaries = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "skein-bin-")
	if err != nil {
		return "", err
	}
	builtIn = dir
	build := exec.Command("go", "build", "-o", dir+string(os.PathSeparator), "./cmd/skein", "./cmd/skein-admin", "./cmd/skein-propeller", "./cmd/skein-capi")
	build.Dir, err = root()
	if err != nil {
		return "", err
	}
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the programs: %w\n%s", err, out)
	}
	return dir, nil
})

// Main runs a package's tests, removes the programs that were built for them,
// and exits. TestMain calls it.
func Main(m *testing.M) {
	code := m.Run()
	if builtIn != "" {
		_ = os.RemoveAll(builtIn) // temporary, and nothing runs from it any more
	}
	os.Exit(code)
}

// root is the module's folder.
func root() (string, error) {
	dir, err := os.Getwd()
	for ; err == nil; dir = filepath.Dir(dir) {
		if _, statErr := os.Stat(filepath.Join(dir, "go.mod")); statErr == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			err = errors.New("no go.mod above the working folder")
		}
	}
	return "", err
}

// Binaries builds the programs once in a test process and returns their folder.
func Binaries(t testing.TB) string {
	t.Helper()
	dir, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// State makes a folder for a federation's state, which the database's own user
// can reach, and removes it after the test.
func State(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/var/tmp", "skein-test-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() && os.Getenv("SKEIN_KEEP_STATE") != "" {
			t.Logf("state is kept in %s", dir)
			return
		}
		_ = os.RemoveAll(dir) // another user's files may stay; the folder is temporary
	})
	return dir
}

// Start starts a federation and stops it after the test. Options that are not
// given are for tests: a database that does not wait for the disk, programs
// built here, a state folder of its own.
func Start(t testing.TB, o local.Options) *local.Federation {
	t.Helper()
	if o.State == "" {
		o.State = State(t)
	}
	if o.BinDir == "" {
		o.BinDir = Binaries(t)
	}
	o.NoSync = true
	o.Progress = func(s string) { t.Log(s) }
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	f, err := local.Start(ctx, o)
	if err != nil {
		logTails(t, o.State)
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			logTails(t, o.State)
		}
		if err := f.Stop(); err != nil {
			t.Errorf("stop the federation: %v", err)
		}
		left, err := proc.Leftovers(f.State())
		if err != nil || len(left) > 0 {
			t.Errorf("processes are left over: %v %v", left, err)
		}
	})
	return f
}

// logTails shows the ends of all logs, so that a failure on another machine
// can be understood.
func logTails(t testing.TB, state string) {
	files, _ := filepath.Glob(filepath.Join(state, "logs", "*.log"))
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		if len(raw) > 4000 {
			raw = raw[len(raw)-4000:]
		}
		t.Logf("--- %s\n%s", filepath.Base(f), raw)
	}
}
