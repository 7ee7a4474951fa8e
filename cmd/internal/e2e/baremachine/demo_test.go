package baremachine

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/skein-project/skein/cmd/internal/local/federationtest"
	"github.com/skein-project/skein/deploy/local/proc"
	"github.com/skein-project/skein/deploy/local/state"
)

func TestMain(m *testing.M) { federationtest.Main(m) }

// patience bounds one start that fails: nothing may be built or waited for.
const patience = time.Minute

// bare is a machine that lacks something.
type bare struct {
	name    string
	prepare string            // shell, in namespaces of its own; $STATE, $EMPTY and $BIN are folders
	env     map[string]string // over the test's own; empty removes
	nobody  bool              // as another user than root
	args    []string
	exit    int
	want    []string // what is wrong, and the way out
}

// Programs named go.
const (
	oldGo = "printf '#!/bin/sh\\necho \"go: go.mod requires go >= 1.26.0 (running go 1.22.0; GOTOOLCHAIN=local)\" >&2; exit 1\\n' > $EMPTY/go; chmod +x $EMPTY/go"
	// small is a disk on which no build fits.
	small = "mount -t tmpfs -o size=64m none $EMPTY"
	// noPostgres takes Debian's packages away.
	noPostgres = "if [ -d /usr/lib/postgresql ]; then mount -t tmpfs none /usr/lib/postgresql; fi"
	noApt      = "printf '#!/bin/sh\\necho \"E: Unable to locate package postgresql\" >&2; exit 100\\n' > $EMPTY/apt-get; chmod +x $EMPTY/apt-get"
)

var machines = []bare{
	{name: "no database, and installing is forbidden", prepare: noPostgres, env: map[string]string{"SKEIN_NO_INSTALL": "1"}, exit: 5,
		want: []string{"no database server", "put `cockroach` on PATH", "apt-get install postgresql", "SKEIN_NO_INSTALL=1 forbids"}},
	{name: "no database, and no root to install it", prepare: noPostgres, nobody: true, exit: 5,
		want: []string{"no database server", "apt-get install postgresql", "nothing may be installed here: that needs root"}},
	{name: "no database, and apt finds none", prepare: noPostgres + "; " + noApt, env: map[string]string{"PATH": "$EMPTY:/usr/bin:/bin"}, exit: 5,
		want: []string{"no database server", "installing it failed", "Unable to locate package"}},
	{name: "no Go", env: map[string]string{"PATH": "$EMPTY", "SKEIN_CACHE": "$EMPTY"}, exit: 5,
		want: []string{"no Go toolchain", "install Go 1.26 or newer"}},
	{name: "an old Go", prepare: oldGo, env: map[string]string{"PATH": "$EMPTY:/usr/bin:/bin", "SKEIN_CACHE": "$EMPTY/cache"}, exit: 5,
		want: []string{"the Go toolchain is too old", "install Go 1.26 or newer", "running go 1.22.0"}},
	{name: "no module proxy", env: map[string]string{"SKEIN_CACHE": "$EMPTY/cache", "GOMODCACHE": "$EMPTY/modules", "GOPROXY": "http://127.0.0.1:1", "GOFLAGS": "-modcacherw"}, exit: 8,
		want: []string{"a module could not be downloaded", "GOPROXY", "connection refused"}},
	{name: "too little space for the build", prepare: small, env: map[string]string{"SKEIN_CACHE": "$EMPTY/cache", "GOCACHE": "$EMPTY/build", "GOMODCACHE": "$EMPTY/modules"}, exit: 7,
		want: []string{"too little free space", "67 MB are free", "3.5 GB are needed", "$EMPTY/modules", "SKEIN_CACHE, GOCACHE, GOMODCACHE"}},
	{name: "too little space for the state", prepare: "mount -t tmpfs -o size=64m none $STATE", exit: 7,
		want: []string{"too little free space", "1.0 GB are needed", "$STATE", "SKEIN_STATE"}},
	{name: "a full disk", prepare: "mount -t tmpfs -o size=64k none $STATE; cat /dev/zero > $STATE/x 2>/dev/null || true", exit: 7,
		want: []string{"the disk is full: make room in $STATE", "SKEIN_STATE"}},
	{name: "a state folder on a read-only disk", prepare: "mount -t tmpfs -o ro none $STATE", exit: 5,
		want: []string{"cannot write in $STATE", "SKEIN_STATE=… or --state …"}},
	{name: "a state folder of somebody else", prepare: "chown 12345 $STATE", exit: 5,
		want: []string{"$STATE belongs to user 12345", "SKEIN_STATE=… or --state …"}},
	{name: "a cache on a read-only disk", prepare: "mount -t tmpfs -o ro none $EMPTY", env: map[string]string{"SKEIN_CACHE": "$EMPTY"}, exit: 5,
		want: []string{"cannot write in $EMPTY", "set SKEIN_CACHE to a folder elsewhere"}},
	{name: "a cache on a disk that runs nothing", prepare: "mount -t tmpfs -o noexec none $EMPTY", env: map[string]string{"SKEIN_CACHE": "$EMPTY"}, exit: 5,
		want: []string{"programs cannot be run from $EMPTY", "mounted noexec", "set SKEIN_CACHE to a folder elsewhere"}},
	{name: "no home", env: map[string]string{"HOME": "", "XDG_CACHE_HOME": "", "SKEIN_CACHE": ""}, exit: 5,
		want: []string{"find the cache folder", "or set SKEIN_CACHE"}},
	{name: "a folder for temporary files that is not there", env: map[string]string{"TMPDIR": "/proc/none"}, exit: 5,
		want: []string{"/proc/none", "set TMPDIR to a folder elsewhere"}},
	{name: "a clock that was set back", prepare: "mkdir -p $STATE/keys; touch -d '2 days' $STATE/keys/ca.crt", exit: 5,
		want: []string{"the clock was set back", "$STATE/keys/ca.crt", "set it, or remove that state folder"}},
	{name: "a port for privileged users", nobody: true, args: []string{"--grpc-port", "89"}, exit: 5,
		want: []string{"--grpc-port: port 89 is for privileged users", "choose one above 1023"}},
	{name: "no Python for flytekit", env: map[string]string{"PATH": "$EMPTY", "SKEIN_CACHE": "$EMPTY"}, args: []string{"--flytekit"}, exit: 5,
		want: []string{"no Python for flytekit", "apt-get install python3-venv", "`make demo` needs none"}},
	{name: "no package index for flytekit", args: []string{"--flytekit"}, exit: 8,
		env:  map[string]string{"SKEIN_CACHE": "$EMPTY", "PIP_INDEX_URL": "http://127.0.0.1:1", "PIP_RETRIES": "0", "PIP_CONFIG_FILE": "/dev/null"},
		want: []string{"no package index for flytekit", "PIP_INDEX_URL", "`make demo` needs none"}},
	{name: "flytekit on nodes that run nothing", args: []string{"--flytekit", "--nodes", "simulated"}, exit: 2,
		want: []string{"--flytekit: needs nodes that run something"}},
	{name: "a kind of node that is none", args: []string{"--nodes", "docker"}, exit: 2,
		want: []string{"--nodes: want process or simulated", `got "docker"`}},
}

// TestBareMachines starts the demo on each.
func TestBareMachines(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can take a folder from a machine")
	}
	for _, m := range machines {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			m.fails(t, "--mount")
		})
	}
}

// TestNoLoopback is a network namespace of its own, in which nothing is up.
func TestNoLoopback(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can take the loopback from a machine")
	}
	m := bare{exit: 5, want: []string{"no IPv4 loopback", "ip link set lo up"}}
	m.fails(t, "--net")
}

// TestAnotherOnTheSameState names who holds the folder.
func TestAnotherOnTheSameState(t *testing.T) {
	path := federationtest.State(t)
	held, err := state.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	m := bare{args: []string{"--state", path}, exit: 4, want: []string{"the state folder " + path + " is in use by process", "--state …"}}
	m.fails(t, "--mount")
}

func (m bare) fails(t *testing.T, namespace string) {
	t.Helper()
	bin, folder, empty := federationtest.Binaries(t), federationtest.State(t), t.TempDir()
	folders := strings.NewReplacer("$STATE", folder, "$EMPTY", empty, "$BIN", bin)
	out, err := m.run(t, namespace, bin, folder, folders)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != m.exit {
		t.Errorf("ended with %v, want exit code %d", err, m.exit)
	}
	for _, want := range m.want {
		if !strings.Contains(out, folders.Replace(want)) {
			t.Errorf("%q is not said", folders.Replace(want))
		}
	}
	if left, err := proc.Leftovers(folder); err != nil || len(left) > 0 {
		t.Errorf("left over: %q, %v", left, err)
	}
	if t.Failed() {
		t.Logf("it printed:\n%s", out)
	}
}

// run starts the demo in namespaces of its own, behind what prepares them.
func (m bare) run(t *testing.T, namespace, bin, folder string, folders *strings.Replacer) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	start := []string{"env"}
	for name, value := range m.env {
		if value == "" {
			start = append(start, "--unset="+name)
		} else {
			start = append(start, name+"="+folders.Replace(value))
		}
	}
	prepare := "true; " + folders.Replace(m.prepare)
	if m.nobody {
		// The programs and the state must be within that user's reach.
		prepare += "\nchown 65534 " + folder + "; chmod 755 " + bin
		start = append([]string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"}, append(start, "HOME="+folder)...)
	}
	start = append(append(start, filepath.Join(bin, "skein"), "demo", "--once", "--grpc-port", "0", "--http-port", "0", "--api-port", "0", "--state", folder), m.args...)
	script := "set -e; " + prepare + "\nexec \"$@\""
	cmd := exec.CommandContext(ctx, "unshare", append([]string{namespace, "sh", "-c", script, "sh"}, start...)...)
	cmd.Dir = "/"
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	return string(out), err
}
