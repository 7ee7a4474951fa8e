package placement

import (
	"hash/fnv"

	"github.com/skein-project/skein/api/flow"
)

// Score says how good a cluster is that passed every filter: higher is better.
// The parts, already weighed, sum up to the score:
//
//	free    the share of the scarcest resource that stays free afterwards
//	peak    minus the share by which the peak demand would not fit, at most 1
//	prefer  minus one for each PreferNoSchedule taint that is not tolerated
func Score(r Requirement, c ClusterView, w flow.Weights) (float64, map[string]float64) {
	free := w.Free * (1 - share(c.Reserved.Add(r.Reservation), c.Capacity))
	over := share(c.Reserved.Add(r.Peak), c.Capacity) - 1
	peak := -w.Peak * min(max(over, 0), 1)
	var prefer float64
	for _, t := range c.Taints {
		if t.Effect == flow.PreferNoSchedule && !tolerates(r.Tolerations, t) {
			prefer -= w.Taint
		}
	}
	return free + peak + prefer, map[string]float64{"free": free, "peak": peak, "prefer": prefer}
}

// share is the used share of the scarcest resource; above 1 when more is used
// than there is. What a cluster does not have, and nobody uses, has no share.
func share(used, capacity flow.Resources) float64 {
	var worst float64
	for _, d := range dimensions {
		u, c := d.of(used), d.of(capacity)
		switch {
		case c > 0:
			worst = max(worst, float64(u)/float64(c))
		case u > 0 && d.name != "pods": // pods may be unreported
			worst = max(worst, 1)
		}
	}
	return worst
}

// better reports whether a precedes b for this execution. Equal scores are
// told apart by a hash of execution and cluster, so that equals share the work
// and yet the answer never depends on chance.
func better(execution string, a, b flow.Reason) bool {
	if a.Score != b.Score {
		return a.Score > b.Score
	}
	if x, y := mix(execution, a.Cluster), mix(execution, b.Cluster); x != y {
		return x < y
	}
	return a.Cluster < b.Cluster
}

// mix hashes both names; the final multiplications spread names that differ in
// their last character only, which FNV alone leaves close together.
func mix(execution, cluster string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(execution))
	_, _ = h.Write([]byte{0})
	_, _ = h.Write([]byte(cluster))
	x := h.Sum64()
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}
