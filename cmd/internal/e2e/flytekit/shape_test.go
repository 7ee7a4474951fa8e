package flytekit

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// execution is what FlyteRemote knows of an execution, as the driver shows it.
type execution struct {
	Name    string          `json:"name"`
	Phase   string          `json:"phase"`
	Cluster string          `json:"cluster"`
	Entity  string          `json:"entity"`
	Version string          `json:"version"`
	Error   string          `json:"error"`
	Code    string          `json:"code"`
	Cause   string          `json:"cause"`
	Inputs  map[string]any  `json:"inputs"`
	Outputs map[string]any  `json:"outputs"`
	Nodes   map[string]node `json:"nodes"`

	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	Tags        []string          `json:"tags"`
	Parallelism int               `json:"parallelism"`
	Interrupt   bool              `json:"interruptible"`
	Overwrite   bool              `json:"overwrite"`
	Account     string            `json:"account"`
	Raw         string            `json:"raw"`
	Envs        map[string]string `json:"envs"`
}

type node struct {
	ID       string          `json:"id"`
	Spec     string          `json:"spec"`
	Parent   bool            `json:"parent"`
	Phase    string          `json:"phase"`
	Started  float64         `json:"started"` // seconds of Unix
	Seconds  float64         `json:"seconds"`
	Inputs   map[string]any  `json:"inputs"`
	Outputs  map[string]any  `json:"outputs"`
	Tasks    []task          `json:"tasks"`
	Children map[string]node `json:"children"`
}

type task struct {
	Attempt int      `json:"attempt"`
	Phase   string   `json:"phase"`
	Error   string   `json:"error"`
	Logs    []string `json:"logs"`
}

// succeeded fails the test if the execution did not succeed.
func (e execution) succeeded(t *testing.T) {
	t.Helper()
	if e.Phase != "SUCCEEDED" {
		t.Fatalf("%s is %s: %s %s", e.Name, e.Phase, e.Code, e.Error)
	}
}

// want compares printed values: JSON's own numbers and flytekit's are the same
// when they print the same.
func want(t *testing.T, what string, got, want any) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s = %v, want %v", what, got, want)
	}
}

// wantError compares an error with its Python class and a word that it holds.
func wantError(t *testing.T, err error, class, word string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), class) || !strings.Contains(err.Error(), word) {
		t.Errorf("got %v, want %s with %q", err, class, word)
	}
}

// show asks for an execution once it has ended.
func (s *suite) show(t *testing.T, name string) execution {
	t.Helper()
	var e execution
	s.driver.ask(t, "show", map[string]any{"execution": name}, &e)
	return e
}

// launch are the arguments of the driver's launch and run: those of flytekit.
type launch struct {
	Name      string            `json:"name"` // below textkit; of a workflow, without its module if that is workflows
	Version   string            `json:"version"`
	Inputs    map[string]any    `json:"inputs"`
	Plan      string            `json:"plan,omitempty"`
	Task      string            `json:"task,omitempty"`
	Label     string            `json:"label,omitempty"`
	Execution string            `json:"execution,omitempty"`
	Prefix    string            `json:"prefix,omitempty"`
	Pool      string            `json:"cluster_pool,omitempty"`
	Envs      map[string]string `json:"envs,omitempty"`
	Tags      []string          `json:"tags,omitempty"`
	Options   options           `json:"options"`
	Interrupt bool              `json:"interruptible,omitempty"`
	Overwrite bool              `json:"overwrite_cache,omitempty"`
}

type options struct {
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Account     string            `json:"account,omitempty"`
	Raw         string            `json:"raw,omitempty"`
	Parallelism int               `json:"parallelism,omitempty"`
}

// wait launches a workflow of the project and returns it when it has ended.
func (s *suite) wait(t *testing.T, l launch) execution {
	t.Helper()
	var e execution
	s.driver.ask(t, "run", l.full(), &e)
	return e
}

func (l launch) full() launch {
	if !strings.Contains(l.Name, ".") {
		l.Name = "workflows." + l.Name
	}
	l.Name = "textkit." + l.Name
	if l.Version == "" {
		l.Version = "one"
	}
	return l
}

// outcome is what several cases look at.
type outcome[T any] func() (T, error)

// once does something for the first case that asks, and gives all that ask by
// the same key what came out. What it does must not end the test.
func once[T any](t *testing.T, s *suite, key string, do outcome[T]) T {
	t.Helper()
	kept, _ := s.outcomes.LoadOrStore(key, outcome[T](sync.OnceValues(do)))
	got, err := kept.(outcome[T])()
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// pid is what a task that runs has written into its folder, or 0.
func pid(t *testing.T, folder string) int {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(folder, "pid"))
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(string(raw))
	if err != nil {
		t.Fatal(err)
	}
	return n
}
