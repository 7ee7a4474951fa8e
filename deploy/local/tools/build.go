package tools

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/deploy/local/machine"
	"github.com/skein-project/skein/deploy/local/proc"
)

const (
	progressEvery = 10 * time.Second
	outputBytes   = 2000 // of a failed build's output in an error
)

// kubeFlags set the version by the linker: without it, all programs report one that clients cannot parse. The commit is
// the module's version, since the module proxy knows no other.
func kubeFlags() []string {
	const pkg = "k8s.io/component-base/version."
	flags := []string{"-s", "-w"}
	for _, field := range []string{
		"gitVersion=" + Version, "gitMajor=1", "gitMinor=37", "gitCommit=" + Version, "gitTreeState=clean",
		"buildDate=2026-10-27T12:01:04Z",
	} {
		flags = append(flags, "-X", pkg+field)
	}
	return []string{"-trimpath", "-mod=readonly", "-ldflags=" + strings.Join(flags, " ")}
}

// goCommand runs the go toolchain in the module's folder, in an environment that does not depend on the caller's flags.
func goCommand(work string, args ...string) *exec.Cmd {
	cmd := exec.Command("go", args...)
	cmd.Dir = work
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false", "GOWORK=off", "GOOS="+runtime.GOOS,
		"GOARCH="+runtime.GOARCH)
	cmd.SysProcAttr = proc.Attributes(nil)
	return cmd
}

// findGo returns the version of the toolchain that would build; with an error, it is the one that built us, so that
// programs that are there already are found without a toolchain.
func findGo(ctx context.Context, work string) (string, error) {
	out, err := run(ctx, goCommand(work, "env", "GOVERSION"), nil)
	if err != nil {
		return runtime.Version(), explain(err, out)
	}
	return strings.TrimSpace(string(out)), nil
}

// build builds one program and moves it to its place.
func build(ctx context.Context, log func(string), m module, work, dir string, p program) error {
	log(fmt.Sprintf("building %s once, from its Go module (about %s on two cores)", p.name, p.estimate))
	temporary := filepath.Join(dir, fmt.Sprintf(".%s.%d", p.name, os.Getpid()))
	defer os.Remove(temporary)
	args := append([]string{"build", "-o", temporary}, m.flags...)
	started := time.Now()
	out, err := run(ctx, goCommand(work, append(args, p.pkg)...), func() {
		log(fmt.Sprintf("building %s: %s of about %s", p.name, time.Since(started).Round(time.Second), p.estimate))
	})
	if err != nil {
		return explain(err, out)
	}
	if err := os.Rename(temporary, filepath.Join(dir, p.name)); err != nil {
		return err
	}
	log(fmt.Sprintf("built %s in %s", p.name, time.Since(started).Round(time.Second)))
	return nil
}

// run runs a command to its end, or kills its whole group when ctx ends; tick, if given, is called every ten seconds.
func run(ctx context.Context, cmd *exec.Cmd, tick func()) ([]byte, error) {
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = time.Second
	if err := proc.Start(cmd); err != nil {
		return nil, err
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	ticker := time.NewTicker(progressEvery)
	defer ticker.Stop()
	for {
		select {
		case err := <-done:
			return out.Bytes(), err
		case <-ctx.Done():
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			<-done //nolint:errcheck // it was killed: its error is ours
			return nil, context.Cause(ctx)
		case <-ticker.C:
			if tick != nil {
				tick()
			}
		}
	}
}

// explain turns a failure of the go toolchain into what to do about it.
func explain(err error, out []byte) error {
	if errors.Is(err, exec.ErrNotFound) {
		return fault.E(fault.Precondition, "no Go toolchain: programs are built from source, so install Go 1.26 or newer and put `go` on PATH")
	}
	text := strings.TrimSpace(string(out))
	text = text[max(0, len(text)-outputBytes):]
	for _, reason := range []struct {
		kind   fault.Kind
		advice string
		marks  []string
	}{
		{fault.Exhausted, "the disk is full: the build needs about 4 GB in `go env GOCACHE`, `go env GOMODCACHE`, TMPDIR and " +
			CacheVariable, []string{"no space left on device", "disk quota exceeded"}},
		{fault.Precondition, "the clock is wrong, or something between here and the network replaces certificates",
			[]string{"certificate has expired or is not yet valid", "certificate signed by unknown authority"}},
		{fault.Precondition, "the Go toolchain is too old: install Go 1.26 or newer", []string{"requires go >=", "toolchain not available",
			"unknown directive", "invalid go version"}},
		{fault.Unavailable, "a module could not be downloaded: check the network and `go env GOPROXY GOSUMDB`", []string{"dial tcp",
			"no such host", "i/o timeout", "TLS handshake", "403 Forbidden", "404 Not Found", "502 Bad Gateway",
			"module lookup disabled", "unrecognized import path", "connection re", "SECURITY ERROR"}},
	} {
		for _, mark := range reason.marks {
			if strings.Contains(text, mark) {
				return fault.E(reason.kind, "%s (%v):\n%s", reason.advice, err, text)
			}
		}
	}
	if text == "" {
		return err
	}
	return fmt.Errorf("%w:\n%s", err, text)
}

// rooms is what a build writes, with cold caches, and where.
func rooms(ctx context.Context, work, dir string) []machine.Room {
	list := []machine.Room{
		{Folder: dir, Bytes: 500e6, For: "the programs", Variable: CacheVariable},
		{Folder: os.TempDir(), Bytes: 500e6, For: "the linker", Variable: "TMPDIR"},
	}
	var env struct{ GOCACHE, GOMODCACHE string }
	out, err := run(ctx, goCommand(work, "env", "-json", "GOCACHE", "GOMODCACHE"), nil)
	if err == nil && json.Unmarshal(out, &env) == nil && env.GOCACHE != "" {
		list = append(list, machine.Room{Folder: env.GOCACHE, Bytes: 1500e6, For: "compiled packages", Variable: "GOCACHE"},
			machine.Room{Folder: env.GOMODCACHE, Bytes: 1500e6, For: "modules", Variable: "GOMODCACHE"})
	}
	return list
}
