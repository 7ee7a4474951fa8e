package placement

import (
	"fmt"
	"slices"
	"time"

	"github.com/skein-project/skein/api/flow"
)

// Decide gives every pending execution of the view a cluster, or the reasons
// why it waits.
func Decide(v View) Plan {
	d := newDecider(v)
	d.classes = nil // from here on only their turns hold classes, and what has had its last one goes
	d.place()
	return d.plan()
}

// decider is one plan in the making.
type decider struct {
	chooser
	limits  Limits
	pending []flow.Pending
	tenants *tenants
	classes *classes
	turns   []turn
	short   []turn // new work for which no cluster has room
	moves   int

	placements []flow.Placement
	waits      []flow.Wait
}

func newDecider(v View) *decider {
	d := &decider{limits: v.Limits.withDefaults(), pending: v.Pending}
	d.chooser = chooser{fleet: newFleet(v), now: v.Now}
	d.trails = &trails{left: d.limits.Reasons, made: map[string]flow.Trail{}, used: map[string]bool{}, texts: map[string]string{}}
	d.tenants = newTenants(v, d.fleet)
	d.classes = newClasses(v, d.fleet, d.tenants)
	d.tenants.grant(d.classes)
	for _, t := range d.tenants.list {
		t.measure(d.fleet.total)
	}
	d.turns = make([]turn, 0, len(v.Pending))
	for i := range v.Pending {
		d.turns = append(d.turns, d.turn(v, &v.Pending[i]))
	}
	sorted(d.turns)
	d.placements = slices.Grow(d.placements, len(d.turns))
	for _, t := range d.turns {
		if t.class.left++; t.class.left == 1 {
			t.class.seed = fnv(t.Execution.String())
		}
	}
	return d
}

func (d *decider) turn(v View, p *flow.Pending) turn {
	t := turn{Pending: p, tenant: d.tenants.byName[p.Execution.Tenant()]}
	ask, ok := v.Requirements[p.Digest]
	switch {
	case ok:
		t.class = d.classes.of(t.tenant, p.Digest, ask)
	default: // its digest may be of a requirement that is not here
		t.class = d.classes.of(t.tenant, "", p.Requirement)
	}
	t.level = levelOf(p, t.class.rank, v.Now, d.limits.Starve)
	return t
}

// place gives each execution its turn; what a tenant has besides a starving
// execution that fits nowhere comes last.
func (d *decider) place() {
	var late []turn
	fairly(d.turns, func(t *turn) {
		if t.tenant.behind && t.From == "" {
			late = append(late, *t)
			return
		}
		d.try(t)
		t.class = nil
	})
	sorted(late)
	fairly(late, d.try)
}

// try places an execution, or says why it waits.
func (d *decider) try(t *turn) {
	c := t.class
	c.left--
	if why, what := d.barred(t); why != "" {
		d.wait(t, d.trails.note(c.digest, why, what))
		return
	}
	if c.nowhere != "" {
		d.lacks(t)
		return
	}
	not := -1
	if i, ok := d.fleet.byName[t.From]; ok {
		not = i
	}
	fresh := c.trail == ""
	i, score := d.choose(c, not)
	switch {
	case i >= 0:
		d.put(t, i, score)
	case not >= 0 && c.base[not] != never && fits(c, &d.fleet.sites[not]):
		d.wait(t, d.explain(c, not))
	default:
		if c.nowhere = c.trail; !fresh {
			c.nowhere = d.explain(c, -1)
		}
		d.lacks(t)
	}
	d.done(c)
}

// lacks lets an execution wait for which no cluster has room.
func (d *decider) lacks(t *turn) {
	d.wait(t, t.class.nowhere)
	d.hold(t)
	if t.From == "" {
		d.short = append(d.short, *t)
	}
}

// barred says why an execution waits whatever the clusters say.
func (d *decider) barred(t *turn) (filter, message string) {
	switch {
	case t.NotBefore.After(d.now):
		return "backoff", "it is placed again from " + t.NotBefore.UTC().Format(time.RFC3339) + " on"
	case t.From != "" && d.moves >= d.limits.Moves:
		return "moves", fmt.Sprintf("%d executions are moved at a time; its turn comes", d.limits.Moves)
	case len(d.fleet.sites) == 0:
		return "fleet", "no cluster is registered"
	case t.From == "":
		if over := t.tenant.overQuota(t.class.ask.Reservation); over != "" {
			return "quota", over
		}
	}
	return "", ""
}

// hold keeps room on one cluster for a tenant's oldest starving execution that
// fits nowhere, and lets what else the tenant has come last. What no cluster
// could take if it were empty is held nothing for, and holds up nothing.
func (d *decider) hold(t *turn) {
	if t.level != starving || t.tenant.behind || t.class.hopeless {
		return
	}
	if t.class.keys == nil {
		d.examine(t.class)
		defer d.done(t.class)
	}
	i, possible := d.refuge(t.class, t.Execution.String())
	t.tenant.behind, t.class.hopeless = possible, !possible
	if i >= 0 {
		d.fleet.hold(i, t.class.ask.Largest, t.Execution.String())
	}
}

func (d *decider) put(t *turn, i int, score float64) {
	ask := t.class.ask
	p := flow.Placement{Execution: t.Execution, Prior: t.Epoch, Cluster: d.fleet.sites[i].Name, Trace: t.Trace,
		From: t.From, Trail: t.class.trail, Score: score}
	if t.From != "" {
		p.Kind = d.leaves(t, ask)
		d.moves++
	} else {
		t.tenant.takes(ask.Reservation, 1, d.fleet.total)
	}
	p.Restart, p.Fallback = d.resumes(t.Pending, &d.fleet.sites[i])
	d.fleet.put(i, ask.Reservation, 1)
	t.tenant.placed(ask.Group, i, 1)
	d.trails.use(p.Trail)
	d.placements = append(d.placements, p)
}

// leaves takes an execution's load from the cluster that loses it. Its tenant's
// use stays: it goes on elsewhere.
func (d *decider) leaves(t *turn, ask flow.Requirement) flow.MoveKind {
	i, ok := d.fleet.byName[t.From]
	if !ok {
		return flow.MoveLost
	}
	d.fleet.put(i, ask.Reservation, -1)
	t.tenant.placed(ask.Group, i, -1)
	if s := &d.fleet.sites[i]; s.Lost || s.Health == flow.HealthLost {
		return flow.MoveLost
	}
	return flow.MoveLapse
}

// resumes says whether an execution begins anew on a cluster, and if it was to
// be resumed, why not: what earlier epochs wrote must be readable there.
func (d *decider) resumes(p *flow.Pending, to *site) (restart bool, fallback string) {
	last := p.From
	if last == "" {
		last = p.Last
	}
	switch i, known := d.fleet.byName[last]; {
	case p.Epoch.N == 0 && p.From == "":
		return false, ""
	case p.Failover.Mode == flow.FailoverRestart:
		return true, ""
	case last == to.Name || d.fleet.stores != "":
		return false, ""
	case !known:
		return true, fmt.Sprintf("it is restarted: where its earlier results lie is not known, since cluster %q is not registered", last)
	case to.Store == "" || d.fleet.sites[i].Store == "":
		return true, fmt.Sprintf("it is restarted: clusters %s and %s do not both say which object store they write to", last, to.Name)
	case d.fleet.sites[i].Store != to.Store:
		return true, fmt.Sprintf("it is restarted: clusters %s and %s share no object store", last, to.Name)
	}
	return false, ""
}

func (d *decider) wait(t *turn, trail string) {
	d.trails.use(trail)
	d.waits = append(d.waits, flow.Wait{Execution: t.Execution, Trail: trail})
}
