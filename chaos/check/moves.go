package check

import (
	"github.com/skein-project/skein/api/flow"
)

// planned: a planned move asks an owner that is not known to have lapsed (I57; of
// what is missing there a member of it has just told),
// and is released by an ack, by the absence of its object, or by force; no event
// releases it, and no ack takes what was not asked for (I46).
func (c *Checker) planned(op string, x Change) {
	b, a := x.Before, x.After
	if a.Revoking != "" && a.Revoking != flow.MoveReleased && b.Revoking == "" && c.o.Health(a.Cluster) == flow.HealthLapsed {
		c.Fail("I57", "%s: %s was asked to give %s up, and has lapsed", op, a.Cluster, a.ID)
	}
	if b.Cluster == "" || a.Cluster == b.Cluster && a.Epoch == b.Epoch {
		return
	}
	switch {
	case op == "RecordEvents":
		c.Fail("I46", "%s has left %s by an event", a.ID, b.Cluster)
	case op == "Ack" && (b.Revoking == "" || b.Desired == flow.DesiredAbort):
		c.Fail("I46", "%s has left %s by an ack, and nobody had asked for that: revoking %q, wanted %s", a.ID, b.Cluster, b.Revoking, b.Desired)
	case op == "Ack" && b.Revoking != flow.MoveReleased:
		c.Seen.Planned++
	}
}

// budgets: of what a drained cluster holds, no more is on the move at a time than
// its budget (I57).
func (c *Checker) budgets() {
	moving := map[string]int{}
	for _, id := range c.order {
		if row := &c.lives[id].row; row.Cluster != "" && row.Revoking == flow.MoveDrain && !row.Phase.Terminal() {
			if moving[row.Cluster]++; moving[row.Cluster] == c.o.Budget(row.Cluster)+1 {
				c.Fail("I57", "more than %d executions are on the move from %s, which is the budget of its drain", c.o.Budget(row.Cluster), row.Cluster)
			}
		}
	}
}

// quotas: what is placed anew never lifts its tenant's live placements, over all
// clusters, above the quota (I50).
func (c *Checker) quotas(changes []Change) {
	var held map[flow.Tenant]usage
	for _, x := range changes {
		if x.Before.Cluster != "" || x.After.Cluster == "" {
			continue
		}
		if held == nil {
			held = c.usage()
		}
		t := x.After.ID.Tenant()
		if q, u := c.o.Quota(t), held[t]; above(u.count, q.Executions) || above(u.held.MilliCPU, q.MilliCPU) ||
			above(u.held.Memory, q.Memory) || above(u.held.GPUs, q.GPUs) {
			c.Fail("I50", "%s was placed on %s, and %s then holds %d executions and %+v, above its quota %+v", x.After.ID, x.After.Cluster, t, u.count, u.held, q)
			c.Seen.OverCommits++
		}
	}
}

// usage is what a tenant's live placements hold.
type usage struct {
	count int64
	held  flow.Resources
}

func (c *Checker) usage() map[flow.Tenant]usage {
	out := map[flow.Tenant]usage{}
	for _, id := range c.order {
		if row := &c.lives[id].row; row.Cluster != "" && !row.Phase.Terminal() {
			u := out[id.Tenant()]
			u.count++
			u.held = u.held.Add(row.Requirement.Reservation)
			out[id.Tenant()] = u
		}
	}
	return out
}

func above(held, limit int64) bool { return limit > 0 && held > limit }
