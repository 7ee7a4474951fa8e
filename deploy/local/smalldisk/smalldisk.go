// Package smalldisk gives tests small disks that fill up, which nobody else on the machine sees.
//
// It is for tests only, and needs root on Linux: a disk is a tmpfs in a mount table of the test process's own, so that
// a crash leaves no mount. A package whose tests use it has, with the main function that it would have otherwise,
//
//	func TestMain(m *testing.M) { smalldisk.Main(m, localtest.Main) }
//
// Invariant: what New mounts is seen by the test process and by what it starts, and by nothing else.
package smalldisk

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/skein-project/skein/deploy/local/namespace"
)

// inside is the environment variable that tells a test process that its mount table is its own.
const inside = "SKEIN_SMALL_DISKS"

// Main runs a package's tests in a mount table of their own, by starting the test program again. Where that cannot be,
// they run as they are, and those that take a disk say so and skip.
func Main(m *testing.M, run func(*testing.M)) {
	if os.Getenv(inside) != "" {
		run(m)
		return
	}
	space, err := namespace.Open(namespace.Options{Mounts: true})
	if errors.Is(err, namespace.ErrUnavailable) {
		run(m)
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

// Disk is a small disk at a folder.
type Disk struct {
	t      testing.TB
	dir    string
	filler string
}

// New puts an empty disk of so many bytes over the folder, until the test ends. Everybody may enter it, nobody but its
// owner and root may write.
func New(t testing.TB, dir string, bytes int64) *Disk {
	t.Helper()
	if os.Getenv(inside) == "" {
		fmt.Fprintln(os.Stdout, namespace.SkipLine)
		t.Skip("a private mount table needs root on Linux")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := mount(dir, bytes); err != nil {
		t.Fatalf("mount a disk of %d bytes: %v", bytes, err)
	}
	t.Cleanup(func() {
		if err := unmount(dir); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return &Disk{t: t, dir: dir, filler: filepath.Join(dir, ".filler")}
}

// Fill takes all the room that is left.
func (d *Disk) Fill() {
	d.t.Helper()
	f, err := os.OpenFile(d.filler, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		d.t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 1<<20); len(block) >= 4096; {
		if _, err = f.Write(block); err != nil {
			block = block[:len(block)/2]
		}
	}
	if !errors.Is(err, syscall.ENOSPC) {
		d.t.Fatalf("fill %s: %v", d.dir, err)
	}
}

// Empty frees what Fill has taken.
func (d *Disk) Empty() {
	d.t.Helper()
	if err := os.Remove(d.filler); err != nil {
		d.t.Fatal(err)
	}
}
