package flytekit

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// parcel is a case for what is stored beside literals: sent by the client,
// carried by two tasks, and read by the client.
func parcel(field string, value any) func(*suite, *testing.T) {
	return func(s *suite, t *testing.T) {
		stored(s, t, "parcel", map[string]any{"version": "one", "folder": filepath.Join(s.dir, "parcel")}, field, value)
	}
}

// tables is a case for datasets with named columns.
func tables(field string, value any) func(*suite, *testing.T) {
	return func(s *suite, t *testing.T) { stored(s, t, "tables", map[string]any{"version": "one"}, field, value) }
}

// files is a case for several files at a time.
func files(field string, value any) func(*suite, *testing.T) {
	return func(s *suite, t *testing.T) { stored(s, t, "files", map[string]any{"version": "one"}, field, value) }
}

// stored does one of the driver's operations once, and looks at a part of what
// it found.
func stored(s *suite, t *testing.T, op string, args map[string]any, field string, value any) {
	t.Helper()
	got := once(t, s, op, func() (got map[string]any, err error) { return got, s.driver.try(op, args, &got) })
	if got["phase"] != "SUCCEEDED" {
		t.Fatalf("%s is %s: %s", got["name"], got["phase"], got["error"])
	}
	want(t, field, got[field], value)
}

// sent sends paths by pyflyte itself.
func (s *suite) sent(t *testing.T) {
	dir := s.shared(t)
	for _, name := range []string{"x.txt", "y.txt"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("sent"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	frame := filepath.Join(s.dir, "frame.parquet")
	s.driver.ask(t, "frame", map[string]any{"path": frame}, nil)
	out, err := s.run(t, "files", "tasks.py", "size", nil, "--file", filepath.Join(dir, "x.txt"), "--folder", dir, "--frame", frame)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want(t, "output", s.show(t, "files").Outputs["o0"], "sent ['x.txt', 'y.txt'] [1, 2]")
}

// download has FlyteRemote download a file among the outputs.
func (s *suite) download(t *testing.T) {
	e := s.wait(t, launch{Name: "blobs.placed", Inputs: values{"text": "far away"}})
	e.succeeded(t)
	var found map[string]string
	s.driver.ask(t, "download", map[string]any{"execution": e.Name, "folder": s.shared(t)}, &found)
	if len(found) != 1 {
		t.Errorf("downloaded %v, want one file", found)
	}
	for _, text := range found {
		want(t, "text", text, "far away")
	}
}

// placed stores a file at an address that the task chooses.
func (s *suite) placed(t *testing.T) {
	path := filepath.Join(s.fed.Store, "chosen", "there.txt")
	e := s.wait(t, launch{Name: "blobs.placed", Inputs: values{"text": "there", "path": path}})
	e.succeeded(t)
	text, err := os.ReadFile(path)
	if err != nil || string(text) != "there" {
		t.Errorf("%q (%v), want the task's text", text, err)
	}
}

// surroundings is what a task sees, launched with variables and a raw output
// prefix of the launch's own.
func (s *suite) surroundings(t *testing.T) execution {
	t.Helper()
	return once(t, s, "surroundings", func() (e execution, err error) {
		l := launch{Name: "runs.context", Prefix: "seen", Inputs: values{"names": []string{"COLOUR", "FLYTE_ATTEMPT_NUMBER",
			"FLYTE_INTERNAL_EXECUTION_PROJECT", "FLYTE_INTERNAL_EXECUTION_DOMAIN", "FLYTE_INTERNAL_EXECUTION_WORKFLOW"}},
			Envs: map[string]string{"COLOUR": "deep blue"}, Options: options{Raw: filepath.Join(s.fed.Store, "own", "prefix")}}
		return e, s.driver.try("run", l.full(), &e)
	})
}

// variables get to the task.
func (s *suite) variables(t *testing.T) {
	e := s.surroundings(t)
	e.succeeded(t)
	want(t, "the launch's variables", e.Envs, map[string]string{"COLOUR": "deep blue"})
	seen, _ := e.Outputs["o0"].(map[string]any)
	want(t, "what the task sees", seen["COLOUR"], "deep blue")
}

// rawPrefix is where the task stores what it makes.
func (s *suite) rawPrefix(t *testing.T) {
	e := s.surroundings(t)
	e.succeeded(t)
	prefix := filepath.Join(s.fed.Store, "own", "prefix")
	seen, _ := e.Outputs["o0"].(map[string]any)
	if raw, _ := seen["raw"].(string); !strings.HasPrefix(raw, prefix+"/") {
		t.Errorf("the task stores at %q, want a place below %q", raw, prefix)
	}
}

// context is what flytekit and the environment tell a task of itself.
func (s *suite) context(t *testing.T) {
	e := s.surroundings(t)
	e.succeeded(t)
	if !strings.HasPrefix(e.Name, "seen-") {
		t.Errorf("execution %q, want a name with the prefix seen-", e.Name)
	}
	seen, _ := e.Outputs["o0"].(map[string]any)
	for name, value := range map[string]string{
		"execution": e.Name, "task": "textkit.runs.surroundings", "version": "one", "FLYTE_ATTEMPT_NUMBER": "0",
		"FLYTE_INTERNAL_EXECUTION_PROJECT": "flytesnacks", "FLYTE_INTERNAL_EXECUTION_DOMAIN": "development",
		"FLYTE_INTERNAL_EXECUTION_WORKFLOW": "flytesnacks:development:textkit.runs.context",
	} {
		want(t, name, seen[name], value)
	}
}
