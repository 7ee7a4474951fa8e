package federation_test

import (
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/api/flow"
)

// A pinned execution goes on while the control plane is away, in this process
// and in the next, and a strict one ends with the lease that covers it.
func TestALapseMeansWhatTheFailoverPolicySays(t *testing.T) {
	r := newRig(t)
	_, addr, stopHub := r.hub("a")
	m, stop := r.member(addr)
	pinned, strict := *run, *run
	pinned.Failover.Mode, strict.Failover.Strict = flow.FailoverNever, true
	stays, ends := r.plane.place("stays", &pinned), r.plane.place("ends", &strict)
	may := func(id flow.ExecutionID) bool { _, _, ok := m.MayStart(id, epoch1); return ok }
	r.until("both gates are open", func() bool { return may(stays) && may(ends) })
	r.until("both FlyteWorkflows are there", func() bool { return r.workflow(stays, 1) != nil && r.workflow(ends, 1) != nil })
	if fw := r.workflow(stays, 1); !fw.Spec.Pinned || fw.Spec.Strict {
		t.Errorf("the FlyteWorkflow is not pinned: %+v", fw.Spec)
	}
	if fw := r.workflow(ends, 1); fw.Spec.Pinned || !fw.Spec.Strict {
		t.Errorf("the FlyteWorkflow is not strict: %+v", fw.Spec)
	}
	for _, id := range []flow.ExecutionID{stays, ends} {
		r.status(id, 1, func(s *v1alpha1.FlyteWorkflowStatus) {
			s.Sequence, s.PhaseSequence, s.Phase, s.StartedAt = 1, 1, "RUNNING", now()
		})
	}
	if _, bounded := m.MustStop(stays, epoch1); bounded {
		t.Error("pinned work has to end")
	}
	if by, bounded := m.MustStop(ends, epoch1); !bounded || time.Until(by) < 20*time.Second || time.Until(by) > 30*time.Second {
		t.Errorf("strict work must end in %s, want the lease's end", time.Until(by))
	}
	// The process is replaced: it knows until when its predecessor's work was covered.
	stopHub()
	stop()
	before := r.clock.Now()
	m, stop = r.member(addr)
	if by, _ := m.MustStop(ends, epoch1); time.Until(by) < 15*time.Second || time.Until(by) > 30*time.Second {
		t.Errorf("after a restart strict work must end in %s, want the end of the earlier lease", time.Until(by))
	}
	r.until("pinned work goes on after the restart", func() bool { return may(stays) })
	if may(ends) {
		t.Error("movable work starts after a restart without a session")
	}
	r.clock.forward(31*time.Second - (r.clock.Now().Boot - before.Boot))
	if by, _ := m.MustStop(ends, epoch1); time.Until(by) > 0 {
		t.Errorf("after the lease strict work must end in %s", time.Until(by))
	}
	if !may(stays) {
		t.Error("the lapse has stopped pinned work")
	}
	stop()

	// The control plane is back, and has ended it meanwhile: the verdict stops it.
	r.plane.set(func(p *plane) { p.rows[stays].phase = flow.ExecutionFailed })
	_, addr, _ = r.hub("b")
	m, _ = r.member(addr)
	r.until("a verdict stops it", func() bool { return r.aborted(stays) && !may(stays) })
}

func TestTheFenceIsRaisedBeforeTheInventory(t *testing.T) {
	r := newRig(t)
	_, addr, _ := r.hub("a")
	r.plane.set(func(p *plane) { p.incarnation = 4 })
	m, _ := r.member(addr)
	id := r.plane.place("one", run)
	at := func() int64 {
		var fence v1alpha1.Fence
		if r.kube.Get(t.Context(), client.ObjectKey{Name: v1alpha1.FenceName}, &fence) != nil {
			return 0
		}
		return fence.Spec.Incarnation
	}
	r.plane.set(func(p *plane) {
		p.onVerdicts = func() {
			if at() != p.incarnation64() {
				t.Errorf("the inventory came while the Fence was at %d", at())
			}
		}
	})
	r.until("the FlyteWorkflow is there", func() bool { return r.workflow(id, 1) != nil })
	if got := r.workflow(id, 1).Labels[v1alpha1.LabelIncarnation]; got != "4" || m.Incarnation() != 4 {
		t.Errorf("the FlyteWorkflow is of incarnation %q, the member of %d", got, m.Incarnation())
	}
	// Declared lost: its sessions die, and the next one raises the Fence.
	r.plane.set(func(p *plane) {
		p.incarnation = 5
		for who := range p.gens {
			p.gens[who]++
		}
	})
	r.until("the Fence is raised", func() bool { return at() == 5 && m.Incarnation() == 5 })
}
