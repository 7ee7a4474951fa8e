package workflow

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/api/flyteidl/core"
)

// Step is all that can move now. Its actions are independent of each other,
// except that Begin comes first.
type Step struct {
	Begin  *Begin
	Enters []Enter
	Starts []Start
	Ends   []End
	Aborts []Abort

	// Status that is to be written once the actions are done and settled. Its
	// Nodes is nil: Nodes holds the ones that changed, whole.
	Status  v1alpha1.FlyteWorkflowStatus
	Nodes   map[string]*v1alpha1.NodeStatus
	Changed bool
	// Next is when to look again if nothing happens; zero: not at all.
	Next time.Time
	// Held counts nodes that could start if the lease or parallelism allowed.
	Held int

	base  map[string]v1alpha1.NodeStatus
	seeds map[string]v1alpha1.NodeStatus // what this step took over from earlier epochs
	now   metav1.MicroTime
	seq   int64
}

// Begin writes the workflow's inputs as the outputs of the start node.
type Begin struct{ URI string }

// Inputs says how the inputs of a node come about.
type Inputs struct {
	URI      string // of inputs.pb, to be written
	Bindings []*core.Binding
	Sources  map[string]Source // by node id within the scope
	Declared map[string]*core.Variable
	Err      *core.Error // of a failure node: why the workflow failed
	Compared bool        // conditions compare them: what can be a primitive is made one
}

// Source is where the outputs of a node lie.
type Source struct {
	URI     string
	Aliases map[string]string // alias → output variable
}

// Enter writes the inputs of a sub-workflow's or branch node. The values that
// they have choose the case of a branch node.
type Enter struct {
	Node   string
	Inputs Inputs

	choice *Node // the branch node; nil: a sub-workflow's
	cases  scope
	taken  *Node // the case, if an earlier epoch has begun it
}

// Start makes one attempt of a task run.
type Start struct {
	Attempt
	Object         string
	Spec           *Node
	Inputs         Inputs
	Resolved       bool // inputs.pb was written by an earlier attempt
	OutputPrefix   string
	RawPrefix      string
	PrevCheckpoint string
	Interruptible  bool

	prior *v1alpha1.NodeStatus // to go back to; nil: there was none
	again bool                 // the attempt was recorded before
}

// End writes the outputs of a workflow or sub-workflow.
type End struct {
	Node   string
	Inputs Inputs
	URIs   []string
}

// Abort stops one attempt, and says how it is recorded once it is stopped.
type Abort struct {
	Attempt
	phase   int32
	err     *v1alpha1.Error
	endNode bool
	lapse   bool // the lease ends: the node goes on with another attempt
}

// Result is what came of one action.
type Result struct {
	Done    bool     // it is done; for an Abort: nothing runs any more
	Waiting bool     // of a Start: the cluster has no room; try again later
	Reason  string   // for people
	Failure *Failure // it can never be done
	Inputs  bool     // the Failure is that inputs or outputs cannot be resolved
	Plugin  string   // that runs a started attempt
	// Values of an Enter are what was written as inputs.
	Values map[string]*core.Literal
}

// Results holds a Result for each action of a Step, in the same order.
type Results struct {
	Enters, Starts, Ends, Aborts []Result
}

// Empty reports whether there is nothing to do and nothing to write.
func (s Step) Empty() bool {
	return !s.Changed && s.Begin == nil && len(s.Enters)+len(s.Starts)+len(s.Ends)+len(s.Aborts) == 0
}

// Settle folds what came of the actions into the status. An action that is
// neither done nor failed leaves no trace, and is decided anew next time.
func (s *Step) Settle(r Results) {
	for i, e := range s.Enters {
		s.settleEnter(e, r.Enters[i])
	}
	for i, e := range s.Starts {
		s.settleStart(e, r.Starts[i])
	}
	for i, e := range s.Ends {
		s.settleEnd(e, r.Ends[i])
	}
	for i, e := range s.Aborts {
		s.settleAbort(e, r.Aborts[i])
	}
	s.Changed = s.Changed || len(s.Nodes) > 0
}

func (s *Step) settleEnter(e Enter, r Result) {
	n := s.Nodes[e.Node]
	switch {
	case r.Failure != nil:
		s.failing(n, r.Failure)
	case r.Done:
		n.Phase, n.InputURI, n.Sequence = nodeRunning, e.Inputs.URI, s.seq
		if n.StartedAt == nil {
			n.StartedAt = &s.now
		}
		if e.choice != nil {
			s.settleChoice(e, r.Values)
		}
	default:
		s.undo(e.Node)
	}
}

func (s *Step) settleStart(e Start, r Result) {
	if e.again {
		s.settleAgain(e, r)
		return
	}
	n := s.Nodes[e.Node]
	a := &n.Attempts[e.Number]
	switch {
	case r.Failure != nil && r.Inputs:
		n.Attempts = n.Attempts[:e.Number]
		s.failing(n, r.Failure)
	case r.Failure != nil:
		s.failed(a, r.Failure)
	case r.Waiting:
		a.Phase, a.Reason, a.Plugin = taskWaiting, r.Reason, r.Plugin
	case r.Done:
		a.Plugin = r.Plugin
	case e.prior == nil:
		s.undo(e.Node)
	default:
		*n = *e.prior
	}
}

// A repeat that went well is seen by the next observation.
func (s *Step) settleAgain(e Start, r Result) {
	if r.Failure != nil {
		s.failed(&s.edit(e.Node).Attempts[e.Number], r.Failure)
	}
}

func (s *Step) settleEnd(e End, r Result) {
	n := s.Nodes[e.Node]
	switch {
	case r.Failure != nil:
		s.failing(n, r.Failure)
	case r.Done:
		n.Phase, n.OutputURI, n.EndedAt, n.Sequence = nodeSucceeded, e.URIs[0], &s.now, s.seq
	default:
		s.undo(e.Node)
	}
}

func (s *Step) settleAbort(e Abort, r Result) {
	if !r.Done {
		s.stopping(e)
		return
	}
	n := s.edit(e.Node)
	a := &n.Attempts[e.Number]
	a.Lapsed = a.Lapsed || e.lapse
	a.Phase, a.Error, a.EndedAt, a.Sequence = e.phase, e.err, &s.now, s.seq
	if e.endNode {
		n.Phase, n.Error, n.EndedAt, n.Sequence = nodeAborted, e.err, &s.now, s.seq
	}
}

// stopping notes that the end of the lease stops an attempt: whenever it ends,
// and should the lease be renewed first, that was why.
func (s *Step) stopping(e Abort) {
	if n, _ := s.node(e.Node); e.lapse && !n.Attempts[e.Number].Lapsed {
		a := &s.edit(e.Node).Attempts[e.Number]
		a.Lapsed, a.Reason, a.Sequence = true, e.err.Message, s.seq
		a.Version++
	}
}

func (s *Step) failing(n *v1alpha1.NodeStatus, f *Failure) {
	n.Phase, n.Error, n.Sequence = nodeFailing, f.err(), s.seq
}

func (s *Step) failed(a *v1alpha1.AttemptStatus, f *Failure) {
	a.Phase, a.Error, a.EndedAt, a.Sequence = taskFailed, f.err(), &s.now, s.seq
	if f.Retryable {
		a.Phase = taskRetryable
	}
}
