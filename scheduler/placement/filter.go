package placement

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/skein-project/skein/api/flow"
)

// filter says whether a cluster may take executions of a class. An empty
// message lets it through; any other says what would have to change.
type filter struct {
	name   string
	refuse func(*class, *site, time.Time) string
}

// filters are asked in this order; the first that refuses gives the reason. So
// the order is from what concerns the whole cluster to what concerns this one
// class at this moment. None of them depends on what the plan itself does: they
// are asked once for each class and cluster. Of capacity, size is the part that
// no load changes; fits is the other.
//
// One more needs no message: an execution that is taken from a cluster does not
// go back to it in the same plan (see choose).
var filters = []filter{
	{"health", healthy},
	{"cordon", uncordoned},
	{"residency", matching("residency")},
	{"pool", matching("pool")},
	{"selector", matching("selector")},
	{"taints", tolerated},
	{"capability", capable},
	{"version", recent},
	{"capacity", sized},
}

// refusal is the filter that refuses whatever the load, and why.
func refusal(c *class, s *site, now time.Time) (name, message string) {
	for _, f := range filters {
		if m := f.refuse(c, s, now); m != "" {
			return f.name, m
		}
	}
	return "", ""
}

// healthy lets through clusters that are healthy, were heard in this term, and
// hold a live recorded lease: nothing else may be given new work.
func healthy(_ *class, s *site, _ time.Time) string {
	switch {
	case s.Lost || s.Health == flow.HealthLost:
		return "cluster was declared lost; it takes nothing until it is declared found"
	case s.Health == flow.HealthSuspect:
		return "cluster is Suspect: it is silent; it takes work again when it is heard"
	case s.Health == flow.HealthLapsed:
		return "cluster is Lapsed: its leases have run out; it takes work again when it is back"
	case s.Health != flow.HealthHealthy:
		return fmt.Sprintf("cluster is %s: no member of it has joined yet", s.Health)
	case !s.Leased:
		return "no member holds a live recorded lease yet"
	case !s.Heard:
		return "no member was heard since this scheduler took over"
	}
	return ""
}

// uncordoned lets through clusters that nobody closed to new work.
func uncordoned(_ *class, s *site, _ time.Time) string {
	switch {
	case s.Drain != nil:
		return "cluster is being drained; it takes work again when the drain is stopped"
	case s.Cordoned:
		return "cluster is cordoned; it takes work again when it is uncordoned"
	}
	return ""
}

// matching makes the filter that lets through clusters which match the class's
// selectors of that name.
func matching(name string) func(*class, *site, time.Time) string {
	return func(c *class, s *site, _ time.Time) string {
		for _, one := range c.selectors {
			switch {
			case one.filter != name || one.matches(s):
			case one.problem != "":
				return one.problem
			default:
				return fmt.Sprintf("%s %q", one.says, one.text)
			}
		}
		return ""
	}
}

// tolerated lets through clusters all of whose NoSchedule and NoExecute taints
// are tolerated now.
func tolerated(c *class, s *site, now time.Time) string {
	for _, t := range s.Taints {
		if t.Effect == flow.PreferNoSchedule {
			continue
		}
		switch until, ever := tolerance(c.tolerations, t); {
		case !ever:
			return fmt.Sprintf("taint %s=%s:%s is not tolerated", t.Key, t.Value, t.Effect)
		case !until.IsZero() && !now.Before(until):
			return fmt.Sprintf("taint %s=%s:%s was tolerated for a time, which is over since %s",
				t.Key, t.Value, t.Effect, until.UTC().Format(time.RFC3339))
		}
	}
	return ""
}

// tolerance says whether a taint is tolerated, and until when; a zero time is
// for ever. Seconds count from when the taint was added, for work that is there
// and for work that comes: else what had just been moved away could come back.
func tolerance(list []flow.Toleration, taint flow.Taint) (until time.Time, ok bool) {
	for _, t := range list {
		if !t.Tolerates(taint) {
			continue
		}
		if t.Seconds == nil || taint.Effect != flow.NoExecute {
			return time.Time{}, true
		}
		if end := taint.AddedAt.Add(time.Duration(*t.Seconds) * time.Second); !ok || end.After(until) {
			until = end
		}
		ok = true
	}
	return until, ok
}

// capable lets through clusters whose propeller runs every task type needed,
// one whose propeller has a plugin for types that nobody claims ("*") all of
// them, and which have the accelerators and one of the architectures.
func capable(c *class, s *site, _ time.Time) string {
	var missing []string
	for _, t := range c.ask.TaskTypes {
		if !s.all && !slices.Contains(s.TaskTypes, t) {
			missing = append(missing, t)
		}
	}
	if len(missing) > 0 {
		return "does not run task types: " + strings.Join(missing, ", ")
	}
	for _, a := range c.ask.Accelerators {
		if !slices.Contains(s.Accelerators, a) {
			missing = append(missing, a)
		}
	}
	if len(missing) > 0 {
		return "no node has accelerators: " + strings.Join(missing, ", ")
	}
	for _, a := range c.ask.Architectures {
		if slices.Contains(s.Architectures, a) {
			return ""
		}
	}
	if len(c.ask.Architectures) > 0 {
		return "no node has an architecture of: " + strings.Join(c.ask.Architectures, ", ")
	}
	return ""
}

// recent lets through clusters whose propeller is new enough for the work, and
// at most one minor version older than the control plane.
func recent(c *class, s *site, _ time.Time) string {
	switch {
	case c.minimum != version{} && s.runs.below(c.minimum):
		return fmt.Sprintf("its propeller is version %q; the work needs %s", s.Version, c.ask.MinVersion)
	case s.runs != version{} && s.runs.below(s.oldest):
		return fmt.Sprintf("its propeller is version %s; this control plane gives new work to %d.%d and above",
			s.Version, s.oldest.major, s.oldest.minor)
	}
	return ""
}

// tooLarge begins the reason of a cluster that no end of other work helps.
const tooLarge = "the largest pod fits no node: "

// sized lets through clusters one of whose nodes holds the largest pod.
func sized(c *class, s *site, _ time.Time) string {
	node := c.ask.Largest
	node.Pods = 0 // a node is asked for one pod: that is what Largest is
	if short := shortage(node, s.LargestNode, node); short != "" {
		return tooLarge + short
	}
	return ""
}

// fits reports whether one more pod fits beside all reservations, and beside
// the room that is held for a starved execution. Only what the pod asks for
// counts: reservations may exceed what is there, since wide workflows run
// narrowly, and work that needs none of it need not wait for that. Peak demand
// is scored, never filtered.
func fits(c *class, s *site) bool {
	ask := c.ask.Largest
	return within(ask.MilliCPU, s.used.MilliCPU+s.kept.MilliCPU, s.Capacity.MilliCPU) &&
		within(ask.Memory, s.used.Memory+s.kept.Memory, s.Capacity.Memory) &&
		within(ask.GPUs, s.used.GPUs+s.kept.GPUs, s.Capacity.GPUs) &&
		(s.Capacity.Pods == 0 || within(ask.Pods, s.used.Pods+s.kept.Pods, s.Capacity.Pods))
}

func within(ask, used, capacity int64) bool { return ask == 0 || used+ask <= capacity }

// tight says why fits refuses.
func tight(c *class, s *site) string {
	total, capacity := s.used.Add(c.ask.Largest), s.Capacity
	if capacity.Pods == 0 {
		total.Pods = 0 // not reported
	}
	if short := shortage(total, capacity, c.ask.Largest); short != "" {
		return "reservations and the largest pod do not fit: " + short
	}
	return "room for one pod is held for " + s.keptFor + ", which waits longer"
}

// shortage names the resources of which less is there than wanted, of those
// that are asked for; or nothing.
func shortage(wanted, there, asked flow.Resources) string {
	var out []string
	for _, d := range dimensions {
		if w, t := d.of(wanted), d.of(there); w > t && d.of(asked) > 0 {
			out = append(out, fmt.Sprintf("%s %d%s of %d%s", d.name, w, d.unit, t, d.unit))
		}
	}
	return strings.Join(out, ", ")
}

type dimension struct {
	name, unit string
	of         func(flow.Resources) int64
}

var dimensions = []dimension{
	{"cpu", "m", func(r flow.Resources) int64 { return r.MilliCPU }},
	{"memory", " bytes", func(r flow.Resources) int64 { return r.Memory }},
	{"gpus", "", func(r flow.Resources) int64 { return r.GPUs }},
	{"pods", "", func(r flow.Resources) int64 { return r.Pods }},
}
