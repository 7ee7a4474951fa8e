package rig

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/chaos/memstore"
	"github.com/skein-project/skein/federation/session"
)

// replica is one admin process: its hub's streams, and a term if it leads.
type replica struct {
	*proc
	site    site
	streams map[flow.Member]*stream
	all     []*stream // every stream that has not ended, in the order of opening
	reign   *reign
	db      *memstore.Store // as this replica sees it
	known   flow.Fence      // the highest that it has seen; outlives it
	halted  bool            // a restored backup was noticed, and REBUILD not entered
	beating bool
	again   bool // a beat was asked for while one was under way
	// troubled is when another replica was last found not to answer.
	troubled time.Time
}

func (w *World) newReplica(name string, s site, c clock) *replica {
	r := &replica{site: s}
	r.db = w.db.Knowing(func() flow.Fence { return r.known })
	r.proc = &proc{w: w, name: name, clock: c}
	r.begin = func() {
		r.streams, r.all, r.reign, r.beating = map[flow.Member]*stream{}, nil, nil, false
		r.every(time.Second, r.beat)
		r.halted = false
		if w.cfg.Kind == Restores {
			r.every(time.Second, r.lookForRestored)
		}
	}
	r.died = func() {
		for _, s := range slices.Clone(r.all) {
			s.hubDied()
		}
		r.reign = nil
		w.oracle.lost(r)
	}
	return r
}

// woken is told of clusters that got work; hubs of all replicas are woken.
func (r *replica) woken(clusters []string) {
	for _, other := range r.w.replicas {
		if r.w.net.reaches(r.site, other.site) {
			other.post(r.w.net.latency(r.site, other.site), func() { other.wake(clusters) })
		}
	}
}

func (r *replica) wake(clusters []string) {
	for _, s := range slices.Clone(r.all) {
		if slices.Contains(clusters, s.member.Cluster) {
			s.step(session.Woken{})
		}
	}
}

// beatTimeout is how long a hub waits for the leader's answer.
const beatTimeout = 5 * time.Second

// beat makes one batched call to the leader; the next waits for its end.
func (r *replica) beat() {
	if r.beating {
		return
	}
	var beats []flow.Beat
	for _, m := range slices.SortedFunc(maps.Keys(r.streams), byMember) {
		if b, ok := r.streams[m].state.Beat(r.now().Boot); ok {
			beats = append(beats, b)
		}
	}
	leader := r.w.oracle.leader
	if len(beats) == 0 || leader == nil {
		return
	}
	r.beating = true
	answered := false
	done := func(leases []flow.Lease) {
		if answered {
			return
		}
		answered, r.beating = true, false
		r.granted(leases)
		if r.again {
			r.again = false
			r.beat()
		}
	}
	r.post(beatTimeout, func() { done(nil) })
	if !r.w.net.reaches(r.site, leader.site) {
		return
	}
	leader.post(r.w.net.latency(r.site, leader.site), func() {
		leader.hear(r.name, beats, func(leases []flow.Lease) {
			if r.w.net.reaches(leader.site, r.site) {
				r.post(r.w.net.latency(leader.site, r.site), func() { done(leases) })
			}
		})
	})
}

// hear takes another hub's beats, and answers with leases.
func (r *replica) hear(hub string, beats []flow.Beat, answer func([]flow.Lease)) {
	g := r.reign
	if g == nil || g.over {
		answer(nil)
		return
	}
	g.term.Heard(hub, beats)
	var requests []flow.LeaseRequest
	for _, b := range beats {
		if b.Lease != nil {
			requests = append(requests, *b.Lease)
		}
	}
	if len(requests) == 0 {
		answer(nil)
		return
	}
	g.ask(leaseAsk{requests, answer})
}

func (r *replica) granted(leases []flow.Lease) {
	for _, l := range leases {
		if s := r.streams[l.Member]; s != nil {
			s.step(session.LeaseRecorded{Lease: l})
		}
	}
}

func (r *replica) beatNow() {
	if r.beating {
		r.again = true
		return
	}
	r.post(0, r.beat)
}

func byMember(a, b flow.Member) int {
	return cmp.Or(cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Instance, b.Instance))
}

// lead begins a term, if the database lets it.
func (r *replica) lead() {
	var fence flow.Fence
	r.w.logf("%s: is elected", r.name)
	r.call(r.site, func() (err error) { fence, err = r.beginTerm(); return err }, func(err error) {
		if err != nil {
			r.w.logf("%s: no term: %v", r.name, err)
			r.w.oracle.lost(r)
			return
		}
		g, err := newReign(r, fence)
		if err != nil {
			r.w.violate("configuration", "%v", err)
			return
		}
		r.w.logf("%s: leads with fence %s", r.name, fence)
		if r.reign != nil {
			r.reign.fail(errDied)
		}
		r.reign = g
		g.run()
	})
}

func (r *replica) termOver(g *reign) {
	if r.reign == g {
		r.reign = nil
	}
	r.w.oracle.lost(r)
}

// trouble is when this replica last found another one that did not answer.
func (r *replica) trouble() time.Time {
	for _, o := range r.w.replicas {
		if !o.up || o.paused || !r.w.net.reaches(r.site, o.site) || !r.w.net.reaches(o.site, r.site) {
			r.troubled = r.wallTime()
		}
	}
	return r.troubled
}
