package act

import (
	"context"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/propeller/workflow"
)

// release stops what runs on of attempts whose end has just been written, such
// as the side-cars of a task. Not before: an attempt of which nothing is left
// and nothing is written would be started again. What cannot be stopped now, or
// was left by a process that ended here, is stopped after the execution's end.
func (t *turn) release(ctx context.Context, s *workflow.Step) {
	for _, at := range s.Lingering(t.w.View) {
		if _, err := t.abort(ctx, workflow.Abort{Attempt: at}); err != nil {
			t.Log.WarnContext(ctx, "what an ended attempt has left was not stopped", "node", at.Node, "attempt", at.Number, "error", err)
		}
	}
	if workflow.Phase(s.Status.Phase) != flow.ExecutionSucceeded || !t.w.View.Graph.Pods() {
		return
	}
	if _, err := t.Plugins.Sweep(ctx, t.wf.Namespace, t.wf.Spec.Execution.Name, t.wf.UID, false); err != nil {
		t.Log.WarnContext(ctx, "what an ended execution has left was not stopped", "error", err)
	}
}
