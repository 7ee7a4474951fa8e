package storetest

import (
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

var executionCases = []testCase{
	{"an execution is read as it was written", func(w *world) {
		e := w.example("a")
		e.Task = someTask
		w.ok(w.CreateExecution(w.ctx, e))
		got, err := w.Other.GetExecution(w.ctx, e.ID)
		w.equal(must(w, got, err), e)
	}},
	{"a name is taken once", func(w *world) {
		e := w.example("a")
		w.ok(w.CreateExecution(w.ctx, e))
		w.fails(w.CreateExecution(w.ctx, e), fault.Conflict)
		e.ID.Domain = "other"
		w.ok(w.CreateExecution(w.ctx, e))
	}},
	{"only an active project takes executions", func(w *world) {
		e := w.example("a")
		e.ID.Project = "nobody"
		w.fails(w.CreateExecution(w.ctx, e), fault.Precondition)
		for state, takes := range []bool{true, false, true, false} {
			w.ok(w.Other.UpdateProject(w.ctx, flow.Project{ID: "p", Name: "p", State: int32(state)}))
			e := w.example(string(rune('a' + state)))
			if err := w.CreateExecution(w.ctx, e); takes {
				w.ok(err)
			} else {
				w.fails(err, fault.Precondition)
			}
		}
	}},
	{"what was never placed is aborted at once", func(w *world) {
		id := w.create("a")
		when := began.Add(time.Hour)
		e, err := w.AbortExecution(w.ctx, id, "why", "who", when)
		w.ok(err)
		w.equal([]any{e.Phase, e.Desired, e.EndedAt, e.AbortCause, e.AbortPrincipal},
			[]any{flow.ExecutionAborted, flow.DesiredAbort, when, "why", "who"})
		pending, err := w.Pending(w.ctx, flow.PendingKey{}, 10)
		w.equal(len(must(w, pending, err)), 0)
	}},
	{"what a cluster holds is told to abort, once", func(w *world) {
		sender := w.member("east")
		placed := w.run("a", sender)
		e, err := w.AbortExecution(w.ctx, placed.ID, "why", "who", began)
		w.ok(err)
		w.equal([]any{e.Phase, e.Revision, e.Version}, []any{flow.ExecutionAborting, placed.Revision + 1, placed.Version + 1})
		again, err := w.AbortExecution(w.ctx, placed.ID, "other", "else", began.Add(time.Hour))
		w.equal(must(w, again, err), e)
		due := w.due(sender)
		w.equal(len(due), 1)
		w.equal([]any{due[0].Desired, due[0].Cause, due[0].Revision, due[0].Epoch}, []any{flow.DesiredAbort, "why", e.Revision, e.Epoch})
	}},
	{"what has ended cannot be aborted", func(w *world) {
		sender := w.member("east")
		e := w.run("a", sender)
		w.record(sender, happened(e, flow.EventWorkflow, "", int32(flow.ExecutionFailed), 1))
		got, err := w.AbortExecution(w.ctx, e.ID, "why", "who", began)
		w.fails(err, fault.Precondition)
		w.equal(got.Phase, flow.ExecutionFailed)
	}},
	{"archiving hides, and can be undone", func(w *world) {
		id := w.create("a")
		w.ok(w.ArchiveExecution(w.ctx, id, true))
		w.equal(w.get(id).Archived, true)
		w.ok(w.ArchiveExecution(w.ctx, id, false))
		w.equal(w.get(id).Archived, false)
	}},
}
