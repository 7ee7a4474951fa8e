package health

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/skein-project/skein/api/flow"
)

// Window is what a leader remembers in order to doubt itself: of the clusters
// that stood when a window of one lease began, if three or more existed and
// more than half lapsed inside it, it is our outage, and not theirs. With one
// or two clusters, doubt also needs that this leader lost another replica or
// the database inside the window.
//
// Two things are read on the careful side. A cluster stands as long as its
// lease does, Suspect or not. And when one has lapsed, those that are Suspect
// count as lapsed: leases that were cut off at once end one after the other,
// and the first ones are not to be moved before the last ones tell.
//
// A doubt lasts until more than half of those clusters are Healthy, or somebody
// overrules it; then it does not come back before a majority was. If more than
// half had lapsed, the others have one more lease to come back after a majority
// has: what was cut off at once does not return at once.
type Window struct {
	length time.Duration
	past   []moment // of changes, oldest first; the first one is the window's beginning
	doubt  []string // the clusters that stood when the doubt's window began; nil: no doubt
	why    string
	full   bool      // more than half of those had lapsed
	backAt time.Time // when a majority of those came back; zero: it has not
	over   []string  // those of a doubt that was overruled, until a majority is back
}

type moment struct {
	at    time.Time
	stood []string
}

// Standing is one cluster as the database has it when a term begins.
type Standing struct {
	Cluster string
	Health  flow.Health
	Since   time.Time // of that health
}

// Begin is the window of a term that begins now, of that length. What stood
// then is taken from what the database says, and so is what lapsed shortly
// before: of the clusters that have lapsed, those that did so within one window
// of each other, the most of them, count as having lapsed inside this one. So a
// change of leader in the middle of an outage loses no doubt.
func Begin(now time.Time, length time.Duration, recorded []Standing) *Window {
	var stood []string
	var lapsed []Standing
	for _, c := range recorded {
		switch c.Health {
		case flow.HealthHealthy, flow.HealthSuspect:
			stood = append(stood, c.Cluster)
		case flow.HealthLapsed:
			lapsed = append(lapsed, c)
		}
	}
	for _, c := range densest(lapsed, length) {
		stood = append(stood, c.Cluster)
	}
	slices.Sort(stood)
	return &Window{length: length, past: []moment{{now, stood}}}
}

// densest gives the most of the lapses that lie within one window.
func densest(lapsed []Standing, length time.Duration) (most []Standing) {
	slices.SortFunc(lapsed, func(a, b Standing) int { return a.Since.Compare(b.Since) })
	first := 0
	for i := range lapsed {
		for lapsed[i].Since.Sub(lapsed[first].Since) > length {
			first++
		}
		if i-first >= len(most) {
			most = lapsed[first : i+1]
		}
	}
	return most
}

// Sight is what a leader sees in one cycle.
type Sight struct {
	Now    time.Time
	Health map[string]flow.Health // as judged, of every cluster
	// Trouble is when this leader last found another replica or the database
	// out of reach; zero: never.
	Trouble time.Time
}

// See takes a sight, and gives the reason to move nothing; empty: there is none.
func (w *Window) See(s Sight) (why string) {
	w.remember(s)
	w.forget(s.Health)
	healthy := count(s.Health, flow.HealthHealthy)
	if back(w.over, healthy) {
		w.over = nil
	}
	if w.doubt != nil {
		w.settle(s, healthy)
	}
	if w.doubt == nil && w.over == nil {
		w.judge(s)
	}
	return w.why
}

// settle ends a doubt when it may.
func (w *Window) settle(s Sight, healthy []string) {
	lapsed := intersect(w.doubt, count(s.Health, flow.HealthLapsed))
	w.full = w.full || 2*len(lapsed) > len(w.doubt)
	switch {
	case !back(w.doubt, healthy):
		w.backAt = time.Time{}
		return
	case w.backAt.IsZero():
		w.backAt = s.Now
	}
	if !w.full || len(lapsed) == 0 || s.Now.Sub(w.backAt) >= w.length {
		w.doubt, w.why, w.full, w.backAt = nil, "", false, time.Time{}
	}
}

// judge looks for the beginning of a doubt.
func (w *Window) judge(s Sight) {
	stood := w.past[0].stood
	lapsed := intersect(stood, count(s.Health, flow.HealthLapsed))
	silent := append(intersect(stood, count(s.Health, flow.HealthSuspect)), lapsed...)
	if len(lapsed) == 0 || 2*len(silent) <= len(stood) {
		return
	}
	if len(stood) < 3 && (s.Trouble.IsZero() || s.Now.Sub(s.Trouble) > w.length) {
		return
	}
	slices.Sort(silent)
	w.doubt, w.full = stood, 2*len(lapsed) > len(stood)
	w.why = fmt.Sprintf("%d of the %d clusters that stood %s ago fell silent within that time (%s), %d of them have lapsed: "+
		"this looks like an outage of the control plane itself, so nothing is moved until more than half of the %d are healthy again, "+
		"and the others have had another %s to come back",
		len(silent), len(stood), w.length, shorten(silent), len(lapsed), len(stood), w.length)
}

// remember keeps what the window's beginning needs: at most one moment in a
// thirtieth of its length.
func (w *Window) remember(s Sight) {
	standing := append(count(s.Health, flow.HealthHealthy), count(s.Health, flow.HealthSuspect)...)
	slices.Sort(standing)
	last := w.past[len(w.past)-1]
	if s.Now.Sub(last.at) >= w.length/30 && !slices.Equal(standing, last.stood) {
		w.past = append(w.past, moment{s.Now, standing})
	}
	for len(w.past) > 1 && s.Now.Sub(w.past[1].at) >= w.length {
		w.past = w.past[1:]
	}
}

// forget leaves out clusters that were removed or declared lost: nobody waits
// for their return any more.
func (w *Window) forget(all map[string]flow.Health) {
	gone := func(name string) bool {
		h, ok := all[name]
		return !ok || h == flow.HealthLost
	}
	for _, list := range []*[]string{&w.past[0].stood, &w.doubt, &w.over} {
		if slices.ContainsFunc(*list, gone) {
			*list = slices.DeleteFunc(slices.Clone(*list), gone)
		}
	}
}

// Overrule ends the doubt that there is. The same outage raises none again.
func (w *Window) Overrule() {
	w.over, w.doubt, w.why, w.full, w.backAt = w.doubt, nil, "", false, time.Time{}
}

// back reports whether more than half of those clusters are healthy.
func back(clusters, healthy []string) bool {
	return len(clusters) == 0 || 2*len(intersect(clusters, healthy)) > len(clusters)
}

func count(all map[string]flow.Health, h flow.Health) (out []string) {
	for name, is := range all {
		if is == h {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

func intersect(a, b []string) (out []string) {
	for _, x := range a {
		if slices.Contains(b, x) {
			out = append(out, x)
		}
	}
	return out
}

// shorten names the first of a long list.
func shorten(names []string) string {
	const shown = 10
	if len(names) <= shown {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:shown], ", "), len(names)-shown)
}
