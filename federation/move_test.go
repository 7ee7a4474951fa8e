package federation_test

import (
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/federation/member"
)

// told is the phases of a kind of event that the control plane accepted.
func (p *plane) told(kind flow.EventKind, node string) (phases []int32) {
	p.set(func(p *plane) {
		for _, e := range p.events {
			if e.Kind == kind && e.Node == node {
				phases = append(phases, e.Phase)
			}
		}
	})
	return phases
}

// An end that was reached before a planned move is not lost by it: the ack of
// the move would make the control plane run it again elsewhere.
func TestAnEndBeforeAPlannedMoveIsToldBeforeTheMoveIsAcked(t *testing.T) {
	r := newRig(t)
	goOn := make(chan struct{})
	h, addr, _ := r.hub("a")
	r.member(addr)
	id := r.plane.place("one", run)
	r.until("the run is acked", func() bool { return r.plane.row(id).acked == 1 })
	acked := make(chan flow.ExecutionPhase, 8)
	r.plane.set(func(p *plane) {
		p.ingest = func() error { <-goOn; return nil } // the end is under way when the move comes
		p.onAck = func(r row) { acked <- r.phase }
	})
	r.status(id, 1, finish)
	r.plane.want(id, flow.DesiredGone)
	h.Wake([]string{"east"})
	r.until("the release waits", func() bool { return r.applied("draining") > 0 || r.plane.row(id).acked == 2 })
	close(goOn)
	r.until("the release is acked", func() bool { return r.plane.row(id).acked == 2 })
	if phase := <-acked; phase != flow.ExecutionSucceeded {
		t.Errorf("the move was acked while the control plane knew the execution as %s", phase)
	}
}

// work writes what a propeller writes of a run with one node done and one under way.
func work(s *v1alpha1.FlyteWorkflowStatus) {
	s.Sequence, s.PhaseSequence, s.Phase, s.StartedAt = 3, 1, "RUNNING", now()
	s.Nodes = map[string]v1alpha1.NodeStatus{
		"n0": {Sequence: 2, Phase: int32(flow.NodeSucceeded), StartedAt: now(), EndedAt: now()},
		"n1": {Sequence: 3, Phase: int32(flow.NodeRunning), StartedAt: now(),
			Attempts: []v1alpha1.AttemptStatus{{Sequence: 3, Phase: int32(flow.TaskRunning), StartedAt: now()}}},
	}
}

// drop writes what a propeller writes when it ends that run by an abort.
func drop(s *v1alpha1.FlyteWorkflowStatus) {
	s.Sequence, s.PhaseSequence, s.Phase, s.EndedAt = 4, 4, "ABORTED", now()
	n := s.Nodes["n1"]
	n.Sequence, n.Phase, n.EndedAt = 4, int32(flow.NodeAborted), now()
	n.Attempts[0].Sequence, n.Attempts[0].Phase, n.Attempts[0].EndedAt = 4, int32(flow.TaskAborted), now()
	s.Nodes["n1"] = n
}

func TestAPlannedMoveTellsWhatWasDoneAndNoAbort(t *testing.T) {
	r := newRig(t)
	h, addr, _ := r.hub("a")
	m, _ := r.member(addr)
	id := r.plane.place("one", run)
	r.until("the run is acked", func() bool { return r.plane.row(id).acked == 1 })
	r.plane.want(id, flow.DesiredGone)
	h.Wake([]string{"east"})
	r.until("its end is wanted", func() bool { return r.aborted(id) })
	if _, _, ok := m.MayStart(id, epoch1); ok {
		t.Error("the gate is open for what is to leave")
	}
	r.status(id, 1, work) // what had been done before the propeller saw the move
	r.status(id, 1, drop)
	r.until("the release is acked", func() bool { return r.plane.row(id).acked == 2 })
	if got := r.plane.told(flow.EventNode, "n0"); len(got) == 0 || got[len(got)-1] != int32(flow.NodeSucceeded) {
		t.Errorf("of the node that had succeeded came %v: it would run again", got)
	}
	for what, got := range map[string][]int32{
		"workflow": r.plane.told(flow.EventWorkflow, ""), "node": r.plane.told(flow.EventNode, "n1"), "task": r.plane.told(flow.EventTask, "n1"),
	} {
		for _, phase := range got {
			aborted := map[string]int32{"workflow": int32(flow.ExecutionAborted), "node": int32(flow.NodeAborted), "task": int32(flow.TaskAborted)}
			if phase == aborted[what] {
				t.Errorf("the %s was told as aborted", what)
			}
		}
	}
	r.until("the tombstone is marked", func() bool { return r.workflow(id, 1).Annotations[v1alpha1.AnnotationAcked] != "" })
}

// Another process of the cluster may be about to make what this one has never
// had: the tombstone keeps it from that, after the ack as well.
func TestWhatIsGivenUpUnseenLeavesATombstone(t *testing.T) {
	r := newRig(t)
	_, addr, _ := r.hub("a")
	id := r.plane.place("one", run)
	r.plane.want(id, flow.DesiredGone)
	m, _ := r.member(addr)
	r.until("a tombstone is made", func() bool { return r.aborted(id) })
	if acked := r.plane.row(id).acked; acked != 0 {
		t.Fatalf("revision %d is acked before the tombstone has ended", acked)
	}
	r.status(id, 1, drop0)
	r.until("the release is acked", func() bool { return r.plane.row(id).acked == 2 })
	for _, e := range r.plane.told(flow.EventWorkflow, "") {
		t.Errorf("phase %d of it was told", e)
	}
	late := r.plane.row(id).Assignment
	late.Desired, late.Run = flow.DesiredRun, run
	if err := r.kube.Create(t.Context(), member.Render(late)); !apierrors.IsAlreadyExists(err) {
		t.Errorf("a creation that comes later: %v", err)
	}
	if _, _, ok := m.MayStart(id, epoch1); ok {
		t.Error("the gate is open for it")
	}
}

func TestAUsersAbortOvertakesAPlannedMove(t *testing.T) {
	for name, ended := range map[string]bool{"while it drains": false, "after it has drained": true} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			h, addr, _ := r.hub("a")
			r.member(addr)
			id := r.plane.place("one", run)
			r.until("the run is acked", func() bool { return r.plane.row(id).acked == 1 })
			r.plane.want(id, flow.DesiredGone)
			h.Wake([]string{"east"})
			r.until("its end is wanted", func() bool { return r.aborted(id) })
			if ended {
				r.status(id, 1, drop0)
				r.until("the release is acked", func() bool { return r.plane.row(id).acked == 2 })
			}
			r.plane.want(id, flow.DesiredAbort)
			h.Wake([]string{"east"})
			r.until("the abort is the user's", func() bool { return r.workflow(id, 1).Spec.Cause == "asked by a test" })
			if !ended {
				r.status(id, 1, drop0)
			}
			r.until("the abort is told", func() bool { return r.plane.row(id).phase == flow.ExecutionAborted })
		})
	}
}

// drop0 ends a run of which nothing had begun.
func drop0(s *v1alpha1.FlyteWorkflowStatus) {
	s.Sequence, s.PhaseSequence, s.Phase, s.EndedAt = 1, 1, "ABORTED", now()
}
