package tools

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fakeGo puts a script named go on a PATH that holds nothing else of Go, and an empty cache behind it.
func fakeGo(t *testing.T, script string) {
	t.Helper()
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "go"), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":/usr/bin:/bin")
	t.Setenv(CacheVariable, t.TempDir())
}

// builder answers `go env GOVERSION` and writes whatever it is asked to build.
const builder = `case "$1" in env) echo go1.26.0;; build) for p; do :; done; grep -q "$p" go.mod && echo "$@" > "$3";; esac`

func TestRealProgramsReportTheirVersion(t *testing.T) {
	if testing.Short() {
		t.Skip("builds Kubernetes if the cache lacks it")
	}
	found, err := Ensure(t.Context(), func(text string) { t.Log(text) })
	if err != nil {
		t.Fatal(err)
	}
	s3, err := EnsureS3(t.Context(), func(text string) { t.Log(text) })
	if err != nil {
		t.Fatal(err)
	}
	for program, want := range map[string]string{found.APIServer: "Kubernetes " + Version, found.Etcd: "etcd Version: 3.7.3", s3: S3Version} {
		out, err := exec.Command(program, "--version").CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%s --version: %s (%v), want %s", program, out, err, want)
		}
	}
}

func TestEnsureBuildsOnceAndTellsProgress(t *testing.T) {
	fakeGo(t, builder)
	var said []string
	log := func(text string) { said = append(said, text) }
	first, err := Ensure(t.Context(), log)
	if err != nil {
		t.Fatal(err)
	}
	if all := strings.Join(said, "\n"); !strings.Contains(all, "building etcd") || !strings.Contains(all, "built kube-apiserver") {
		t.Errorf("progress was %q", said)
	}
	flags, err := os.ReadFile(first.APIServer)
	if err != nil || !strings.Contains(string(flags), "gitVersion="+Version) {
		t.Errorf("built with %q (%v)", flags, err)
	}
	said = nil
	second, err := Ensure(t.Context(), log)
	if err != nil || second != first || len(said) != 0 {
		t.Errorf("the second time: %v, %v, said %q", second, err, said)
	}
	left, _ := filepath.Glob(filepath.Join(filepath.Dir(first.Etcd), ".*.*"))
	if len(left) != 0 {
		t.Errorf("temporary files are left: %q", left)
	}
}

func TestEnsureWaitsForAnotherBuilderAndSaysSo(t *testing.T) {
	fakeGo(t, builder)
	dir, err := kube.cacheDir("go1.26.0")
	if err != nil {
		t.Fatal(err)
	}
	unlock, err := lock(t.Context(), dir, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := Ensure(ctx, func(string) {}); err == nil {
		t.Fatal("it did not wait")
	}
	said := make(chan string, 100)
	done := make(chan error, 1)
	go func() {
		_, err := Ensure(t.Context(), func(text string) { said <- text })
		done <- err
	}()
	if text := <-said; !strings.Contains(text, "waiting for it") {
		t.Errorf("said %q", text)
	}
	unlock()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestFailuresSayWhatToDo(t *testing.T) {
	for _, test := range []struct{ name, script, want string }{
		{"too old", `echo "go: go.mod requires go >= 1.26.0 (running go 1.22.0; GOTOOLCHAIN=local)" >&2; exit 1`, "too old"},
		{"no network", `[ $1 = env ] && exit; echo "go: k8s.io/kubernetes@v1.37.2: Get: dial tcp: lookup x: no such host"; exit 1`, "could not be downloaded"},
		{"disk full", `[ $1 = env ] && exit; echo "write x.a: no space left on device"; exit 1`, "disk is full"},
		{"anything else", `[ $1 = env ] && exit; echo "internal compiler error"; exit 2`, "internal compiler error"},
	} {
		t.Run(test.name, func(t *testing.T) {
			fakeGo(t, test.script)
			_, err := Ensure(t.Context(), func(string) {})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v does not say %q", err, test.want)
			}
		})
	}
	t.Run("no toolchain", func(t *testing.T) {
		t.Setenv("PATH", t.TempDir())
		t.Setenv(CacheVariable, t.TempDir())
		if _, err := Ensure(t.Context(), func(string) {}); err == nil || !strings.Contains(err.Error(), "no Go toolchain") {
			t.Errorf("%v", err)
		}
	})
}
