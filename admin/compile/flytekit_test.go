package compile

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/proto"

	"github.com/skein-project/skein/api/flyteidl/admin"
	"github.com/skein-project/skein/api/flyteidl/core"
)

// shapes is what flytekit registers for testdata/shapes.py.
type shapes struct {
	tasks     []*admin.TaskSpec
	workflows []*admin.WorkflowSpec
	plans     []*admin.LaunchPlan
}

func readAll[T any, P interface {
	*T
	proto.Message
}](tb testing.TB, file string) []P {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		tb.Fatal(err)
	}
	var out []P
	for r := bytes.NewReader(data); ; {
		m := P(new(T))
		err := protodelim.UnmarshalFrom(r, m)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			tb.Fatal(err)
		}
		out = append(out, m)
	}
}

func readShapes(tb testing.TB) shapes {
	return shapes{
		tasks:     readAll[admin.TaskSpec](tb, "tasks.pb"),
		workflows: readAll[admin.WorkflowSpec](tb, "workflows.pb"),
		plans:     readAll[admin.LaunchPlan](tb, "launch_plans.pb"),
	}
}

// planOf does what the registration of a launch plan does: defaults of the
// plan, and the rest of the inputs as required.
func (s shapes) planOf(p *admin.LaunchPlan) Interface {
	for _, w := range s.workflows {
		if Key(w.GetTemplate().GetId()) != Key(p.GetSpec().GetWorkflowId()) {
			continue
		}
		parameters := map[string]*core.Parameter{}
		for name, v := range w.GetTemplate().GetInterface().GetInputs().GetVariables() {
			parameters[name] = &core.Parameter{Var: v, Behavior: &core.Parameter_Required{Required: true}}
			if d := p.GetSpec().GetDefaultInputs().GetParameters()[name]; d != nil {
				parameters[name] = d
			}
		}
		return Interface{Inputs: &core.ParameterMap{Parameters: parameters}, Outputs: w.GetTemplate().GetInterface().GetOutputs()}
	}
	return Interface{}
}

func (s shapes) input(tb testing.TB, w *admin.WorkflowSpec) Input {
	in := Input{ID: w.GetTemplate().GetId(), Template: w.GetTemplate(), SubWorkflows: w.GetSubWorkflows(),
		Tasks: map[string]*core.CompiledTask{}, LaunchPlans: map[string]Interface{}}
	for _, t := range s.tasks {
		compiled, err := Task(t.GetTemplate())
		if err != nil {
			tb.Fatal(err)
		}
		in.Tasks[Key(t.GetTemplate().GetId())] = compiled
	}
	for _, p := range s.plans {
		in.LaunchPlans[Key(p.GetId())] = s.planOf(p)
	}
	return in
}

func TestWhatFlytekitRegistersCompiles(t *testing.T) {
	s := readShapes(t)
	if len(s.workflows) < 20 || len(s.plans) == 0 {
		t.Fatalf("%d workflows and %d plans were read", len(s.workflows), len(s.plans))
	}
	for _, w := range s.workflows {
		t.Run(w.GetTemplate().GetId().GetName(), func(t *testing.T) {
			in := s.input(t, w)
			before := proto.Clone(w)
			closure, err := Workflow(in)
			if err != nil {
				t.Fatal(err)
			}
			if !proto.Equal(before, w) {
				t.Error("the request was changed")
			}
			checkClosure(t, closure)
		})
	}
}

// checkClosure checks what holds of every compiled workflow.
func checkClosure(t testing.TB, closure *core.CompiledWorkflowClosure) {
	t.Helper()
	for _, w := range append(closure.GetSubWorkflows()[:len(closure.GetSubWorkflows()):len(closure.GetSubWorkflows())], closure.GetPrimary()) {
		nodes := w.GetTemplate().GetNodes()
		if nodes[0].GetId() != StartNode || nodes[len(nodes)-1].GetId() != EndNode {
			t.Errorf("nodes run from %q to %q", nodes[0].GetId(), nodes[len(nodes)-1].GetId())
		}
		up, down := w.GetConnections().GetUpstream(), w.GetConnections().GetDownstream()
		for id, list := range up {
			for _, from := range list.GetIds() {
				if !contains(down[from].GetIds(), id) {
					t.Errorf("%s is upstream of %s, but not the other way round", from, id)
				}
			}
		}
		reached := map[string]bool{}
		var visit func(string)
		visit = func(id string) {
			if !reached[id] {
				reached[id] = true
				for _, next := range down[id].GetIds() {
					visit(next)
				}
			}
		}
		visit(StartNode)
		for _, n := range nodes {
			if !reached[n.GetId()] {
				t.Errorf("%s cannot be reached", n.GetId())
			}
		}
	}
}

func contains(list []string, want string) bool {
	for _, s := range list {
		if s == want {
			return true
		}
	}
	return false
}
