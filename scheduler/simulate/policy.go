package simulate

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/scheduler/placement"
)

// Policies are the names that Compare knows, with what they mean.
var Policies = []struct{ Name, About string }{
	{"skein", "our own, with the default weights"},
	{"skein-pack", "our own, which fills few clusters: no weight on free capacity, all on cost"},
	{"skein-spread", "our own, which only spreads: all weight on free capacity"},
	{"flyte", "as Flyte: of the clusters whose labels match, one by a hash of the name, weighted by size; for good"},
	{"round-robin", "the next cluster whose labels match"},
	{"first-fit", "the first cluster, by name, that has room; else it waits"},
}

// chooser decides at each cycle.
type chooser interface {
	// choose may put what is pending somewhere; what it leaves there waits.
	choose(w *world)
	// capped says that it sees only so much of what is pending, so that a cycle
	// follows at once when it has placed something.
	capped() bool
}

// choosers make a policy by name.
func newChooser(name string, s Scenario) (chooser, error) {
	weights := placement.DefaultPolicy().Weights
	switch name {
	case "skein":
	case "skein-pack":
		weights = flow.Weights{Peak: 0.25, Taint: 1, Preferred: 1, Cost: 1}
	case "skein-spread":
		weights = flow.Weights{Free: 1}
	case "flyte":
		return blind{flyte}, nil
	case "round-robin":
		turn := 0
		return blind{func(_ *world, _ *execution, matching []int) int {
			turn++
			return matching[turn%len(matching)]
		}}, nil
	case "first-fit":
		return firstFit{}, nil
	default:
		var names []string
		for _, p := range Policies {
			names = append(names, p.Name)
		}
		return nil, fmt.Errorf("there is no policy %q: use some of %s", name, strings.Join(names, ", "))
	}
	return newOurs(s, weights), nil
}

// blind places at once, and looks at labels only.
type blind struct {
	pick func(w *world, e *execution, matching []int) int
}

func (b blind) capped() bool { return false }

func (b blind) choose(w *world) {
	left := w.pending[:0]
	for _, e := range w.pending {
		if matching := w.matching(e); len(matching) > 0 {
			w.put(e, b.pick(w, e, matching))
		} else {
			left = append(left, e)
		}
	}
	w.pending = left
}

// flyte is weighted random by a hash of the name, with weights by size, as its
// operator would configure them.
func flyte(w *world, e *execution, matching []int) int {
	h := fnv.New64a()
	_, _ = h.Write([]byte(e.id.Name))
	r := random{state: h.Sum64()}
	parts := make([]float64, len(matching))
	for i, m := range matching {
		parts[i] = float64(w.sites[m].capacity.MilliCPU)
	}
	return matching[r.pick(parts)]
}

// matching are the clusters with the labels that an execution selects, large
// enough for its largest pod.
func (w *world) matching(e *execution) []int {
	k := &w.kinds[e.kind]
	pod := k.ask.Largest
	pod.Pods = 0
	var out []int
	for i := range w.sites {
		if s := &w.sites[i]; k.selector.Matches(s.labels) && pod.FitsIn(s.node) && len(s.taints) == 0 {
			out = append(out, i)
		}
	}
	return out
}

// firstFit takes the first cluster with room.
type firstFit struct{}

func (firstFit) capped() bool { return false }

func (firstFit) choose(w *world) {
	left := w.pending[:0]
	for _, e := range w.pending {
		at := slices.IndexFunc(w.matching(e), func(i int) bool { return w.room(&w.sites[i], e) > 0 })
		if at < 0 {
			left = append(left, e)
			continue
		}
		w.put(e, w.matching(e)[at])
	}
	w.pending = left
}
