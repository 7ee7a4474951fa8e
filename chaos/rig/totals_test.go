package rig

import (
	"fmt"

	"github.com/skein-project/skein/chaos/check"
)

// totals sum worlds up.
type totals struct {
	worlds, steps, violations, kills int
	seen                             check.Counts
}

func (t *totals) add(r Result) {
	t.worlds++
	t.steps += r.Steps
	t.kills += r.LeaderKills
	if len(r.Violations) > 0 {
		t.violations++
	}
	t.count(r.Seen)
}

func (t *totals) join(o totals) {
	t.worlds += o.worlds
	t.steps += o.steps
	t.kills += o.kills
	t.violations += o.violations
	t.count(o.seen)
}

func (t *totals) count(c check.Counts) {
	t.seen.Accepted += c.Accepted
	t.seen.Ended += c.Ended
	t.seen.Placements += c.Placements
	t.seen.Moves += c.Moves
	t.seen.Events += c.Events
	t.seen.Refused += c.Refused
	t.seen.Late += c.Late
}

// String is one line of figures.
func (t totals) String() string {
	return fmt.Sprintf("%d worlds, %d executions accepted, %d ended, %d placements, %d moves, %d events accepted, %d refused, %d late acts, %d leaders killed",
		t.worlds, t.seen.Accepted, t.seen.Ended, t.seen.Placements, t.seen.Moves, t.seen.Events, t.seen.Refused, t.seen.Late, t.kills)
}
