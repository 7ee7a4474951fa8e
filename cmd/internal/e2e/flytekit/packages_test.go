package flytekit

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/skein-project/skein/cmd/internal/local/federationtest"
)

// alone runs one file without a package around it.
func (s *suite) alone(t *testing.T) {
	dir, err := filepath.Abs(filepath.Join("testdata", "alone"))
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.pyflyte(t, dir, slices.Concat([]string{"run", "--remote", "--wait", "--poll-interval", "1", "--name", "alone"},
		target, s.imageFlag(), []string{"alone.py", "quadruple", "--n", "5"})...)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want(t, "output", s.show(t, "alone").Outputs["o0"], 20)
}

// packed is the project as pyflyte packages it with its code.
func (s *suite) packed(t *testing.T) string {
	t.Helper()
	return once(t, s, "packed", func() (string, error) {
		path := filepath.Join(s.dir, "flyte-package.tgz")
		_, err := s.pyflyte(t, s.two, slices.Concat([]string{"--pkgs", "textkit", "package", "--copy", "auto", "--output", path}, s.imageFlag())...)
		return path, err
	})
}

// skein runs our own command.
func (s *suite) skein(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(federationtest.Binaries(t), "skein"), args...)
	cmd.Env = append(s.env(), "SKEIN_CONFIG="+s.fed.Config)
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	err = cmd.Run()
	return out.String(), log.String(), err
}

// archive registers a package by our own command, twice, and runs it.
func (s *suite) archive(t *testing.T) {
	path := s.packed(t)
	out, log, err := s.skein(t, "register", "--archive", path, "--version", "packed", "-o", "json")
	if err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	var did []struct{ Result, Kind, Name, Version string }
	if err := json.Unmarshal([]byte(out), &did); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	count := map[string]int{}
	for _, d := range did {
		want(t, "result of "+d.Name, d.Result+" "+d.Version, "registered packed")
		count[d.Kind]++
	}
	if count["task"] < 20 || count["workflow"] < 20 || count["launch plan"] != count["workflow"]+2 {
		t.Errorf("registered %v, want all of the project", count)
	}
	out, log, err = s.skein(t, "register", "--archive", path, "--version", "packed")
	if err != nil || strings.Contains(out, "registered ") || strings.Count(out, "unchanged ") != len(did) {
		t.Errorf("again: %v, want all unchanged\n%s\n%s", err, out, log)
	}
	e := s.wait(t, launch{Name: "which", Version: "packed", Inputs: values{"folder": s.shared(t), "count": 1}})
	e.succeeded(t)
	want(t, "edition", e.Outputs["o0"], "two")
}
