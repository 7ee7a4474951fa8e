package kubelet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/skein-project/skein/deploy/local/apt"
)

// packages are Debian's for what programs holds.
var packages = []string{"containerd", "runc", "containernetworking-plugins"}

// plugins is where Debian puts CNI's plugins; others use /opt/cni/bin.
var plugins = []string{"/usr/lib/cni", "/opt/cni/bin"}

// programs are the paths of a container runtime.
type programs struct{ containerd, ctr, runc, plugins string }

// Ensure makes sure that there is a container runtime: it installs Debian's where there is none and that is allowed,
// after saying so. Start does the same; this is for those who will have no network then.
func Ensure(ctx context.Context, log func(string)) error {
	_, err := ensure(ctx, log)
	return err
}

func ensure(ctx context.Context, log func(string)) (programs, error) {
	found, missing := look()
	if len(missing) == 0 {
		return found, nil
	}
	why := "no container runtime for real nodes (missing: " + strings.Join(missing, ", ") + ")"
	if err := apt.Allowed(); err != nil {
		return programs{}, fmt.Errorf("%s: install Debian's %s: %w", why, strings.Join(packages, " "), err)
	}
	if err := apt.Install(ctx, log, why, packages...); err != nil {
		return programs{}, err
	}
	if found, missing = look(); len(missing) > 0 {
		return programs{}, errors.New("Debian's packages are installed, and there is still no " + strings.Join(missing, ", "))
	}
	return found, nil
}

// look finds what is on this machine and names what is not.
func look() (found programs, missing []string) {
	for name, path := range map[string]*string{"containerd": &found.containerd, "ctr": &found.ctr, "runc": &found.runc} {
		var err error
		if *path, err = exec.LookPath(name); err != nil {
			if *path, err = exec.LookPath("/usr/sbin/" + name); err != nil {
				missing = append(missing, name)
			}
		}
	}
	for _, dir := range plugins {
		if _, err := os.Stat(filepath.Join(dir, "ptp")); err == nil && found.plugins == "" {
			found.plugins = dir
		}
	}
	if found.plugins == "" {
		missing = append(missing, "CNI plugins")
	}
	return found, missing
}
