package workflow

import (
	"strconv"
	"strings"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/api/mutant"
)

// scope is one run of a template: the execution's own, that of one attempt of
// a sub-workflow's node, or the cases of a branch node.
type scope struct {
	*Template
	parent  string // unique id of the sub-workflow's or branch node; empty at the top
	attempt int    // of that node
	dir     string // the execution's folder, or the parent attempt's output folder
	around  *scope // of a branch node's cases: the scope whose nodes they read
}

// home is the scope whose nodes the bindings of this one's nodes name.
func (c scope) home() scope {
	for c.around != nil {
		c = *c.around
	}
	return c
}

func (c scope) id(node string) string {
	if c.parent == "" {
		return node
	}
	return UniqueNodeID(c.parent, c.attempt, node)
}

// folder is the node's data folder (contract section 17).
func (c scope) folder(node string) string {
	if c.parent == "" {
		return c.dir + "/" + node + "/data"
	}
	return c.dir + "/" + node
}

func (c scope) outputs(node string, attempt int) string {
	return c.folder(node) + "/" + strconv.Itoa(attempt)
}

// record is the first status of a node. Of one that earlier epochs left open,
// attempts and times are kept.
func (s *Step) record(c scope, n *Node, phase int32) *v1alpha1.NodeStatus {
	id := c.id(n.ID)
	r := &v1alpha1.NodeStatus{Sequence: s.seq, Phase: phase, Name: n.Spec.GetMetadata().GetName(),
		Parent: c.parent, QueuedAt: &s.now, IsParent: n.Kind == KindSubWorkflow || n.Kind == KindBranch}
	if seed, begun := s.node(id); !begun {
		seed = clone(seed)
		r.Attempts, r.Uncharged, r.Checkpoint, r.StartedAt = seed.Attempts, seed.Uncharged, seed.Checkpoint, seed.StartedAt
		if seed.QueuedAt != nil {
			r.QueuedAt = seed.QueuedAt
		}
	}
	if id != n.ID {
		r.SpecID = n.ID
	}
	if c.parent != "" {
		r.RetryGroup = strconv.Itoa(c.attempt)
	}
	switch n.Kind {
	case KindTask:
		r.TaskType = n.Task.GetType()
		r.Target = &v1alpha1.Target{Kind: int32(flow.KindTask), EntityRef: Ref(n.Task.GetId())}
	case KindSubWorkflow:
		r.Target = &v1alpha1.Target{Kind: int32(flow.KindWorkflow), EntityRef: n.Sub.ID}
	}
	if flow.NodePhase(phase).Terminal() {
		r.EndedAt = &s.now
	}
	s.Nodes[id] = r
	return r
}

// inputs says how the inputs of a node come about.
func (s *Step) inputs(c scope, n *Node) Inputs {
	in := Inputs{URI: c.folder(n.ID) + "/inputs.pb", Bindings: n.Spec.GetInputs(),
		Declared: n.Inputs(), Sources: map[string]Source{}, Compared: n.Kind == KindBranch}
	home := c.home()
	add := func(id string, aliases map[string]string) {
		up, _ := s.node(home.id(id))
		in.Sources[id] = Source{URI: up.OutputURI, Aliases: aliases}
	}
	for _, up := range n.Up {
		add(up.ID, up.aliases)
	}
	if n == c.Failure {
		add(StartNode, nil)
	}
	return in
}

// child is the scope that a sub-workflow's node runs now.
func (a *advance) child(c scope, n *Node) scope {
	id := c.id(n.ID)
	k := a.runs[id]
	if mutant.On("child-renamed-on-a-move") && k < 10 {
		k += 10 * (int(a.v.Epoch.N) - 1)
	}
	return scope{Template: n.Sub, parent: id, attempt: k, dir: c.outputs(n.ID, k)}
}

func declaresOutputs(i *core.TypedInterface) bool { return len(i.GetOutputs().GetVariables()) > 0 }

// OutputPrefix is the output folder of an attempt of a node whose inputs.pb is
// at inputURI.
func OutputPrefix(inputURI string, attempt int) string {
	return strings.TrimSuffix(inputURI, "/inputs.pb") + "/" + strconv.Itoa(attempt)
}
