package storetest

import "github.com/skein-project/skein/api/flow"

var replicaCases = []testCase{
	{"a replica is found where it said last, by all", func(w *world) {
		a := flow.Replica{ID: "admin-0", Address: "10.0.0.1:8300", RPC: "10.0.0.1:8443", Version: "0.1.0"}
		b := flow.Replica{ID: "admin-1", Address: "10.0.0.2:8300", RPC: "10.0.0.2:8443", Version: "0.2.0"}
		w.ok(w.AnnounceReplica(w.ctx, b))
		w.ok(w.AnnounceReplica(w.ctx, a))
		first, err := w.Other.ListReplicas(w.ctx)
		w.equal(len(must(w, first, err)), 2)
		a.RPC, a.Version = "10.0.0.9:8443", "0.2.0"
		w.ok(w.Other.AnnounceReplica(w.ctx, a))
		list, err := w.ListReplicas(w.ctx)
		w.equal(len(must(w, list, err)), 2)
		if !list[0].SeenAt.After(first[0].SeenAt) || !list[1].SeenAt.Equal(first[1].SeenAt) || first[0].SeenAt.IsZero() {
			w.Errorf("seen at %v and %v, before that at %v", list[0].SeenAt, list[1].SeenAt, first[0].SeenAt)
		}
		a.SeenAt, b.SeenAt = list[0].SeenAt, list[1].SeenAt
		w.equal(list, []flow.Replica{a, b})
	}},
}
