// Package tools provides the programs that a local set-up needs, built from their Go modules: etcd and
// kube-apiserver, the parts of a real node, and an S3 server.
//
// It downloads no binaries and needs no container runtime: only a Go toolchain and its module proxy. The modules that
// pin them are embedded (kube/go.mod.txt and kube/go.sum.txt, and the same in s3; the names keep them from being
// modules of their own, which embedding could not reach into), so a built binary can do this without the clone. To
// change a version, copy the two to a folder without the .txt, edit, `go mod tidy`, copy them back.
//
// Invariant: a program under its final name in the cache is whole and was built from exactly this module, these flags
// and this Go version, since all three are in the folder's name and a program arrives there by rename. Builds of one
// folder exclude each other by a file lock.
package tools

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/deploy/local/machine"
)

// Version is the Kubernetes version that is built.
const Version = "v1.37.2"

// S3Version is the version of versitygw, the S3 server, that is built.
const S3Version = "v1.8.0"

// Tools are the paths of the programs of a control plane.
type Tools struct{ Etcd, APIServer string }

// NodeTools are the paths of what a cluster with a real node needs besides.
type NodeTools struct{ ControllerManager, Scheduler, Kubelet string }

// program is one thing to build.
type program struct {
	name, pkg string
	estimate  time.Duration // on two cores with cold caches
}

var (
	etcd              = program{"etcd", "go.etcd.io/etcd/server/v3", time.Minute}
	apiServer         = program{"kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver", 5 * time.Minute}
	controllerManager = program{"kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager", 2 * time.Minute}
	scheduler         = program{"kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler", time.Minute}
	kubelet           = program{"kubelet", "k8s.io/kubernetes/cmd/kubelet", 2 * time.Minute}
	versitygw         = program{"versitygw", "github.com/versity/versitygw/cmd/versitygw", 3 * time.Minute}
)

// Ensure returns etcd and kube-apiserver, building what the cache lacks. It reports progress through log and may be
// called by many processes at once: one builds, the others wait.
func Ensure(ctx context.Context, log func(string)) (Tools, error) {
	paths, err := ensure(ctx, log, kube, etcd, apiServer)
	if err != nil {
		return Tools{}, err
	}
	return Tools{Etcd: paths[0], APIServer: paths[1]}, nil
}

// EnsureNode is Ensure for the programs of a cluster with a real node.
func EnsureNode(ctx context.Context, log func(string)) (NodeTools, error) {
	paths, err := ensure(ctx, log, kube, controllerManager, scheduler, kubelet)
	if err != nil {
		return NodeTools{}, err
	}
	return NodeTools{ControllerManager: paths[0], Scheduler: paths[1], Kubelet: paths[2]}, nil
}

// EnsureS3 is Ensure for the S3 server; it returns its path.
func EnsureS3(ctx context.Context, log func(string)) (string, error) {
	paths, err := ensure(ctx, log, s3, versitygw)
	if err != nil {
		return "", err
	}
	return paths[0], nil
}

// ensure returns the programs' paths, in order.
func ensure(ctx context.Context, log func(string), m module, programs ...program) ([]string, error) {
	work, err := m.write()
	if err != nil {
		return nil, fmt.Errorf("write the module of %s: %w", m.name, err)
	}
	defer os.RemoveAll(work)
	goVersion, goErr := findGo(ctx, work)
	dir, err := m.cacheDir(goVersion)
	if err != nil {
		return nil, fmt.Errorf("find the cache folder: %w", err)
	}
	paths := make([]string, len(programs))
	for i, p := range programs {
		paths[i] = filepath.Join(dir, p.name)
	}
	if err := ready(ctx, work, dir, goErr, programs); err != nil {
		return nil, err
	}
	if len(missing(dir, programs)) == 0 {
		return paths, nil
	}
	unlock, err := lock(ctx, dir, log)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	defer unlock()
	for _, p := range missing(dir, programs) { // again: another process may have built them meanwhile
		if err := build(ctx, log, m, work, dir, p); err != nil {
			return nil, fmt.Errorf("build %s: %w", p.name, err)
		}
	}
	return paths, nil
}

// elsewhere is the way out of a cache that does not serve.
const elsewhere = "set " + CacheVariable + " to a folder elsewhere"

// Check is what Ensure would say at once: whether programs are missing and cannot be built here. It builds nothing.
func Check(ctx context.Context) error {
	if err := machine.Writable(os.TempDir(), "set TMPDIR to a folder elsewhere"); err != nil {
		return err
	}
	work, err := kube.write()
	if err != nil {
		return fmt.Errorf("write the module of %s: %w", kube.name, err)
	}
	defer os.RemoveAll(work)
	goVersion, goErr := findGo(ctx, work)
	dir, err := kube.cacheDir(goVersion)
	if err != nil {
		return fault.Wrap(fault.Precondition, err, "find the cache folder")
	}
	return ready(ctx, work, dir, goErr, []program{etcd, apiServer})
}

// ready fails if the programs cannot be run from the folder, or are missing and cannot be built.
func ready(ctx context.Context, work, dir string, goErr error, programs []program) error {
	if err := machine.Runs(dir, elsewhere); err != nil || len(missing(dir, programs)) == 0 {
		return err
	}
	return errors.Join(goErr, machine.Writable(dir, elsewhere), machine.Space(rooms(ctx, work, dir)...))
}

// missing returns the programs that the folder lacks.
func missing(dir string, programs []program) []program {
	var absent []program
	for _, p := range programs {
		if info, err := os.Stat(filepath.Join(dir, p.name)); err != nil || !info.Mode().IsRegular() {
			absent = append(absent, p)
		}
	}
	return absent
}
