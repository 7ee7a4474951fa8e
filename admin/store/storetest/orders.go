package storetest

import (
	"errors"
	"fmt"
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

// by is a line of the audit that a case writes.
func by(action string) flow.Audit {
	return flow.Audit{At: began, Actor: "ann", Action: action, Detail: "because"}
}

// change alters a cluster as an operator does.
func (w *world) change(name string, change func(*flow.Cluster)) flow.Cluster {
	w.Helper()
	c, err := w.UpdateCluster(w.ctx, name, func(c *flow.Cluster) error { change(c); return nil }, by("cluster.update"))
	return must(w, c, err)
}

var orderCases = []testCase{
	{"an operator changes labels, taints, cordon and drain, and nothing else, and it is audited", func(w *world) {
		w.cluster("east")
		drain := &flow.ClusterDrain{Budget: 3, Deadline: began.Add(time.Hour), Grace: 5, By: "ann", At: began}
		c := w.change("east", func(c *flow.Cluster) {
			c.Labels, c.Cordoned, c.Drain = map[string]string{"c": "d"}, true, drain
			c.Incarnation, c.Lost, c.Health, c.Version = 77, true, flow.HealthHealthy, "v"
		})
		w.equal([]any{c.Labels, c.Cordoned, c.Drain, c.Incarnation, c.Lost, c.Health, c.Version},
			[]any{map[string]string{"c": "d"}, true, drain, uint64(1), false, flow.HealthUnknown, ""})
		got, err := w.Other.GetCluster(w.ctx, "east")
		w.equal(must(w, got, err), c)
		audit, err := w.ListAudit(w.ctx, "cluster/east", time.Time{}, 10)
		w.equal(len(must(w, audit, err)), 1)
		w.equal([]any{audit[0].Actor, audit[0].Action, audit[0].At, audit[0].Detail}, []any{"ann", "cluster.update", began, "because"})
		w.equal(w.change("east", func(c *flow.Cluster) { c.Drain = nil }).Drain, (*flow.ClusterDrain)(nil))
		_, err = w.UpdateCluster(w.ctx, "x", func(*flow.Cluster) error { return nil }, by("cluster.update"))
		w.fails(err, fault.NotFound)
	}},
	{"a change that its maker refuses stores nothing", func(w *world) {
		w.cluster("east")
		_, err := w.UpdateCluster(w.ctx, "east", func(c *flow.Cluster) error {
			c.Cordoned = true
			return fault.E(fault.Invalid, "no")
		}, by("cluster.update"))
		w.fails(err, fault.Invalid)
		c, err := w.GetCluster(w.ctx, "east")
		w.equal(must(w, c, err).Cordoned, false)
		audit, err := w.ListAudit(w.ctx, "", time.Time{}, 10)
		w.equal(len(must(w, audit, err)), 0)
	}},
	{"a taint is dated when it is new, and keeps its date", func(w *world) {
		w.cluster("east")
		first, second := flow.Taint{Key: "a", Effect: flow.NoExecute}, flow.Taint{Key: "b", Effect: flow.NoExecute}
		w.equal(w.change("east", func(c *flow.Cluster) { c.Taints = []flow.Taint{first} }).Taints[0].AddedAt, began)
		later := by("cluster.taint")
		later.At = began.Add(time.Hour)
		c, err := w.UpdateCluster(w.ctx, "east", func(c *flow.Cluster) error { c.Taints = []flow.Taint{first, second}; return nil }, later)
		w.ok(err)
		w.equal([]time.Time{c.Taints[0].AddedAt, c.Taints[1].AddedAt}, []time.Time{began, later.At})
	}},
	{"two operators at once both have their say", func(w *world) {
		w.cluster("east")
		for round := range rounds {
			errs := w.race(func(i int, p Ports) error {
				_, err := p.UpdateCluster(w.ctx, "east", func(c *flow.Cluster) error {
					c.Taints = append(c.Taints, flow.Taint{Key: fmt.Sprintf("k%d-%d", round, i), Effect: flow.NoSchedule})
					return nil
				}, by("cluster.taint"))
				return err
			})
			w.ok(errors.Join(errs...))
		}
		c, err := w.GetCluster(w.ctx, "east")
		w.equal(len(must(w, c, err).Taints), 2*rounds)
	}},
	{"a drain ends empty, or expires, and the cluster stays cordoned", func(w *world) {
		w.cluster("east")
		w.lead()
		for _, expired := range []bool{true, false} {
			w.change("east", func(c *flow.Cluster) { c.Drain, c.Cordoned = &flow.ClusterDrain{By: "ann", Deadline: began}, false })
			next, err := w.EndDrain(w.ctx, w.fence, "east", expired, began)
			w.fence = must(w, next, err)
			c, err := w.GetCluster(w.ctx, "east")
			w.equal([]any{must(w, c, err).Cordoned, c.Drain != nil}, []any{true, expired})
			w.equal(c.Drain != nil && c.Drain.Expired, expired)
		}
		next, err := w.EndDrain(w.ctx, w.fence, "nowhere", false, began)
		w.fence = must(w, next, err)
		audit, err := w.ListAudit(w.ctx, "cluster/east", time.Time{}, 10)
		w.equal(len(must(w, audit, err)), 4)
		w.lead()
		_, err = w.EndDrain(w.ctx, next, "east", false, began)
		w.fails(err, fault.Stale)
	}},
	{"a drain that was given longer meanwhile does not expire", func(w *world) {
		w.cluster("east")
		w.lead()
		for _, deadline := range []time.Time{{}, began.Add(time.Second)} {
			drain := &flow.ClusterDrain{By: "ann", Deadline: deadline}
			before := w.change("east", func(c *flow.Cluster) { c.Drain = drain })
			next, err := w.EndDrain(w.ctx, w.fence, "east", true, began)
			w.fence = must(w, next, err)
			c, err := w.GetCluster(w.ctx, "east")
			w.equal(must(w, c, err), before)
		}
		audit, err := w.ListAudit(w.ctx, "cluster/east", time.Time{}, 10)
		w.equal(len(must(w, audit, err)), 2)
	}},
	{"only an empty cluster is removed, and comes back above its incarnation", removeCase},
	{"a placement and a removal agree", removeRace},
}

// race runs one thing on both replicas at once.
func (w *world) race(do func(i int, p Ports) error) []error {
	errs, done := make([]error, 2), make(chan struct{})
	for i := range errs {
		go func() {
			errs[i] = do(i, w.pick(i))
			done <- struct{}{}
		}()
	}
	<-done
	<-done
	return errs
}

func removeCase(w *world) {
	sender := w.member("east")
	e := w.run("a", sender)
	w.fails(w.RemoveCluster(w.ctx, "east", by("cluster.remove")), fault.Precondition)
	w.record(sender, happened(e, flow.EventWorkflow, "", int32(flow.ExecutionSucceeded), 1))
	w.ok(w.RemoveCluster(w.ctx, "east", by("cluster.remove")))
	w.fails(w.RemoveCluster(w.ctx, "east", by("cluster.remove")), fault.NotFound)
	_, err := w.OpenSession(w.ctx, sender.Member, "hub", flow.ClusterReport{})
	w.fails(err, fault.NotFound)
	w.fails(w.Ack(w.ctx, sender, []flow.Ack{{Execution: e.ID, Epoch: e.Epoch, Revision: 1}}), fault.Stale)
	members, err := w.ListMembers(w.ctx, "")
	w.equal(len(must(w, members, err)), 0)
	w.cluster("east")
	c, err := w.GetCluster(w.ctx, "east")
	w.equal(must(w, c, err).Incarnation, uint64(2))
	w.fails(w.Ack(w.ctx, sender, []flow.Ack{{Execution: e.ID, Epoch: e.Epoch, Revision: 1}}), fault.Stale)
	session := w.session("east")
	w.equal([]uint64{session.Incarnation, session.Generation}, []uint64{2, sender.Generation + 1})
}

func removeRace(w *world) {
	w.lead()
	for round := range rounds {
		name := fmt.Sprintf("c%d", round)
		w.cluster(name)
		id := w.create(name)
		var placed []flow.ExecutionID
		fence := w.fence
		errs := w.race(func(i int, p Ports) (err error) {
			if i == 0 {
				w.fence, placed, err = p.CommitPlan(w.ctx, fence, onto(name, id))
				return err
			}
			return p.RemoveCluster(w.ctx, name, by("cluster.remove"))
		})
		w.ok(errs[0])
		if len(placed) == 1 {
			w.fails(errs[1], fault.Precondition)
			continue
		}
		w.ok(errs[1])
		w.equal(w.get(id).Cluster, "")
	}
}

var policyCases = []testCase{
	{"each write of a policy is a version, and the newest holds", func(w *world) {
		selector := "region=eu"
		scope := flow.PolicyScope{Level: flow.PolicyProject, Project: "p", Domain: "d"}
		first := flow.Policy{Scope: scope, Author: "ann", At: began, Rules: flow.PolicyRules{DefaultSelector: &selector,
			Preferred: []flow.Preference{{Selector: "a", Weight: 3}}, Weights: &flow.Weights{Free: 0.5}},
			Share: &flow.PolicyShare{Weight: 2, Quota: &flow.Quota{GPUs: 1}}}
		got, err := w.PutPolicy(w.ctx, first, 0)
		first.Version = 1
		w.equal(must(w, got, err), first)
		second := flow.Policy{Scope: scope, Author: "bob", At: began.Add(time.Hour), Rules: flow.PolicyRules{RequiredSelector: "eu"}}
		_, err = w.PutPolicy(w.ctx, second, 0)
		w.fails(err, fault.Conflict)
		got, err = w.PutPolicy(w.ctx, second, 1)
		second.Version = 2
		w.equal(must(w, got, err), second)
		_, err = w.PutPolicy(w.ctx, flow.Policy{Scope: flow.PolicyScope{Level: flow.PolicySystem}, At: began}, 0)
		w.ok(err)
		for version, want := range map[uint64]flow.Policy{0: second, 1: first, 2: second} {
			got, err := w.Other.GetPolicy(w.ctx, scope.String(), version)
			w.equal(must(w, got, err), want)
		}
		_, err = w.GetPolicy(w.ctx, scope.String(), 3)
		w.fails(err, fault.NotFound)
		list, err := w.ListPolicies(w.ctx, scope.String())
		w.equal(must(w, list, err), []flow.Policy{second, first})
		list, err = w.ListPolicies(w.ctx, "")
		w.equal(len(must(w, list, err)), 2)
		w.equal(list[0], second)
	}},
	{"a policy that is withdrawn holds no more, and may be written again", func(w *world) {
		scope := flow.PolicyScope{Level: flow.PolicyDomain, Domain: "d"}
		for version, deleted := range []bool{false, true} {
			_, err := w.PutPolicy(w.ctx, flow.Policy{Scope: scope, Deleted: deleted, Author: "ann"}, uint64(version))
			w.ok(err)
		}
		list, err := w.ListPolicies(w.ctx, "")
		w.equal(len(must(w, list, err)), 0)
		newest, err := w.GetPolicy(w.ctx, "domain/d", 0)
		w.equal(must(w, newest, err).Deleted, true)
		_, err = w.PutPolicy(w.ctx, flow.Policy{Scope: scope}, 2)
		w.ok(err)
		list, err = w.ListPolicies(w.ctx, "")
		w.equal(len(must(w, list, err)), 1)
		audit, err := w.ListAudit(w.ctx, "policy/domain/d", time.Time{}, 10)
		w.equal(len(must(w, audit, err)), 3)
	}},
	{"of two writers of one version, one is told of the other", func(w *world) {
		scope := flow.PolicyScope{Level: flow.PolicySystem}
		for round := range rounds {
			errs := w.race(func(_ int, p Ports) error {
				_, err := p.PutPolicy(w.ctx, flow.Policy{Scope: scope}, uint64(round))
				return err
			})
			if (errs[0] == nil) == (errs[1] == nil) {
				w.Fatalf("round %d: %v", round, errs)
			}
			w.fails(errors.Join(errs...), fault.Conflict)
		}
	}},
}

var auditCases = []testCase{
	{"the audit is listed newest first, by subject and page", func(w *world) {
		for i := range 5 {
			w.ok(w.WriteAudit(w.ctx, flow.Audit{ID: fmt.Sprint(i), At: began.Add(time.Duration(i) * time.Minute), Actor: "ann",
				Action: "a", Subject: fmt.Sprintf("s%d", i%2), Detail: "d"}))
		}
		w.ok(w.WriteAudit(w.ctx, flow.Audit{ID: "4", Action: "again"}))
		list, err := w.Other.ListAudit(w.ctx, "", time.Time{}, 2)
		w.equal(must(w, list, err)[1].ID, "3")
		w.equal(list[0], flow.Audit{ID: "4", At: began.Add(4 * time.Minute), Actor: "ann", Action: "a", Subject: "s0", Detail: "d"})
		list, err = w.ListAudit(w.ctx, "", list[1].At, 10)
		w.equal(len(must(w, list, err)), 3)
		list, err = w.ListAudit(w.ctx, "s1", time.Time{}, 10)
		w.equal([]string{must(w, list, err)[0].ID, list[1].ID}, []string{"3", "1"})
	}},
	{"a revoked member is refused everywhere, at once, and it is audited", revokedCase},
	{"a cluster's members are revoked together, and one that never came by its name", func(w *world) {
		w.member("east")
		_, err := w.OpenSession(w.ctx, flow.Member{Cluster: "east", Instance: "j"}, "hub", flow.ClusterReport{})
		w.ok(err)
		members, err := w.SetRevoked(w.ctx, flow.Member{Cluster: "east"}, true, by("cluster.revoke"))
		w.equal(len(must(w, members, err)), 2)
		unseen := flow.Member{Cluster: "east", Instance: "k"}
		_, err = w.SetRevoked(w.ctx, unseen, true, by("member.revoke"))
		w.ok(err)
		_, err = w.OpenSession(w.ctx, unseen, "hub", flow.ClusterReport{})
		w.fails(err, fault.Forbidden)
		revoked, err := w.Revoked(w.ctx)
		w.equal(len(must(w, revoked, err)), 3)
		for _, nobody := range []flow.Member{{Cluster: "x"}, {Cluster: "x", Instance: "i"}} {
			_, err = w.SetRevoked(w.ctx, nobody, true, by("member.revoke"))
			w.fails(err, fault.NotFound)
		}
	}},
}

func revokedCase(w *world) {
	sender := w.member("east")
	e := w.run("a", sender)
	members, err := w.SetRevoked(w.ctx, sender.Member, true, by("member.revoke"))
	w.equal(must(w, members, err)[0].Revoked, true)
	_, err = w.RecordEvents(w.ctx, sender, []flow.Event{happened(e, flow.EventWorkflow, "", int32(flow.ExecutionFailed), 1)}, apply)
	w.fails(err, fault.Forbidden)
	_, err = w.Assignments(w.ctx, sender, 1)
	w.fails(err, fault.Forbidden)
	w.lead()
	next, leases, err := w.RecordLeases(w.ctx, w.fence, []flow.LeaseRequest{{Sender: sender}}, time.Minute, began)
	w.fence = must(w, next, err)
	w.equal(len(leases), 0)
	for range 3 {
		_, err = w.OpenSession(w.ctx, sender.Member, "hub", flow.ClusterReport{})
		w.fails(err, fault.Forbidden)
	}
	audit, err := w.ListAudit(w.ctx, "cluster/east", time.Time{}, 10)
	if got := len(must(w, audit, err)); got != 1 && got != 2 { // two if an hour ended meanwhile
		w.Fatalf("%d refusals are audited", got)
	}
	w.equal(audit[0].Action, "session.open.refused")
	_, err = w.SetRevoked(w.ctx, sender.Member, false, by("member.admit"))
	w.ok(err)
	w.equal(len(w.due(w.session("east").Sender)), 0)
}
