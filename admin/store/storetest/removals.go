package storetest

import (
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

// admits asks for a certificate of east's member that was made at an incarnation.
func (w *world) admits(made uint64) error {
	w.Helper()
	_, err := w.Admits(w.ctx, flow.Member{Cluster: "east", Instance: "i"}, made)
	return err
}

// removalCases are about certificates of clusters that were removed.
var removalCases = []testCase{
	{"what was made for a removed cluster is good for no cluster of its name", func(w *world) {
		w.fails(w.admits(0), fault.NotFound)
		w.cluster("east")
		w.ok(w.admits(1))
		w.ok(w.admits(0)) // by the release before, or by hand
		w.ok(w.RemoveCluster(w.ctx, "east", by("cluster.remove")))
		w.fails(w.admits(1), fault.NotFound)
		w.cluster("east")
		w.fails(w.admits(1), fault.Forbidden)
		w.fails(w.admits(0), fault.Forbidden)
		now, err := w.Admits(w.ctx, flow.Member{Cluster: "east", Instance: "i"}, 2)
		w.equal(must(w, now, err), uint64(2))
	}},
	{"a cluster that rises while it stands keeps its members' certificates, and takes all of them with it", func(w *world) {
		w.cluster("east")
		w.lose("east", false)
		_, err := w.DeclareFound(w.ctx, "east", by("cluster.declare-found"))
		w.ok(err)
		w.ok(w.admits(1))
		w.ok(w.admits(3))
		w.ok(w.RemoveCluster(w.ctx, "east", by("cluster.remove")))
		w.cluster("east")
		w.fails(w.admits(3), fault.Forbidden)
		w.ok(w.admits(4))
		w.ok(w.RemoveCluster(w.ctx, "east", by("cluster.remove")))
		w.cluster("east")
		w.fails(w.admits(4), fault.Forbidden)
		w.ok(w.admits(5))
	}},
	{"a registration that a restored backup has forgotten is no removal", func(w *world) {
		w.cluster("east") // again, by an operator, after the restore
		w.ok(w.admits(7))
		w.ok(w.admits(0))
	}},
	{"a revoked member's certificate is not admitted", func(w *world) {
		sender := w.member("east")
		w.ok(w.admits(1))
		_, err := w.SetRevoked(w.ctx, sender.Member, true, by("member.revoke"))
		w.ok(err)
		w.fails(w.admits(1), fault.Forbidden)
		_, err = w.SetRevoked(w.ctx, sender.Member, false, by("member.restore"))
		w.ok(err)
		w.ok(w.admits(1))
	}},
}

// join uses a join token of east, and tells the incarnation that its certificate
// is to say.
func (w *world) join(token, instance string, when time.Time) (made uint64, err error) {
	w.Helper()
	_, _, err = w.ConsumeToken(w.ctx, []byte(token), []byte("key of "+instance), instance,
		func(_ string, incarnation uint64) ([]byte, error) { made = incarnation; return []byte("c"), nil }, when)
	return made, err
}

func (w *world) token(name string) {
	w.Helper()
	w.ok(w.CreateToken(w.ctx, []byte(name), "east", began.Add(time.Hour)))
}

// tokenOrderCases are about what becomes of join tokens by what operators order.
var tokenOrderCases = []testCase{
	{"a certificate is made for the cluster that is registered, and for no other", func(w *world) {
		w.token("early")
		_, err := w.join("early", "i", began)
		w.fails(err, fault.NotFound)
		w.cluster("east")
		w.token("first")
		made, err := w.join("first", "i", began)
		w.equal(must(w, made, err), uint64(1))
		w.ok(w.RemoveCluster(w.ctx, "east", by("cluster.remove")))
		w.cluster("east")
		_, err = w.join("first", "i", began)
		w.fails(err, fault.Unauthorized)
		w.token("second")
		made, err = w.join("second", "i", began)
		w.equal(must(w, made, err), uint64(2))
		w.ok(w.admits(made))
	}},
	{"who joined a cluster and never came is revoked with it, and nobody else joins", func(w *world) {
		for _, who := range []string{"i", "j"} {
			w.registered("east")
			w.token(who)
			_, err := w.join(who, who, began)
			w.ok(err)
		}
		came := w.member("east")
		w.token("unused")
		members, err := w.SetRevoked(w.ctx, flow.Member{Cluster: "east"}, true, by("cluster.revoke"))
		w.equal(len(must(w, members, err)), 2)
		for _, m := range []flow.Member{came.Member, {Cluster: "east", Instance: "j"}} {
			_, err = w.OpenSession(w.ctx, m, "hub", flow.ClusterReport{})
			w.fails(err, fault.Forbidden)
			_, err = w.Admits(w.ctx, m, 1)
			w.fails(err, fault.Forbidden)
		}
		_, err = w.join("unused", "k", began)
		w.fails(err, fault.Unauthorized)
		w.token("new") // by somebody who knows better
		_, err = w.join("new", "k", began)
		w.ok(err)
	}},
	{"tokens alone are something to revoke, and one member's revocation takes none", func(w *world) {
		w.cluster("east")
		w.token("first")
		_, err := w.SetRevoked(w.ctx, flow.Member{Cluster: "east", Instance: "i"}, true, by("member.revoke"))
		w.ok(err)
		_, err = w.join("first", "j", began)
		w.ok(err)
		w.token("second")
		_, err = w.SetRevoked(w.ctx, flow.Member{Cluster: "east"}, true, by("cluster.revoke"))
		w.ok(err)
		_, err = w.join("second", "k", began)
		w.fails(err, fault.Unauthorized)
	}},
	{"a member that tries a token again and again is audited once an hour", func(w *world) {
		w.cluster("east")
		w.token("late")
		w.token("used")
		_, err := w.join("used", "i", began)
		w.ok(err)
		lines := func() int {
			list, err := w.ListAudit(w.ctx, "cluster/east", time.Time{}, 100)
			return len(must(w, list, err))
		}
		for i := range 30 {
			_, err = w.join("late", "i", began.Add(2*time.Hour+time.Duration(i)*time.Second))
			w.fails(err, fault.Unauthorized)
			_, err = w.join("used", "j"+string(rune('a'+i)), began.Add(time.Duration(i)*time.Second)) // under any name
			w.fails(err, fault.Forbidden)
		}
		w.equal(lines(), 2)
		_, err = w.join("late", "i", began.Add(3*time.Hour))
		w.fails(err, fault.Unauthorized)
		w.equal(lines(), 3)
	}},
}
