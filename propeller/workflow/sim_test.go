package workflow

import (
	"fmt"
	"maps"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/core"
)

func ident(name string) *core.Identifier {
	return &core.Identifier{Project: "p", Domain: "d", Name: name, Version: "v"}
}

// branches are the conditionals that nodes may name, as they were read last.
type branches map[string]*core.IfElseBlock

// nodeSpec reads "id", "id<up,up", with options "retries=1", "timeout=10s",
// "sub=name", "branch=name" after blanks.
func (branches branches) nodeSpec(line string) *core.Node {
	words := strings.Fields(line)
	id, ups, _ := strings.Cut(words[0], "<")
	n := &core.Node{Id: id, Metadata: &core.NodeMetadata{}}
	if ups != "" {
		n.UpstreamNodeIds = strings.Split(ups, ",")
	}
	n.Target = &core.Node_TaskNode{TaskNode: &core.TaskNode{Reference: &core.TaskNode_ReferenceId{ReferenceId: ident("task")}}}
	for _, w := range words[1:] {
		k, v, _ := strings.Cut(w, "=")
		switch k {
		case "retries":
			var r uint32
			_, _ = fmt.Sscan(v, &r)
			n.Metadata.Retries = &core.RetryStrategy{Retries: r}
		case "timeout":
			d, _ := time.ParseDuration(v)
			n.Metadata.Timeout = durationpb.New(d)
		case "sub":
			n.Target = &core.Node_WorkflowNode{WorkflowNode: &core.WorkflowNode{Reference: &core.WorkflowNode_SubWorkflowRef{SubWorkflowRef: ident(v)}}}
		case "branch":
			n.Target = &core.Node_BranchNode{BranchNode: &core.BranchNode{IfElse: within(id, branches[v])}}
			for name := range variables(branches[v]) {
				n.Inputs = append(n.Inputs, &core.Binding{Var: name, Binding: &core.BindingData{Value: &core.BindingData_Promise{
					Promise: &core.OutputReference{NodeId: StartNode, Var: name}}}})
			}
		case "gate":
			n.Target = &core.Node_GateNode{GateNode: &core.GateNode{}}
		}
	}
	return n
}

func compiled(name, policy string, lines []string) *core.CompiledWorkflow {
	return branches{}.compiled(name, policy, lines)
}

func (branches branches) compiled(name, policy string, lines []string) *core.CompiledWorkflow {
	t := &core.WorkflowTemplate{Id: ident(name), Metadata: &core.WorkflowMetadata{}, Interface: &core.TypedInterface{Outputs: &core.VariableMap{
		Variables: map[string]*core.Variable{"o0": {Type: &core.LiteralType{Type: &core.LiteralType_Simple{Simple: core.SimpleType_INTEGER}}}}}}}
	if policy == "after" {
		t.Metadata.OnFailure = core.WorkflowMetadata_FAIL_AFTER_EXECUTABLE_NODES_COMPLETE
	}
	for _, line := range lines {
		if rest, ok := strings.CutPrefix(line, "on-failure "); ok {
			t.FailureNode = branches.nodeSpec(rest)
			continue
		}
		t.Nodes = append(t.Nodes, branches.nodeSpec(line))
	}
	return &core.CompiledWorkflow{Template: t}
}

// world plays the cluster: what attempts there are, and how they are.
type world struct {
	view     View
	attempts map[Attempt]*Observation // that exist
	started  map[Attempt]int
	lost     map[string]bool          // nodes whose next start is lost on the way
	sticky   bool                     // aborts take a round
	values   map[string]*core.Literal // what conditions compare
}

func newWorld(closure *core.CompiledWorkflowClosure) (*world, error) {
	g, err := NewGraph(closure)
	w := &world{attempts: map[Attempt]*Observation{}, started: map[Attempt]int{}, lost: map[string]bool{}, values: map[string]*core.Literal{}}
	w.view = View{Graph: g, Execution: flow.ExecutionID{Project: "p", Domain: "d", Name: "ex"}, Epoch: flow.Epoch{Era: 1, N: 1},
		Data: "s3://b/ex", Raw: "s3://b/raw", MayStart: true, Policy: DefaultPolicy(), Now: time.Unix(1000, 0).UTC()}
	return w, err
}

func (w *world) advance() Step {
	w.view.Observed = map[Attempt]Observation{}
	for _, at := range Live(w.view.Status.Nodes) {
		if o := w.attempts[at]; o != nil {
			w.view.Observed[at] = *o
		} else {
			w.view.Observed[at] = Observation{Missing: true}
		}
	}
	return Advance(w.view)
}

// perform does what act would do.
func (w *world) perform(s *Step) {
	r := Results{Enters: make([]Result, len(s.Enters)), Starts: make([]Result, len(s.Starts)),
		Ends: make([]Result, len(s.Ends)), Aborts: make([]Result, len(s.Aborts))}
	for i, e := range s.Enters {
		r.Enters[i] = Result{Done: !w.lost[e.Node], Values: w.values}
	}
	for i := range s.Ends {
		r.Ends[i].Done = true
	}
	for i, e := range s.Starts {
		if w.lost[e.Node] {
			continue
		}
		r.Starts[i] = Result{Done: true, Plugin: "container"}
		if w.attempts[e.Attempt] == nil {
			w.started[e.Attempt]++
			w.attempts[e.Attempt] = &Observation{Phase: flow.TaskQueued}
		}
	}
	for i, e := range s.Aborts {
		o := w.attempts[e.Attempt]
		if w.sticky && o != nil && o.Reason != "stopping" {
			o.Reason = "stopping"
			continue
		}
		delete(w.attempts, e.Attempt)
		r.Aborts[i].Done = true
	}
	s.Settle(r)
}

func (w *world) write(s Step) {
	if !s.Changed {
		return
	}
	nodes := maps.Clone(w.view.Status.Nodes)
	if nodes == nil {
		nodes = map[string]v1alpha1.NodeStatus{}
	}
	for id, n := range s.Nodes {
		nodes[id] = *n
	}
	w.view.Status = s.Status
	w.view.Status.Nodes = nodes
}

func (w *world) round() Step {
	s := w.advance()
	w.perform(&s)
	w.write(s)
	return s
}
