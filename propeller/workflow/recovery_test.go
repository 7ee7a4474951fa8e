package workflow

import (
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/core"
)

// story is an execution whose tasks have a fate of their own: what becomes of
// an attempt depends on the node and on how many of its attempts were charged,
// and on nothing that a move changes.
type story struct {
	closure *core.CompiledWorkflowClosure
	seed    int
	strict  bool // leases end and come back
	limit   int
}

func (s story) roll(sides int, parts ...any) int {
	h := fnv.New32a()
	_, _ = fmt.Fprint(h, s.seed, parts)
	return int(h.Sum32()>>3) % sides
}

// run is one telling of a story, over any number of epochs.
type run struct {
	story
	*world
	ledger *ledger
	left   []v1alpha1.RecoveredNode
	round  int
	seen   map[string]int // next attempt of each node
}

func (s story) begin(t *rapid.T) *run {
	r := &run{story: s, ledger: newLedger()}
	r.place(t, nil)
	return r
}

// place puts the execution onto a cluster that knows nothing of it.
func (r *run) place(t *rapid.T, left []v1alpha1.RecoveredNode) {
	w, err := newWorld(r.closure)
	if err != nil {
		t.Fatal(err)
	}
	if r.world != nil {
		w.view.Now = r.view.Now.Add(time.Minute)
	}
	w.view.Epoch, w.view.Recovery, w.view.MaxParallelism = r.ledger.epoch, left, r.limit
	w.view.Data, w.view.Raw = Folder(w.view.Data, w.view.Epoch), Folder(w.view.Raw, w.view.Epoch)
	w.values["x"], w.values["y"] = plainLiteral(fmt.Sprint(r.roll(4, "x"))), plainLiteral(fmt.Sprint(r.roll(4, "y")))
	r.world, r.left, r.seen = w, left, map[string]int{}
	for _, n := range left {
		r.seen[n.Node] = int(n.NextAttempt)
	}
}

// go on for a round, and check all that a resumed run promises.
func (r *run) step(t *rapid.T) {
	r.round++
	if r.round > 5000 {
		t.Fatalf("no end: %+v", r.view.Status)
	}
	for _, at := range Live(r.view.Status.Nodes) {
		if o := r.attempts[at]; o != nil {
			r.fate(at, o)
		}
	}
	r.lost = map[string]bool{fmt.Sprintf("n%d", r.roll(40, "lost", r.round)): true}
	r.view.StopAt = time.Time{}
	if r.strict && r.roll(6, "lapse", r.round) == 0 {
		r.view.StopAt = r.view.Now
	}
	r.sticky = r.strict && r.roll(2, "sticky") == 0
	r.view.Now = r.view.Now.Add(3 * time.Second)
	r.promised(t, r.advance())
	checked(t, r.world)
}

func (r *run) fate(at Attempt, o *Observation) {
	if o.Phase.Rank() >= flow.TaskSucceeded.Rank() || o.Reason == "stopping" {
		return
	}
	if o.Phase = flow.TaskRunning; r.roll(3, "pace", at, r.round) > 0 {
		return
	}
	before := charged(r.view.Status.Nodes[at.Node]) - 1
	switch fate := r.roll(10, "fate", at.Node, before); {
	case fate < 7:
		o.Phase, o.OutputURI = flow.TaskSucceeded, "out/"+at.Node
	case fate < 9:
		o.Phase, o.Failure = flow.TaskRetryableFailed, &Failure{Code: "E", Message: "again", Retryable: true}
	default:
		o.Phase, o.Failure = flow.TaskFailed, &Failure{Code: "F", Message: "for good"}
	}
}

// promised checks what a step starts against what earlier epochs left.
func (r *run) promised(t *rapid.T, s Step) {
	for _, e := range s.Starts {
		r.open(t, e.Node)
		if want := r.seen[e.Node]; e.Number != want && !e.again {
			t.Fatalf("attempt %d of %s follows %d", e.Number, e.Node, want-1)
		}
		if e.Number > 0 && e.PrevCheckpoint == "" {
			t.Fatalf("attempt %d of %s has no earlier checkpoint", e.Number, e.Node)
		}
		if mark := EpochMark(r.view.Epoch); mark != "" && (!strings.Contains(e.OutputPrefix, "/"+mark+"/") || !strings.Contains(e.RawPrefix, "/"+mark+"/")) {
			t.Fatalf("attempt %d of %s at epoch %s writes to %s and %s", e.Number, e.Node, r.view.Epoch, e.OutputPrefix, e.RawPrefix)
		}
		if !r.lost[e.Node] {
			r.seen[e.Node] = e.Number + 1
		}
	}
	for _, e := range s.Enters {
		r.open(t, e.Node)
	}
}

// open: neither the node nor a node around it stands.
func (r *run) open(t *rapid.T, id string) {
	for id != "" {
		for _, n := range r.left {
			if n.Node == id && stands(n.Phase) {
				t.Fatalf("%s was %s at an earlier epoch, and starts again", id, flow.NodePhase(n.Phase))
			}
		}
		id = r.parentOf(id)
	}
}

func (r *run) parentOf(id string) string {
	if n, there := r.view.Status.Nodes[id]; there {
		return n.Parent
	}
	return r.ledger.nodes[id].Parent
}

func (r *run) over() bool { return Phase(r.view.Status.Phase).Terminal() }

func (r *run) finish(t *rapid.T) {
	for !r.over() {
		r.step(t)
	}
	r.ledger.record(r.view.Status, -1)
}

// lostInside reports of a node whether it is in one that stood at an earlier
// epoch, or in an attempt of one that was over then: what is around a node is told
// before it, and what is inside may be lost with the cluster. The whole run knows
// the nodes that were never told.
func (r *run) lostInside(whole *run) func(id string) bool {
	return func(id string) bool {
		for parent := whole.ledger.nodes[id].Parent; parent != ""; id, parent = parent, whole.ledger.nodes[parent].Parent {
			if n := r.ledger.nodes[parent]; stands(n.Phase) && n.epoch.Less(r.ledger.epoch) {
				return true
			}
			if r.passed(parent, subAttempt(parent, id, whole.ledger.nodes[id].SpecID)) {
				return true
			}
		}
		return false
	}
}

// passed reports whether earlier epochs left something of an attempt of a
// sub-workflow that came after this one.
func (r *run) passed(parent string, attempt int) bool {
	return slices.ContainsFunc(r.left, func(n v1alpha1.RecoveredNode) bool {
		return n.Parent == parent && subAttempt(parent, n.Node, r.ledger.nodes[n.Node].SpecID) > attempt
	})
}

// subAttempt is the attempt of a sub-workflow's node in which a node is.
func subAttempt(parent, id, spec string) int {
	for k := range 10 {
		if UniqueNodeID(parent, k, spec) == id {
			return k
		}
	}
	return 0 // a branch node's case, which has no attempts of its own
}

// end is what a user sees of the execution.
func (r *run) end(nodes bool, but func(node string) bool) string {
	lines := []string{r.view.Status.Phase}
	if nodes {
		if e := r.view.Status.Error; e != nil {
			lines = append(lines, e.Code, e.Message)
		}
		for id, n := range r.ledger.nodes {
			if but(id) {
				continue
			}
			out := n.OutputURI
			if n.TaskType == "" && out != "" {
				out = "its own"
			}
			lines = append(lines, fmt.Sprint(id, " ", flow.NodePhase(n.Phase), " ", out))
		}
		slices.Sort(lines[1:])
	}
	return strings.Join(lines, "\n")
}

// TestAMovedRunEndsAsOneThatWasNot cuts random runs at every point, and hands
// what the control plane had recorded by then to the next epoch.
func TestAMovedRunEndsAsOneThatWasNot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := story{seed: rapid.Int().Draw(t, "seed"), strict: rapid.Bool().Draw(t, "strict"), limit: rapid.IntRange(0, 3).Draw(t, "parallel"),
			closure: &core.CompiledWorkflowClosure{Primary: drawWorkflow(t, "wf", []string{"x", "y"}),
				SubWorkflows: []*core.CompiledWorkflow{drawWorkflow(t, "x", []string{"y"}), drawWorkflow(t, "y", nil)},
				Tasks:        []*core.CompiledTask{{Template: &core.TaskTemplate{Id: ident("task"), Type: "container"}}}}}
		whole := s.begin(t)
		whole.finish(t)
		// What fails at once stops what else runs, wherever that is by then.
		settled := true
		for _, w := range append(s.closure.GetSubWorkflows(), s.closure.GetPrimary()) {
			settled = settled && w.GetTemplate().GetMetadata().GetOnFailure() != core.WorkflowMetadata_FAIL_IMMEDIATELY
		}
		stride := 1 + whole.round/12 // all points of short runs, some of long ones
		for cut := s.roll(stride, "first cut"); cut < whole.round; cut += stride {
			r := s.begin(t)
			r.moved(t, cut)
			if !r.over() {
				r.moved(t, s.roll(whole.round, "again", cut))
			}
			r.finish(t)
			but := r.lostInside(whole)
			if got, want := r.end(settled, but), whole.end(settled, but); got != want {
				t.Fatalf("cut after %d rounds it ends as\n%s\nuncut as\n%s", cut, got, want)
			}
		}
	})
}

// moved goes on for some rounds and loses the cluster; of the last events only
// some have come through.
func (r *run) moved(t *rapid.T, rounds int) {
	told := rounds - r.roll(3, "told", rounds)
	for k := range rounds {
		if r.over() {
			return
		}
		if k <= told {
			r.ledger.record(r.view.Status, -1)
		}
		r.step(t)
	}
	if r.over() {
		return
	}
	r.ledger.record(r.view.Status, r.roll(20, "lost", rounds))
	before := maps.Clone(r.ledger.nodes)
	r.place(t, r.ledger.move())
	for id, n := range before {
		if stands(n.Phase) && r.ledger.nodes[id].Phase != n.Phase {
			t.Fatalf("%s does not stand: %+v", id, r.ledger.nodes[id])
		}
	}
}
