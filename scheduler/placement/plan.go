package placement

import (
	"log/slog"
	"slices"
	"time"

	"github.com/skein-project/skein/api/flow"
)

// Plan is one decision about all pending executions of a view.
type Plan struct {
	At         time.Time
	Clusters   int // how many were examined
	Placements []flow.Placement
	Waits      []flow.Wait
	// Trails explain the placements and waits, which name them by digest.
	Trails []flow.Trail
}

// Empty reports whether nothing was decided.
func (p Plan) Empty() bool { return len(p.Placements) == 0 && len(p.Waits) == 0 }

// plan is what was decided.
func (d *decider) plan() Plan {
	p := Plan{At: d.now, Clusters: len(d.fleet.sites), Waits: d.waits, Trails: d.trails.all()}
	if len(d.placements) > 0 {
		p.Placements = d.placements
	}
	return p
}

// inlined bounds the clusters up to which placements carry their trail's
// reasons, with their own line marked; those of larger fleets carry that line
// alone, and the trail has the others.
const inlined = 16

// chosen is what a placement itself tells of its trail.
func (d *decider) chosen(p flow.Placement) []flow.Reason {
	reasons := d.trails.use(p.Trail)
	own := flow.Reason{Cluster: p.Cluster, Message: "best of those that fit", Score: p.Score, Chosen: true}
	if len(d.fleet.sites) > inlined {
		return []flow.Reason{own}
	}
	reasons = slices.Clone(reasons)
	for i, r := range reasons {
		if r.Cluster == p.Cluster && r.Filter == "" {
			own.Parts = r.Parts
			reasons[i] = own
		}
	}
	return reasons
}

// LogValue says how many executions go where, how many wait, and which filter
// refused most often: enough for one log line, whatever the plan's size.
func (p Plan) LogValue() slog.Value {
	to := map[string]int{}
	for _, x := range p.Placements {
		to[x.Cluster]++
	}
	alike := map[string]int{} // waits by trail
	for _, w := range p.Waits {
		alike[w.Trail]++
	}
	refused := map[string]int{}
	for _, t := range p.Trails {
		for _, r := range t.Reasons {
			refused[r.Filter] += alike[t.Digest]
		}
	}
	delete(refused, "")
	return slog.GroupValue(
		slog.Int("placed", len(p.Placements)),
		slog.Int("waiting", len(p.Waits)),
		slog.Int("clusters", p.Clusters),
		slog.Attr{Key: "to", Value: counts(to)},
		slog.Attr{Key: "refused", Value: counts(refused)},
	)
}

// shown bounds the groups of a log line.
const shown = 8

// counts lists the largest counts, largest first.
func counts(m map[string]int) slog.Value {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b string) int {
		if m[a] != m[b] {
			return m[b] - m[a]
		}
		if a < b {
			return -1
		}
		return 1
	})
	var attrs []slog.Attr
	for _, k := range keys[:min(len(keys), shown)] {
		attrs = append(attrs, slog.Int(k, m[k]))
	}
	return slog.GroupValue(attrs...)
}
