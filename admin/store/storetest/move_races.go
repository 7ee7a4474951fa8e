package storetest

import (
	"fmt"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

var moveRaceCases = []testCase{
	{"of two leaders that take the same work over, one does", func(w *world) {
		east := w.member("east")
		w.registered("west")
		w.registered("south")
		for round := range rounds {
			e := w.run(fmt.Sprintf("e%d", round), east)
			old := w.fence
			w.lead()
			takeovers := []flow.Takeover{w.takeover("east")}
			fences, placed := [2]flow.Fence{old, w.fence}, [2][]flow.ExecutionID{}
			errs := w.race(func(i int, p Ports) (err error) {
				fences[i], placed[i], err = p.CommitPlan(w.ctx, fences[i], flow.Batch{At: began, Takeovers: takeovers,
					Placements: []flow.Placement{forced(e, []string{"west", "south"}[i], flow.MoveLapse)}})
				return err
			})
			w.fails(errs[0], fault.Stale)
			w.ok(errs[1])
			w.fence = fences[1]
			got := w.get(e.ID)
			w.equal([]any{len(placed[0]), len(placed[1]), got.Cluster, got.Epoch}, []any{0, 1, "south", e.Epoch.Next()})
		}
	}},
	{"an abort and the ack of a revocation agree", func(w *world) {
		sender := w.member("east")
		for round := range rounds {
			e := w.run(fmt.Sprintf("e%d", round), sender)
			w.revoke(e)
			revision := w.get(e.ID).Revision
			errs := w.race(func(i int, p Ports) error {
				if i == 0 {
					return p.Ack(w.ctx, sender, []flow.Ack{{Execution: e.ID, Epoch: e.Epoch, Revision: revision}})
				}
				_, err := p.AbortExecution(w.ctx, e.ID, "why", "who", began)
				return err
			})
			w.ok(errs[0])
			w.ok(errs[1])
			got := w.get(e.ID)
			if got.Cluster == "" { // the ack came first
				w.equal([]any{got.Phase, len(w.moves(e.ID))}, []any{flow.ExecutionAborted, 1})
			} else {
				w.equal([]any{got.Phase, len(w.moves(e.ID)), got.Revoking}, []any{flow.ExecutionAborting, 0, flow.MoveKind("")})
			}
		}
	}},
	{"an abort and a takeover agree", func(w *world) {
		sender := w.member("east")
		west := w.member("west")
		for round := range rounds {
			e := w.run(fmt.Sprintf("e%d", round), sender)
			takeovers, fence := []flow.Takeover{w.takeover("east")}, w.fence
			errs := w.race(func(i int, p Ports) (err error) {
				if i == 0 {
					w.fence, _, err = p.CommitPlan(w.ctx, fence, flow.Batch{At: began, Takeovers: takeovers,
						Placements: []flow.Placement{forced(e, "west", flow.MoveLapse)}})
					return err
				}
				_, err = p.AbortExecution(w.ctx, e.ID, "why", "who", began)
				return err
			})
			w.ok(errs[0])
			w.ok(errs[1])
			got := w.get(e.ID)
			w.equal([]any{got.Phase, got.Desired}, []any{flow.ExecutionAborting, flow.DesiredAbort})
			at := map[string]flow.Sender{"east": sender, "west": west}[got.Cluster]
			due := w.due(at)
			w.equal(due[len(due)-1].Desired, flow.DesiredAbort)
		}
	}},
	{"events and a declaration of loss agree", func(w *world) {
		for round := range rounds {
			cluster := fmt.Sprintf("c%d", round)
			sender := w.member(cluster)
			e := w.run(cluster, sender)
			event := happened(e, flow.EventWorkflow, "", int32(flow.ExecutionSucceeded), 1)
			var report flow.LossReport
			errs := w.race(func(i int, p Ports) (err error) {
				if i == 0 {
					_, err = p.RecordEvents(w.ctx, sender, []flow.Event{event}, apply)
					return err
				}
				report, err = p.DeclareLost(w.ctx, cluster, false, by("cluster.declare-lost"))
				return err
			})
			w.ok(errs[1])
			if errs[0] == nil { // the end was recorded before the loss
				w.equal([]any{report.Movable, w.get(e.ID).Phase}, []any{int64(0), flow.ExecutionSucceeded})
			} else {
				w.fails(errs[0], fault.Stale)
				w.equal([]any{report.Movable, w.get(e.ID).Phase}, []any{int64(1), flow.ExecutionQueued})
			}
		}
	}},
}
