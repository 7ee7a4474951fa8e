package placement

import (
	"cmp"
	"container/heap"
	"math"
	"slices"
	"time"

	"github.com/skein-project/skein/api/flow"
)

// turn is a pending execution that is to be placed.
type turn struct {
	*flow.Pending
	class  *class
	tenant *tenant
	level  int64
}

// starving is the level above all priorities.
const starving = math.MaxInt64

// levelOf orders executions before fair share does: those that starve, then by
// priority, and of equal priority those first that had a cluster before. What
// a cluster is to lose by force does not starve: it is still placed.
func levelOf(p *flow.Pending, rank int32, now time.Time, starve time.Duration) int64 {
	level := int64(rank) * 2
	switch {
	case p.From != "":
		return level + 1
	case now.Sub(p.CreatedAt) >= starve:
		return starving
	case p.Epoch.N > 0:
		return level + 1
	}
	return level
}

// sorted puts turns in the order of levels; within one, by tenant; within that,
// the oldest first.
func sorted(turns []turn) {
	slices.SortFunc(turns, func(a, b turn) int {
		if a.level != b.level {
			return -cmp.Compare(a.level, b.level)
		}
		if a.tenant != b.tenant {
			return cmp.Compare(a.tenant.index, b.tenant.index)
		}
		if c := a.CreatedAt.Compare(b.CreatedAt); c != 0 {
			return c
		}
		return cmp.Compare(a.Execution.Name, b.Execution.Name)
	})
}

// fairly calls try for each of the sorted turns: level after level, and within
// one always for the tenant whose weighed dominant share is smallest then.
func fairly(turns []turn, try func(*turn)) {
	for len(turns) > 0 {
		n := 1
		for n < len(turns) && turns[n].level == turns[0].level {
			n++
		}
		level := turns[:n]
		turns = turns[n:]
		var q queue
		for len(level) > 0 {
			n := 1
			for n < len(level) && level[n].tenant == level[0].tenant {
				n++
			}
			q = append(q, level[:n])
			level = level[n:]
		}
		heap.Init(&q)
		for len(q) > 0 {
			try(&q[0][0])
			if q[0] = q[0][1:]; len(q[0]) == 0 {
				heap.Pop(&q)
			} else {
				heap.Fix(&q, 0)
			}
		}
	}
}

// queue is a heap of tenants' turns, that of the smallest share first; of equal
// shares the tenant with fewer executions for its weight, then the one whose
// next execution is the oldest. Only the share of the tenant at the top ever
// changes: a turn counts for the tenant whose turn it is.
type queue [][]turn

func (q queue) Len() int      { return len(q) }
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q queue) Less(i, j int) bool {
	a, b := q[i][0].tenant, q[j][0].tenant
	if a.share != b.share {
		return a.share < b.share
	}
	if x, y := float64(a.count)/a.weight, float64(b.count)/b.weight; x != y {
		return x < y
	}
	if c := q[i][0].CreatedAt.Compare(q[j][0].CreatedAt); c != 0 {
		return c < 0
	}
	return a.index < b.index
}

// Push is part of heap.Interface; nothing is pushed.
func (q *queue) Push(x any) { *q = append(*q, x.([]turn)) }

// Pop is part of heap.Interface.
func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}
