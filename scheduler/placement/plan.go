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

// Reasons are those of a trail of the plan, by its digest.
func (p Plan) Reasons(trail string) []flow.Reason {
	i := slices.IndexFunc(p.Trails, func(t flow.Trail) bool { return t.Digest == trail })
	if i < 0 {
		return nil
	}
	return p.Trails[i].Reasons
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
