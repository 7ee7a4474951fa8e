package placement

import (
	"math"
	"time"
)

// chooser finds the best cluster for executions of a class.
//
// A class is examined once: each cluster is asked by every filter, and gets a
// base score, of the parts that no placement changes. From then on the class
// keeps one number for each cluster, its key: never where the cluster may not
// or cannot take it, else the score without spread. A choice compares the keys,
// and computes one anew only if it could win and the cluster's load has changed
// since. That gives the same cluster as computing all of them, since
//
//   - filters other than fits, and base scores, depend on the view alone;
//   - fits and the other parts of a key depend on the load of that one cluster:
//     what is used and kept of it, and how many executions of groups are there;
//   - within a plan that load only grows, and more load never makes a cluster fit
//     again, nor raises free, peak, or affinity to groups that are shunned. So a
//     key that is out of date is too high, never too low: a cluster that loses by
//     it loses anyway;
//   - affinity to a group that is sought does rise; classes that seek one compute
//     the keys of all clusters that changed, before they choose;
//   - spread depends on a whole failure domain, and is added when keys are compared.
//
// The one load that shrinks is that of a cluster which loses executions by
// force, and no filter lets work onto that one. So a class that found no cluster
// finds none until the plan is complete: thousands of equal executions that wait
// cost one examination.
type chooser struct {
	fleet  *fleet
	now    time.Time
	trails *trails
	kept   int // keys, over all classes
	spare  []ranking
}

// ranking is what a class knows of each cluster.
type ranking struct {
	base, keys []float64
	at         []int32 // how often the cluster had changed when its key was computed
}

// never is the key of a cluster that is refused; lower than any that is not.
var never = math.Inf(-1)

// keeping bounds the keys that are kept at a time, over all classes; a class
// beyond it is examined anew at each of its turns.
const keeping = 4 << 20

// choose is the best cluster but for the one at index not, and its score; or -1.
func (d *chooser) choose(c *class, not int) (int, float64) {
	switch {
	case c.keys == nil:
		d.examine(c)
	case c.near != nil:
		d.refresh(c)
	}
	best, top := -1, -math.MaxFloat64
	try := func(i int) {
		if c.at[i] != d.fleet.changes[i] {
			d.rekey(c, i)
		}
		if k := c.keys[i] + spreadPart(c, i); k > top || k == top && d.before(c, i, best) {
			best, top = i, k
		}
	}
	if c.last != not && c.keys[c.last] != never {
		try(c.last) // likely to be good still, so that few others could win
	}
	for i, k := range c.keys {
		if c.spread != nil {
			k += spreadPart(c, i)
		}
		if k >= top && i != best && i != not {
			try(i)
		}
	}
	c.last = max(best, 0)
	return best, top
}

// before orders clusters of equal score: fewer executions first, then by a hash
// that differs from class to class and from plan to plan, so that equals share
// the work and yet the answer never depends on chance.
func (d *chooser) before(c *class, i, j int) bool {
	a, b := &d.fleet.sites[i], &d.fleet.sites[j]
	if a.count != b.count {
		return a.count < b.count
	}
	if x, y := mix(c.seed, a.hash), mix(c.seed, b.hash); x != y {
		return x < y
	}
	return i < j
}

func (d *chooser) examine(c *class) {
	n := len(d.fleet.sites)
	c.ranking = d.take(n)
	d.kept += n
	var b *trail
	if c.trail == "" {
		b = d.trails.begin(n)
	}
	for i := range d.fleet.sites {
		s := &d.fleet.sites[i]
		name, message := refusal(c, s, d.now)
		c.base[i], c.keys[i] = never, never
		if name == "" {
			c.base[i] = base(c, s)
			if d.rekey(c, i); c.keys[i] == never {
				name, message = "capacity", tight(c, s)
			}
		}
		if b != nil {
			b.add(c, s, name, message, c.keys[i])
		}
	}
	c.seen = len(d.fleet.log)
	if b != nil {
		c.trail = d.trails.end(c.digest, b)
	}
}

// refresh computes the keys of all clusters that have changed since the class
// last looked.
func (d *chooser) refresh(c *class) {
	if log := d.fleet.log[c.seen:]; len(log) < len(d.fleet.sites) {
		for _, i := range log {
			d.rekey(c, int(i))
		}
	} else {
		for i := range d.fleet.sites {
			d.rekey(c, i)
		}
	}
	c.seen = len(d.fleet.log)
}

func (d *chooser) rekey(c *class, i int) {
	c.at[i] = d.fleet.changes[i]
	if c.base[i] == never {
		return
	}
	c.keys[i] = never
	if s := &d.fleet.sites[i]; fits(c, s) {
		c.keys[i] = key(c, s, c.base[i])
	}
}

// explain makes the trail of executions of a class that fit nowhere now; not is
// the cluster that they are taken from, or -1.
func (d *chooser) explain(c *class, not int) string {
	b := d.trails.begin(len(d.fleet.sites))
	for i := range d.fleet.sites {
		s := &d.fleet.sites[i]
		name, message := refusal(c, s, d.now)
		switch {
		case name == "" && i == not:
			name, message = "exclusion", "it is being taken from this cluster"
		case name == "" && !fits(c, s):
			name, message = "capacity", tight(c, s)
		}
		b.add(c, s, name, message, c.keys[i])
	}
	return d.trails.end(c.digest, b)
}

// refuge is the cluster on which room can be held for an execution of the class;
// -1 if all that could take it are held for others. possible says whether any
// could, if it were empty. The choice falls by name: whichever lacks least now
// may lack more in the next plan, and what had been saved on the other would be
// given away again. So it is the same cluster in each plan, which is free for it
// when what runs there now has ended.
func (d *chooser) refuge(c *class, execution string) (best int, possible bool) {
	best = -1
	seed := fnv(execution)
	for i := range d.fleet.sites {
		s := &d.fleet.sites[i]
		if c.base[i] == never || !fits(c, &site{ClusterView: s.ClusterView}) {
			continue
		}
		possible = true
		if s.keptFor == "" && (best < 0 || mix(seed, s.hash) < mix(seed, d.fleet.sites[best].hash)) {
			best = i
		}
	}
	return best, possible
}

// done gives the keys of a class back that has no more turns, or that there is
// no room to keep.
func (d *chooser) done(c *class) {
	if c.keys == nil || c.left > 0 && d.kept <= keeping {
		return
	}
	d.spare = append(d.spare, c.ranking)
	d.kept -= len(c.keys)
	c.ranking = ranking{}
}

func (d *chooser) take(n int) ranking {
	if k := len(d.spare); k > 0 {
		out := d.spare[k-1]
		d.spare = d.spare[:k-1]
		return out
	}
	return ranking{make([]float64, n), make([]float64, n), make([]int32, n)}
}
