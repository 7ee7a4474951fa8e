package simulate

import (
	"fmt"
	"time"

	"github.com/skein-project/skein/api/flow"
)

// kind is a class, in the words of placement.
type kind struct {
	name     string
	digest   string
	ask      flow.Requirement
	length   Spread
	nodes    int64
	parallel int64
	failover flow.Failover
	selector labelsOf
}

// tenancy is a tenant, what it uses now and how much of it waits.
type tenancy struct {
	flow.Tenant
	weight  float64
	used    flow.Resources
	waiting int
}

// execution is one launch, until it ends.
type execution struct {
	id     flow.ExecutionID
	tenant int
	kind   int
	at     time.Duration
	left   time.Duration // work
	whole  time.Duration

	site     int // where it is placed; -1: nowhere
	slot     int // among those that run there; -1: it waits
	epoch    uint64
	moves    int
	began    time.Duration // of its present run
	held     flow.Resources
	pace     float64 // of that run: 1 with all the pods that it can use
	started  bool
	attempts uint32 // runs begun; tells an old end from the new one
}

// launches are what comes, in order.
type launches struct {
	s       Scenario
	random  random
	kinds   []float64
	tenants []float64
	byClass map[string]int
	byName  map[flow.Tenant]int
	made    int
	clock   float64
	rate    float64 // mean, per second
}

func newLaunches(s Scenario, w *world) *launches {
	l := &launches{s: s, random: random{state: s.Seed}, byClass: map[string]int{}, byName: map[flow.Tenant]int{}}
	for i, c := range s.Classes {
		l.kinds = append(l.kinds, c.Part)
		l.byClass[c.Name] = i
	}
	for i, t := range s.Tenants {
		l.tenants = append(l.tenants, t.Launches)
		l.byName[w.tenants[i].Tenant] = i
	}
	if over := s.Over.D().Seconds(); over > 0 {
		l.rate = float64(s.Executions) / over
	}
	return l
}

// next is the next launch, or nil after the last.
func (l *launches) next() *execution {
	if len(l.s.Recorded) > 0 {
		return l.recorded()
	}
	if l.made >= l.s.Executions || l.rate == 0 {
		return nil
	}
	for highest := l.s.Arrivals.highest(); ; { // thinned to the rate of the moment
		l.clock += l.random.exponential() / (l.rate * highest)
		if l.random.unit()*highest <= l.s.Arrivals.rate(l.clock) {
			break
		}
	}
	e := l.execution(l.random.pick(l.tenants), l.random.pick(l.kinds))
	e.at = time.Duration(l.clock * float64(time.Second))
	e.whole = max(time.Duration(l.s.Classes[e.kind].Length.of(&l.random)*float64(time.Second)), time.Millisecond)
	e.left = e.whole
	return e
}

func (l *launches) recorded() *execution {
	if l.made >= len(l.s.Recorded) {
		return nil
	}
	r := l.s.Recorded[l.made]
	e := l.execution(l.byName[flow.Tenant{Project: r.Project, Domain: or(r.Domain, "production")}], l.byClass[r.Class])
	e.at, e.whole, e.left = r.At.D(), r.Length.D(), r.Length.D()
	return e
}

func (l *launches) execution(tenant, kind int) *execution {
	t := l.s.Tenants[tenant]
	e := &execution{tenant: tenant, kind: kind, site: -1, slot: -1,
		id: flow.ExecutionID{Project: t.Project, Domain: t.Domain, Name: fmt.Sprintf("x%08d", l.made)}}
	l.made++
	return e
}
