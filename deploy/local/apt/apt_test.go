package apt_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/skein-project/skein/deploy/local/apt"
)

// fakeApt puts an apt-get on PATH that writes down how it was called and fails until lists were updated.
func fakeApt(t *testing.T) (calls func() string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root installs")
	}
	bin := t.TempDir()
	file := filepath.Join(bin, "calls")
	script := "#!/bin/sh\necho \"$@\" >>" + file + "\n[ $1 = update ] && exit 0; grep -q update " + file + " || { echo 'Unable to locate package'; exit 100; }\n"
	if err := os.WriteFile(filepath.Join(bin, "apt-get"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":/usr/bin:/bin")
	t.Setenv(apt.NoInstallVariable, "")
	return func() string {
		raw, _ := os.ReadFile(file)
		return string(raw)
	}
}

func TestInstallSaysSoFirstAndUpdatesListsIfItMust(t *testing.T) {
	calls := fakeApt(t)
	var said []string
	if err := apt.Install(t.Context(), func(s string) { said = append(said, s) }, "no runtime found", "containerd", "runc"); err != nil {
		t.Fatal(err)
	}
	if len(said) != 2 || !strings.Contains(said[0], "no runtime found: installing Debian's containerd runc") {
		t.Errorf("said %q", said)
	}
	if lines := strings.Split(strings.TrimSpace(calls()), "\n"); len(lines) != 3 || lines[1] != "update" ||
		!strings.HasSuffix(lines[2], "containerd runc") {
		t.Errorf("called %q", lines)
	}
}

func TestNothingIsInstalledWithoutLeave(t *testing.T) {
	calls := fakeApt(t)
	t.Setenv(apt.NoInstallVariable, "1")
	err := apt.Install(t.Context(), func(string) {}, "no runtime found", "containerd")
	if !errors.Is(err, apt.ErrNotAllowed) || !strings.Contains(err.Error(), "containerd") || !strings.Contains(err.Error(), apt.NoInstallVariable) {
		t.Errorf("%v", err)
	}
	if calls() != "" {
		t.Errorf("called %q", calls())
	}
}
