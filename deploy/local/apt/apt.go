// Package apt installs Debian packages that a local set-up lacks, where that is allowed: as root, with apt-get on PATH,
// unless SKEIN_NO_INSTALL=1. It says what it does before it does it.
//
// It does not find out what is missing, and removes nothing. deploy/local/database and deploy/local/kubelet call it.
// Invariant: without leave nothing is installed, and the error names the packages and who forbade it.
package apt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// NoInstallVariable names the environment variable that, set to 1, forbids installing packages.
const NoInstallVariable = "SKEIN_NO_INSTALL"

// ErrNotAllowed says that nothing may be installed here.
var ErrNotAllowed = errors.New("nothing may be installed here")

// Allowed returns nil if packages may be installed, or an ErrNotAllowed that says why not.
func Allowed() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w: that needs root", ErrNotAllowed)
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("%w: there is no apt-get", ErrNotAllowed)
	}
	if os.Getenv(NoInstallVariable) == "1" {
		return fmt.Errorf("%w: %s=1 forbids it", ErrNotAllowed, NoInstallVariable)
	}
	return nil
}

// Install installs packages without those that they only recommend, with newer lists if the present ones fail. What
// they are for is told to log first.
func Install(ctx context.Context, log func(string), why string, packages ...string) error {
	names := strings.Join(packages, " ")
	if err := Allowed(); err != nil {
		return fmt.Errorf("%s: install Debian's %s: %w", why, names, err)
	}
	log(fmt.Sprintf("%s: installing Debian's %s by apt-get (%s=1 forbids this)", why, names, NoInstallVariable))
	args := append([]string{"install", "-y", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=600",
		"-o", "Dpkg::Options::=--force-confold"}, packages...)
	if run(ctx, args...) == nil {
		return nil
	}
	log("updating apt's package lists")
	if err := run(ctx, "update"); err != nil {
		return err
	}
	return run(ctx, args...)
}

// run asks apt to end, rather than kill it, when ctx ends: a killed one leaves packages half installed.
func run(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "apt-get", args...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	out, err := cmd.CombinedOutput()
	if err != nil {
		text := strings.TrimSpace(string(out))
		return fmt.Errorf("apt-get %s: %w:\n%s", args[0], err, text[max(0, len(text)-1500):])
	}
	return nil
}
