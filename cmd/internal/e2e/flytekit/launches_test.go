package flytekit

import (
	"cmp"
	"maps"
	"regexp"
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

// fetched runs a task that FlyteRemote has fetched, without a name for the
// execution.
func (s *suite) fetched(t *testing.T) {
	e := s.wait(t, launch{Task: "textkit.tasks.add", Inputs: values{"a": 1, "b": 2}})
	e.succeeded(t)
	want(t, "outputs", e.Outputs, values{"o0": 3})
	if !regexp.MustCompile(`^a[a-z0-9]{19}$`).MatchString(e.Name) {
		t.Errorf("execution %q, want a generated name", e.Name)
	}
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

// pool asks for what no federation of ours has.
func (s *suite) pool(t *testing.T) {
	err := s.driver.try("launch", launch{Name: "inner", Pool: "gpus", Inputs: values{"a": 1}}.full(), nil)
	wantError(t, err, "FlyteInvalidInputException", "cluster_pool_name")
}

// parallelism of one has nodes that wait for none run one after another.
func (s *suite) parallelism(t *testing.T) {
	e := s.wait(t, launch{Name: "runs.rowing", Options: options{Parallelism: 1}})
	e.succeeded(t)
	nodes := slices.SortedFunc(maps.Values(e.Nodes), func(a, b node) int { return cmp.Compare(a.Started, b.Started) })
	want(t, "nodes", len(nodes), 3)
	for i, n := range nodes[1:] {
		if end := nodes[i].Started + nodes[i].Seconds; n.Started < end {
			t.Errorf("%s started at %f, before %s ended at %f", n.ID, n.Started, nodes[i].ID, end)
		}
	}
}

// twice uses a name twice: flytekit takes the second for the first.
func (s *suite) twice(t *testing.T) {
	for _, a := range []int{1, 2} {
		e := s.wait(t, launch{Name: "inner", Execution: "twice", Inputs: values{"a": a}})
		e.succeeded(t)
		want(t, "outputs", e.Outputs, map[string]any{"o0": 2})
	}
	var recent []string
	s.driver.ask(t, "recent", map[string]any{"limit": 100}, &recent)
	count := 0
	for _, name := range recent {
		if name == "twice" {
			count++
		}
	}
	want(t, "executions of that name", count, 1)
}

// greeted is an execution of a launch plan by its name on the command line.
func (s *suite) greeted(t *testing.T) execution {
	t.Helper()
	return once(t, s, "greeted", func() (e execution, err error) {
		if _, err = s.pyflyte(t, s.dir, slices.Concat([]string{"run", "--remote", "--wait", "--poll-interval", "1", "--name", "greet",
			"--envvars", "PUNCTUATION=!"}, target, []string{"remote-launchplan", "textkit.greet_twice:one"})...); err == nil {
			err = s.driver.try("show", map[string]any{"execution": "greet"}, &e)
		}
		return e, err
	})
}

// greeting takes a default and a fixed input from the plan.
func (s *suite) greeting(t *testing.T) {
	e := s.greeted(t)
	e.succeeded(t)
	want(t, "output", e.Outputs["o0"], "hello Ada hello Ada!")
}

// address reads by a flyte:// address.
func (s *suite) address(t *testing.T) {
	s.greeted(t)
	var got map[string]any
	s.driver.ask(t, "get", map[string]any{"url": "flyte://v1/flytesnacks/development/greet/n0/i",
		"types": map[string]string{"name": "str", "times": "int"}}, &got)
	want(t, "inputs by address", got, map[string]any{"name": "Ada", "times": 2})
}

// deck is what a task shows of itself.
func (s *suite) deck(t *testing.T) {
	s.greeted(t)
	var deck string
	s.driver.ask(t, "deck", map[string]any{"execution": "greet", "node": "n0"}, &deck)
	if !strings.Contains(deck, "<b>Ada</b>") {
		t.Errorf("deck %q, want the task's", deck)
	}
}

// relaunched runs an execution again, by the command.
func (s *suite) relaunched(t *testing.T) {
	s.greeted(t)
	out, err := s.pyflyte(t, s.dir, slices.Concat([]string{"execution"}, target, []string{"--execution-id", "greet", "relaunch"})...)
	if err != nil {
		t.Fatalf("relaunch: %v\n%s", err, out)
	}
	_, name, _ := strings.Cut(out, "ex:flytesnacks:development:")
	e := s.show(t, strings.TrimSpace(name))
	e.succeeded(t)
	want(t, "output of the relaunch", e.Outputs["o0"], "hello Ada hello Ada!")
}
