package rig

import (
	"fmt"
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/chaos/check"
	"github.com/skein-project/skein/chaos/memstore"
)

// domains are the tenants' domains.
var domains = []string{"d", "e"}

// clients are the users: they launch, abort and look, through some replica.
type clients struct {
	w        *World
	launched []flow.ExecutionID
	history  *check.History
	open     []*question
	drawn    map[flow.ExecutionID]flow.Execution // as they were launched
	// forgotten: the database was put back, so what was told before is no guide.
	forgotten bool
}

func newClients(w *World) *clients {
	return &clients{w: w, history: check.NewHistory(), drawn: map[flow.ExecutionID]flow.Execution{}}
}

// question is a user's call that has had no answer yet.
type question struct {
	id       flow.ExecutionID
	call     check.Call
	from     time.Duration
	answered bool
}

// ask carries a user's call out, and notes when it began, when it was answered,
// and what with.
func (c *clients) ask(r *replica, id flow.ExecutionID, kind check.Kind, op func() (flow.Execution, error), then func(error)) {
	w := c.w
	q := &question{id: id, call: check.Call{Kind: kind}, from: w.sim.now}
	c.open = append(c.open, q)
	var row flow.Execution
	r.call(r.site, func() (err error) { row, err = op(); return err }, func(err error) {
		if !fault.Is(err, fault.Unavailable) { // else nobody knows
			q.answered = true
			c.history.Add(id, q.call, check.Answer{Refused: err != nil, Phase: row.Phase, Epoch: row.Epoch, Cluster: row.Cluster}, q.from, w.sim.now)
		}
		then(err)
	})
}

// saw notes what a transaction of the planes has done.
func (c *clients) saw(op string, x memstore.Change) {
	b, a := x.Before, x.After
	call := check.Call{Epoch: a.Epoch, Cluster: a.Cluster, Phase: a.Phase}
	switch {
	case a.Epoch != b.Epoch:
		call.Kind = check.Place
	case b.Cluster != "" && a.Cluster == "":
		call.Kind = check.Leave
	case op == "RecordEvents" && a.Phase != b.Phase:
		call.Kind = check.Event
	default:
		return
	}
	c.history.Add(a.ID, call, check.Answer{}, c.w.sim.now, c.w.sim.now)
}

// judge demands that the histories of all executions can be explained.
func (c *clients) judge() {
	if c.forgotten {
		return
	}
	for _, q := range c.open {
		if !q.answered {
			c.history.Add(q.id, q.call, check.Answer{Unknown: true}, q.from, c.w.sim.now)
		}
	}
	for _, problem := range c.history.Problems() {
		c.w.violate("I7", "%s", problem)
	}
}

// plan spreads the launches over the busy time.
func (c *clients) plan() {
	w := c.w
	for i := range w.cfg.Executions {
		id := flow.ExecutionID{Project: "p", Domain: pick(w.sim, domains), Name: fmt.Sprintf("x%d", i)}
		w.jobs[id] = c.drawJob()
		w.sim.after(w.sim.between(0, w.cfg.Busy*3/4), func() { c.launch(id, 1) })
		for range 3 {
			w.sim.after(w.sim.between(time.Second, w.cfg.Busy+30*time.Second), func() { c.look(id) })
		}
		if w.cfg.Kind == Faults && w.sim.chance(0.2) {
			w.sim.after(w.sim.between(time.Second, w.cfg.Busy), func() { c.abort(id) })
		}
	}
}

// stirs reports whether clusters may lose their work in this world.
func (w *World) stirs() bool { return w.cfg.Kind != Blips && w.cfg.Kind != Kills }

func (c *clients) drawJob() job {
	s := c.w.sim
	j := job{}
	if c.w.cfg.Kind == Losses {
		return job{nodes: []time.Duration{time.Hour}}
	}
	if s.chance(0.25) { // over before anybody has noticed
		return job{nodes: []time.Duration{s.between(50*time.Millisecond, 500*time.Millisecond)}}
	}
	for range 1 + s.rng.IntN(4) {
		j.nodes = append(j.nodes, s.between(500*time.Millisecond, 12*time.Second))
	}
	if c.w.stirs() && s.chance(0.3) { // outlives a lease
		j.nodes[0] = s.between(15*time.Second, 40*time.Second)
	}
	if s.chance(0.1) {
		j.fails = 1 + s.rng.IntN(len(j.nodes))
	}
	if s.chance(0.2) {
		j.flaky = 1 + s.rng.IntN(len(j.nodes))
	}
	return j
}

func (c *clients) draw(id flow.ExecutionID) flow.Execution {
	w := c.w
	e := flow.Execution{ID: id, Phase: flow.ExecutionQueued, Desired: flow.DesiredRun,
		CreatedAt: epoch0.Add(w.sim.now), Spec: []byte("spec"),
		Requirement: flow.Requirement{TaskTypes: []string{"container"},
			Largest:     flow.Resources{MilliCPU: 500, Memory: 1 << 28, Pods: 1},
			Reservation: flow.Resources{MilliCPU: int64(500 * (1 + w.sim.rng.IntN(2))), Memory: 1 << 28, Pods: 1}}}
	switch x := w.sim.rng.Float64(); {
	case x < 0.15:
		e.Failover.Mode = flow.FailoverRestart
	case x < 0.25 && w.stirs():
		e.Failover.Mode = flow.FailoverNever
	}
	e.Failover.Strict = w.sim.chance(0.2)
	if w.cfg.Orders {
		e.Requirement.Tolerations = w.tolerations()
		e.Requirement.Class = pick(w.sim, []string{"", "", "high", "low"})
		e.Requirement.Group = pick(w.sim, []string{"", "a", "b"})
		e.Requirement.Apart = pick(w.sim, [][]string{nil, nil, {"a"}})
		e.Requirement.Near = pick(w.sim, [][]string{nil, nil, {"b"}})
		e.Requirement.Selector = pick(w.sim, []string{"", "", "", "region=north"})
	}
	return e
}

// replica gives one that a client reaches, or nil.
func (c *clients) replica() *replica {
	var able []*replica
	for _, r := range c.w.replicas {
		if r.up && !r.paused {
			able = append(able, r)
		}
	}
	if len(able) == 0 {
		return nil
	}
	return pick(c.w.sim, able)
}

// launch creates an execution, and tries again where nobody knows what became
// of it: then a conflict says that it exists.
func (c *clients) launch(id flow.ExecutionID, try int) {
	w, r := c.w, c.replica()
	again := func() {
		if try < 5 {
			w.sim.after(w.sim.between(time.Second, 4*time.Second), func() { c.launch(id, try+1) })
		}
	}
	if r == nil {
		again()
		return
	}
	e := c.draw(id)
	if row, known := w.db.Row(id); known {
		e = row // the same call again
	}
	c.drawn[id] = e
	before := w.restored
	create := func() (flow.Execution, error) { return flow.Execution{}, r.db.CreateExecution(w.ctx, e) }
	c.ask(r, id, check.Create, create, func(err error) {
		_, known := w.db.Row(id)
		switch {
		case w.restored && !before && !known:
			w.logf("client: %s is forgotten before its answer has come", id.Name)
		case err == nil, fault.Is(err, fault.Conflict):
			w.logf("client: %s was accepted by %s", id.Name, r.name)
			w.check.Accepted(id)
			c.launched = append(c.launched, id)
			if g := w.leading(); g != nil {
				g.nudge()
			}
		default:
			again()
		}
	})
}

func (c *clients) abort(id flow.ExecutionID) {
	w, r := c.w, c.replica()
	if r == nil {
		return
	}
	c.ask(r, id, check.Abort, func() (flow.Execution, error) {
		return r.db.AbortExecution(w.ctx, id, "enough", "user", epoch0.Add(w.sim.now))
	}, func(err error) {
		if err == nil {
			w.logf("client: the abort of %s was accepted", id.Name)
			w.check.Aborted(id)
			for _, x := range w.replicas {
				x.post(time.Millisecond, func() { x.wake([]string{w.owner(id)}) })
			}
		}
	})
}

// look reads an execution, as a user does.
func (c *clients) look(id flow.ExecutionID) {
	if r := c.replica(); r != nil {
		c.ask(r, id, check.Get, func() (flow.Execution, error) { return r.db.GetExecution(c.w.ctx, id) }, func(error) {})
	}
}

func (w *World) owner(id flow.ExecutionID) string {
	row, _ := w.db.Row(id)
	return row.Cluster
}

func (w *World) leading() *reign {
	if r := w.oracle.leader; r != nil && r.up && !r.paused {
		return r.reign
	}
	return nil
}
