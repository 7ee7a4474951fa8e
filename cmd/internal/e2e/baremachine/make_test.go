package baremachine

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestMakeSaysWhatIsMissing: the first command of a stranger is make, before
// any program of ours is there.
func TestMakeSaysWhatIsMissing(t *testing.T) {
	for _, c := range []struct {
		name, compiler string // a program named go; none if empty
		env            []string
		want           []string
	}{
		{"no Go", "", nil, []string{"error: no Go toolchain", "install Go 1.26 or newer"}},
		{"an old Go", `echo "go: errors parsing go.mod: invalid go version '1.26.0': must match format 1.23" >&2; exit 1`, nil,
			[]string{"error: the Go toolchain is too old", "install Go 1.26 or newer", "must match format"}},
		{"a Go that may fetch no newer one", `echo "go: go.mod requires go >= 1.26.0 (running go 1.22.0; GOTOOLCHAIN=local)" >&2; exit 1`, nil,
			[]string{"error: the Go toolchain is too old", "GOTOOLCHAIN=local"}},
		{"a full disk", `echo "write /tmp/x.a: no space left on device" >&2; exit 1`, nil,
			[]string{"error: the disk is full", "about 3 GB", "GOMODCACHE"}},
		{"a clock that is far off", `echo "tls: failed to verify certificate: x509: certificate has expired or is not yet valid" >&2; exit 1`, nil,
			[]string{"error: the clock is wrong"}},
		{"no module proxy", "real", []string{"GOPROXY=http://127.0.0.1:1", "GOFLAGS=-modcacherw", "GOMODCACHE="},
			[]string{"error: a module could not be downloaded", "GOPROXY", "connection refused"}},
		{"a mistake in the code", `echo "cmd/skein/main.go:1:1: syntax error" >&2; exit 1`, nil, []string{"syntax error"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			bin, out := tools(t), t.TempDir()
			if c.compiler == "real" {
				real, err := exec.LookPath("go")
				must(t, errors.Join(err, os.Symlink(real, filepath.Join(bin, "go"))))
			} else if c.compiler != "" {
				must(t, os.WriteFile(filepath.Join(bin, "go"), []byte("#!/bin/sh\n"+c.compiler+"\n"), 0o755))
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			cmd := exec.CommandContext(ctx, "make", "build", "BIN="+out)
			cmd.Dir = filepath.Join("..", "..", "..", "..")
			cmd.Env = []string{"PATH=" + bin, "HOME=" + t.TempDir(), "TMPDIR=" + t.TempDir()}
			for _, v := range c.env {
				if v == "GOMODCACHE=" {
					v += t.TempDir()
				}
				cmd.Env = append(cmd.Env, v)
			}
			text, err := cmd.CombinedOutput()
			if err == nil {
				t.Error("it passed")
			}
			for _, want := range c.want {
				if !strings.Contains(string(text), want) {
					t.Errorf("%q is not said in:\n%s", want, text)
				}
			}
		})
	}
}

// tools is a PATH with what make and its scripts call, and no Go.
func tools(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"make", "bash", "sh", "env", "dirname", "tail", "grep", "awk"} {
		path, err := exec.LookPath(name)
		must(t, err)
		must(t, os.Symlink(path, filepath.Join(dir, name)))
	}
	return dir
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
