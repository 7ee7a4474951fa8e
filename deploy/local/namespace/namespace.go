// Package namespace runs commands in fresh Linux namespaces: a network with nothing but loopback, a mount table, a
// process table.
//
// It is not a container runtime: there is no root file system, no cgroup and no limit; what runs inside sees this
// machine's files. Real nodes and the clients of their federation live in one network namespace (deploy/local/kubelet);
// fault tests mount small file systems that nobody else sees.
//
// Invariant: nothing of a Space outlives the process that opened it, however that ends. Its namespaces are held by one
// OS thread of that process and by what was started in it. Each of those asks the kernel for SIGKILL at that thread's
// death; in a process table of its own only the first process has to, which takes everything with it, daemons included.
// Without one, a daemon that was started inside stays, as it would outside. The machine keeps its network, mounts and sysctls: what is private is made private before anything is changed.
package namespace

import (
	"errors"
	"os"
	"strings"
)

// ErrUnavailable says that this machine or this user cannot make namespaces. A test that meets it prints SkipLine.
var ErrUnavailable = errors.New("no namespaces here")

// SkipLine is what a test prints, alone on its line, when it skips because of ErrUnavailable. CI fails when it sees it.
const SkipLine = "SKEIN-NO-NAMESPACES: tests with real nodes or private mounts did not run (they need root on Linux)"

// Variable names the environment variable by which a process knows that it is in a network namespace of ours: the
// number of that namespace, and the path through which others enter it.
const Variable = "SKEIN_NAMESPACE"

// Options say what is private. At least one must be asked for.
type Options struct {
	// Network is a network of its own, in which lo is up and nothing else exists.
	Network bool
	// Mounts is a mount table of its own: a copy of ours, from and to which no change is propagated.
	Mounts bool
	// Processes is a process table of its own, with its own /proc; it includes Mounts. All that runs in it, daemons
	// included, is killed when the Space ends.
	Processes bool
}

// Inside reports whether this process is in a network namespace that this package made, so that its addresses and
// routes are nobody else's.
func Inside() bool {
	number, _, _ := strings.Cut(os.Getenv(Variable), " ")
	return number != "" && number == networkNumber("/proc/self/ns/net")
}

// Entrance returns the path that leads others into the network namespace that this process is in: the argument of
// `nsenter --net=`. It is empty outside of one.
func Entrance() string {
	if !Inside() {
		return ""
	}
	_, path, _ := strings.Cut(os.Getenv(Variable), " ")
	return path
}

// networkNumber reads which network namespace a path of /proc stands for; none where there are none.
func networkNumber(path string) string {
	number, _ := os.Readlink(path)
	return number
}
