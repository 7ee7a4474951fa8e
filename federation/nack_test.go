package federation_test

import (
	"testing"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/federation/member"
)

// What a cluster cannot apply is told, rests, and is applied when it can be.
func TestWhatCannotBeAppliedComesAgain(t *testing.T) {
	r := newRig(t)
	_, addr, _ := r.hub("a")
	// Somebody else's object lies where the FlyteWorkflow has to be.
	id := flow.ExecutionID{Project: "proj", Domain: "dev", Name: "one"}
	squatter := member.Render(flow.Assignment{Execution: id, Epoch: epoch1, Desired: flow.DesiredAbort})
	squatter.Spec.Execution.Name, squatter.Status.Phase = "somebody-else", "ABORTED"
	if err := r.kube.Create(t.Context(), squatter); err != nil {
		t.Fatal(err)
	}
	r.member(addr)
	r.plane.place("one", run)
	r.until("it cannot be applied", func() bool { return r.applied("failed") > 0 })
	two := r.plane.place("two", run)
	r.until("another one can", func() bool { return r.plane.row(two).acked == 1 })
	if r.plane.row(id).acked != 0 {
		t.Fatal("what was not applied was acked")
	}
	squatter.Finalizers = nil
	if err := r.kube.Update(t.Context(), squatter); err != nil {
		t.Fatal(err)
	}
	if err := r.kube.Delete(t.Context(), squatter); err != nil {
		t.Fatal(err)
	}
	r.until("it is applied at last", func() bool { return r.plane.row(id).acked == 1 })
}
