package storetest

import (
	"time"

	"github.com/skein-project/skein/api/flow"
)

// orderWrites are the writes of moves and orders, for lostAnswerCases.
var orderWrites = []testWrite{
	{"a takeover", func(w *world) (func() error, func()) {
		e := w.run("a", w.member("east"))
		w.registered("west")
		b := flow.Batch{Placements: []flow.Placement{forced(e, "west", flow.MoveLapse)}, Takeovers: []flow.Takeover{w.takeover("east")}}
		var placed []flow.ExecutionID
		return func() (err error) { w.fence, placed, err = w.CommitPlan(w.ctx, w.fence, b); return err }, func() {
			got := w.get(e.ID)
			w.equal([]any{len(placed), got.Cluster, got.Epoch, got.Moves, w.ownership("east")}, []any{1, "west", e.Epoch.Next(), 1, uint64(2)})
		}
	}},
	{"Revoke", func(w *world) (func() error, func()) {
		sender := w.member("east")
		e := w.run("a", sender)
		var done []flow.ExecutionID
		return func() (err error) {
				w.fence, done, err = w.Revoke(w.ctx, w.fence, []flow.Revocation{{Execution: e.ID, Epoch: e.Epoch, Kind: flow.MoveTaint}}, began)
				return err
			}, func() {
				w.equal([]any{len(done), w.get(e.ID).Revision, len(w.due(sender))}, []any{1, e.Revision + 1, 1})
			}
	}},
	{"the Ack of a revocation", func(w *world) (func() error, func()) {
		sender := w.member("east")
		e := w.run("a", sender)
		w.revoke(e)
		return func() error {
			return w.Ack(w.ctx, sender, []flow.Ack{{Execution: e.ID, Epoch: e.Epoch, Revision: e.Revision + 1}})
		}, func() { w.equal([]any{w.get(e.ID).Cluster, len(w.moves(e.ID))}, []any{"", 1}) }
	}},
	{"Reap", func(w *world) (func() error, func()) {
		e := w.run("a", w.member("east"))
		_, err := w.AbortExecution(w.ctx, e.ID, "", "", began)
		w.ok(err)
		var done []flow.ExecutionID
		return func() (err error) {
				w.fence, done, err = w.Reap(w.ctx, w.fence, w.takeover("east"), []flow.ExecutionID{e.ID}, began)
				return err
			}, func() {
				w.equal([]any{len(done), w.get(e.ID).Phase, w.ownership("east")}, []any{1, flow.ExecutionAborted, uint64(2)})
			}
	}},
	{"UpdateCluster", func(w *world) (func() error, func()) {
		w.cluster("east")
		var c flow.Cluster
		return func() (err error) {
				c, err = w.UpdateCluster(w.ctx, "east", func(c *flow.Cluster) error { c.Cordoned = !c.Cordoned; return nil }, by("cluster.cordon"))
				return err
			}, func() {
				got, err := w.GetCluster(w.ctx, "east")
				w.equal([]any{must(w, got, err).Cordoned, c.Cordoned}, []any{true, true})
				w.audited("cluster/east", 1)
			}
	}},
	{"DeclareLost", func(w *world) (func() error, func()) {
		w.member("east")
		var report flow.LossReport
		return func() (err error) {
				report, err = w.DeclareLost(w.ctx, "east", false, by("cluster.declare-lost"))
				return err
			}, func() {
				w.equal(report.Cluster.Incarnation, uint64(2))
				w.audited("cluster/east", 1)
			}
	}},
	{"DeclareFound", func(w *world) (func() error, func()) {
		w.cluster("east")
		w.lose("east", false)
		var c flow.Cluster
		return func() (err error) { c, err = w.DeclareFound(w.ctx, "east", by("cluster.declare-found")); return err },
			func() { w.equal(c.Incarnation, uint64(3)) }
	}},
	{"RemoveCluster", func(w *world) (func() error, func()) {
		w.cluster("east")
		return func() error { return w.RemoveCluster(w.ctx, "east", by("cluster.remove")) }, func() {
			list, err := w.ListClusters(w.ctx)
			w.equal(len(must(w, list, err)), 0)
		}
	}},
	{"PutPolicy", func(w *world) (func() error, func()) {
		var p flow.Policy
		return func() (err error) {
				p, err = w.PutPolicy(w.ctx, flow.Policy{Scope: flow.PolicyScope{Level: flow.PolicySystem}}, 0)
				return err
			}, func() {
				w.equal(p.Version, uint64(1))
				w.audited("policy/system", 1)
			}
	}},
	{"SetRevoked", func(w *world) (func() error, func()) {
		sender := w.member("east")
		return func() error { _, err := w.SetRevoked(w.ctx, sender.Member, true, by("member.revoke")); return err }, func() {
			list, err := w.Revoked(w.ctx)
			w.equal(must(w, list, err), []flow.Member{sender.Member})
			w.audited("member/east/i", 1)
		}
	}},
}

func (w *world) audited(subject string, lines int) {
	w.Helper()
	list, err := w.ListAudit(w.ctx, subject, time.Time{}, 10)
	w.equal(len(must(w, list, err)), lines)
}
