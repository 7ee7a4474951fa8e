package rig

import (
	"fmt"

	"github.com/skein-project/skein/chaos/check"
)

// totals sum worlds up.
type totals struct {
	worlds, steps, violations, kills, blips int
	seen                                    check.Counts
}

func (t *totals) add(r Result) {
	one := totals{worlds: 1, steps: r.Steps, kills: r.LeaderKills, blips: r.Blips, seen: r.Seen}
	if len(r.Violations) > 0 {
		one.violations = 1
	}
	t.join(one)
}

func (t *totals) join(o totals) {
	t.worlds += o.worlds
	t.steps += o.steps
	t.kills += o.kills
	t.blips += o.blips
	t.violations += o.violations
	t.seen.Add(o.seen)
}

// String is one line of figures.
func (t totals) String() string {
	s := t.seen
	return fmt.Sprintf("%d seeds, %d events, %d executions accepted, %d ended, %d placements, %d moves (%d planned), %d reports accepted, %d refused, "+
		"%d blips, %d leaders killed, %d late acts, %d overlaps, %d over-commits, %d violations",
		t.worlds, t.steps, s.Accepted, s.Ended, s.Placements, s.Moves, s.Planned, s.Events, s.Refused,
		t.blips, t.kills, s.Late, s.Overlaps, s.OverCommits, t.violations)
}
