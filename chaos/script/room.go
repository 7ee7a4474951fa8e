package script

import (
	"cmp"
	"slices"
	"time"
)

// Stay is one execution's time on a cluster, from its placement until it ended
// there or was taken away.
type Stay struct {
	Cluster    string
	Begin, End time.Time
}

// slack is how long a cluster may seem to hold more than it has room for: a
// placement's time is that of the look on which it was decided, and so earlier
// than the end that had made room for it.
const slack = 2 * time.Second

// overcommits gives, by cluster, how many more executions than it has room for
// lay on it at once for longer than the slack. Room 0 means: nobody knows.
func overcommits(stays []Stay, room int) map[string]int {
	type change struct {
		at time.Time
		by int
	}
	changes := map[string][]change{}
	for _, s := range stays {
		if s.End.Sub(s.Begin) > slack {
			changes[s.Cluster] = append(changes[s.Cluster], change{s.Begin.Add(slack), 1}, change{s.End, -1})
		}
	}
	over := map[string]int{}
	for cluster, list := range changes {
		slices.SortFunc(list, func(a, b change) int { return cmp.Or(a.at.Compare(b.at), a.by-b.by) })
		n := 0
		for _, c := range list {
			n += c.by
			if room > 0 && n > room {
				over[cluster] = max(over[cluster], n-room)
			}
		}
	}
	return over
}
