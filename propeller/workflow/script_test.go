package workflow

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/core"
)

// TestScripts plays testdata: what a person reads there is what is decided.
//
//	workflow [policy=after]   one node a line; replaces the world
//	sub name=x [policy=after] a sub-workflow for the next workflow
//	branch name=x             a conditional for what follows; see define
//	given x=1                 what conditions compare
//	step [n=1]                rounds; prints actions and what changed
//	is node attempt phase [code=] [system] [retryable] [doomed]
//	set [abort] [start=false] [parallel=2] [sticky] [lose=node] [find=node]
//	tick 10s
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		s := &script{branches: branches{}}
		datadriven.RunTest(t, path, s.run)
	})
}

type script struct {
	w        *world
	subs     []*core.CompiledWorkflow
	branches branches
}

func lines(d *datadriven.TestData) []string {
	return strings.FieldsFunc(d.Input, func(r rune) bool { return r == '\n' })
}

func (s *script) run(t *testing.T, d *datadriven.TestData) string {
	policy := "at once"
	d.MaybeScanArgs(t, "policy", &policy)
	switch d.Cmd {
	case "sub":
		var name string
		d.ScanArgs(t, "name", &name)
		s.subs = append(s.subs, s.branches.compiled(name, policy, lines(d)))
		return ""
	case "branch":
		var name string
		d.ScanArgs(t, "name", &name)
		s.branches.define(name, lines(d))
		return ""
	case "given":
		for _, a := range d.CmdArgs {
			s.w.values[a.Key] = plainLiteral(a.Vals[0])
		}
		return ""
	case "workflow":
		var err error
		s.w, err = newWorld(&core.CompiledWorkflowClosure{Primary: s.branches.compiled("wf", policy, lines(d)), SubWorkflows: s.subs,
			Tasks: []*core.CompiledTask{{Template: &core.TaskTemplate{Id: ident("task"), Type: "container"}}}})
		s.subs = nil
		if err != nil {
			return err.Error()
		}
		return ""
	case "step":
		n := 1
		d.MaybeScanArgs(t, "n", &n)
		var b strings.Builder
		for range n {
			show(&b, s.w.view, s.w.round())
		}
		return b.String()
	case "is":
		return s.is(d)
	case "set":
		return s.set(t, d)
	case "tick":
		by, err := time.ParseDuration(d.CmdArgs[0].Key)
		if err != nil {
			t.Fatal(err)
		}
		s.w.view.Now = s.w.view.Now.Add(by)
		return ""
	}
	t.Fatalf("%s: no command %q", d.Pos, d.Cmd)
	return ""
}

func (s *script) is(d *datadriven.TestData) string {
	at := Attempt{Node: d.CmdArgs[0].Key}
	_, _ = fmt.Sscan(d.CmdArgs[1].Key, &at.Number)
	if d.CmdArgs[2].Key == "gone" {
		delete(s.w.attempts, at)
		return ""
	}
	o := &Observation{}
	for p := flow.TaskQueued; p <= flow.TaskRetryableFailed; p++ {
		if strings.EqualFold(p.String(), d.CmdArgs[2].Key) {
			o.Phase = p
		}
	}
	if o.Phase == flow.TaskSucceeded {
		o.OutputURI = "out"
	}
	for _, a := range d.CmdArgs[3:] {
		if o.Failure == nil {
			o.Failure = &Failure{Message: "because"}
		}
		switch a.Key {
		case "code":
			o.Failure.Code = a.Vals[0]
		case "system":
			o.Failure.System = true
		case "retryable":
			o.Failure.Retryable = true
		}
	}
	s.w.attempts[at] = o
	return ""
}

func (s *script) set(t *testing.T, d *datadriven.TestData) string {
	v := &s.w.view
	for _, a := range d.CmdArgs {
		switch a.Key {
		case "abort":
			v.Abort, v.Cause = true, "enough"
		case "start":
			v.MayStart = a.Vals[0] == "true"
		case "parallel":
			_, _ = fmt.Sscan(a.Vals[0], &v.MaxParallelism)
		case "sticky":
			s.w.sticky = true
		case "lose":
			s.w.lost[a.Vals[0]] = true
		case "find":
			delete(s.w.lost, a.Vals[0])
		default:
			t.Fatalf("%s: no setting %q", d.Pos, a.Key)
		}
	}
	return ""
}

func show(b *strings.Builder, v View, s Step) {
	if s.Empty() {
		b.WriteString("nothing")
		if !s.Next.IsZero() {
			fmt.Fprintf(b, "; look again in %s", s.Next.Sub(v.Now))
		}
		b.WriteString("\n")
		return
	}
	for _, e := range s.Enters {
		fmt.Fprintf(b, "enter %s %s\n", e.Node, e.Inputs.URI)
	}
	for _, e := range s.Starts {
		fmt.Fprintf(b, "start %s #%d as %s → %s\n", e.Node, e.Number, e.Object, e.OutputPrefix)
	}
	for _, e := range s.Ends {
		fmt.Fprintf(b, "end %s → %s\n", e.Node, strings.Join(e.URIs, " "))
	}
	for _, e := range s.Aborts {
		fmt.Fprintf(b, "abort %s #%d\n", e.Node, e.Number)
	}
	if s.Status.PhaseSequence == s.Status.Sequence {
		fmt.Fprintf(b, "= %s", s.Status.Phase)
		if e := s.Status.Error; e != nil {
			fmt.Fprintf(b, " %s %s: %s", e.Kind, e.Code, e.Message)
		}
		b.WriteString("\n")
	}
	for _, id := range slices.Sorted(maps.Keys(s.Nodes)) {
		n := s.Nodes[id]
		fmt.Fprintf(b, "  %s %s", id, flow.NodePhase(n.Phase))
		for _, at := range n.Attempts {
			fmt.Fprintf(b, " %s", flow.TaskPhase(at.Phase))
		}
		if e := n.Error; e != nil {
			fmt.Fprintf(b, " (%s)", e.Code)
		}
		b.WriteString("\n")
	}
}
