package member

import (
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/federation/session"
)

// An object that was deleted and made again begins its sequence anew: what it
// comes to would pass for known. The session ends, and verdicts are taken on it.
func TestAnObjectThatIsMadeAgainIsNotTakenForTheOneThatHasReported(t *testing.T) {
	reported := flow.Verdict{Execution: stray, Epoch: first, Order: flow.OrderReport, Acked: 5}
	for _, tc := range []struct {
		name     string
		sequence int64
		ended    bool
		goes     bool
	}{
		{"it has ended below what was reported", 4, true, false},
		{"it has ended where it was reported to", 5, true, true},
		{"it has ended since", 6, true, true},
		{"the cache is behind", 4, false, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := lived(t, []flow.Held{{Execution: stray, Epoch: first, Sequence: 5, Terminal: true}}, reported)
			m.reporter.reset(1, []flow.Verdict{reported})
			fw := object(t, m, first)
			fw.Status = v1alpha1.FlyteWorkflowStatus{Sequence: tc.sequence, Phase: "RUNNING"}
			if tc.ended {
				fw.Status.Phase, fw.Status.PhaseSequence = "ABORTED", tc.sequence
			}
			if err := m.o.Client.Update(t.Context(), fw); err != nil {
				t.Fatal(err)
			}
			m.changed(fw)
			m.reporter.gather(t.Context())
			if goes := m.state.Stage() == session.Live; goes != tc.goes {
				t.Errorf("the session is %s", m.state.Stage())
			}
		})
	}
}

// A watch that begins anew tells a deletion and a creation as one change.
func TestAReplacementIsADeletion(t *testing.T) {
	for uid, goes := range map[types.UID]bool{"one": true, "another": false} {
		m := lived(t, []flow.Held{{Execution: stray, Epoch: first}}, flow.Verdict{Execution: stray, Epoch: first, Order: flow.OrderKeep})
		was, is := object(t, m, first), &v1alpha1.FlyteWorkflow{}
		was.UID = "one"
		was.DeepCopyInto(is)
		is.UID = uid
		if m.replaced(was, is); (m.state.Stage() == session.Live) != goes {
			t.Errorf("the session is %s after %s came for one", m.state.Stage(), uid)
		}
	}
}

// A mark may be older than a restored backup, whose verdicts ask for all of it
// again: a release waits until that was told.
func TestAMarkDoesNotSayThatTheControlPlaneKnows(t *testing.T) {
	for _, tc := range []struct {
		name     string
		mark     string
		verdicts []flow.Verdict
		told     bool
	}{
		{"not marked", "", nil, false},
		{"marked, of no inventory", "5", nil, true},
		{"all of it is known", "5", []flow.Verdict{{Execution: stray, Epoch: first, Acked: 5}}, true},
		{"the end is not known any more", "5", []flow.Verdict{{Execution: stray, Epoch: first, Acked: 3}}, false},
		{"nothing is known any more", "5", []flow.Verdict{{Execution: stray, Epoch: first}}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := lived(t, nil)
			m.reporter.reset(1, tc.verdicts)
			fw := object(t, m, first)
			fw.Status = v1alpha1.FlyteWorkflowStatus{Sequence: 5, Phase: "SUCCEEDED", PhaseSequence: 5}
			if tc.mark != "" {
				fw.Annotations = map[string]string{v1alpha1.AnnotationAcked: tc.mark}
			}
			if told := m.reporter.told(fw); told != tc.told {
				t.Errorf("it counts as told: %t", told)
			}
			if err := m.o.Client.Update(t.Context(), fw); err != nil {
				t.Fatal(err)
			}
			m.o.Reader = m.o.Client
			done, err := m.release(t.Context(), flow.Assignment{Execution: stray, Epoch: first, Desired: flow.DesiredGone, Revision: 2})
			if err != nil || done != tc.told {
				t.Errorf("it is released: %t, %v", done, err)
			}
		})
	}
}

// A restored backup may not know of a planned move: the user's abort that comes
// then has no higher revision than the object, and is told all the same.
func TestAnAbortOvertakesAMoveThatTheBackupDoesNotKnow(t *testing.T) {
	for _, revision := range []uint64{1, 2, 3} {
		m := lived(t, []flow.Held{{Execution: stray, Epoch: first, Revision: 2, Sequence: 5, Terminal: true, Desired: flow.DesiredGone}},
			flow.Verdict{Execution: stray, Epoch: first, Order: flow.OrderReport, Acked: 3})
		m.o.Reader, m.rooms = m.o.Client, &rooms{known: map[string]bool{stray.Namespace(): true}}
		m.reporter.reset(1, []flow.Verdict{{Execution: stray, Epoch: first, Acked: 3}})
		fw := object(t, m, first)
		fw.Spec.Desired, fw.Spec.Cause, fw.Spec.Revision = v1alpha1.DesiredAbort, movedAway, 2
		fw.Status = v1alpha1.FlyteWorkflowStatus{Sequence: 5, Phase: "ABORTED", PhaseSequence: 5}
		fw.Annotations = map[string]string{v1alpha1.AnnotationAcked: "5"}
		if err := m.o.Client.Update(t.Context(), fw); err != nil {
			t.Fatal(err)
		}
		abort := flow.Assignment{Execution: stray, Epoch: first, Desired: flow.DesiredAbort, Cause: "a user's", Revision: revision}
		m.step(session.Assigned{Assignment: abort})
		if err := m.place(t.Context(), abort); err != nil {
			t.Fatal(err)
		}
		m.step(session.Finished{Execution: stray, Epoch: first, Revision: 2}) // a release that was done just before
		m.reporter.gather(t.Context())
		if len(m.reporter.backlog) != 1 || len(m.reporter.backlog[0].events) != 1 || m.reporter.backlog[0].events[0].Phase != int32(flow.ExecutionAborted) {
			t.Errorf("the abort of revision %d is told by %+v", revision, m.reporter.backlog)
		}
	}
}
