package check

import "github.com/skein-project/skein/api/flow"

// Restored says that the database was put back to a backup: rows are what it
// holds now, held what some cluster has an object of. What neither names may be
// lost; what was recorded of the others since the backup is forgotten, and may
// be recorded again.
func (c *Checker) Restored(rows map[flow.ExecutionID]flow.Execution, held map[flow.ExecutionID]bool) {
	c.held = map[string]map[flow.ExecutionID]flow.Resources{}
	for _, id := range c.order {
		l := c.lives[id]
		row, known := rows[id]
		l.accepted = l.accepted && (known || held[id])
		l.row, l.ends, l.highest = row, 0, flow.Epoch{}
		l.nodes, l.tasks, l.succeeded = map[nodeKey]int{}, map[taskKey]int{}, map[string]flow.Epoch{}
		if row.Phase.Terminal() {
			l.ends = 1
		}
		if row.Cluster != "" && !row.Phase.Terminal() {
			c.hold(row.Cluster, id, row.Requirement.Reservation)
		}
	}
}

func (c *Checker) hold(cluster string, id flow.ExecutionID, r flow.Resources) {
	if c.held[cluster] == nil {
		c.held[cluster] = map[flow.ExecutionID]flow.Resources{}
	}
	c.held[cluster][id] = r
}

// found: a REBUILD only finds what is there. It never gives an epoch that is
// below the recorded one, and places nothing by itself.
func (c *Checker) found(op string, x Change) bool {
	if op != "TakeInventory" && op != "TakeHoldings" {
		return false
	}
	if b, a := x.Before, x.After; a.Epoch.Less(b.Epoch) {
		c.Fail("I79", "%s: %s went from epoch %s back to %s", op, a.ID, b.Epoch, a.Epoch)
	}
	return true
}
