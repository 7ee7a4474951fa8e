// Package check watches a federation and says which of its promises was broken.
//
// There is one rule for each numbered invariant (docs/invariants.md) that can be
// seen from outside: from what transactions changed, which events were accepted,
// and what data planes started. It knows no store, no clock and no transport;
// whoever runs a federation tells it what happens, in the order in which it
// happens.
//
// Invariant: it never asks the code under test whether something is allowed; it
// keeps its own books.
package check

import (
	"fmt"
	"time"

	"github.com/skein-project/skein/api/flow"
)

// Violation is one broken promise.
type Violation struct {
	At        time.Duration // since the world began
	Invariant string        // like "I2"
	Text      string
}

// String prints the violation in one line.
func (v Violation) String() string {
	return fmt.Sprintf("%s at %.3fs: %s", v.Invariant, v.At.Seconds(), v.Text)
}

// Options say what the checker has to know of the world.
type Options struct {
	Now func() time.Duration
	// Capacity is what a cluster offers.
	Capacity func(cluster string) flow.Resources
	// NoMoves says that nothing may leave its cluster: outages are all shorter
	// than a lease.
	NoMoves bool
	// Quota is a tenant's, Health what the database holds of a cluster, and Budget
	// that of each drain of a cluster.
	Quota  func(flow.Tenant) flow.Quota
	Health func(cluster string) flow.Health
	Budget func(cluster string) int
}

// Checker keeps the books. It is used by one goroutine.
type Checker struct {
	o          Options
	lives      map[flow.ExecutionID]*life
	order      []flow.ExecutionID
	held       map[string]map[flow.ExecutionID]flow.Resources // by cluster
	applied    map[applied]uint64
	begun      map[applied]uint64
	violations []Violation
	Seen       Counts
}

// Counts are facts that are no violations.
type Counts struct {
	Accepted, Ended, Placements, Moves, Events, Refused, Late int
	Planned                                                   int // of the moves: their owners had been asked
	// Overlaps are accepted events of a placement that was over (I2); OverCommits
	// are placements without the room or quota for them (I5, I50). Each is a
	// violation as well.
	Overlaps, OverCommits int
}

// Add sums counts up.
func (n *Counts) Add(o Counts) {
	n.Accepted += o.Accepted
	n.Ended += o.Ended
	n.Placements += o.Placements
	n.Moves += o.Moves
	n.Planned += o.Planned
	n.Events += o.Events
	n.Refused += o.Refused
	n.Late += o.Late
	n.Overlaps += o.Overlaps
	n.OverCommits += o.OverCommits
}

type applied struct {
	cluster string
	id      flow.ExecutionID
	epoch   flow.Epoch
}

// life is what is known of one execution.
type life struct {
	row       flow.Execution
	accepted  bool // its creator was told so
	aborted   bool // somebody was told that it is being aborted
	ends      int
	highest   flow.Epoch // of accepted events
	nodes     map[nodeKey]int
	tasks     map[taskKey]int
	succeeded map[string]flow.Epoch // nodes, and the epoch that said so
}

type nodeKey struct {
	epoch flow.Epoch
	node  string
}

type taskKey struct {
	nodeKey
	attempt uint32
}

// New makes a checker.
func New(o Options) *Checker {
	return &Checker{o: o, lives: map[flow.ExecutionID]*life{}, held: map[string]map[flow.ExecutionID]flow.Resources{},
		applied: map[applied]uint64{}, begun: map[applied]uint64{}}
}

// Violations lists what was broken so far.
func (c *Checker) Violations() []Violation { return c.violations }

// Fail notes a violation that somebody else has found.
func (c *Checker) Fail(invariant, format string, args ...any) {
	if len(c.violations) < 50 {
		c.violations = append(c.violations, Violation{c.o.Now(), invariant, fmt.Sprintf(format, args...)})
	}
}

func (c *Checker) life(id flow.ExecutionID) *life {
	l := c.lives[id]
	if l == nil {
		l = &life{nodes: map[nodeKey]int{}, tasks: map[taskKey]int{}, succeeded: map[string]flow.Epoch{}}
		c.lives[id] = l
		c.order = append(c.order, id)
	}
	return l
}

// Accepted says that the creator of an execution was told that it exists.
func (c *Checker) Accepted(id flow.ExecutionID) {
	c.life(id).accepted = true
	c.Seen.Accepted++
}

// Aborted says that whoever asked for an abort was told that it is recorded.
func (c *Checker) Aborted(id flow.ExecutionID) { c.life(id).aborted = true }

// Applied says that a cluster has durably applied a revision of an assignment.
func (c *Checker) Applied(cluster string, id flow.ExecutionID, epoch flow.Epoch, revision uint64) {
	key := applied{cluster, id, epoch}
	c.applied[key] = max(c.applied[key], revision)
}

// Begun says that the object in a cluster has the revision of a planned move, and
// drains. That counts as applied once a user's abort has overtaken the move: there
// is nothing left to wait for.
func (c *Checker) Begun(cluster string, id flow.ExecutionID, epoch flow.Epoch, revision uint64) {
	key := applied{cluster, id, epoch}
	c.begun[key] = max(c.begun[key], revision)
}

// Late says that an object was made after the end of the lease under which it
// was started: a fact to count.
func (c *Checker) Late(flow.ExecutionID, flow.Epoch, string) { c.Seen.Late++ }

// Done is called when the world has healed and nothing moves any more: nothing
// that was accepted may be left over (I1).
func (c *Checker) Done() {
	for _, id := range c.order {
		l := c.lives[id]
		switch {
		case !l.accepted:
		case l.row.ID.Name == "":
			c.Fail("I1", "%s was accepted, and the database does not know it", id)
		case !l.row.Phase.Terminal():
			c.Fail("I1", "%s was accepted and has not ended: %s on %q at epoch %s, wanted %s, revision %d, moves %d",
				id, l.row.Phase, l.row.Cluster, l.row.Epoch, l.row.Desired, l.row.Revision, l.row.Moves)
		default:
			c.Seen.Ended++
		}
		if l.row.Phase == flow.ExecutionAborted && l.row.Desired != flow.DesiredAbort {
			c.Fail("I3", "%s has ended as ABORTED, and nobody asked for that", id)
		}
	}
}
