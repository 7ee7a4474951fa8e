// Package smalldisk gives tests and scenarios small disks that fill up, which nobody else on the machine sees.
//
// It is for tests only, and needs root on Linux: a disk is a tmpfs in a mount table of the process's own, so that a crash
// leaves no mount. A package whose tests use it has, with the main function that it would have otherwise,
//
//	func TestMain(m *testing.M) { smalldisk.Main(m, localtest.Main) }
//
// Invariant: what is mounted here is seen by the process and by what it starts, and by nothing else.
package smalldisk

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/skein-project/skein/deploy/local/namespace"
)

// inside is the environment variable that tells a process that its mount table is its own.
const inside = "SKEIN_SMALL_DISKS"

// Main runs a package's tests in a mount table of their own. Where that cannot be, they run as they are, and those that
// take a disk say so and skip.
func Main(m *testing.M, run func(*testing.M)) {
	Privately(func() { run(m) })
}

// Privately runs what a program does, which ends it, in a mount table of its own, by starting the program again. Where
// that cannot be, it runs as it is, and Mount refuses.
func Privately(run func()) {
	if os.Getenv(inside) != "" {
		run()
		return
	}
	space, err := namespace.Open(namespace.Options{Mounts: true})
	if errors.Is(err, namespace.ErrUnavailable) {
		run()
		return
	}
	if err == nil {
		cmd := exec.Command(os.Args[0], os.Args[1:]...)
		cmd.Env = append(os.Environ(), inside+"=1")
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
		err = errors.Join(space.Run(context.Background(), cmd, 0), space.Close())
	}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		os.Exit(exit.ExitCode())
	case err != nil:
		fmt.Fprintln(os.Stderr, "smalldisk:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// Tested is a disk of one test, which fails with it.
type Tested struct {
	t    testing.TB
	disk *Disk
}

// New mounts a disk until the test ends, or skips the test.
func New(t testing.TB, dir string, bytes int64) *Tested {
	t.Helper()
	disk, err := Mount(dir, bytes)
	if errors.Is(err, namespace.ErrUnavailable) {
		fmt.Fprintln(os.Stdout, namespace.SkipLine)
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := disk.Unmount(); err != nil {
			t.Error(err)
		}
	})
	return &Tested{t: t, disk: disk}
}

// Fill takes all the room that is left.
func (d *Tested) Fill() {
	d.t.Helper()
	if err := d.disk.Fill(); err != nil {
		d.t.Fatal(err)
	}
}

// Empty frees what Fill has taken.
func (d *Tested) Empty() {
	d.t.Helper()
	if err := d.disk.Empty(); err != nil {
		d.t.Fatal(err)
	}
}
