package workflow

import (
	"testing"
	"time"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/core"
)

// strictWorld runs one task of a strict execution whose lease ends in a minute.
func strictWorld(t *testing.T) *world {
	t.Helper()
	w, err := newWorld(&core.CompiledWorkflowClosure{Primary: compiled("wf", "", []string{"n0 retries=0", "n1<n0"}),
		Tasks: []*core.CompiledTask{{Template: &core.TaskTemplate{Id: ident("task"), Type: "container"}}}})
	if err != nil {
		t.Fatal(err)
	}
	w.view.StopAt = w.view.Now.Add(time.Minute)
	w.round()
	w.attempts[Attempt{"n0", 0}].Phase = flow.TaskRunning
	if s := w.round(); s.Next.IsZero() || s.Next.After(w.view.StopAt) {
		t.Fatalf("looks again at %s, must stop at %s", s.Next, w.view.StopAt)
	}
	return w
}

func (w *world) attempt(node string, k int) (phase flow.TaskPhase, there bool) {
	if n := w.view.Status.Nodes[node]; k < len(n.Attempts) {
		return flow.TaskPhase(n.Attempts[k].Phase), true
	}
	return 0, false
}

// TestStrictWorkEndsWithTheLease: it is stopped in time, nothing starts until
// the lease is back, and the stop is charged to nobody.
func TestStrictWorkEndsWithTheLease(t *testing.T) {
	w := strictWorld(t)
	w.view.Now = w.view.StopAt
	if s := w.round(); len(s.Aborts) != 1 || len(s.Starts) != 0 {
		t.Fatalf("at the time to stop it aborts %v and starts %v", s.Aborts, s.Starts)
	}
	for range 3 {
		w.view.Now = w.view.Now.Add(time.Second)
		if s := w.round(); len(s.Starts) > 0 || Phase(s.Status.Phase).Terminal() {
			t.Fatalf("without a lease it starts %v, and is %s", s.Starts, s.Status.Phase)
		}
	}
	if p, _ := w.attempt("n0", 0); p != flow.TaskAborted || w.view.Status.Nodes["n0"].Attempts[0].Error.Code != Lapsed {
		t.Fatalf("the stopped attempt is %s", p)
	}
	w.view.StopAt = w.view.Now.Add(time.Minute) // the lease is back
	w.round()
	if p, there := w.attempt("n0", 1); !there || p != flow.TaskQueued {
		t.Fatalf("the next attempt is %s", p)
	}
	w.attempts[Attempt{"n0", 1}].Phase, w.attempts[Attempt{"n0", 1}].OutputURI = flow.TaskSucceeded, "out"
	for range 3 {
		w.round()
	}
	if n := w.view.Status.Nodes["n0"]; n.Phase != nodeSucceeded || charged(n) != 1 {
		t.Fatalf("it ended as %s, charged %d", flow.NodePhase(n.Phase), charged(n))
	}
}

func TestARenewedLeasePutsTheStopOff(t *testing.T) {
	w := strictWorld(t)
	w.view.Now, w.view.StopAt = w.view.StopAt, w.view.StopAt.Add(time.Minute)
	if s := w.round(); len(s.Aborts) > 0 {
		t.Fatalf("it aborts %v under a live lease", s.Aborts)
	}
}

// TestAStopThatHasBegunIsFinished: a pod that was told to stop does not run on
// when the lease comes back, and whatever it ends with is not charged.
func TestAStopThatHasBegunIsFinished(t *testing.T) {
	for _, end := range []Observation{
		{Missing: true},
		{Phase: flow.TaskRetryableFailed, Failure: &Failure{Code: Deleted, System: true, Retryable: true}},
		{Phase: flow.TaskRetryableFailed, Failure: &Failure{Code: "143", Retryable: true}},
		{Phase: flow.TaskFailed, Failure: &Failure{Code: "1"}},
	} {
		w := strictWorld(t)
		w.sticky, w.view.Now = true, w.view.StopAt
		w.round()
		w.view.StopAt = w.view.Now.Add(time.Minute)
		if s := w.advance(); len(s.Aborts) != 1 {
			t.Fatalf("the stop is not gone on with: %+v", s)
		}
		if end.Missing {
			delete(w.attempts, Attempt{"n0", 0})
		} else {
			*w.attempts[Attempt{"n0", 0}] = end
		}
		w.round()
		if p, _ := w.attempt("n0", 0); p != flow.TaskAborted {
			t.Errorf("%+v: the stopped attempt is %s", end, p)
		}
		w.round()
		if p, _ := w.attempt("n0", 1); p != flow.TaskQueued {
			t.Errorf("%+v: the next attempt is %s", end, p)
		}
		if n := w.view.Status.Nodes["n0"]; n.SystemFailures != 0 || charged(n) != 1 {
			t.Errorf("%+v: charged %d and %d to the system", end, charged(n), n.SystemFailures)
		}
	}
}

func TestAnEndInsideTheGraceCounts(t *testing.T) {
	w := strictWorld(t)
	w.sticky, w.view.Now = true, w.view.StopAt
	w.round()
	*w.attempts[Attempt{"n0", 0}] = Observation{Phase: flow.TaskSucceeded, OutputURI: "out"}
	w.round()
	if n := w.view.Status.Nodes["n0"]; n.Phase != nodeSucceeded || n.OutputURI != "out" {
		t.Fatalf("it is %+v", n)
	}
}
