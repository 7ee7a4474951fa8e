package check

import (
	"github.com/skein-project/skein/api/flow"
)

// Recorded is one event that a transaction has folded in, or refused.
type Recorded struct {
	Sender        flow.Sender
	Event         flow.Event
	Result        flow.EventResult
	Before, After flow.Recorded
}

// Events says which events a transaction has taken.
func (c *Checker) Events(list []Recorded) {
	for _, r := range list {
		if !r.Result.Accepted {
			c.Seen.Refused++
			continue
		}
		c.Seen.Events++
		c.stale(r)
		c.backwards(r)
	}
}

// stale: only the owner's events at the owner's epoch are accepted, and what is
// accepted of two epochs never interleaves (I2).
func (c *Checker) stale(r Recorded) {
	row, l := r.Before.Execution, c.life(r.Event.Execution)
	if row.Cluster != r.Sender.Cluster || row.Epoch != r.Event.Epoch {
		c.Fail("I2", "an event of %s at epoch %s from %s was accepted, but %s owns it at %s",
			r.Event.Execution, r.Event.Epoch, r.Sender.Member, row.Cluster, row.Epoch)
		c.Seen.Overlaps++
	}
	if r.Event.Epoch.Less(l.highest) {
		c.Fail("I2", "work of %s at epoch %s was accepted after work at epoch %s", r.Event.Execution, r.Event.Epoch, l.highest)
		c.Seen.Overlaps++
	} else {
		l.highest = r.Event.Epoch
	}
}

// backwards: phases never go back within (execution, epoch, node, attempt) (I4).
func (c *Checker) backwards(r Recorded) {
	l, e := c.life(r.Event.Execution), r.Event
	key := nodeKey{e.Epoch, e.Node}
	if n := r.After.Node; e.Kind == flow.EventNode && n != nil && n.Epoch == e.Epoch {
		at := nodeRank(n.Phase)
		if at < l.nodes[key] {
			c.Fail("I4", "node %s of %s went back to %s at epoch %s", e.Node, e.Execution, n.Phase, e.Epoch)
		}
		l.nodes[key] = at
		if n.Phase == flow.NodeSucceeded {
			l.succeeded[e.Node] = e.Epoch
		}
	}
	if k := r.After.Task; e.Kind == flow.EventTask && k != nil && k.Epoch == e.Epoch {
		key := taskKey{key, e.Attempt}
		if k.Phase.Rank() < l.tasks[key] {
			c.Fail("I4", "attempt %d of node %s of %s went back to %s at epoch %s", e.Attempt, e.Node, e.Execution, k.Phase, e.Epoch)
		}
		l.tasks[key] = k.Phase.Rank()
	}
}

func nodeRank(p flow.NodePhase) int {
	switch p {
	case flow.NodeQueued:
		return 1
	case flow.NodeRunning, flow.NodeDynamicRunning:
		return 2
	case flow.NodeFailing:
		return 3
	}
	if p.Terminal() {
		return 4
	}
	return 0
}

// Acked says what an outbox row holds after a transaction: never more than the
// cluster has applied (I27).
func (c *Checker) Acked(cluster string, id flow.ExecutionID, epoch flow.Epoch, acked uint64) {
	key := applied{cluster, id, epoch}
	had := c.applied[key]
	if row := c.life(id).row; row.Desired == flow.DesiredAbort && row.Revoking == "" {
		had = max(had, c.begun[key])
	}
	if acked > had {
		c.Fail("I27", "revision %d of %s at epoch %s counts as applied by %s, which has applied %d", acked, id, epoch, cluster, had)
	}
}

// Entitled says that a cluster may start work of an execution at an epoch, by
// the word of its lease, and has an object of it that is to run. Then the
// database must place it there (I23, I25, I33): else two members may come to
// start it.
func (c *Checker) Entitled(cluster string, id flow.ExecutionID, epoch flow.Epoch) {
	row := c.life(id).row
	switch {
	case row.Failover.Pinned():
		return
	case row.Cluster == cluster && row.Epoch == epoch && row.Phase.Terminal():
		c.Fail("I29", "%s may start work of %s at epoch %s, which has ended there as %s", cluster, id, epoch, row.Phase)
		return
	case row.Cluster == cluster && row.Epoch == epoch:
		return
	}
	c.Fail("I23", "%s may start work of %s at epoch %s, which the database places on %q at %s (%s)",
		cluster, id, epoch, row.Cluster, row.Epoch, row.Phase)
}

// Started says that a pod of a node was made. A node that has succeeded never
// runs again in an execution that was resumed (I62).
func (c *Checker) Started(cluster string, id flow.ExecutionID, epoch flow.Epoch, node string, resumed bool) {
	l := c.life(id)
	if at, done := l.succeeded[node]; done && at.Less(epoch) && resumed {
		c.Fail("I62", "node %s of %s runs again on %s at epoch %s: it had succeeded at epoch %s", node, id, cluster, epoch, at)
	}
}
