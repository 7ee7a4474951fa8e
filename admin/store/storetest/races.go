package storetest

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

// rounds is how often a race is run: each has its own winner.
const rounds = 25

var raceCases = []testCase{
	{"of many creators of one name, one succeeds, and the row is its own", func(w *world) {
		for round := range rounds {
			name := fmt.Sprintf("e%d", round)
			errs, winner := make([]error, 4), -1
			var group sync.WaitGroup
			for i := range errs {
				e := w.example(name)
				e.Principal = fmt.Sprint(i)
				group.Go(func() { errs[i] = w.pick(i).CreateExecution(w.ctx, e) })
			}
			group.Wait()
			for i, err := range errs {
				if err == nil && winner < 0 {
					winner = i
				} else {
					w.fails(err, fault.Conflict)
				}
			}
			w.equal(w.get(w.id(name)).Principal, fmt.Sprint(winner))
		}
	}},
	{"an abort and a placement agree on one row", abortRace},
	{"events of several members do not lose each other", memberRace},
	{"of two leaders, the one whose term is over commits nothing after it", leaderRace},
}

var registryRaceCases = []testCase{
	{"two activations leave one active version", func(w *world) {
		for _, v := range []string{"v0", "v1"} {
			w.ok(w.CreateEntity(w.ctx, flow.Entity{Kind: flow.KindLaunchPlan, ID: plan(v)}))
		}
		for range rounds {
			var group sync.WaitGroup
			errs := make([]error, 2)
			for i := range errs {
				group.Go(func() { errs[i] = w.pick(i).SetActive(w.ctx, plan(fmt.Sprintf("v%d", i)), true) })
			}
			group.Wait()
			w.ok(errs[0])
			w.ok(errs[1])
			w.equal(len(w.active()), 1)
		}
	}},
}

func (w *world) pick(i int) Ports {
	if i%2 == 0 {
		return w.Ports
	}
	return w.Other
}

func abortRace(w *world) {
	sender := w.member("east")
	w.lead()
	for round := range rounds {
		id := w.create(fmt.Sprintf("e%d", round))
		var group sync.WaitGroup
		var placed []flow.ExecutionID
		var planErr, abortErr error
		fence := w.fence
		group.Go(func() {
			w.fence, placed, planErr = w.CommitPlan(w.ctx, fence, onto("east", id))
		})
		group.Go(func() { _, abortErr = w.Other.AbortExecution(w.ctx, id, "why", "who", began) })
		group.Wait()
		w.ok(planErr)
		w.ok(abortErr)
		e := w.get(id)
		w.equal(e.Desired, flow.DesiredAbort)
		due := slices.ContainsFunc(w.due(sender), func(a flow.Assignment) bool { return a.Execution == id && a.Desired == flow.DesiredAbort })
		if len(placed) == 1 {
			w.equal([]any{e.Phase, e.Cluster, due}, []any{flow.ExecutionAborting, "east", true})
		} else {
			w.equal([]any{e.Phase, e.Cluster, due}, []any{flow.ExecutionAborted, "", false})
		}
	}
}

func memberRace(w *world) {
	const members, batches = 4, 10
	var senders [members]flow.Sender
	var executions [members]flow.Execution
	for i := range members {
		senders[i] = w.member(fmt.Sprintf("c%d", i))
		executions[i] = w.run(fmt.Sprintf("e%d", i), senders[i])
	}
	var group sync.WaitGroup
	var errs [members]error
	for i := range members {
		group.Go(func() {
			for n := range batches {
				sequence := uint64(n + 1)
				_, err := w.pick(i).RecordEvents(w.ctx, senders[i], []flow.Event{
					happened(executions[i], flow.EventNode, fmt.Sprintf("n%d", n), int32(flow.NodeRunning), sequence),
					happened(executions[i], flow.EventTask, fmt.Sprintf("n%d", n), int32(flow.TaskRunning), sequence)}, apply)
				if err != nil {
					errs[i] = err
				}
			}
		})
	}
	group.Wait()
	for i := range members {
		w.ok(errs[i])
		nodes, err := w.ListNodes(w.ctx, executions[i].ID, "", flow.Query{Limit: 100})
		w.equal(len(must(w, nodes, err)), batches)
		w.equal(w.get(executions[i].ID).Sequence, uint64(batches))
	}
}

// leaderRace stops an old leader's COMMIT on its way. If the next term can
// begin meanwhile, the old COMMIT must fail; else the next term must wait.
func leaderRace(w *world) {
	if w.Hold == nil {
		w.Skip("the engine has no wire")
	}
	w.lead()
	w.registered("east")
	id := w.create("a")
	reached, release := w.Hold()
	defer release()
	committed, began2 := make(chan error, 1), make(chan error, 1)
	go func() {
		_, _, err := w.CommitPlan(w.ctx, w.fence, onto("east", id))
		committed <- err
	}()
	<-reached
	go func() {
		_, err := w.Other.BeginTerm(w.ctx, "other")
		began2 <- err
	}()
	select {
	case err := <-began2:
		w.ok(err)
		release()
		w.fails(<-committed, fault.Stale)
		w.equal(w.get(id).Cluster, "")
	case <-time.After(500 * time.Millisecond):
		release()
		w.ok(<-committed)
		w.ok(<-began2)
		w.equal(w.get(id).Cluster, "east")
	}
}
