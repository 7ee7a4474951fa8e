package commit

import (
	"hash/fnv"
	"time"

	"github.com/skein-project/skein/api/flow"
)

// How often waits are written.
const (
	// refresh is how old the numbers in a wait's reasons may become.
	refresh = 5 * time.Minute
	// mostWaits and mostRefreshed bound the waits of one plan: a hundred thousand
	// that wait must not hold up the next launch.
	mostWaits     = 2000
	mostRefreshed = 200
)

// reported remembers what this term has told of waits and trails, so that a
// thousand executions that wait for an hour are written once, and not once a
// second.
type reported struct {
	waits  map[flow.ExecutionID]told
	trails map[string]bool
}

type told struct {
	meaning uint64 // which filter refused in each cluster
	text    uint64 // what it said besides: numbers that move
	at      time.Time
}

func newReported() *reported {
	return &reported{waits: map[flow.ExecutionID]told{}, trails: map[string]bool{}}
}

// changed gives the waits of a plan that say something new, and forgets the
// executions that do not wait any more: those that are not among the waits or, if
// these are a part only, those that are placed.
func (r *reported) changed(b flow.Batch, part bool) []flow.Wait {
	said := digests(b.Trails)
	var out []flow.Wait
	still := make(map[flow.ExecutionID]told, len(b.Waits))
	if part {
		still = r.waits
		for _, p := range b.Placements {
			delete(still, p.Execution)
		}
	}
	refreshed := 0
	for _, w := range b.Waits {
		before, known := r.waits[w.Execution]
		if known {
			still[w.Execution] = before
		}
		now := said(w)
		news := !known || before.meaning != now.meaning
		if !news && before.text != now.text && b.At.Sub(before.at) >= refresh && refreshed < mostRefreshed {
			news = true
			refreshed++
		}
		if news && len(out) < mostWaits {
			out = append(out, w)
		}
	}
	r.waits = still
	return out
}

// unstored gives the trails that a batch refers to and that were not stored.
func (r *reported) unstored(b flow.Batch, trails []flow.Trail) (out []flow.Trail) {
	needed := map[string]bool{}
	for _, p := range b.Placements {
		needed[p.Trail] = true
	}
	for _, w := range b.Waits {
		needed[w.Trail] = true
	}
	for _, t := range trails {
		if needed[t.Digest] && !r.trails[t.Digest] {
			out = append(out, t)
		}
	}
	return out
}

// written remembers a batch that was stored; trails are all of its plan.
func (r *reported) written(b flow.Batch, trails []flow.Trail) {
	said := digests(trails)
	for _, w := range b.Waits {
		now := said(w)
		now.at = b.At
		r.waits[w.Execution] = now
	}
	for _, t := range b.Trails {
		r.trails[t.Digest] = true
	}
}

// digests gives what tells a wait's meaning and text, of each trail once.
func digests(trails []flow.Trail) func(flow.Wait) told {
	known := make(map[string]told, len(trails))
	for _, t := range trails {
		known[t.Digest] = digest(t.Reasons)
	}
	return func(w flow.Wait) told {
		if d, ok := known[w.Trail]; ok && w.Trail != "" {
			return d
		}
		return digest(w.Reasons)
	}
}

func digest(reasons []flow.Reason) told {
	meaning, text := fnv.New64a(), fnv.New64a()
	for _, r := range reasons {
		_, _ = meaning.Write([]byte(r.Cluster + "\x00" + r.Filter + "\x00"))
		_, _ = text.Write([]byte(r.Message + "\x00"))
	}
	return told{meaning: meaning.Sum64(), text: text.Sum64()}
}
