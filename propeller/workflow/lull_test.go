package workflow

import (
	"testing"
	"time"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/core"
)

// TestInitializingIsWrittenAfterALull: an attempt that soon runs or ends is not
// written of before; one that stays initializing is, and so is one with a reason.
func TestInitializingIsWrittenAfterALull(t *testing.T) {
	w, err := newWorld(&core.CompiledWorkflowClosure{Primary: compiled("wf", "", []string{"n0"}),
		Tasks: []*core.CompiledTask{{Template: &core.TaskTemplate{Id: ident("task"), Type: "container"}}}})
	if err != nil {
		t.Fatal(err)
	}
	w.round()
	at := Attempt{Node: "n0"}
	w.attempts[at] = &Observation{Phase: flow.TaskInitializing}
	w.view.Now = w.view.Now.Add(time.Millisecond)
	left := w.view.Policy.Lull - time.Millisecond
	if s := w.advance(); !s.Empty() || s.Next.Sub(w.view.Now) != left {
		t.Errorf("within the lull: changed %v, look again in %s; want nothing and %s", s.Changed, s.Next.Sub(w.view.Now), left)
	}
	w.attempts[at] = &Observation{Phase: flow.TaskInitializing, Reason: "image is pulled"}
	if s := w.advance(); !s.Changed {
		t.Error("a reason is not written within the lull")
	}
	for phase, after := range map[flow.TaskPhase]time.Duration{flow.TaskRunning: 0, flow.TaskSucceeded: 0, flow.TaskInitializing: left} {
		w.attempts[at] = &Observation{Phase: phase}
		v := w.view.Now
		w.view.Now = v.Add(after)
		if s := w.advance(); !s.Changed {
			t.Errorf("%s is not written after %s", phase, after)
		}
		w.view.Now = v
	}
}
