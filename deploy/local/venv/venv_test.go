package venv

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestNoIndexIsToldFromOtherFailures(t *testing.T) {
	for _, tc := range []struct {
		name string
		out  string
		want bool
		why  string
	}{
		{
			name: "no route to the index",
			out: "WARNING: Retrying after connection broken by 'NewConnectionError'\n" +
				"ERROR: Could not find a version that satisfies the requirement x (from versions: none)",
			want: true,
			why:  "a machine without network must skip",
		},
		{
			name: "an index that offers nothing",
			out:  "ERROR: Could not find a version that satisfies the requirement x==1 (from versions: none)",
			want: true,
			why:  "an index switched off by configuration is no index",
		},
		{
			name: "a pin that the index does not have",
			out:  "ERROR: Could not find a version that satisfies the requirement x==9 (from versions: 1, 2)",
			why:  "the list is wrong and must be repaired",
		},
		{
			name: "a version for another Python",
			out: "ERROR: Ignored the following versions that require a different python version: 1\n" +
				"ERROR: Could not find a version that satisfies the requirement x==1 (from versions: none)",
			why: "the list is wrong for a Python that we claim to support",
		},
		{
			name: "a hash that does not match",
			out:  "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.",
			why:  "a changed package must never pass as a missing index",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := installError(t.Context(), errors.New("exit status 1"), tc.out)
			if got := errors.Is(err, ErrUnavailable); got != tc.want {
				t.Errorf("unavailable = %v, want %v: %s", got, tc.want, tc.why)
			}
		})
	}
}

func TestFindPythonPassesOverWhatDoesNotServe(t *testing.T) {
	bin := t.TempDir()
	t.Setenv("PATH", bin)

	if _, err := findPython(t.Context()); !errors.Is(err, ErrUnavailable) {
		t.Errorf("with an empty PATH: %v, want ErrUnavailable", err)
	}

	script(t, bin, "python3.12", "exit 127")
	script(t, bin, "python3.11", "echo 2.7")

	if _, err := findPython(t.Context()); !errors.Is(err, ErrUnavailable) {
		t.Errorf("with a dead shim and an old Python: %v, want ErrUnavailable", err)
	}

	want := script(t, bin, "python3", "echo 3.11")

	got, err := findPython(t.Context())
	if err != nil || got != want {
		t.Errorf("findPython = %q, %v, want %q", got, err, want)
	}
}

func TestUnfinishedEnvironmentIsNotWhole(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}

	python := script(t, filepath.Join(dir, "bin"), "python", "exit 0")

	if whole(t.Context(), dir) {
		t.Error("an environment without its stamp passes as whole")
	}

	if err := os.WriteFile(filepath.Join(dir, stamp), nil, 0o644); err != nil {
		t.Fatal(err)
	}

	if !whole(t.Context(), dir) {
		t.Error("a stamped environment with a running interpreter is not taken as whole")
	}

	if err := os.Remove(python); err != nil {
		t.Fatal(err)
	}

	if whole(t.Context(), dir) {
		t.Error("an environment without its interpreter passes as whole")
	}
}

func TestLockIsHeldByOneAndWaitsNoLongerThanItsContext(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	said := 0

	unlock, err := lock(t.Context(), path, func(string) { said++ })
	if err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()

	if _, err := lock(ctx, path, func(string) { said++ }); !errors.Is(err, context.Canceled) {
		t.Errorf("second lock: %v, want it refused with the context", err)
	}

	if said != 1 {
		t.Errorf("%d messages, want one from the call that waited", said)
	}

	unlock()

	again, err := lock(t.Context(), path, func(string) {})
	if err != nil {
		t.Fatalf("lock after release: %v", err)
	}

	again()
}

// script writes an executable shell script and returns its path.
func script(t *testing.T, dir, name, body string) string {
	t.Helper()

	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}

	return path
}
