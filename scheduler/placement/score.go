package placement

import (
	"math"
	"slices"
	"strings"

	"github.com/skein-project/skein/api/flow"
)

// The parts of a score, already weighed, sum up to it; higher is better.
//
//	free       the share of the scarcest resource that stays free afterwards
//	peak       minus the share by which the peak demand would not fit, at most 1
//	taint      minus one for each PreferNoSchedule taint that is not tolerated
//	preferred  the share of all preferred weights, the policies' and its own, that match
//	spread     minus the share of the project's work, live and pending, that its
//	           failure domain holds
//	affinity   one if a group is there that it wants to be near; minus n/(n+1) for
//	           n executions of groups that it wants to be apart from
//	locality   the share of its data that lies near the cluster
//	cost       minus the cluster's cost against the dearest; one that is not told is 0
//	sticky     one if the same workflow of its tenant runs there, or did lately
//
// base sums up the parts that no placement changes.
func base(c *class, s *site) float64 {
	return taintPart(c, s) + preferredPart(c, s) + localityPart(c, s) + costPart(c, s) + stickyPart(c, s)
}

// key is base and the parts that the cluster's own load changes. What the loads
// of other clusters change, which is spread alone, is not in it.
func key(c *class, s *site, base float64) float64 {
	return base + freePart(c, s) + peakPart(c, s) + affinityPart(c, s)
}

func freePart(c *class, s *site) float64 {
	return c.weights.Free * (1 - share(s.used.Add(c.ask.Reservation), s.Capacity))
}

func peakPart(c *class, s *site) float64 {
	return -c.weights.Peak * min(max(share(s.used.Add(c.ask.Peak), s.Capacity)-1, 0), 1)
}

func affinityPart(c *class, s *site) float64 {
	if c.near == nil && c.apart == nil {
		return 0
	}
	near, apart := 0.0, 0.0
	for _, t := range c.near {
		if t.count[s.index] > 0 {
			near = 1
		}
	}
	for _, t := range c.apart {
		apart += float64(t.count[s.index])
	}
	return c.weights.Affinity * (near - apart/(apart+1))
}

func spreadPart(c *class, i int) float64 {
	if c.spread == nil {
		return 0
	}
	return -c.weights.Spread * float64(c.spread.count[c.spread.of[i]]) / c.spread.all
}

func taintPart(c *class, s *site) float64 {
	n := 0.0
	for _, t := range s.Taints {
		if t.Effect != flow.PreferNoSchedule {
			continue
		}
		if _, ok := tolerance(c.tolerations, t); !ok {
			n++
		}
	}
	return -c.weights.Taint * n
}

func preferredPart(c *class, s *site) float64 {
	if c.preferences == 0 {
		return 0
	}
	sum := 0.0
	for _, p := range c.preferred {
		if p.matches(s) {
			sum += p.weight
		}
	}
	return c.weights.Preferred * sum / c.preferences
}

func localityPart(c *class, s *site) float64 {
	if len(c.ask.Data) == 0 {
		return 0
	}
	n := 0.0
	for _, place := range c.ask.Data {
		if near(place, s) {
			n++
		}
	}
	return c.weights.Locality * n / float64(len(c.ask.Data))
}

// near reports whether a place lies in the cluster's own store, or in a bucket
// that a label says is near.
func near(place string, s *site) bool {
	if rest, ok := strings.CutPrefix(place, s.root); ok && s.root != "" &&
		(rest == "" || rest[0] == '/' || s.root[len(s.root)-1] == '/') {
		return true
	}
	_, path, ok := strings.Cut(place, "://")
	if !ok {
		path = place
	}
	bucket, _, _ := strings.Cut(path, "/")
	return bucket != "" && slices.Contains(s.data, bucket)
}

func costPart(c *class, s *site) float64 { return -c.weights.Cost * s.cost }

func stickyPart(c *class, s *site) float64 {
	if slices.Contains(c.sticky, int32(s.index)) {
		return c.weights.Sticky
	}
	return 0
}

// parts names the parts of a score: free, peak and taint always, the others
// where they say something.
func parts(c *class, s *site) flow.Parts {
	all := [...]struct {
		flow.Part
		always bool
	}{{flow.Part{Name: "affinity", Value: affinityPart(c, s)}, false}, {flow.Part{Name: "cost", Value: costPart(c, s)}, false},
		{flow.Part{Name: "free", Value: freePart(c, s)}, true}, {flow.Part{Name: "locality", Value: localityPart(c, s)}, false},
		{flow.Part{Name: "peak", Value: positive(peakPart(c, s))}, true}, {flow.Part{Name: "preferred", Value: preferredPart(c, s)}, false},
		{flow.Part{Name: "spread", Value: spreadPart(c, s.index)}, false}, {flow.Part{Name: "sticky", Value: stickyPart(c, s)}, false},
		{flow.Part{Name: "taint", Value: positive(taintPart(c, s))}, true}}
	n := 0
	for _, p := range all {
		if p.always || p.Value != 0 {
			n++
		}
	}
	out := make(flow.Parts, 0, n)
	for _, p := range all {
		if p.always || p.Value != 0 {
			out = append(out, p.Part)
		}
	}
	return out
}

// positive turns -0 into 0, which people would wonder about.
func positive(x float64) float64 {
	if x == 0 {
		return 0
	}
	return x
}

// share is the used share of the scarcest resource; above 1 when more is used
// than there is. What a cluster does not have, and nobody uses, has no share.
func share(used, capacity flow.Resources) float64 {
	worst := part(used.MilliCPU, capacity.MilliCPU)
	worst = math.Max(worst, part(used.Memory, capacity.Memory))
	worst = math.Max(worst, part(used.GPUs, capacity.GPUs))
	if capacity.Pods > 0 { // they may be unreported
		worst = math.Max(worst, part(used.Pods, capacity.Pods))
	}
	return worst
}

func part(used, capacity int64) float64 {
	switch {
	case capacity > 0:
		return float64(used) / float64(capacity)
	case used > 0:
		return 1
	}
	return 0
}
