package lifecycle

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/flyteidl/core"
	"github.com/skein-project/skein/api/flyteidl/event"
)

var (
	at    = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	epoch = flow.Epoch{Era: 1, N: 2}
)

func workflowEvent(to flow.ExecutionPhase) flow.Event {
	return flow.Event{Epoch: epoch, Kind: flow.EventWorkflow, Phase: int32(to), Sequence: 7, OccurredAt: at}
}

func TestWorkflowEvents(t *testing.T) {
	for _, c := range []struct {
		name   string
		from   flow.ExecutionPhase
		event  flow.Event
		want   flow.ExecutionPhase
		reason string
		why    string
	}{
		{"running follows queued", flow.ExecutionQueued, workflowEvent(flow.ExecutionRunning), flow.ExecutionRunning, "", ""},
		{"a coalesced end skips running", flow.ExecutionQueued, workflowEvent(flow.ExecutionSucceeded), flow.ExecutionSucceeded, "", "phases are coalesced"},
		{"an end is not undone", flow.ExecutionSucceeded, workflowEvent(flow.ExecutionFailed), flow.ExecutionSucceeded, "already", "terminal is terminal"},
		{"a repeated end is accepted", flow.ExecutionSucceeded, workflowEvent(flow.ExecutionSucceeded), flow.ExecutionSucceeded, "", "events are re-sent"},
		{"running does not follow failing", flow.ExecutionFailing, workflowEvent(flow.ExecutionRunning), flow.ExecutionFailing, "go back", "phases never go backwards"},
		{"an abort outlives running", flow.ExecutionAborting, workflowEvent(flow.ExecutionRunning), flow.ExecutionAborting, "", "the cluster has not seen the abort yet"},
		{"an abort ends as aborted", flow.ExecutionAborting, workflowEvent(flow.ExecutionAborted), flow.ExecutionAborted, "", ""},
		{"an abort that came too late ends as it ended", flow.ExecutionAborting, workflowEvent(flow.ExecutionSucceeded), flow.ExecutionSucceeded, "", "what happened is recorded"},
		{"undefined is no news", flow.ExecutionQueued, workflowEvent(flow.ExecutionUndefined), flow.ExecutionQueued, "cannot be reported", ""},
		{"an older epoch is refused", flow.ExecutionQueued, flow.Event{Epoch: flow.Epoch{Era: 1, N: 1}, Kind: flow.EventWorkflow, Phase: 4}, flow.ExecutionQueued, "epoch", "before any other check"},
		{"an older epoch is refused even when it repeats", flow.ExecutionRunning, flow.Event{Epoch: flow.Epoch{Era: 0, N: 9}, Kind: flow.EventWorkflow, Phase: 2}, flow.ExecutionRunning, "epoch", "a stale producer is told so"},
		{"an unknown kind is refused", flow.ExecutionQueued, flow.Event{Epoch: epoch, Kind: 9}, flow.ExecutionQueued, "kind", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := flow.Recorded{Execution: flow.Execution{Epoch: epoch, Phase: c.from}}
			got, res := Apply(r, c.event)
			if got.Execution.Phase != c.want {
				t.Errorf("phase is %s, want %s (%s)", got.Execution.Phase, c.want, c.why)
			}
			if res.Accepted != (c.reason == "") || !strings.Contains(res.Reason, c.reason) {
				t.Errorf("answered %+v, want reason %q (%s)", res, c.reason, c.why)
			}
		})
	}
}

func TestAnEndWhoseErrorHoldsNULIsStorable(t *testing.T) {
	detail, err := proto.Marshal(&event.WorkflowExecutionEvent{OutputResult: &event.WorkflowExecutionEvent_Error{
		Error: &core.ExecutionError{Code: "a\x00b"}}})
	if err != nil {
		t.Fatal(err)
	}
	e := workflowEvent(flow.ExecutionFailed)
	e.Detail = detail
	got, res := Apply(flow.Recorded{Execution: flow.Execution{Epoch: epoch, Phase: flow.ExecutionRunning}}, e)
	if !res.Accepted || got.Execution.ErrorCode != "ab" {
		t.Errorf("answered %+v, code %q; the database knows no NUL", res, got.Execution.ErrorCode)
	}
}

func TestErrorIsKept(t *testing.T) {
	detail, err := proto.Marshal(&event.WorkflowExecutionEvent{OutputResult: &event.WorkflowExecutionEvent_Error{
		Error: &core.ExecutionError{Code: "USER:Boom", Message: "it broke", Kind: core.ExecutionError_USER}}})
	if err != nil {
		t.Fatal(err)
	}
	e := workflowEvent(flow.ExecutionFailed)
	e.Detail, e.StartedAt = detail, at.Add(-time.Minute)
	got, res := Apply(flow.Recorded{Execution: flow.Execution{Epoch: epoch, Phase: flow.ExecutionRunning}}, e)
	x := got.Execution
	if !res.Accepted || x.ErrorKind != "USER" || x.ErrorCode != "USER:Boom" || x.EndedAt != at || x.StartedAt != at.Add(-time.Minute) {
		t.Fatalf("recorded %+v, answered %+v", x, res)
	}
}

func TestUnreadableDetailIsRefused(t *testing.T) {
	for _, kind := range []flow.EventKind{flow.EventWorkflow, flow.EventNode, flow.EventTask} {
		e := flow.Event{Epoch: epoch, Kind: kind, Phase: 2, Node: "n0", Sequence: 1, OccurredAt: at, Detail: []byte{0xff}}
		if _, res := Apply(flow.Recorded{Execution: flow.Execution{Epoch: epoch}}, e); res.Accepted {
			t.Errorf("kind %d: garbage was accepted", kind)
		}
	}
}

func TestTimesComeFromTheEvent(t *testing.T) {
	e := flow.Event{Epoch: epoch, Kind: flow.EventTask, Node: "n0", Attempt: 1, Phase: int32(flow.TaskSucceeded), Sequence: 4,
		QueuedAt: at, StartedAt: at.Add(time.Second), EndedAt: at.Add(2 * time.Second), OccurredAt: at.Add(3 * time.Second)}
	got, res := Apply(flow.Recorded{Execution: flow.Execution{Epoch: epoch, Phase: flow.ExecutionRunning}}, e)
	if !res.Accepted {
		t.Fatal(res.Reason)
	}
	task := got.Task
	if task.CreatedAt != e.QueuedAt || task.StartedAt != e.StartedAt || task.EndedAt != e.EndedAt || task.UpdatedAt != e.OccurredAt {
		t.Fatalf("times are %+v", task)
	}
	if got.Execution.Sequence != 4 {
		t.Fatalf("sequence is %d, want 4", got.Execution.Sequence)
	}
}

// TestProperties drives random events at one execution and checks what no
// order of them may break.
func TestProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRecorded(t)
		for range rapid.IntRange(1, 30).Draw(t, "events") {
			e := flow.Event{
				Epoch:      flow.Epoch{Era: 1, N: rapid.Uint64Range(1, 3).Draw(t, "n")},
				Kind:       flow.EventKind(rapid.Int32Range(1, 3).Draw(t, "kind")),
				Phase:      rapid.Int32Range(0, 11).Draw(t, "phase"),
				Node:       "n0",
				Sequence:   rapid.Uint64Range(1, 20).Draw(t, "sequence"),
				OccurredAt: at,
			}
			next, res := Apply(r, e)
			check(t, r, next, e, res)
			again, res2 := Apply(next, e)
			if res.Accepted && (!res2.Accepted || !reflect.DeepEqual(again, next)) {
				t.Fatalf("a repeat of %+v changed something or was refused: %s", e, res2.Reason)
			}
			r = next
		}
	})
}

// drawRecorded draws an execution that may be resumed, with a node and an
// attempt of an earlier epoch, and may be being moved.
func drawRecorded(t *rapid.T) flow.Recorded {
	r := flow.Recorded{Execution: flow.Execution{Epoch: epoch, Phase: flow.ExecutionQueued, Desired: flow.DesiredRun,
		Revoking: rapid.SampledFrom([]flow.MoveKind{"", flow.MoveDrain}).Draw(t, "revoking")}}
	if r.Execution.Resumed = rapid.Bool().Draw(t, "resumed"); r.Execution.Resumed {
		earlier := flow.Epoch{Era: 1, N: 1}
		r.Node = &flow.NodeExecution{Epoch: earlier, Phase: flow.NodePhase(rapid.Int32Range(1, 10).Draw(t, "node")), Sequence: 9}
		r.Task = &flow.TaskExecution{Epoch: earlier, Phase: flow.TaskPhase(rapid.Int32Range(1, 8).Draw(t, "task")), Sequence: 9}
	}
	return r
}

// checkMoved checks what a resumed or a moving execution promises.
func checkMoved(t *rapid.T, old, next flow.Recorded, e flow.Event) {
	if next.Execution.Phase == flow.ExecutionAborted && old.Execution.Phase != flow.ExecutionAborted && old.Execution.Desired == flow.DesiredRun {
		t.Fatalf("an abort that nobody asked for was recorded: %+v", e)
	}
	if old.Node != nil && old.Node.Phase == flow.NodeSucceeded && next.Node.Phase != flow.NodeSucceeded {
		t.Fatalf("a node that succeeded became %s", next.Node.Phase)
	}
	if old.Task != nil && old.Task.Phase == flow.TaskSucceeded && next.Task.Phase != flow.TaskSucceeded {
		t.Fatalf("an attempt that succeeded became %s", next.Task.Phase)
	}
}

func check(t *rapid.T, old, next flow.Recorded, e flow.Event, res flow.EventResult) {
	checkMoved(t, old, next, e)
	if e.Epoch != epoch && res.Accepted {
		t.Fatalf("epoch %s was accepted", e.Epoch)
	}
	if !res.Accepted && (res.Reason == "" || !reflect.DeepEqual(old, next)) {
		t.Fatalf("a refusal without reason, or with effect: %+v", e)
	}
	if old.Execution.Phase.Terminal() && next.Execution.Phase != old.Execution.Phase {
		t.Fatalf("terminal %s became %s", old.Execution.Phase, next.Execution.Phase)
	}
	if rank[next.Execution.Phase] < rank[old.Execution.Phase] {
		t.Fatalf("execution went back from %s to %s", old.Execution.Phase, next.Execution.Phase)
	}
	if old.Node != nil && old.Node.Epoch == next.Node.Epoch && nodeRank(next.Node.Phase) < nodeRank(old.Node.Phase) {
		t.Fatalf("node went back from %s to %s", old.Node.Phase, next.Node.Phase)
	}
	if old.Task != nil && old.Task.Epoch == next.Task.Epoch && next.Task.Phase.Rank() < old.Task.Phase.Rank() {
		t.Fatalf("attempt went back from %s to %s", old.Task.Phase, next.Task.Phase)
	}
}

func TestWholeSecondsDoNotTurnBackTime(t *testing.T) {
	created := at.Add(900 * time.Millisecond)
	e := flow.Event{Epoch: epoch, Kind: flow.EventTask, Node: "n0", Phase: int32(flow.TaskSucceeded), Sequence: 1,
		QueuedAt: created, StartedAt: at, EndedAt: at, OccurredAt: created.Add(time.Second)}
	got, _ := Apply(flow.Recorded{Execution: flow.Execution{Epoch: epoch, Phase: flow.ExecutionRunning}}, e)
	if got.Task.StartedAt.Before(created) || got.Task.EndedAt.Before(got.Task.StartedAt) {
		t.Fatalf("started %s and ended %s, created %s", got.Task.StartedAt, got.Task.EndedAt, created)
	}
}

func TestAReopenedNodeHasNoEnd(t *testing.T) {
	closed := &flow.NodeExecution{Phase: flow.NodeAborted, Epoch: flow.Epoch{Era: 1, N: 1}, Sequence: 9, EndedAt: at, Reason: flow.ReasonClusterLost}
	e := flow.Event{Epoch: epoch, Kind: flow.EventNode, Node: "n0", Phase: int32(flow.NodeRunning), Sequence: 1, OccurredAt: at.Add(time.Hour)}
	got, res := Apply(flow.Recorded{Execution: flow.Execution{Epoch: epoch, Phase: flow.ExecutionRunning}, Node: closed}, e)
	if !res.Accepted || got.Node.Phase != flow.NodeRunning || !got.Node.EndedAt.IsZero() || got.Node.Reason != "" {
		t.Fatalf("recorded %+v, answered %+v", got.Node, res)
	}
}

func TestAResumedEpochKeepsWhatStands(t *testing.T) {
	for _, c := range []struct {
		name   string
		node   flow.NodePhase
		to     flow.NodePhase
		want   flow.NodePhase
		reason string
		why    string
	}{
		{"what succeeded is not run again", flow.NodeSucceeded, flow.NodeRunning, flow.NodeSucceeded, "does not reopen", "its outputs are used already"},
		{"what succeeded does not fail later", flow.NodeSucceeded, flow.NodeFailed, flow.NodeSucceeded, "does not reopen", ""},
		{"what succeeded may be told again", flow.NodeSucceeded, flow.NodeRecovered, flow.NodeSucceeded, "", "the first telling has the outputs"},
		{"what was skipped stays skipped", flow.NodeSkipped, flow.NodeQueued, flow.NodeSkipped, "does not reopen", "a branch runs one of its cases"},
		{"what was closed as lost begins anew", flow.NodeAborted, flow.NodeQueued, flow.NodeQueued, "", ""},
		{"what ran goes on", flow.NodeRunning, flow.NodeQueued, flow.NodeQueued, "", "a fresh life at the higher epoch"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := flow.Recorded{Execution: flow.Execution{Epoch: epoch, Phase: flow.ExecutionRunning, Resumed: true},
				Node: &flow.NodeExecution{Phase: c.node, Epoch: flow.Epoch{Era: 1, N: 1}, Sequence: 9}}
			got, res := Apply(r, flow.Event{Epoch: epoch, Kind: flow.EventNode, Node: "n0", Phase: int32(c.to), Sequence: 1, OccurredAt: at})
			if got.Node.Phase != c.want || res.Accepted != (c.reason == "") || !strings.Contains(res.Reason, c.reason) {
				t.Errorf("node is %s, answered %+v; want %s and %q (%s)", got.Node.Phase, res, c.want, c.reason, c.why)
			}
		})
	}
}

func TestAnAbortThatNobodyAskedForIsRefused(t *testing.T) {
	for _, c := range []struct {
		revoking flow.MoveKind
		desired  flow.Desired
		accepted bool
		unasked  bool
		why      string
	}{
		{flow.MoveDrain, flow.DesiredRun, false, false, "its workers were stopped for the move, whose ack is awaited"},
		{flow.MoveDrain, flow.DesiredAbort, true, false, "somebody asked"},
		{"", flow.DesiredAbort, true, false, "somebody asked"},
		{"", flow.DesiredRun, false, true, "it was stopped in a past that a restored backup has forgotten, or by hand"},
	} {
		r := flow.Recorded{Execution: flow.Execution{Epoch: epoch, Phase: flow.ExecutionRunning, Revoking: c.revoking, Desired: c.desired}}
		got, res := Apply(r, workflowEvent(flow.ExecutionAborted))
		if res.Unasked != c.unasked || res.Accepted != c.accepted || (got.Execution.Phase == flow.ExecutionAborted) != c.accepted {
			t.Errorf("%+v: recorded %s, answered %+v", c, got.Execution.Phase, res)
		}
	}
}
