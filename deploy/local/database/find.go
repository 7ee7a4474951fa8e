package database

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/deploy/local/apt"
)

// CockroachVariable names the environment variable that overrides which CockroachDB is started.
const CockroachVariable = "COCKROACH_BINARY"

// NoInstallVariable names the environment variable that, set to 1, forbids installing packages.
const NoInstallVariable = apt.NoInstallVariable

// binaries are what was found: cockroach, or the folder that holds postgres and initdb.
type binaries struct{ cockroach, postgresDir string }

// errNone names the ways out.
var errNone = fault.E(fault.Precondition, "no database server: put `cockroach` on PATH (or its path into "+CockroachVariable+
	"), or install PostgreSQL with its server programs `postgres` and `initdb` (Debian: apt-get install postgresql)")

// Ensure makes sure that there is a server to be started: it installs one where that is allowed, after saying so. Start
// does the same; this is for those who will have no network then.
func Ensure(ctx context.Context, log func(string)) error {
	_, err := find(ctx, log)
	return err
}

// find looks for a server, and installs one where that is allowed.
func find(ctx context.Context, log func(string)) (binaries, error) {
	found, err := look()
	if !errors.Is(err, errNone) {
		return found, err
	}
	if err := apt.Allowed(); err != nil {
		return binaries{}, fmt.Errorf("%w; %w", errNone, err)
	}
	if err := install(ctx, log); err != nil {
		return binaries{}, fmt.Errorf("%w; installing it failed: %w", errNone, err)
	}
	return look()
}

// Check is Ensure without installing: nil as well where Ensure would install.
func Check(ctx context.Context) error {
	if _, err := look(); errors.Is(err, errNone) && apt.Allowed() == nil {
		return nil
	}
	return Ensure(ctx, func(string) {})
}

// look finds what is on the machine, or returns errNone.
func look() (binaries, error) {
	if path := os.Getenv(CockroachVariable); path != "" {
		found, err := exec.LookPath(path)
		if err != nil {
			return binaries{}, fmt.Errorf("%s: %w", CockroachVariable, err)
		}
		return binaries{cockroach: found}, nil
	}
	if path, err := exec.LookPath("cockroach"); err == nil {
		return binaries{cockroach: path}, nil
	}
	for _, dir := range postgresDirs() {
		if executable(filepath.Join(dir, "postgres")) && executable(filepath.Join(dir, "initdb")) {
			return binaries{postgresDir: dir}, nil
		}
	}
	return binaries{}, errNone
}

// postgresDirs lists where PostgreSQL may be: behind the one on PATH, then distributions' folders, newest first.
func postgresDirs() []string {
	var dirs []string
	if path, err := exec.LookPath("postgres"); err == nil {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(real))
		}
		dirs = append(dirs, filepath.Dir(path))
	}
	packaged, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	sort.Slice(packaged, func(i, j int) bool { return version(packaged[i]) > version(packaged[j]) })
	return append(dirs, packaged...)
}

// version reads 15 from /usr/lib/postgresql/15/bin.
func version(dir string) float64 {
	number, _ := strconv.ParseFloat(filepath.Base(filepath.Dir(dir)), 64)
	return number
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// install installs PostgreSQL by apt without letting Debian make a cluster of its own.
func install(ctx context.Context, log func(string)) error {
	if err := keepDebianFromMakingACluster(); err != nil {
		return err
	}
	return apt.Install(ctx, log, "no database server found", "postgresql")
}

// keepDebianFromMakingACluster writes the file that Debian's package reads for that, unless the machine has one.
func keepDebianFromMakingACluster() error {
	const path = "/etc/postgresql-common/createcluster.conf"
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte("create_main_cluster = false\n"), 0o644)
}
