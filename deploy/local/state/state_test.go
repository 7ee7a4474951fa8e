package state_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/skein-project/skein/deploy/local/state"
)

func TestASecondCopyIsKeptOutAndToldTheWayOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "skein")
	first, err := state.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = state.Open(path)
	for _, want := range []string{"in use by process " + strconv.Itoa(os.Getpid()), "SKEIN_STATE=", "--state"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := state.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	for name, private := range map[string]bool{"database": false, "keys": true} {
		sub, err := again.Sub(name, private)
		if err != nil {
			t.Fatal(err)
		}
		info, _ := os.Stat(sub)
		if passable := info.Mode()&0o001 != 0; passable == private {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
	}
}

func TestDefaultDependsOnTheClone(t *testing.T) {
	t.Setenv("SKEIN_STATE", "")
	one, two := t.TempDir(), t.TempDir()
	sub := filepath.Join(one, "deep", "down")
	if err := os.MkdirAll(sub, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(one, "go.mod"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	path := func(dir string) string {
		found, err := state.Default(dir)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	if path(one) != path(sub) || path(one) == path(two) {
		t.Errorf("%s, %s below it, %s elsewhere", path(one), path(sub), path(two))
	}
	t.Setenv("SKEIN_STATE", two)
	if path(one) != two {
		t.Errorf("SKEIN_STATE is not followed: %s", path(one))
	}
}

func TestAFileInTheWayIsSaid(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := state.Open(path); err == nil || !strings.Contains(err.Error(), "not a folder") {
		t.Errorf("%v", err)
	}
}
