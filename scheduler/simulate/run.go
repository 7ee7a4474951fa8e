package simulate

import (
	"errors"
	"math"
	"sort"
	"strings"
	"time"
)

// Run plays a scenario under one policy. The error says what is wrong with the
// scenario or the name.
func Run(s Scenario, policy string) (Result, error) {
	s = s.withDefaults()
	if problems := s.Problems(); len(problems) > 0 {
		return Result{}, errors.New(strings.Join(problems, "; "))
	}
	s = s.withRecorded()
	c, err := newChooser(policy, s)
	if err != nil {
		return Result{}, err
	}
	w := newWorld(s)
	r := runner{world: w, chooser: c, launches: newLaunches(s, w), outages: outages(s, w)}
	r.play()
	return w.measure.result(policy, w), nil
}

// Compare plays a scenario under several policies, one after another.
func Compare(s Scenario, policies []string) (Report, error) {
	rep := Report{Scenario: s.withDefaults().summary()}
	for _, p := range policies {
		r, err := Run(s, p)
		if err != nil {
			return Report{}, err
		}
		rep.Results = append(rep.Results, r)
	}
	return rep, nil
}

// withRecorded adds the tenants that only recorded launches name.
func (s Scenario) withRecorded() Scenario {
	known := map[string]bool{}
	for _, t := range s.Tenants {
		known[t.Project+"/"+t.Domain] = true
	}
	s.Tenants = append([]Tenant{}, s.Tenants...)
	for _, r := range s.Recorded {
		t := Tenant{Project: r.Project, Domain: or(r.Domain, "production"), Weight: 1}
		if key := t.Project + "/" + t.Domain; !known[key] {
			known[key] = true
			s.Tenants = append(s.Tenants, t)
		}
	}
	return s
}

// outage is a cluster that fails or comes back.
type outage struct {
	at   time.Duration
	site int
	back bool
}

func outages(s Scenario, w *world) []outage {
	var out []outage
	for _, f := range s.Failures {
		for i := range w.sites {
			if w.sites[i].name != f.Cluster {
				continue
			}
			out = append(out, outage{at: f.At.D(), site: i})
			if f.For > 0 {
				out = append(out, outage{at: f.At.D() + f.For.D(), site: i, back: true})
			}
		}
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].at < out[j].at })
	return out
}

// runner plays one run.
type runner struct {
	*world
	chooser
	launches *launches
	outages  []outage
	coming   *execution
}

const never = time.Duration(math.MaxInt64)

// play goes from cycle to cycle: all that happens before one, then its decision.
// Cycles in which nothing could change are passed over.
func (r *runner) play() {
	cycle := r.scenario.Cycle.D()
	r.coming = r.launches.next()
	for {
		next := r.upcoming()
		if next == never {
			return
		}
		at := next - next%cycle + cycle
		r.until(at)
		r.now = at
		placed := r.world.measure.decisions
		r.choose(r.world)
		r.world.measure.sample(r.world)
		if r.capped() && len(r.pending) > r.scenario.Pending && r.world.measure.decisions > placed {
			r.choose(r.world) // there is more
		}
	}
}

// upcoming is when something happens next, or never.
func (r *runner) upcoming() time.Duration {
	next := never
	if r.coming != nil {
		next = r.coming.at
	}
	if at, ok := r.ends.due(); ok {
		next = min(next, at)
	}
	if len(r.outages) > 0 && r.live > 0 {
		next = min(next, r.outages[0].at)
	}
	for i := range r.sites { // a cluster is about to lapse
		if s := &r.sites[i]; s.down >= 0 && len(s.queue) > 0 {
			if lapses := s.down + r.scenario.Lapse.D(); lapses >= r.now {
				next = min(next, lapses)
			}
		}
	}
	return max(next, r.now)
}

// until lets everything happen that comes before a moment, in order.
func (r *runner) until(at time.Duration) {
	for {
		launch, due, failure := never, never, never
		if r.coming != nil {
			launch = r.coming.at
		}
		if d, ok := r.ends.due(); ok {
			due = d
		}
		if len(r.outages) > 0 {
			failure = r.outages[0].at
		}
		first := min(launch, due, failure)
		if first >= at {
			return
		}
		r.now = max(r.now, first)
		r.world.measure.pass(r.world)
		switch first {
		case due:
			r.finish(r.ends.pop())
		case failure:
			o := r.outages[0]
			r.outages = r.outages[1:]
			if o.back {
				r.heal(o.site)
			} else {
				r.fail(o.site)
			}
		default:
			r.launch()
		}
	}
}

func (r *runner) launch() {
	e := r.coming
	r.coming = r.launches.next()
	r.live++
	r.tenants[e.tenant].waiting++
	r.pending = append(r.pending, e)
	r.world.measure.launched(e)
}
