package placement

import (
	"cmp"
	"slices"

	"github.com/skein-project/skein/api/flow"
)

// Decide gives every pending execution of the view a cluster, or the reasons
// why it waits.
func Decide(v View) Plan {
	d := decider{policy: v.Policy, clusters: fleet(v), asks: map[string]*ask{}}
	plan := Plan{At: v.Now, Clusters: len(d.clusters)}
	for _, p := range ordered(v.Pending) {
		if r, ok := v.Requirements[p.Digest]; ok {
			p.Requirement = r
		}
		a := d.ask(p.Requirement)
		if a.waits == nil {
			chosen, reasons := d.choose(p.Execution.String(), a.Requirement)
			if chosen >= 0 {
				c := &d.clusters[chosen]
				c.Reserved = c.Reserved.Add(p.Requirement.Reservation)
				plan.Placements = append(plan.Placements, flow.Placement{Execution: p.Execution,
					Prior: p.Epoch, Cluster: c.Name, Reasons: reasons, Trace: p.Trace})
				continue
			}
			a.waits = reasons
		}
		plan.Waits = append(plan.Waits, flow.Wait{Execution: p.Execution, Reasons: slices.Clone(a.waits)})
	}
	return plan
}

type decider struct {
	policy   Policy
	clusters []ClusterView
	asks     map[string]*ask
}

// ask is one distinct requirement of the batch. Reservations only rise within
// a batch, so what once fitted nowhere fits nowhere until its end: thousands of
// equal executions that wait cost one examination.
type ask struct {
	Requirement
	waits []flow.Reason
}

func (d *decider) ask(r flow.Requirement) *ask {
	k := key(r)
	a, ok := d.asks[k]
	if !ok {
		a = &ask{Requirement: Prepare(r, d.policy)}
		d.asks[k] = a
	}
	return a
}

// choose examines every cluster and gives the index of the best, or -1.
func (d *decider) choose(execution string, r Requirement) (int, []flow.Reason) {
	if len(d.clusters) == 0 {
		return -1, []flow.Reason{{Filter: "fleet", Message: "no cluster is registered"}}
	}
	best := -1
	reasons := make([]flow.Reason, len(d.clusters))
	for i, c := range d.clusters {
		reasons[i] = examine(r, c, d.policy.Weights)
		if reasons[i].Filter != "" {
			continue
		}
		if best < 0 || better(execution, reasons[i], reasons[best]) {
			best = i
		}
	}
	if best >= 0 {
		reasons[best].Chosen = true
		reasons[best].Message = "best of those that fit"
	}
	return best, reasons
}

func examine(r Requirement, c ClusterView, w flow.Weights) flow.Reason {
	for _, f := range Filters {
		if ok, message := f.Check(r, c); !ok {
			return flow.Reason{Cluster: c.Name, Filter: f.Name, Message: message}
		}
	}
	score, parts := Score(r, c, w)
	return flow.Reason{Cluster: c.Name, Message: "fits", Score: score, Parts: parts}
}

// fleet is the view's clusters by name, with what live placements hold.
func fleet(v View) []ClusterView {
	held := make(map[string]flow.Resources, len(v.Clusters))
	for _, r := range v.Reserved {
		held[r.Cluster] = held[r.Cluster].Add(r.Reservation)
	}
	for _, l := range v.Loads {
		held[l.Cluster] = held[l.Cluster].Add(l.Reservation)
	}
	out := slices.Clone(v.Clusters)
	for i := range out {
		out[i].Reserved = held[out[i].Name]
	}
	slices.SortFunc(out, func(a, b ClusterView) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// ordered is the pending list, oldest first.
func ordered(pending []flow.Pending) []flow.Pending {
	out := slices.Clone(pending)
	slices.SortFunc(out, func(a, b flow.Pending) int {
		if c := a.CreatedAt.Compare(b.CreatedAt); c != 0 {
			return c
		}
		return cmp.Compare(a.Execution.String(), b.Execution.String())
	})
	return out
}
