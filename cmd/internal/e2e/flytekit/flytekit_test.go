package flytekit

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// TestFlytekit is everything that users of flytekit do, on one federation.
func TestFlytekit(t *testing.T) {
	s := start(t)
	t.Run("two editions are registered", s.registration)
	if t.Failed() {
		return
	}
	t.Run("side by side", func(t *testing.T) {
		t.Run("two editions run, each its own code", func(t *testing.T) { t.Parallel(); s.editions(t) })
		t.Run("registering again", func(t *testing.T) { t.Parallel(); s.again(t) })
		t.Run("what is not built is refused by name", func(t *testing.T) { t.Parallel(); s.refused(t) })
		t.Run("stored data goes round", func(t *testing.T) { t.Parallel(); s.parcel(t) })
		t.Run("values of each type go round", func(t *testing.T) { t.Parallel(); s.typed(t) })
		t.Run("a single task", func(t *testing.T) { t.Parallel(); s.single(t) })
		t.Run("a failure reaches the client", func(t *testing.T) { t.Parallel(); s.failure(t) })
		t.Run("a failure is cleaned up after", func(t *testing.T) { t.Parallel(); s.cleanup(t) })
		t.Run("other ways to fail", func(t *testing.T) { t.Parallel(); s.patient(t) })
		t.Run("files on the command line", func(t *testing.T) { t.Parallel(); s.files(t) })
		t.Run("a label that no cluster has", func(t *testing.T) { t.Parallel(); s.nowhere(t) })
		t.Run("a dynamic task fails by name", func(t *testing.T) { t.Parallel(); s.dynamic(t) })
		t.Run("retries", func(t *testing.T) { t.Parallel(); s.retries(t) })
		t.Run("sub-workflows", func(t *testing.T) { t.Parallel(); s.subworkflows(t) })
		t.Run("order and picked parts", func(t *testing.T) { t.Parallel(); s.bindings(t) })
		t.Run("an execution is ended", func(t *testing.T) { t.Parallel(); s.terminated(t) })
		t.Run("a launch plan's inputs", func(t *testing.T) { t.Parallel(); s.plan(t) })
		t.Run("a name taken twice", func(t *testing.T) { t.Parallel(); s.twice(t) })
	})
	t.Run("the home is as it was", s.untouched)
}

// registration registers both editions at once.
func (s *suite) registration(t *testing.T) {
	var both sync.WaitGroup
	for version, dir := range map[string]string{"one": s.one, "two": s.two} {
		both.Go(func() {
			if out, err := s.register(t, dir, version); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	both.Wait()
}

// editions runs both at the same time: each task waits for the other's mark.
func (s *suite) editions(t *testing.T) {
	folder := s.shared(t)
	var both sync.WaitGroup
	for _, version := range []string{"one", "two"} {
		both.Go(func() {
			var e execution
			l := launch{Name: "which", Version: version, Inputs: map[string]any{"folder": folder, "count": 2}}
			if err := s.driver.try("run", l.full(), &e); err != nil {
				t.Error(err)
				return
			}
			want(t, "phase "+e.Error, e.Phase, "SUCCEEDED")
			want(t, "edition", e.Outputs["o0"], version)
		})
	}
	both.Wait()
}

// again registers the same, which is no error, and other code in the same
// version, which is one.
func (s *suite) again(t *testing.T) {
	if out, err := s.register(t, s.one, "one"); err != nil {
		t.Errorf("unchanged: %v\n%s", err, out)
	}
	out, err := s.register(t, s.two, "one")
	if err == nil || !strings.Contains(out, "different structure") {
		t.Errorf("changed: %v, want it refused for its different structure\n%s", err, out)
	}
}

func (s *suite) refused(t *testing.T) {
	refused, err := filepath.Abs(filepath.Join("testdata", "refused"))
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.pyflyte(t, refused, slices.Concat([]string{"register"}, target, []string{"-v", "one", "branching.py"})...)
	if err == nil {
		t.Fatalf("a conditional was registered\n%s", out)
	}
	if !strings.Contains(out, `node "n0" of workflow "branching.choose" is a branch node`) {
		t.Errorf("the message does not name the node and its kind\n%s", out)
	}
	kinds := map[string]string{
		"mapped": "is an array node", "approved": "is a gate node", "asked": "is a gate node", "slept": "is a gate node",
		"parent": "is a launch-plan node",
	}
	var said map[string]string
	s.driver.ask(t, "refusals", map[string]any{"folder": refused, "names": slices.Sorted(maps.Keys(kinds))}, &said)
	for name, kind := range kinds {
		if !strings.Contains(said[name], `of workflow "others.`+name+`" `+kind) || !strings.Contains(said[name], "UNIMPLEMENTED") {
			t.Errorf("%s: %q, want it refused because it %s", name, said[name], kind)
		}
	}
}

func (s *suite) parcel(t *testing.T) {
	var e struct {
		execution
		Texts  map[string]string `json:"texts"`
		Counts map[string]int    `json:"counts"`
		Frame  map[string]any    `json:"frame"`
	}
	s.driver.ask(t, "parcel", map[string]any{"version": "one", "folder": s.shared(t)}, &e)
	e.succeeded(t)
	want(t, "texts", e.Texts, map[string]string{"a.txt": "a++", "deep/b.txt": "bb", "file": "file++"})
	want(t, "pickle", e.Counts, map[string]int{"sent": 1, "carried": 2})
	want(t, "dataframe", e.Frame, map[string]any{"word": []string{"x", "y"}, "n": []int{3, 4}})
}

func (s *suite) typed(t *testing.T) {
	out, err := s.run(t, "typed", "workflows.py", "typed", []string{"--execution-cluster-label", "region=us-east",
		"--labels", "team=looms", "--tag", "blue", "--max-parallelism", "7"},
		"--whole", "41", "--real", "1.5", "--yes", "--when", "2024-02-29T10:00:00", "--span", "2h", "--color", "red",
		"--numbers", "[1,2,3]", "--nested", `[{"a":1}]`, "--table", `{"k":"v"}`, "--either", "word",
		"--shape", `{"name":"tri","corners":3,"sides":[1.0,2.0],"notes":{"k":"v"}}`)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	e := s.show(t, "typed")
	e.succeeded(t)
	want(t, "cluster", e.Cluster, "us-1")
	want(t, "labels", e.Labels["team"], "looms")
	want(t, "tags", e.Tags, []string{"blue"})
	want(t, "parallelism", e.Parallelism, 7)
	for name, value := range map[string]any{
		"whole": 42, "real": 3, "yes": false, "text": "by default!", "when": "2024-02-29 12:00:00+00:00", "span": "4:00:00",
		"color": "green", "numbers": []int{3, 2, 1}, "nested": []any{map[string]int{"a": 1}, map[string]int{"more": 1}},
		"table": map[string]string{"v": "k"}, "maybe": nil, "either": "word?",
	} {
		want(t, name, e.Outputs[name], value)
	}
	shape, _ := e.Outputs["shape"].(map[string]any)
	want(t, "shape", shape, map[string]any{"name": "tris", "corners": 4, "sides": []float64{1, 2, 0.5},
		"notes": map[string]string{"k": "v", "seen": "yes"}, "parent": "tri"})
	n := e.Nodes["n0"]
	want(t, "node's input", n.Inputs["whole"], 41)
	want(t, "node's output", n.Outputs["whole"], 42)
}

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

func (s *suite) failure(t *testing.T) {
	out, err := s.run(t, "failing", "workflows.py", "failing", nil, "--text", "dice")
	if err == nil || !strings.Contains(out, "no luck with hello dice") || !strings.Contains(out, "phase FAILED") {
		t.Errorf("%v, want the task's own words\n%s", err, out)
	}
	e := s.show(t, "failing")
	want(t, "phase", e.Phase, "FAILED")
	want(t, "first node", e.Nodes["n0"].Phase, "SUCCEEDED")
	want(t, "second node", e.Nodes["n1"].Phase, "FAILED")
	if tasks := e.Nodes["n1"].Tasks; len(tasks) != 1 || !strings.Contains(tasks[0].Error, "no luck") {
		t.Errorf("task executions %v, want one that tells its error", tasks)
	}
}

// patient fails by an exit code and by a timeout, while a third node, which
// waits for neither, succeeds.
func (s *suite) patient(t *testing.T) {
	e := s.wait(t, launch{Name: "patient", Inputs: map[string]any{"folder": s.shared(t)}})
	want(t, "phase", e.Phase, "FAILED")
	for id, c := range map[string]struct{ phase, says string }{
		"n0": {"FAILED", "exit code (3)"}, "n1": {"FAILED", "timeout [1s] expired"}, "n2": {"SUCCEEDED", ""},
	} {
		n := e.Nodes[id]
		want(t, id, n.Phase, c.phase)
		if len(n.Tasks) != 1 || !strings.Contains(n.Tasks[0].Error, c.says) {
			t.Errorf("%s: task executions %v, want one that says %q", id, n.Tasks, c.says)
		}
	}
}

// files sends paths by pyflyte itself.
func (s *suite) files(t *testing.T) {
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

func (s *suite) dynamic(t *testing.T) {
	e := s.wait(t, launch{Name: "growing", Inputs: map[string]any{"n": 2}})
	want(t, "phase", e.Phase, "FAILED")
	if !strings.Contains(e.Code+e.Error, "DynamicNotSupported") {
		t.Errorf("error %s %s, want DynamicNotSupported", e.Code, e.Error)
	}
}

func (s *suite) retries(t *testing.T) {
	for good, phase := range map[int]string{3: "SUCCEEDED", 4: "FAILED"} {
		t.Run(phase, func(t *testing.T) { t.Parallel(); s.retry(t, good, phase) })
	}
}

func (s *suite) retry(t *testing.T, good int, phase string) {
	folder := s.shared(t)
	e := s.wait(t, launch{Name: "trying", Inputs: map[string]any{"folder": folder, "good": good}})
	want(t, "phase", e.Phase, phase)
	var attempts []int
	for _, task := range e.Nodes["n0"].Tasks {
		attempts = append(attempts, task.Attempt)
	}
	slices.Sort(attempts)
	want(t, "attempts", attempts, []int{0, 1, 2})
	ran, err := os.ReadDir(folder)
	if err != nil || len(ran) != 3 {
		t.Errorf("the task ran %d times (%v), want 3", len(ran), err)
	}
	if phase == "FAILED" && !strings.Contains(e.Error, "attempt 3 is not good") {
		t.Errorf("error %q, want the last attempt's", e.Error)
	}
}

func (s *suite) subworkflows(t *testing.T) {
	e := s.wait(t, launch{Name: "outer", Inputs: map[string]any{"a": 1}})
	e.succeeded(t)
	want(t, "output", e.Outputs["o0"], 12)
	middle := e.Nodes["n0"]
	inner := middle.Children["n0"]
	leaf := inner.Children["n0"]
	want(t, "nodes with children", []bool{middle.Parent, inner.Parent, leaf.Parent}, []bool{true, true, false})
	want(t, "output of the innermost", leaf.Outputs["o0"], 2)
	want(t, "output of the sub-workflow", middle.Outputs["o0"], 2)
	want(t, "its tasks", len(leaf.Tasks), 1)
	want(t, "nodes on top", len(e.Nodes), 2)
	want(t, "the node of a chosen name", e.Nodes["sum"].Phase, "SUCCEEDED")
}

// bindings orders tasks without data, and picks parts of a structured output.
func (s *suite) bindings(t *testing.T) {
	e := s.wait(t, launch{Name: "ordered", Inputs: map[string]any{"folder": s.shared(t)}})
	e.succeeded(t)
	want(t, "marks seen by the second", e.Outputs["o0"], 1)
	e = s.wait(t, launch{Name: "picking", Inputs: map[string]any{"name": "Ada"}})
	e.succeeded(t)
	want(t, "output", e.Outputs["o0"], "hello Ada Smith hello Ada Smith")
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

// untouched looks for traces of the project where tasks and clients live.
func (s *suite) untouched(t *testing.T) {
	homes := []string{s.home, "/root"} // where "pyflyte register" tells tasks to put their code
	if home, err := os.UserHomeDir(); err == nil {
		homes = append(homes, home)
	}
	for _, home := range homes {
		for _, name := range []string{"textkit", "branching.py"} {
			if _, err := os.Lstat(filepath.Join(home, name)); err == nil {
				t.Errorf("%s was written into %s", name, home)
			}
		}
	}
	left, err := os.ReadDir(s.home)
	if err != nil || len(left) > 0 {
		t.Errorf("the client's home has %v (%v), want nothing", left, err)
	}
}
