package member

import (
	"log/slog"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/skein-project/skein/api/crd/v1alpha1"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/federation/session"
)

var (
	stray  = flow.ExecutionID{Project: "p", Domain: "d", Name: "stray"}
	first  = flow.Epoch{Era: 1, N: 1}
	second = flow.Epoch{Era: 1, N: 2}
)

// lived is a member in a live session whose verdicts keep some of what is held.
func lived(t *testing.T, held []flow.Held, keep ...flow.Verdict) *Member {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	m := &Member{
		o: Options{Client: fake.NewClientBuilder().WithScheme(scheme).Build(), Clock: systemClock{}}, metrics: newMetrics(nil),
		log: slog.New(slog.DiscardHandler), opened: make(chan struct{}, 1), draining: map[flow.ExecutionID]flow.Assignment{},
	}
	m.reporter = newReporter(m)
	m.step(session.Dialled{})
	m.step(session.Welcomed{Heartbeat: time.Second, Lease: time.Minute})
	m.step(session.Listed{Held: held})
	m.step(session.Judged{Verdicts: flow.Verdicts{List: keep}, Last: true})
	return m
}

func object(t *testing.T, m *Member, e flow.Epoch) *v1alpha1.FlyteWorkflow {
	t.Helper()
	fw := Render(flow.Assignment{Execution: stray, Epoch: e, Desired: flow.DesiredRun, Revision: 1})
	if err := m.o.Client.Create(t.Context(), fw); err != nil {
		t.Fatal(err)
	}
	return fw
}

// An object that an older session's write made after the inventory may well be
// placed here: to stop it would end somebody's work. Its owner tells.
func TestWhatNobodyHasJudgedIsNotStopped(t *testing.T) {
	assigned := lived(t, nil)
	assigned.step(session.Assigned{Assignment: flow.Assignment{Execution: stray, Epoch: second, Revision: 2, Desired: flow.DesiredRun}})
	for _, tc := range []struct {
		name    string
		m       *Member
		stopped bool
	}{
		{"in no inventory", lived(t, nil), false},
		{"listed at an older epoch", lived(t, []flow.Held{{Execution: stray}}), false},
		{"listed, and kept by no verdict", lived(t, []flow.Held{{Execution: stray, Epoch: first}}), true},
		{"a newer epoch was assigned", assigned, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fw := object(t, tc.m, first)
			tc.m.stopUnowned(t.Context(), fw)
			if err := tc.m.o.Client.Get(t.Context(), client.ObjectKeyFromObject(fw), fw); err != nil {
				t.Fatal(err)
			}
			if stopped := fw.Spec.Desired == v1alpha1.DesiredAbort; stopped != tc.stopped {
				t.Errorf("stopped: %t", stopped)
			}
			if live := tc.m.state.Stage() == session.Live; live != tc.stopped {
				t.Errorf("the session is live: %t", live)
			}
		})
	}
}

func TestADeletedObjectEndsTheSession(t *testing.T) {
	held := []flow.Held{{Execution: stray, Epoch: first}}
	keep := flow.Verdict{Execution: stray, Epoch: first, Order: flow.OrderKeep}
	for _, tc := range []struct {
		name  string
		m     *Member
		phase string
		acked string
		live  bool
	}{
		{"running", lived(t, held, keep), "RUNNING", "", false},
		{"ended, and perhaps not reported", lived(t, held, keep), "FAILED", "", false},
		{"a tombstone", lived(t, held, keep), "FAILED", "7", true},
		{"of somebody else", lived(t, held), "RUNNING", "", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fw := object(t, tc.m, first)
			fw.Status.Phase = tc.phase
			if tc.acked != "" {
				fw.Annotations = map[string]string{v1alpha1.AnnotationAcked: tc.acked}
			}
			tc.m.deleted(toolscache.DeletedFinalStateUnknown{Obj: fw})
			if live := tc.m.state.Stage() == session.Live; live != tc.live {
				t.Errorf("the session is live: %t", live)
			}
		})
	}
}
