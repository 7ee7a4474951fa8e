package placement

import (
	"cmp"
	"math"
	"slices"
	"testing"

	diff "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/skein-project/skein/api/flow"
)

// reference decides as Decide does, and remembers nothing: before each turn it
// builds the world anew from the view and from what it has placed so far, looks
// for whose turn it is among all that are left, and asks every cluster again.
type reference struct {
	view   View
	left   []flow.Pending
	late   []flow.Pending
	behind map[flow.Tenant]bool
	kept   map[string]flow.Pending // by cluster
	seeds  map[string]uint64       // by class
	moves  int

	placed []flow.Placement
	waits  []flow.ExecutionID
}

func (r *reference) run() {
	d := newDecider(r.view)
	for _, t := range d.turns {
		if _, ok := r.seeds[t.class.digest]; !ok {
			r.seeds[t.class.digest] = fnv(t.Execution.String())
		}
	}
	for r.left = slices.Clone(r.view.Pending); len(r.left) > 0; {
		d, t := r.next()
		r.left = slices.DeleteFunc(r.left, func(p flow.Pending) bool { return p.Execution == t.Execution })
		if r.behind[t.tenant.name] && t.From == "" {
			r.late = append(r.late, *t.Pending)
		} else {
			r.try(d, t)
		}
	}
	for r.left = r.late; len(r.left) > 0; {
		d, t := r.next()
		r.left = slices.DeleteFunc(r.left, func(p flow.Pending) bool { return p.Execution == t.Execution })
		r.try(d, t)
	}
}

// next builds the world and finds whose turn it is.
func (r *reference) next() (*decider, turn) {
	d := newDecider(r.view)
	for cluster, p := range r.kept {
		s := &d.fleet.sites[d.fleet.byName[cluster]]
		s.kept, s.keptFor = askOf(r.view, p).Largest, p.Execution.String()
	}
	turns := slices.DeleteFunc(d.turns, func(t turn) bool {
		return !slices.ContainsFunc(r.left, func(p flow.Pending) bool { return p.Execution == t.Execution })
	})
	first := slices.MinFunc(turns, func(a, b turn) int {
		oldest := func(t turn) turn { // of its tenant and level
			return slices.MinFunc(slices.DeleteFunc(slices.Clone(turns), func(x turn) bool { return x.tenant != t.tenant || x.level != t.level }),
				func(a, b turn) int {
					return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.Execution.Name, b.Execution.Name))
				})
		}
		return cmp.Or(-cmp.Compare(a.level, b.level), cmp.Compare(a.tenant.share, b.tenant.share),
			cmp.Compare(float64(a.tenant.count)/a.tenant.weight, float64(b.tenant.count)/b.tenant.weight),
			oldest(a).CreatedAt.Compare(oldest(b).CreatedAt), cmp.Compare(a.tenant.name.String(), b.tenant.name.String()),
			a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.Execution.Name, b.Execution.Name))
	})
	return d, first
}

func (r *reference) try(d *decider, t turn) {
	d.moves = r.moves
	best, top := -1, math.Inf(-1)
	why, _ := d.barred(&t)
	t.class.seed = r.seeds[t.class.digest]
	for i := range d.fleet.sites {
		s := &d.fleet.sites[i]
		if name, _ := refusal(t.class, s, d.now); name != "" || why != "" || !fits(t.class, s) || s.Name == t.From {
			continue
		}
		score := key(t.class, s, base(t.class, s)) + spreadPart(t.class, i)
		if score > top || score == top && d.before(t.class, i, best) {
			best, top = i, score
		}
	}
	if best < 0 {
		r.waits = append(r.waits, t.Execution)
		if why == "" && t.From == "" && t.level == starving && !r.behind[t.tenant.name] {
			d.examine(t.class)
			i, possible := d.refuge(t.class, t.Execution.String())
			if i >= 0 {
				r.kept[d.fleet.sites[i].Name] = *t.Pending
			}
			r.behind[t.tenant.name] = possible
		}
		return
	}
	r.put(d, t, best, top)
}

// put writes the placement into the view's loads. Loads without a workflow make
// no cluster sticky: that is the snapshot's alone.
func (r *reference) put(d *decider, t turn, i int, score float64) {
	p := flow.Placement{Execution: t.Execution, Prior: t.Epoch, Cluster: d.fleet.sites[i].Name, From: t.From, Trace: t.Trace, Score: score}
	p.Restart, p.Fallback = d.resumes(t.Pending, &d.fleet.sites[i])
	ask := t.class.ask
	load := flow.Load{Cluster: p.Cluster, Tenant: t.tenant.name, Group: ask.Group, Executions: 1, Reservation: ask.Reservation}
	r.view.Loads = append(slices.Clone(r.view.Loads), load)
	if t.From != "" {
		p.Kind = flow.MoveLapse
		if d.fleet.sites[d.fleet.byName[t.From]].Lost {
			p.Kind = flow.MoveLost
		}
		load.Cluster, load.Executions, load.Reservation = t.From, -1, ask.Reservation.Times(-1)
		r.view.Loads = append(r.view.Loads, load)
		r.moves++
	} else {
		r.view.Pending = slices.DeleteFunc(slices.Clone(r.view.Pending), func(x flow.Pending) bool { return x.Execution == t.Execution })
	}
	r.placed = append(r.placed, p)
}

// TestReference: what Decide remembers changes nothing.
func TestReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := drawView(t)
		r := reference{view: v, behind: map[flow.Tenant]bool{}, kept: map[string]flow.Pending{}, seeds: map[string]uint64{}}
		r.run()
		plan := Decide(v)
		var waits []flow.ExecutionID
		for _, w := range plan.Waits {
			waits = append(waits, w.Execution)
		}
		for i := range plan.Placements {
			plan.Placements[i].Trail = ""
		}
		if d := diff.Diff(r.placed, plan.Placements); d != "" {
			t.Fatalf("placements (-reference +fast):\n%s", d)
		}
		if d := diff.Diff(r.waits, waits); d != "" {
			t.Fatalf("waits (-reference +fast):\n%s", d)
		}
	})
}
