package placement

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"slices"

	"github.com/skein-project/skein/api/flow"
)

// trails are the explanations of one plan, by digest.
type trails struct {
	left int // reasons that may still be written in full
	made map[string]flow.Trail
	used map[string]bool
	list []string // of the used, in the order of their first use

	texts map[string]string // of messages: many trails say the same, and share one copy
}

// trail is one in the making. In full it has a reason for each cluster; a
// summary has one for each filter, and the best of those that fit.
type trail struct {
	full    bool
	reasons []flow.Reason
	filters []string       // of a summary, in the order of the clusters
	refused map[string]int // by filter
	fit     int
}

// shortlist bounds the clusters that fit of a summary.
const shortlist = 3

func (t *trails) begin(clusters int) *trail {
	if t.left < clusters {
		return &trail{refused: map[string]int{}}
	}
	t.left -= clusters
	return &trail{full: true, reasons: make([]flow.Reason, 0, clusters)}
}

// add says of one cluster which filter refuses, or how it scores.
func (b *trail) add(c *class, s *site, filter, message string, key float64) {
	switch r := (flow.Reason{Cluster: s.Name, Filter: filter, Message: message}); {
	case filter == "" && b.full:
		r.Message, r.Score, r.Parts = "fits", key+spreadPart(c, s.index), parts(c, s)
		b.reasons = append(b.reasons, r)
	case filter == "":
		b.fit++
		r.Message, r.Score = "fits", key+spreadPart(c, s.index)
		b.best(c, s, r)
	case b.full:
		b.reasons = append(b.reasons, r)
	default:
		if b.refused[filter]++; b.refused[filter] == 1 {
			b.filters = append(b.filters, filter)
			b.reasons = append(b.reasons, r)
		}
	}
}

// best keeps the clusters of a summary that fit best.
func (b *trail) best(c *class, s *site, r flow.Reason) {
	fits := func(r flow.Reason) bool { return r.Filter == "" }
	if b.fit > shortlist {
		worst := -1
		for i, x := range b.reasons {
			if fits(x) && (worst < 0 || x.Score < b.reasons[worst].Score) {
				worst = i
			}
		}
		if b.reasons[worst].Score >= r.Score {
			return
		}
		b.reasons = slices.Delete(b.reasons, worst, worst+1)
	}
	r.Parts = parts(c, s)
	b.reasons = append(b.reasons, r)
}

// end keeps the trail, and gives its digest.
func (t *trails) end(class string, b *trail) string {
	for i, r := range b.reasons {
		if n := b.refused[r.Filter]; n > 1 {
			r.Message += fmt.Sprintf(" (as %d more clusters)", n-1)
		}
		b.reasons[i].Message = t.once(r.Message)
	}
	if !b.full && b.fit > shortlist {
		b.reasons = append(b.reasons, flow.Reason{Message: t.once(fmt.Sprintf("%d more clusters fit, with lower scores or the same", b.fit-shortlist))})
	}
	return t.keep(class, b.reasons)
}

// once gives the one copy of a text.
func (t *trails) once(text string) string {
	if known, ok := t.texts[text]; ok {
		return known
	}
	t.texts[text] = text
	return text
}

// note is the trail of an execution that no cluster was asked about.
func (t *trails) note(class, filter, message string) string {
	return t.keep(class, []flow.Reason{{Filter: filter, Message: message}})
}

func (t *trails) keep(class string, reasons []flow.Reason) string {
	d := digestReasons(class, reasons)
	if _, ok := t.made[d]; !ok {
		// A copy has no room that nobody uses: there may be a trail for each execution.
		t.made[d] = flow.Trail{Digest: d, Class: class, Reasons: slices.Clone(reasons)}
	}
	return d
}

// use marks a trail as one that the plan refers to.
func (t *trails) use(digest string) {
	if !t.used[digest] {
		t.used[digest] = true
		t.list = append(t.list, digest)
	}
}

// all are the trails that the plan refers to.
func (t *trails) all() []flow.Trail {
	out := make([]flow.Trail, 0, len(t.list))
	for _, d := range t.list {
		out = append(out, t.made[d])
	}
	return out
}

// digestReasons names a class and what the clusters said to it. Each text goes
// in with its length, so that no two lists read the same.
func digestReasons(class string, reasons []flow.Reason) string {
	var b []byte
	text := func(s string) { b = append(binary.AppendUvarint(b, uint64(len(s))), s...) }
	text(class)
	for _, r := range reasons {
		text(r.Cluster)
		text(r.Filter)
		text(r.Message)
		b = binary.BigEndian.AppendUint64(b, math.Float64bits(r.Score))
		for _, p := range r.Parts {
			text(p.Name)
			b = binary.BigEndian.AppendUint64(b, math.Float64bits(p.Value))
		}
		text("")
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
