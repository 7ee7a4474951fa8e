package storetest

import (
	"fmt"
	"time"

	"github.com/skein-project/skein/api/flow"
)

var explanationCases = []testCase{
	{"a trail is stored once, and decisions and waits refer to it", func(w *world) {
		w.lead()
		w.registered("east")
		w.registered("west")
		round := w.round(1)
		trail := flow.Trail{Digest: "t1", Class: "c", Round: round.ID, Reasons: []flow.Reason{
			{Cluster: "east", Message: "fits", Score: 2, Parts: flow.Parts{{Name: "free", Value: 2}}}, {Cluster: "west", Filter: "taints", Message: "tainted"}}}
		a, b, c := w.create("a"), w.create("b"), w.create("c")
		w.commit(flow.Batch{Placements: []flow.Placement{{Execution: a, Cluster: "east", Trail: "t1", Score: 2}},
			Trails: []flow.Trail{trail}, Round: &round, RoundID: round.ID})
		// A later batch of the same round stores neither again.
		other := trail
		other.Reasons = nil
		w.commit(flow.Batch{Placements: []flow.Placement{{Execution: b, Cluster: "west", Trail: "t1", Score: 1}},
			Waits: []flow.Wait{{Execution: c, Trail: "t1"}}, Trails: []flow.Trail{other}, RoundID: round.ID})
		for id, chosen := range map[flow.ExecutionID]string{a: "east", b: "west", c: ""} {
			decisions, err := w.ListDecisions(w.ctx, id)
			w.equal(len(must(w, decisions, err)), 1)
			d := decisions[0]
			w.equal([]any{d.Cluster, d.Trail, d.Round, len(d.Reasons), d.Reasons[0].Parts}, []any{chosen, "t1", round.ID, 2, trail.Reasons[0].Parts})
			for _, r := range d.Reasons {
				w.equal(r.Chosen, r.Cluster == chosen)
			}
		}
		trails, err := w.Other.Trails(w.ctx, []string{"t1", "t2"})
		w.equal(must(w, trails, err), []flow.Trail{trail})
		decisions, err := w.RoundDecisions(w.ctx, round.ID)
		w.equal(len(must(w, decisions, err)), 3)
		w.equal([]any{decisions[0].Execution, decisions[0].Score, decisions[2].Execution}, []any{a, 2.0, c})
	}},
	{"rounds are listed newest first, whole", func(w *world) {
		w.lead()
		for i := range 3 {
			round := w.round(i)
			w.commit(flow.Batch{Round: &round})
		}
		again := w.round(1) // at the same moment as another
		again.ID = "1.2/0"
		w.commit(flow.Batch{Round: &again})
		var older flow.RoundKey
		for _, want := range [][]flow.Round{{w.round(2)}, {again}, {w.round(1)}, {w.round(0)}, nil} {
			list, err := w.Rounds(w.ctx, older, 1)
			w.equal(len(must(w, list, err)), len(want))
			if len(want) > 0 {
				w.equal(list, want)
				older = list[0].Before()
			}
		}
		list, err := w.Rounds(w.ctx, flow.RoundKey{}, 2)
		w.equal(must(w, list, err), []flow.Round{w.round(2), again})
	}},
	{"a wait says something new if its trail is another", func(w *world) {
		w.lead()
		id := w.create("a")
		for i, trail := range []string{"t1", "t1", "t2"} {
			w.commit(flow.Batch{At: began.Add(time.Duration(i) * time.Second), Waits: []flow.Wait{{Execution: id, Trail: trail}},
				Trails: []flow.Trail{{Digest: trail, Reasons: []flow.Reason{{Cluster: trail}}}}})
			decisions, err := w.ListDecisions(w.ctx, id)
			w.equal([]any{must(w, decisions, err)[0].At, decisions[0].Reasons[0].Cluster}, []any{began.Add(time.Duration(i/2*2) * time.Second), trail})
		}
	}},
	{"a wait that is said again after a placement is new", waitAgainCase},
}

// waitAgainCase: it waits, is placed, comes back, and waits for the same reasons.
func waitAgainCase(w *world) {
	sender := w.member("east")
	id := w.create("a")
	w.lead()
	for i := range 2 {
		said := began.Add(time.Duration(i) * time.Hour)
		wait := flow.Batch{At: said, Waits: []flow.Wait{{Execution: id, Trail: "t"}}, Trails: []flow.Trail{{Digest: "t", Reasons: []flow.Reason{{Cluster: "east"}}}}}
		w.commit(wait)
		wait.At = said.Add(time.Second) // it goes on
		w.commit(wait)
		decisions, err := w.ListDecisions(w.ctx, id)
		w.equal(len(must(w, decisions, err)), i+1)
		w.equal([]any{decisions[0].Cluster, decisions[0].At}, []any{"", said})

		w.commit(flow.Batch{At: said.Add(time.Minute), Placements: []flow.Placement{{Execution: id, Prior: w.get(id).Epoch, Cluster: "east"}}})
		e := w.get(id)
		w.ok(w.Ack(w.ctx, sender, []flow.Ack{{Execution: id, Epoch: e.Epoch, Revision: e.Revision}}))
		w.judge(sender)
		w.equal(w.get(id).Cluster, "")
	}
}

var trimCases = []testCase{
	{"what nobody reads any more is trimmed, and nothing else", trimCase},
	{"a trail that is stored again is as new", func(w *world) {
		w.lead()
		w.commit(flow.Batch{At: began, Trails: []flow.Trail{{Digest: "again", Round: "gone"}, {Digest: "once", Round: "gone"}}})
		w.commit(flow.Batch{At: began.Add(2 * time.Hour), Trails: []flow.Trail{{Digest: "again", Round: "gone"}}})
		n, err := w.Trim(w.ctx, began.Add(time.Hour), 1)
		w.equal(must(w, n, err), int64(1))
		trails, err := w.Trails(w.ctx, []string{"again", "once"})
		w.equal([]any{len(must(w, trails, err)), trails[0].Digest}, []any{1, "again"})
	}},
}

func (w *world) round(i int) flow.Round {
	return flow.Round{ID: fmt.Sprintf("1.1/%d", i), Scheduler: flow.Epoch{Era: 1, N: 1}, At: began.Add(time.Duration(i) * time.Minute),
		View: []byte{1, byte(i)}, Plan: []byte{2}, Decisions: i}
}

func trimCase(w *world) {
	sender := w.member("east")
	ended, waits, placed := w.run("ended", sender), w.create("waits"), w.create("placed")
	running := w.run("running", sender)
	unacked := w.place(w.create("unacked"), "east")
	for _, e := range []flow.Execution{ended, unacked} {
		event := happened(e, flow.EventWorkflow, "", int32(flow.ExecutionSucceeded), 1)
		event.Revision = 0
		w.record(sender, event)
	}
	for i, trail := range []string{"free", "decided", "waits", "round"} {
		round := w.round(i)
		w.commit(flow.Batch{At: began, Round: &round, Trails: []flow.Trail{{Digest: trail, Round: map[bool]string{true: round.ID, false: "gone"}[trail == "round"]}}})
	}
	w.commit(flow.Batch{At: began, Waits: []flow.Wait{{Execution: waits, Trail: "waits"}, {Execution: placed, Trail: "free"}}})
	w.commit(flow.Batch{At: began.Add(time.Second), Placements: []flow.Placement{{Execution: placed, Cluster: "east", Trail: "decided"}}})
	due := len(w.due(sender))

	n, err := w.Trim(w.ctx, began.Add(time.Hour), 1)
	w.equal(must(w, n, err), int64(1+1+4+2)) // the outbox row of what ended, one wait, all rounds, and two trails
	trails, err := w.Trails(w.ctx, []string{"free", "decided", "waits", "round"})
	w.equal(len(must(w, trails, err)), 2)
	w.equal([]string{trails[0].Digest, trails[1].Digest}, []string{"decided", "waits"})
	w.equal(len(w.due(sender)), due)
	w.equal(w.judge(sender).OwnershipRevision, uint64(2)) // running is missed: its outbox row is there still
	w.equal(w.get(running.ID).Cluster, "")
	decisions, err := w.ListDecisions(w.ctx, waits)
	w.equal(len(must(w, decisions, err)), 1)

	for i := range 3 {
		round := w.round(100 + i)
		w.commit(flow.Batch{Round: &round})
	}
	n, err = w.Trim(w.ctx, began, 2)
	w.equal(must(w, n, err), int64(1))
	list, err := w.Rounds(w.ctx, flow.RoundKey{}, 10)
	w.equal([]string{must(w, list, err)[0].ID, list[1].ID}, []string{"1.1/102", "1.1/101"})
}
