package kubelet

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/skein-project/skein/deploy/local/proc"
)

// hierarchies is where control groups are mounted.
const hierarchies = "/sys/fs/cgroup"

// controllers are the hierarchies of version 1 that kubelet and runc use.
var controllers = []string{"cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids", "hugetlb", "perf_event", "net_cls", "net_prio", "systemd", "unified"}

// watching removes control groups once its input ends, which the end of our process brings about, however it ends.
// Groups outlive their processes, and there is nobody else left to remove them. It gives up after ten seconds.
const watching = `read -r _; n=0
while [ $n -lt 100 ]; do
  left=
  for d in "$@"; do
    if [ -d "$d" ]; then find "$d" -depth -type d -exec rmdir {} \; 2>/dev/null; [ -d "$d" ] && left=1; fi
  done
  [ -z "$left" ] && exit 0
  n=$((n+1)); sleep 0.1
done`

// groups are the control groups of one node: one in each hierarchy, below which kubelet makes its own.
type groups struct {
	name    string
	dirs    []string
	watcher *exec.Cmd
	close   func() error // of the watcher's input
}

// makeGroups makes the groups of the node in that folder, and first removes what an earlier life may have left.
func makeGroups(dir, state string) (*groups, error) {
	sum := sha256.Sum256([]byte(dir))
	g := &groups{name: "skein-" + hex.EncodeToString(sum[:6])}
	for _, root := range roots() {
		g.dirs = append(g.dirs, filepath.Join(root, g.name))
	}
	if err := removeGroups(g.dirs); err != nil {
		return nil, err
	}
	if err := g.watch(state); err != nil {
		return nil, fmt.Errorf("start their watcher: %w", err)
	}
	for _, d := range g.dirs {
		if err := os.Mkdir(d, 0o755); err != nil {
			return nil, errors.Join(err, g.remove())
		}
		if err := inherit(d); err != nil {
			return nil, errors.Join(err, g.remove())
		}
	}
	return g, nil
}

// roots are the hierarchies of this machine: one for each controller in version 1, one for all in version 2.
func roots() []string {
	if _, err := os.Stat(filepath.Join(hierarchies, "cgroup.controllers")); err == nil {
		return []string{hierarchies}
	}
	var found []string
	for _, c := range controllers {
		dir := filepath.Join(hierarchies, c)
		if real, err := filepath.EvalSymlinks(dir); err == nil && real == dir { // cpu may be a link to cpu,cpuacct
			found = append(found, dir)
			continue
		} else if err == nil && !contains(found, real) {
			found = append(found, real)
		}
	}
	return found
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// inherit gives a new group of version 1 the processors and memory nodes of its parent: it has none by itself, and
// nothing could run in it.
func inherit(dir string) error {
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		own, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil || strings.TrimSpace(string(own)) != "" {
			continue // another controller, or set already
		}
		value, err := os.ReadFile(filepath.Join(filepath.Dir(dir), file))
		if err != nil {
			continue // version 2 inherits by itself
		}
		if err := os.WriteFile(filepath.Join(dir, file), value, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// watch starts the watcher, in a session of its own so that no terminal ends it.
func (g *groups) watch(state string) error {
	g.watcher = exec.Command("sh", append([]string{"-c", watching, "skein-cgroup-watcher"}, g.dirs...)...)
	g.watcher.Env = []string{"PATH=" + os.Getenv("PATH"), proc.StateVariable + "=" + state}
	g.watcher.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	in, err := g.watcher.StdinPipe()
	if err != nil {
		return err
	}
	g.close = in.Close
	return g.watcher.Start()
}

// remove removes the groups, whose processes must have been killed.
func (g *groups) remove() error {
	err := removeGroups(g.dirs)
	_ = g.close() // it finds nothing to do
	_ = g.watcher.Wait()
	return err
}

// removeGroups removes control groups from the leaves up, and waits for the last processes in them to be gone.
func removeGroups(dirs []string) error {
	var last error
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		last = nil
		for _, d := range dirs {
			last = errors.Join(last, removeGroup(d))
		}
		if last == nil {
			return nil
		}
	}
	return fmt.Errorf("remove control groups: %w", last)
}

func removeGroup(dir string) error {
	children, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, c := range children {
		if c.IsDir() {
			if err := removeGroup(filepath.Join(dir, c.Name())); err != nil {
				return err
			}
		}
	}
	// Not os.Remove: it would unlink the files of a group, which cannot be.
	if err := unix.Rmdir(dir); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("%s: %w", dir, err)
	}
	return nil
}
