package workflow

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/core"
)

// drawBranches draws conditionals on x and y, of which the second may contain
// the first, and either may run sub-workflows.
func drawBranches(t *rapid.T, subs []string) branches {
	b := branches{}
	for i, name := range []string{"p", "q"} {
		var cases []string
		for k := range rapid.IntRange(1, 3).Draw(t, name+" cases") {
			line := fmt.Sprintf("%s == %d : n%d retries=%d", rapid.SampledFrom([]string{"x", "y"}).Draw(t, "variable"), k, k, rapid.IntRange(0, 1).Draw(t, "retries"))
			switch kind := rapid.IntRange(0, 4).Draw(t, "case"); {
			case kind == 0 && i > 0:
				line += " branch=p"
			case kind == 1 && len(subs) > 0:
				line += " sub=" + rapid.SampledFrom(subs).Draw(t, "sub")
			}
			cases = append(cases, line)
		}
		b.define(name, append(cases, rapid.SampledFrom([]string{"else : n9", "else fail : no"}).Draw(t, "else")))
	}
	return b
}

func drawWorkflow(t *rapid.T, name string, subs []string) *core.CompiledWorkflow {
	conditionals := drawBranches(t, subs)
	var lines []string
	n := rapid.IntRange(1, 6).Draw(t, name+" nodes")
	for i := range n {
		var ups []string
		for j := range i {
			if rapid.IntRange(0, 2).Draw(t, "edge") == 0 {
				ups = append(ups, fmt.Sprintf("n%d", j))
			}
		}
		line := fmt.Sprintf("n%d<%s retries=%d", i, strings.Join(ups, ","), rapid.IntRange(0, 2).Draw(t, "retries"))
		switch kind := rapid.IntRange(0, 5).Draw(t, "kind"); {
		case kind < 2 && len(subs) > 0:
			line += " sub=" + rapid.SampledFrom(subs).Draw(t, "sub")
		case kind == 2:
			line += " branch=" + rapid.SampledFrom([]string{"p", "q"}).Draw(t, "branch")
		}
		lines = append(lines, line)
	}
	if rapid.Bool().Draw(t, "on failure?") {
		lines = append(lines, "on-failure efn")
	}
	return conditionals.compiled(name, rapid.SampledFrom([]string{"after", "at once"}).Draw(t, "policy"), lines)
}

// TestEveryRunKeepsThePromises drives random workflows through random fates,
// checks each step, and that each run comes to an end.
func TestEveryRunKeepsThePromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, err := newWorld(&core.CompiledWorkflowClosure{Primary: drawWorkflow(t, "wf", []string{"x", "y"}),
			SubWorkflows: []*core.CompiledWorkflow{drawWorkflow(t, "x", []string{"y"}), drawWorkflow(t, "y", nil)},
			Tasks:        []*core.CompiledTask{{Template: &core.TaskTemplate{Id: ident("task"), Type: "container"}}}})
		if err != nil {
			t.Fatal(err)
		}
		w.view.MaxParallelism = rapid.IntRange(0, 3).Draw(t, "parallel")
		w.sticky = rapid.Bool().Draw(t, "sticky")
		for range rapid.IntRange(0, 40).Draw(t, "rounds") {
			fate(t, w)
			checked(t, w)
		}
		w.view.MayStart, w.lost = true, map[string]bool{}
		for i := 0; !Phase(w.view.Status.Phase).Terminal(); i++ {
			if i > 3000 {
				t.Fatalf("no end: %v", w.view.Status)
			}
			for _, o := range w.attempts {
				if o.Phase.Rank() < flow.TaskSucceeded.Rank() {
					o.Phase, o.OutputURI = flow.TaskSucceeded, "out"
				}
			}
			w.view.Now = w.view.Now.Add(time.Minute)
			checked(t, w)
		}
		if s := w.advance(); !s.Empty() {
			t.Fatalf("something is done after the end: %+v", s)
		}
	})
}

// fate lets something happen.
func fate(t *rapid.T, w *world) {
	for _, at := range Live(w.view.Status.Nodes) {
		o := w.attempts[at]
		if o == nil || o.Phase.Rank() >= 5 {
			continue
		}
		switch rapid.IntRange(0, 9).Draw(t, "fate") {
		case 0, 1:
			o.Phase = flow.TaskRunning
		case 2, 3, 4:
			o.Phase, o.OutputURI = flow.TaskSucceeded, "out"
		case 5:
			o.Phase, o.Failure = flow.TaskRetryableFailed, &Failure{Code: "E", Retryable: true, System: rapid.Bool().Draw(t, "system")}
		case 6:
			if rapid.IntRange(0, 3).Draw(t, "for good?") == 0 {
				o.Phase, o.Failure = flow.TaskFailed, &Failure{Code: "E"}
			}
		case 7:
			delete(w.attempts, at)
		}
	}
	for _, name := range []string{"x", "y"} { // as it is when a case is chosen, and never again
		w.values[name] = plainLiteral(fmt.Sprint(rapid.IntRange(0, 3).Draw(t, name)))
	}
	w.view.MayStart = rapid.IntRange(0, 4).Draw(t, "lease") > 0
	w.lost = map[string]bool{fmt.Sprintf("n%d", rapid.IntRange(0, 12).Draw(t, "lost")): true}
	w.view.Now = w.view.Now.Add(time.Duration(rapid.IntRange(0, 20).Draw(t, "seconds")) * time.Second)
	if rapid.IntRange(0, 30).Draw(t, "abort?") == 0 {
		w.view.Abort = true
	}
}

func checked(t *rapid.T, w *world) {
	before := w.view.Status
	mayStart := w.view.MayStart
	s := w.round()
	if len(s.Starts)+len(s.Enters) > 0 && !mayStart {
		t.Fatalf("started without a lease: %v %v", s.Starts, s.Enters)
	}
	busy := 0
	for id, n := range w.view.Status.Nodes {
		monotone(t, id, before.Nodes[id], n)
		for k, at := range n.Attempts {
			if k < len(n.Attempts)-1 && !ended(at) {
				t.Fatalf("%s has two live attempts: %v", id, n.Attempts)
			}
		}
		if n.TaskType != "" && n.Phase != nodeUndefined && !flow.NodePhase(n.Phase).Terminal() {
			busy++
		}
	}
	if limit := w.view.MaxParallelism; limit > 0 && busy > limit {
		t.Fatalf("%d nodes run, %d may", busy, limit)
	}
	alive(t, w)
	chosen(t, w)
	was, is := Phase(before.Phase), Phase(w.view.Status.Phase)
	if was.Terminal() && was != is || before.Sequence > w.view.Status.Sequence {
		t.Fatalf("from %s to %s", was, is)
	}
}

// chosen: of the cases of a branch node at most one ever runs, and the node
// ends as its case does.
func chosen(t *rapid.T, w *world) {
	nodes := w.view.Status.Nodes
	taken := map[string]string{}
	for id, n := range nodes {
		if parent := nodes[n.Parent]; n.Parent == "" || parent.Target != nil || n.Phase == nodeSkipped {
			continue // not a case, or one that is not taken
		}
		if other, twice := taken[n.Parent]; twice {
			t.Fatalf("%s runs %s and %s", n.Parent, other, id)
		}
		taken[n.Parent] = id
	}
	for id, n := range nodes {
		if !n.IsParent || n.Target != nil || n.Phase != nodeSucceeded || n.Sequence == 0 {
			continue // not a branch node that went well at this epoch
		}
		if c := nodes[taken[id]]; c.Phase != nodeSucceeded || c.OutputURI != n.OutputURI {
			t.Fatalf("%s succeeded with %s, its case is %v", id, n.OutputURI, c)
		}
	}
}

// alive: of each node at most one attempt exists that has not ended.
func alive(t *rapid.T, w *world) {
	live := map[string]int{}
	for at, o := range w.attempts {
		if o.Phase.Rank() < 5 {
			if live[at.Node]++; live[at.Node] > 1 {
				t.Fatalf("two attempts of %s run", at.Node)
			}
		}
	}
}

func monotone(t *rapid.T, id string, was, is v1alpha1.NodeStatus) {
	if p := flow.NodePhase(was.Phase); p.Terminal() && was.Phase != is.Phase {
		t.Fatalf("%s went on from %s to %s", id, p, flow.NodePhase(is.Phase))
	}
	for k, at := range was.Attempts {
		if k >= len(is.Attempts) {
			t.Fatalf("%s lost an attempt", id)
		}
		next := is.Attempts[k]
		if ended(at) && at.Phase != next.Phase || flow.TaskPhase(at.Phase).Rank() > flow.TaskPhase(next.Phase).Rank() {
			t.Fatalf("%s #%d went from %s to %s", id, k, flow.TaskPhase(at.Phase), flow.TaskPhase(next.Phase))
		}
		if at.Phase != next.Phase && at.Sequence == next.Sequence {
			t.Fatalf("%s #%d changed without a new sequence", id, k)
		}
	}
	if was.Phase != is.Phase && was.Sequence == is.Sequence && is.Sequence > 0 {
		t.Fatalf("%s changed without a new sequence", id)
	}
}

// TestTheFixpointIsQuiet: with nothing new, deciding comes to rest.
func TestTheFixpointIsQuiet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, err := newWorld(&core.CompiledWorkflowClosure{Primary: drawWorkflow(t, "wf", []string{"x"}),
			SubWorkflows: []*core.CompiledWorkflow{drawWorkflow(t, "x", nil)},
			Tasks:        []*core.CompiledTask{{Template: &core.TaskTemplate{Id: ident("task"), Type: "container"}}}})
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; ; i++ {
			if s := w.round(); s.Empty() {
				return
			} else if i > 20 {
				t.Fatalf("no rest: %+v", s)
			}
		}
	})
}

func FuzzIDs(f *testing.F) {
	f.Add("n0", 0, "n1", "a0123456789", uint64(1))
	f.Add("a-very-long-parent-id", 11, "ä_B", "UPPER", uint64(7))
	f.Fuzz(func(t *testing.T, parent string, attempt int, node, execution string, epoch uint64) {
		id := UniqueNodeID(parent, attempt, node)
		if len(id) > maxNodeID || id != UniqueNodeID(parent, attempt, node) {
			t.Errorf("node id %q", id)
		}
		name := ObjectName(execution, flow.Epoch{Era: 1, N: epoch}, id, attempt)
		if len(name) > maxObjectName || !dnsLabel(name) {
			t.Errorf("object name %q", name)
		}
	})
}

func TestIDsAreFlytes(t *testing.T) {
	if got := UniqueNodeID("n0", 0, "n1"); got != "n0-0-n1" {
		t.Error(got)
	}
	if got := UniqueNodeID("n0-0-n1", 0, "a-long-node-id"); len(got) != 8 || got[0] != 'f' {
		t.Error(got)
	}
	if got := ObjectName("ex", flow.Epoch{N: 2}, "n0", 1); got != "ex-e2-n0-1" {
		t.Error(got)
	}
	if got := ObjectName(strings.Repeat("x", 60), flow.Epoch{N: 1}, "n0", 1); len(got) != 14 || got[0] != 'f' {
		t.Error(got)
	}
}

func BenchmarkAdvance5000(b *testing.B) {
	lines := make([]string, 5000)
	for i := range lines {
		lines[i] = fmt.Sprintf("n%d<", i)
		if i >= 100 {
			lines[i] = fmt.Sprintf("n%d<n%d", i, i-100)
		}
	}
	w, err := newWorld(&core.CompiledWorkflowClosure{Primary: compiled("wf", "", lines),
		Tasks: []*core.CompiledTask{{Template: &core.TaskTemplate{Id: ident("task"), Type: "container"}}}})
	if err != nil {
		b.Fatal(err)
	}
	for range 25 {
		w.round()
		for _, o := range w.attempts {
			o.Phase, o.OutputURI = flow.TaskSucceeded, "out"
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		w.advance()
	}
}
