package placement

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/skein-project/skein/api/flow"
)

// Evict names the live placements that a planned move is to take from their
// clusters now: those of clusters that are being drained, those that do not
// tolerate a NoExecute taint any more, and those that make room for work of
// higher priority. The caller gives the placements of the clusters concerned;
// for preemption, of all clusters whose work may yield.
//
// For a drain and a taint only what fits elsewhere is taken, on the copy of the
// fleet on which all pending work has been placed first, and so has what was
// taken before: nobody loses a place for nothing. What is pinned, being aborted,
// or being revoked already stays; the latter counts against the drain's budget.
// Of a drained cluster first goes what has not started; what has, when the grace
// is over.
//
// What preemption takes waits like any other pending execution. An execution
// preempts only if it fits nowhere and has a higher priority than each victim,
// no victim is the larger of the two by dominant share, and all of them together
// let it fit; the fewest are taken. Room that is being freed already counts as
// free: the same call, made again before the owners answer, takes nothing more.
// What was placed three times is not preempted, so that two cannot take turns.
func Evict(v View, placed []flow.Placed) []flow.Revocation {
	if !slices.ContainsFunc(placed, movable) {
		return nil
	}
	e := newEvictor(v, placed)
	e.drains(v.Now)
	e.taints(v.Now)
	e.preempt()
	return e.out
}

// movable reports whether a planned move may take it at all.
func movable(p flow.Placed) bool {
	return p.Revoking == "" && p.Desired == flow.DesiredRun && !p.Failover.Pinned()
}

// evictor is one answer of Evict in the making.
type evictor struct {
	*decider
	placed  []resident
	leaving []flow.Resources // by site: what is being revoked, less what it is meant for
	left    []int64          // by site: executions that are being revoked
	out     []flow.Revocation
	from    []*resident // of out
	to      []string    // of out, where it would go; empty for preemption
	stuck   []flow.Wait // what must leave, but fits nowhere else
	allowed int         // moves that taints may still cause
}

// resident is a live placement on a known cluster.
type resident struct {
	*flow.Placed
	turn
	site int
	gone bool // revoked, by now or before
}

func newEvictor(v View, placed []flow.Placed) *evictor {
	e := &evictor{decider: newDecider(v), allowed: v.Limits.withDefaults().Moves}
	e.place()
	e.leaving, e.left = make([]flow.Resources, len(e.fleet.sites)), make([]int64, len(e.fleet.sites))
	for i := range placed {
		p := &placed[i]
		site, ok := e.fleet.byName[p.From]
		if !ok {
			continue
		}
		e.tenants.add(p.Execution.Tenant())
		r := resident{Placed: p, turn: e.turn(v, &p.Pending), site: site, gone: p.Revoking != ""}
		r.class.left++
		if r.gone {
			e.frees(&r)
		}
		e.placed = append(e.placed, r)
	}
	slices.SortFunc(e.placed, func(a, b resident) int {
		return cmp.Or(cmp.Compare(started(a), started(b)), -cmp.Compare(a.class.rank, b.class.rank), -a.PlacedAt.Compare(b.PlacedAt),
			cmp.Compare(a.turn.Execution.String(), b.turn.Execution.String()))
	})
	return e
}

func started(r resident) int {
	if r.Started {
		return 1
	}
	return 0
}

// drains revokes what drained clusters are to lose, within their budgets.
func (e *evictor) drains(now time.Time) {
	under := map[int]int{}
	for _, r := range e.placed {
		if r.Revoking == flow.MoveDrain {
			under[r.site]++
		}
	}
	for i := range e.placed {
		r := &e.placed[i]
		d := e.fleet.sites[r.site].Drain
		if d == nil || d.Expired || !d.Deadline.IsZero() && !now.Before(d.Deadline) || under[r.site] >= max(d.Budget, 1) {
			continue
		}
		if r.Started && now.Before(d.At.Add(time.Duration(d.Grace)*time.Second)) {
			continue
		}
		if e.revoke(r, flow.MoveDrain, fmt.Sprintf("cluster %s is being drained", r.turn.From)) {
			under[r.site]++
		}
	}
}

// taints revokes what does not tolerate a NoExecute taint of its cluster any
// more.
func (e *evictor) taints(now time.Time) {
	for i := range e.placed {
		r := &e.placed[i]
		for _, t := range e.fleet.sites[r.site].Taints {
			if t.Effect != flow.NoExecute || e.allowed <= 0 {
				continue
			}
			until, ok := tolerance(r.class.tolerations, t)
			if ok && (until.IsZero() || now.Before(until)) {
				continue
			}
			if e.revoke(r, flow.MoveTaint, fmt.Sprintf("taint %s=%s:%s of cluster %s is not tolerated now", t.Key, t.Value, t.Effect, r.turn.From)) {
				e.allowed--
			}
			break
		}
	}
}

// revoke takes a resident away if it may be, and fits elsewhere. There its room
// is taken from now on; here it stays taken until the owner has acked.
func (e *evictor) revoke(r *resident, kind flow.MoveKind, reason string) bool {
	s := &e.fleet.sites[r.site]
	if r.gone || !movable(*r.Placed) || s.Lost || s.Health != flow.HealthHealthy {
		return false
	}
	to, trail := e.elsewhere(r)
	if to < 0 {
		e.stuck = append(e.stuck, flow.Wait{Execution: r.turn.Execution, Trail: trail})
		return false
	}
	e.fleet.put(to, r.class.ask.Reservation, 1)
	r.tenant.placed(r.class.ask.Group, to, 1)
	e.take(r, kind, reason, e.fleet.sites[to].Name)
	return true
}

// elsewhere is the best other cluster for a resident; or -1, and why there is
// none.
func (e *evictor) elsewhere(r *resident) (to int, trail string) {
	c := r.class
	if c.nowhere != "" {
		return -1, c.nowhere
	}
	defer e.done(c)
	c.left--
	if to, _ = e.choose(c, r.site); to < 0 {
		trail = e.explain(c, r.site)
	}
	return to, trail
}

func (e *evictor) take(r *resident, kind flow.MoveKind, reason, to string) {
	r.gone = true
	e.frees(r)
	e.out = append(e.out, flow.Revocation{Execution: r.turn.Execution, Epoch: r.turn.Epoch, Kind: kind, Reason: reason})
	e.from, e.to = append(e.from, r), append(e.to, to)
}

// frees counts room as being freed.
func (e *evictor) frees(r *resident) {
	e.leaving[r.site] = e.leaving[r.site].Add(r.class.ask.Reservation)
	e.left[r.site]++
}

// preempt makes room for waiting executions of higher priority, the first of
// the order first.
func (e *evictor) preempt() {
	left := e.limits.Preemptions
	yielding := e.yielding()
	if len(yielding) == 0 {
		return
	}
	tried := map[*class]bool{} // the classes that no cluster can be cleared for
	for i := range e.short {
		t := &e.short[i]
		if tried[t.class] || left <= 0 {
			continue
		}
		site, victims := e.cheapest(t, yielding)
		if site < 0 || len(victims) > left {
			tried[t.class] = true
			continue
		}
		for _, r := range victims {
			e.take(r, flow.MovePreempt, fmt.Sprintf("room for %s of priority %d; this one has %d", t.Execution, t.class.rank, r.class.rank), "")
		}
		left -= len(victims)
		e.leaving[site] = e.leaving[site].Sub(t.class.ask.Reservation.Max(t.class.ask.Largest))
	}
}

// yielding are the residents that may be preempted, by site; first who is taken
// first: the lowest priority, then what has not started, then the newest.
func (e *evictor) yielding() map[int][]*resident {
	out := map[int][]*resident{}
	for i := range e.placed {
		r := &e.placed[i]
		if !r.gone && movable(*r.Placed) && r.turn.Epoch.N < 3 {
			out[r.site] = append(out[r.site], r)
		}
	}
	for _, list := range out {
		slices.SortStableFunc(list, func(a, b *resident) int { return cmp.Compare(a.class.rank, b.class.rank) })
	}
	return out
}

// cheapest is the cluster on which the fewest, and of those the least important,
// must yield so that an execution fits; or -1.
func (e *evictor) cheapest(t *turn, yielding map[int][]*resident) (int, []*resident) {
	if t.class.keys == nil {
		e.examine(t.class)
		defer e.done(t.class)
	}
	best, victims := -1, []*resident(nil)
	for i := range e.fleet.sites {
		if t.class.base[i] == never {
			continue
		}
		list, ok := e.victims(t, i, yielding[i])
		if ok && (best < 0 || len(list) < len(victims) || len(list) == len(victims) && worth(list) < worth(victims)) {
			best, victims = i, list
		}
	}
	return best, victims
}

// worth is the highest priority among victims.
func worth(list []*resident) int64 {
	out := int64(-1 << 40)
	for _, r := range list {
		out = max(out, int64(r.class.rank))
	}
	return out
}

// victims are the residents of one cluster that must yield, none if what is
// leaving already makes room enough; false: all of them together would not do.
func (e *evictor) victims(t *turn, i int, list []*resident) ([]*resident, bool) {
	room := e.fleet.sites[i]
	room.used = room.used.Sub(e.leaving[i])
	if room.keptFor == t.Execution.String() {
		room.kept = flow.Resources{}
	}
	size := dominant(t.class.ask.Reservation, e.fleet.total)
	var out []*resident
	for _, r := range list {
		if fits(t.class, &room) {
			break
		}
		if !r.gone && r.class.rank < t.class.rank && dominant(r.class.ask.Reservation, e.fleet.total) <= size {
			out = append(out, r)
			room.used = room.used.Sub(r.class.ask.Reservation)
		}
	}
	if !fits(t.class, &room) {
		return nil, false
	}
	return slices.DeleteFunc(out, func(r *resident) bool { // those that turned out not to be needed
		room.used = room.used.Add(r.class.ask.Reservation)
		if fits(t.class, &room) {
			return true
		}
		room.used = room.used.Sub(r.class.ask.Reservation)
		return false
	}), true
}

// dominant is the largest share of the fleet that a reservation is.
func dominant(r, total flow.Resources) float64 {
	r.Pods = 0
	return share(r, total)
}
