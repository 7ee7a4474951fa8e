package rig

import (
	"cmp"
	"maps"
	"slices"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/federation/session"
)

// reporter sends what the status of objects says until it is acked, as
// federation/member's does.
type reporter struct {
	m          *member
	generation uint64
	accounts   map[place]*account
	dirty      map[place]bool
	batches    map[uint64][]parcel
	next       uint64
	waking     bool
}

type account struct {
	acked  uint64
	flying bool
	dirty  bool
}

type parcel struct {
	place    place
	sequence uint64
	terminal bool
}

func newReporter(m *member) *reporter {
	r := &reporter{m: m}
	r.reset(0, nil)
	return r
}

func (r *reporter) reset(generation uint64, keep []flow.Verdict) {
	r.generation = generation
	r.accounts, r.dirty, r.batches = map[place]*account{}, map[place]bool{}, map[uint64][]parcel{}
	for _, v := range keep {
		r.accounts[place{v.Execution, v.Epoch}] = &account{acked: v.Acked}
	}
}

func (r *reporter) touch(p place) {
	if r.generation == 0 {
		return
	}
	r.dirty[p] = true
	if !r.waking {
		r.waking = true
		r.m.post(r.m.w.sim.between(0, r.m.w.cfg.Lull), func() { r.waking = false; r.send() })
	}
}

// send packs what is dirty into one batch, while the credit lasts.
func (r *reporter) send() {
	if r.generation == 0 || len(r.batches) >= session.Credit || r.m.conn == nil {
		return
	}
	var events []flow.Event
	var parcels []parcel
	for _, p := range slices.SortedFunc(maps.Keys(r.dirty), byPlace) {
		delete(r.dirty, p)
		o := r.m.cluster.find(p)
		if o == nil || !r.m.state.Reports(p.id, p.epoch) {
			continue
		}
		a := r.accounts[p]
		if a == nil {
			a = &account{}
			r.accounts[p] = a
		}
		if a.flying {
			a.dirty = true
			continue
		}
		if o.ended() && o.sequence < a.acked { // not the object that has told that
			r.m.step(session.Vanished{Execution: p.id, Epoch: p.epoch})
			return
		}
		if o.sequence <= a.acked {
			r.mark(o, a.acked)
			continue
		}
		news := o.events(a.acked)
		if len(news) == 0 { // what it came to is not told
			a.acked = o.sequence
			r.mark(o, a.acked)
			continue
		}
		a.flying = true
		events = append(events, news...)
		parcels = append(parcels, parcel{p, o.sequence, o.ended()})
	}
	if len(events) == 0 {
		return
	}
	r.next++
	r.batches[r.next] = parcels
	r.m.conn.up.send(session.EventsCame{Generation: r.generation, Batch: r.next, Events: events}, false)
}

// told reports whether the control plane has all that an object which has ended
// came to: not if it was marked, and a restored backup asks for it again.
func (r *reporter) told(o *object) bool {
	a := r.accounts[o.place]
	return o.marked && (a == nil || a.acked >= o.sequence)
}

// again tells all of an object once more.
func (r *reporter) again(p place) {
	if a := r.accounts[p]; a != nil {
		a.acked = 0
	}
	r.touch(p)
}

// acked takes in that a batch was committed.
func (r *reporter) acked(e evented) {
	parcels, ok := r.batches[e.batch]
	if !ok {
		return
	}
	delete(r.batches, e.batch)
	for _, c := range parcels {
		a := r.accounts[c.place]
		if a == nil {
			continue
		}
		a.acked, a.flying = c.sequence, false
		if a.dirty {
			a.dirty = false
			r.dirty[c.place] = true
		}
		if c.terminal {
			if o := r.m.cluster.find(c.place); o != nil {
				r.mark(o, c.sequence)
			}
		}
	}
	r.send()
}

// mark notes on a tombstone that the control plane has all of it.
func (r *reporter) mark(o *object, sequence uint64) {
	if !o.ended() || o.sequence > sequence {
		return
	}
	o.marked = true
	r.m.cluster.buried(o)
	delete(r.accounts, o.place)
	r.m.step(session.Finished{Execution: o.id, Epoch: o.epoch, Revision: o.revision})
	r.m.drained(o)
}

func byPlace(a, b place) int {
	return cmp.Or(byExecution(a.id, b.id), a.epoch.Compare(b.epoch))
}
