package database

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func program(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestCockroachComesFirst(t *testing.T) {
	both, other := program(t, "cockroach", "postgres", "initdb"), program(t, "my-cockroach")
	t.Setenv("PATH", both)
	if found, err := look(); err != nil || found.cockroach != filepath.Join(both, "cockroach") {
		t.Errorf("%+v, %v", found, err)
	}
	t.Setenv(CockroachVariable, filepath.Join(other, "my-cockroach"))
	if found, err := look(); err != nil || found.cockroach != filepath.Join(other, "my-cockroach") {
		t.Errorf("%+v, %v", found, err)
	}
	t.Setenv(CockroachVariable, filepath.Join(other, "missing"))
	if _, err := look(); err == nil || errors.Is(err, errNone) {
		t.Errorf("a wrong %s is not said: %v", CockroachVariable, err)
	}
}

func TestPostgresIsTakenFromPathWithItsInitdb(t *testing.T) {
	dir := program(t, "postgres", "initdb")
	t.Setenv(CockroachVariable, "")
	t.Setenv("PATH", dir)
	if found, err := look(); err != nil || found.postgresDir != dir {
		t.Errorf("%+v, %v", found, err)
	}
}

func TestNoServerNamesBothWays(t *testing.T) {
	if packaged, _ := filepath.Glob("/usr/lib/postgresql/*/bin"); len(packaged) == 0 {
		t.Setenv("PATH", t.TempDir())
		t.Setenv(NoInstallVariable, "1")
		if _, err := find(t.Context(), func(string) {}); !errors.Is(err, errNone) {
			t.Errorf("%v", err)
		}
	}
	for _, way := range []string{"cockroach", CockroachVariable, "postgres", "apt-get install postgresql"} {
		if !strings.Contains(errNone.Error(), way) {
			t.Errorf("%q does not name %s", errNone, way)
		}
	}
}

func TestCockroachListensOnLoopbackWithCertificates(t *testing.T) {
	s, err := prepareCockroach(context.Background(), binaries{cockroach: "/bin/cockroach"}, Options{Dir: t.TempDir(), Port: 26257})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(s.spec.Args, "--listen-addr=127.0.0.1:26257") || slices.Contains(s.spec.Args, "--insecure") {
		t.Errorf("arguments %q", s.spec.Args)
	}
	if s.url.Query().Get("sslmode") != "verify-full" || s.url.Port() != "26257" {
		t.Errorf("url %s", s.url)
	}
}
