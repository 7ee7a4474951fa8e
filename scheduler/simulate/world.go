package simulate

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/scheduler/placement"
)

// labelsOf is a parsed selector.
type labelsOf struct{ labels.Selector }

// site is one cluster of the fleet.
type site struct {
	name     string
	labels   labels.Set
	taints   []flow.Taint
	cost     float64
	capacity flow.Resources
	node     flow.Resources

	used    flow.Resources
	running []*execution
	queue   []*execution  // placed here, and waits for room
	down    time.Duration // since when; -1: it is up
}

// fleet makes the clusters of a scenario, all of them up.
func (s Scenario) fleet() []site {
	var out []site
	for _, c := range s.Clusters {
		node := c.Node.resources()
		if node.Zero() {
			node = c.Size.resources()
		}
		for i := range max(c.Count, 1) {
			name := c.Name
			if c.Count > 1 {
				name = fmt.Sprintf("%s-%d", c.Name, i)
			}
			all := labels.Set{placement.LabelCost: fmt.Sprint(c.Cost)}
			for k, v := range c.Labels {
				all[k] = v
			}
			out = append(out, site{name: name, labels: all, taints: c.Taints, cost: c.Cost, capacity: c.Size.resources(), node: node, down: -1})
		}
	}
	return out
}

// world is the fleet and the load at one moment of one run.
type world struct {
	scenario Scenario
	now      time.Duration
	sites    []site
	kinds    []kind
	tenants  []tenancy
	total    flow.Resources
	used     flow.Resources
	pending  []*execution // no cluster has them
	ends     agenda
	live     int     // launched and not ended
	placed   []int64 // executions by site, tenant and kind
	measure  *measure
}

func newWorld(s Scenario) *world {
	w := &world{scenario: s, sites: s.fleet()}
	for i := range w.sites {
		w.total = w.total.Add(w.sites[i].capacity)
	}
	for _, c := range s.Classes {
		pod := c.Pod.resources()
		pod.Pods = 1
		peak := pod.Times(c.Parallel)
		selector, err := labels.Parse(c.Selector)
		if err != nil {
			selector = labels.Nothing()
		}
		w.kinds = append(w.kinds, kind{name: c.Name, parallel: c.Parallel, digest: "class-" + c.Name, length: c.Length, nodes: c.Nodes, selector: labelsOf{selector},
			failover: flow.Failover{Mode: c.Failover},
			ask: flow.Requirement{Selector: c.Selector, Largest: pod, Peak: peak, Reservation: peak, Workflow: c.Name,
				Preferred: c.Prefers, Data: c.Data}})
	}
	for _, t := range s.Tenants {
		w.tenants = append(w.tenants, tenancy{Tenant: flow.Tenant{Project: t.Project, Domain: t.Domain}, weight: t.Weight})
	}
	w.placed = make([]int64, len(w.sites)*len(w.tenants)*len(w.kinds))
	w.measure = newMeasure(w)
	return w
}

// room is how many pods of an execution fit a cluster now, as many as it can use
// at most.
func (w *world) room(s *site, e *execution) int64 {
	if s.down >= 0 {
		return 0
	}
	k := &w.kinds[e.kind]
	n, pod, free := k.parallel, k.ask.Largest, s.capacity.Sub(s.used)
	for _, d := range [...][2]int64{{pod.MilliCPU, free.MilliCPU}, {pod.Memory, free.Memory}, {pod.GPUs, free.GPUs}} {
		if d[0] > 0 {
			n = min(n, max(d[1], 0)/d[0])
		}
	}
	return n
}

// cell is where an execution counts in placed.
func (w *world) cell(e *execution) int {
	return (e.site*len(w.tenants)+e.tenant)*len(w.kinds) + e.kind
}

// put places an execution on a cluster, where it starts or waits.
func (w *world) put(e *execution, to int) {
	e.site = to
	e.epoch++
	w.placed[w.cell(e)]++
	w.measure.decided(e, w.now)
	s := &w.sites[to]
	if n := w.room(s, e); n > 0 {
		w.start(e, n)
		return
	}
	s.queue = append(s.queue, e)
}

// start runs an execution with so many pods at a time. The fewer, the longer it
// takes.
func (w *world) start(e *execution, pods int64) {
	s := &w.sites[e.site]
	k := &w.kinds[e.kind]
	e.held = k.ask.Largest.Times(pods)
	e.pace = float64(pods) / float64(k.parallel)
	r := e.held
	s.used, w.used = s.used.Add(r), w.used.Add(r)
	t := &w.tenants[e.tenant]
	t.used = t.used.Add(r)
	t.waiting--
	e.slot, e.began = len(s.running), w.now
	s.running = append(s.running, e)
	e.attempts++
	w.ends.push(end{at: w.now + time.Duration(float64(e.left)/e.pace), execution: e, attempt: e.attempts})
	if !e.started {
		e.started = true
		w.measure.waited(w.now - e.at)
	}
}

// stop takes a running execution off its cluster.
func (w *world) stop(e *execution) {
	s, r := &w.sites[e.site], e.held
	s.used, w.used = s.used.Sub(r), w.used.Sub(r)
	t := &w.tenants[e.tenant]
	t.used = t.used.Sub(r)
	last := s.running[len(s.running)-1]
	s.running[e.slot], last.slot = last, e.slot
	s.running = s.running[:len(s.running)-1]
	e.slot = -1
	e.attempts++
	w.measure.ran(w.now-e.began, s.cost, r)
}

// finish ends what was due to end.
func (w *world) finish(d end) {
	e := d.execution
	if d.attempt != e.attempts || e.slot < 0 {
		return
	}
	w.now = d.at
	site := e.site
	w.stop(e)
	w.live--
	w.placed[w.cell(e)]--
	w.measure.ended++
	w.drain(site)
}

// passing bounds how many that wait in a cluster may be passed by smaller ones.
const passing = 64

// drain starts what fits now of what waits in a cluster, oldest first.
func (w *world) drain(i int) {
	s := &w.sites[i]
	kept := s.queue[:0]
	passed := 0
	for k, e := range s.queue {
		if passed >= passing {
			kept = append(kept, s.queue[k:]...)
			break
		}
		if n := w.room(s, e); n > 0 {
			w.start(e, n)
			continue
		}
		passed++
		kept = append(kept, e)
	}
	clear(s.queue[len(kept):])
	s.queue = kept
}

// fail ends a cluster: what runs there is lost back to the last node's end.
func (w *world) fail(i int) {
	s := &w.sites[i]
	if s.down >= 0 {
		return
	}
	s.down = w.now
	for len(s.running) > 0 {
		e := s.running[len(s.running)-1]
		w.stop(e)
		done := time.Duration(float64(w.now-e.began) * e.pace)
		node := e.whole / time.Duration(w.kinds[e.kind].nodes)
		reached := e.whole - e.left + done
		kept := reached - reached%node - (e.whole - e.left)
		kept = min(max(kept, 0), done)
		e.left -= kept
		w.measure.lose(done - kept)
		w.tenants[e.tenant].waiting++
		s.queue = append(s.queue, e)
	}
}

// heal brings a cluster back; what is still placed there goes on.
func (w *world) heal(i int) {
	w.sites[i].down = -1
	w.drain(i)
}

// health is what the control plane thinks of a cluster.
func (w *world) health(s *site) flow.Health {
	switch gone := w.now - s.down; {
	case s.down < 0:
		return flow.HealthHealthy
	case gone < 5*time.Second:
		return flow.HealthHealthy // not noticed yet
	case gone < w.scenario.Lapse.D():
		return flow.HealthSuspect
	}
	return flow.HealthLapsed
}
