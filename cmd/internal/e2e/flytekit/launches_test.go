package flytekit

import (
	"slices"
	"strings"
	"syscall"
	"testing"
)

// single runs a task of its own, in the workflow that is made for it.
func (s *suite) single(t *testing.T) {
	out, err := s.run(t, "single", "tasks.py", "add", nil, "--a", "20", "--b", "22")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	e := s.show(t, "single")
	want(t, "entity", e.Entity, "textkit.tasks.add")
	want(t, "outputs", e.Outputs, map[string]any{"o0": 42})
	want(t, "nodes", len(e.Nodes), 1)
}

// nowhere waits in the queue, as any client expects, until it is ended.
func (s *suite) nowhere(t *testing.T) {
	var e execution
	l := launch{Name: "inner", Execution: "nowhere", Label: "region=mars", Inputs: map[string]any{"a": 1}}
	s.driver.ask(t, "launch", l.full(), &e)
	eventually(t, "it is queued", func() bool {
		s.driver.ask(t, "refresh", map[string]any{"execution": "nowhere"}, &e)
		return e.Phase == "QUEUED"
	})
	want(t, "cluster", e.Cluster, "")
	s.driver.ask(t, "terminate", map[string]any{"execution": "nowhere", "cause": "nobody lives there"}, nil)
	e = s.show(t, "nowhere")
	want(t, "phase and cause", e.Phase+" "+e.Cause, "ABORTED nobody lives there")
}

// terminated ends an execution and sees its process go.
func (s *suite) terminated(t *testing.T) {
	folder := s.shared(t)
	var e execution
	s.driver.ask(t, "launch", launch{Name: "holding", Execution: "holding", Inputs: map[string]any{"folder": folder}}.full(), &e)
	eventually(t, "the task runs", func() bool { return pid(t, folder) > 0 })
	s.driver.ask(t, "terminate", map[string]any{"execution": "holding", "cause": "seen enough"}, nil)
	e = s.show(t, "holding")
	want(t, "phase", e.Phase, "ABORTED")
	want(t, "cause", e.Cause, "seen enough")
	eventually(t, "the process is gone", func() bool { return syscall.Kill(pid(t, folder), 0) == syscall.ESRCH })
	eventually(t, "the node is aborted", func() bool { return s.show(t, "holding").Nodes["n0"].Phase == "ABORTED" })
}

// plan uses a launch plan with a default and a fixed input, first by its name
// on the command line.
func (s *suite) plan(t *testing.T) {
	s.must(t, s.dir, slices.Concat([]string{"run", "--remote", "--wait", "--poll-interval", "1", "--name", "greet",
		"--envvars", "PUNCTUATION=!"}, target, []string{"remote-launchplan", "textkit.greet_twice:one"})...)
	e := s.show(t, "greet")
	e.succeeded(t)
	want(t, "output", e.Outputs["o0"], "hello Ada hello Ada!")
	var got map[string]any
	s.driver.ask(t, "get", map[string]any{"url": "flyte://v1/flytesnacks/development/greet/n0/i",
		"types": map[string]string{"name": "str", "times": "int"}}, &got)
	want(t, "inputs by address", got, map[string]any{"name": "Ada", "times": 2})
	var deck string
	s.driver.ask(t, "deck", map[string]any{"execution": "greet", "node": "n0"}, &deck)
	if !strings.Contains(deck, "<b>Ada</b>") {
		t.Errorf("deck %q, want the task's", deck)
	}
	var versions map[string]string
	s.driver.ask(t, "newest", map[string]any{"name": "textkit.workflows.which"}, &versions)
	want(t, "active version", versions["active"], "one")
	l := launch{Name: "greet", Plan: "textkit.greet_twice", Inputs: map[string]any{"times": 3}}
	if err := s.driver.try("run", l.full(), &e); err == nil || !strings.Contains(err.Error(), "times") {
		t.Errorf("a fixed input was overridden: %v", err)
	}
	out, err := s.pyflyte(t, s.dir, slices.Concat([]string{"execution"}, target, []string{"--execution-id", "greet", "relaunch"})...)
	if err != nil {
		t.Fatalf("relaunch: %v\n%s", err, out)
	}
	_, name, _ := strings.Cut(out, "ex:flytesnacks:development:")
	e = s.show(t, strings.TrimSpace(name))
	e.succeeded(t)
	want(t, "output of the relaunch", e.Outputs["o0"], "hello Ada hello Ada!")
}

// twice uses a name twice: flytekit takes the second for the first.
func (s *suite) twice(t *testing.T) {
	for _, a := range []string{"1", "2"} {
		out, err := s.run(t, "twice", "tasks.py", "add", nil, "--a", a, "--b", "1")
		if err != nil || !strings.Contains(out, "twice has succeeded") {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	want(t, "outputs", s.show(t, "twice").Outputs, map[string]any{"o0": 2})
	var recent []string
	s.driver.ask(t, "recent", map[string]any{"limit": 50}, &recent)
	count := 0
	for _, name := range recent {
		if name == "twice" {
			count++
		}
	}
	want(t, "executions of that name", count, 1)
}
