package check

import (
	"github.com/skein-project/skein/api/flow"
)

// Change is one execution's row before and after a transaction; a new one has
// no ID before.
type Change struct{ Before, After flow.Execution }

// Committed says what a transaction has changed, and from which clusters it took
// something by force. Op is its name.
func (c *Checker) Committed(op string, changes []Change, forced []string) {
	for _, x := range changes {
		l := c.life(x.After.ID)
		if x.Before.ID.Name != "" && x.Before.Version != l.row.Version {
			c.Fail("I7", "%s wrote %s over version %d, but %d was the newest", op, x.After.ID, x.Before.Version, l.row.Version)
		}
		l.row = x.After
		c.ends(op, l, x)
		c.phase(op, x)
		found := c.found(op, x)
		if !found {
			c.placement(op, x)
		}
		c.capacity(x, found)
		c.planned(op, x)
	}
	if op == "CommitPlan" {
		c.quotas(changes)
	}
	if op == "Revoke" {
		c.budgets()
	}
	if op == "Ack" && len(forced) > 0 {
		c.Fail("I71", "%s: the ownership revision of %v was raised by a planned move", op, forced)
	}
}

// ends: terminal is terminal, and recorded once (I3).
func (c *Checker) ends(op string, l *life, x Change) {
	if x.Before.Phase.Terminal() && x.After.Phase != x.Before.Phase {
		c.Fail("I3", "%s: %s was %s already, and became %s", op, x.After.ID, x.Before.Phase, x.After.Phase)
	}
	if x.After.Phase.Terminal() && !x.Before.Phase.Terminal() {
		if l.ends++; l.ends > 1 {
			c.Fail("I3", "%s: %s has ended %d times", op, x.After.ID, l.ends)
		}
	}
}

// rank orders the phases of an execution as they can follow each other within
// one epoch.
func rank(p flow.ExecutionPhase) int {
	switch p {
	case flow.ExecutionQueued:
		return 1
	case flow.ExecutionRunning:
		return 2
	case flow.ExecutionSucceeding, flow.ExecutionFailing:
		return 3
	case flow.ExecutionAborting:
		return 4
	}
	if p.Terminal() {
		return 5
	}
	return 0
}

// phase: an execution's phase never goes backwards while one epoch and one owner
// last (I4).
func (c *Checker) phase(op string, x Change) {
	b, a := x.Before, x.After
	if b.ID.Name != "" && a.Epoch == b.Epoch && a.Cluster == b.Cluster && rank(a.Phase) < rank(b.Phase) {
		c.Fail("I4", "%s: %s went back from %s to %s at epoch %s", op, a.ID, b.Phase, a.Phase, a.Epoch)
	}
}

// placement: each one's epoch is one higher, what is to be aborted is never
// placed (I9, I10), and nothing moves by an outage shorter than a lease.
func (c *Checker) placement(op string, x Change) {
	b, a := x.Before, x.After
	if b.Cluster != "" && (a.Cluster != b.Cluster || a.Epoch != b.Epoch) {
		c.Seen.Moves++
		if c.o.NoMoves {
			c.Fail("I21", "%s: %s has left %s at epoch %s, though no outage was longer than a lease", op, a.ID, b.Cluster, b.Epoch)
		}
	}
	if a.Epoch == b.Epoch {
		if a.Cluster != b.Cluster && a.Cluster != "" {
			c.Fail("I10", "%s: %s went to %s without a new epoch", op, a.ID, a.Cluster)
		}
		return
	}
	c.Seen.Placements++
	if h := c.o.Health(a.Cluster); op == "CommitPlan" && h != flow.HealthHealthy && h != flow.HealthUnknown {
		c.Fail("I22", "%s was placed on %s, which is %s", a.ID, a.Cluster, h)
	}
	if a.Epoch.N != b.Epoch.N+1 || a.Epoch.Compare(b.Epoch) <= 0 {
		c.Fail("I10", "%s: %s was placed at epoch %s after %s", op, a.ID, a.Epoch, b.Epoch)
	}
	if b.Desired == flow.DesiredAbort || b.Phase.Terminal() {
		c.Fail("I9", "%s: %s was placed on %s though it was %s and wanted %s", op, a.ID, a.Cluster, b.Phase, b.Desired)
	}
}

// capacity: where an execution is placed, its largest pod fits beside all
// reservations held then (I5). What is found somewhere is there.
func (c *Checker) capacity(x Change, found bool) {
	b, a := x.Before, x.After
	if b.Cluster != "" {
		delete(c.held[b.Cluster], a.ID)
	}
	if a.Cluster == "" || a.Phase.Terminal() {
		return
	}
	if a.Epoch != b.Epoch && !found {
		sum := a.Requirement.Largest
		for _, r := range c.held[a.Cluster] {
			sum = sum.Add(r)
		}
		if offered := c.o.Capacity(a.Cluster); !sum.FitsIn(offered) {
			c.Fail("I5", "%s was placed on %s, which then needs %+v of %+v", a.ID, a.Cluster, sum, offered)
			c.Seen.OverCommits++
		}
	}
	c.hold(a.Cluster, a.ID, a.Requirement.Reservation)
}
