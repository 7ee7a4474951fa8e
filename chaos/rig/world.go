package rig

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/chaos/check"
	"github.com/skein-project/skein/chaos/memstore"
	"github.com/skein-project/skein/federation/session"
)

// database is where the database is; replicas and members follow.
const database site = 0

// World is one federation in one goroutine.
type World struct {
	cfg       Config
	sim       *sim
	net       *network
	db        *memstore.Store
	weather   weather
	detain    bool // the next transaction that takes work lands late
	replicas  []*replica
	clusters  []*cluster
	oracle    *oracle
	check     *check.Checker
	clients   *clients
	jobs      map[flow.ExecutionID]job
	threads   map[*thread]bool
	current   *current
	ctx       context.Context
	trace     io.Writer     // nil: none
	kills     int           // of processes that led
	startedAt time.Duration // a node, the newest
	blips     int           // outages shorter than a lease must survive
	quotas    map[flow.Tenant]flow.Quota
	restored  bool                            // the database was put back to a backup
	eraThen   uint64                          // that it was of
	rebuilt   bool                            // and REBUILD has ended
	backed    map[flow.ExecutionID]flow.Epoch // the epochs of that backup
	over      map[flow.ExecutionID]bool       // what had ended by that backup
}

// newWorld builds a world that has not begun.
func newWorld(cfg Config, trace io.Writer) *World {
	w := &World{cfg: cfg, sim: newSim(cfg.Seed), jobs: map[flow.ExecutionID]job{}, threads: map[*thread]bool{},
		quotas: map[flow.Tenant]flow.Quota{}, ctx: context.Background(), trace: trace}
	w.net = &network{w: w, blocked: map[[2]site]int{}, slow: map[site]time.Duration{}, slowWay: map[[2]site]time.Duration{}}
	w.db = memstore.New(memstore.Options{Fate: w.fate, Changed: w.committed,
		Now: func() time.Time { return epoch0.Add(w.sim.now) }})
	w.oracle = &oracle{w: w}
	w.check = check.New(check.Options{Now: func() time.Duration { return w.sim.now },
		Capacity: func(name string) flow.Resources { return w.named(name).capacity }, NoMoves: cfg.Kind == Blips,
		Quota:  func(t flow.Tenant) flow.Quota { return w.quotas[t] },
		Health: func(name string) flow.Health { return w.db.Cluster(name).Health },
		Budget: func(name string) int { return w.named(name).budget }})
	next := database + 1
	for i := range cfg.Replicas {
		w.replicas = append(w.replicas, w.newReplica(fmt.Sprintf("admin-%d", i), next, w.drawClock()))
		next++
	}
	for i := range cfg.Clusters {
		c := &cluster{w: w, name: fmt.Sprintf("c%d", i), rows: map[place]*object{}, pods: map[podKey]*pod{}, wiped: map[place]bool{},
			budget: 1 + w.sim.rng.IntN(4), capacity: cfg.Capacity}
		c.capacity.MilliCPU += int64(1000 * w.sim.rng.IntN(3))
		for k := range cfg.Instances {
			c.members = append(c.members, w.newMember(c, fmt.Sprintf("i%d", k), next, w.drawClock()))
			next++
		}
		w.clusters = append(w.clusters, c)
	}
	w.clients = newClients(w)
	return w
}

// drawClock makes a machine's clock: drift within what the lease's bound of 2 %
// covers, skew of seconds.
func (w *World) drawClock() clock {
	return clock{boot: w.sim.between(time.Minute, 1000*time.Hour), wall: w.sim.between(-3*time.Second, 3*time.Second),
		drift: (w.sim.rng.Float64() - 0.5) / 100}
}

// begin registers the fleet and starts every process.
func (w *World) begin() error {
	if err := w.db.CreateProject(w.ctx, flow.Project{ID: "p", Name: "p"}); err != nil {
		return err
	}
	if err := w.declare(); err != nil {
		return err
	}
	for _, c := range w.clusters {
		if err := w.db.CreateCluster(w.ctx, flow.Cluster{Name: c.name, Labels: map[string]string{"region": w.region(c)}}); err != nil {
			return err
		}
	}
	for _, r := range w.replicas {
		r.start()
	}
	for _, m := range w.members() {
		if w.cfg.Kind != Restores || m.cluster != w.late() {
			m.start()
		}
	}
	w.oracle.elect(0)
	return nil
}

// region is a cluster's failure domain; some execution may want the north.
func (w *World) region(c *cluster) string {
	if c == w.clusters[0] || w.sim.chance(0.5) {
		return "north"
	}
	return "south"
}

func (w *World) members() []*member {
	var list []*member
	for _, c := range w.clusters {
		list = append(list, c.members...)
	}
	return list
}

func (w *World) clusterOf(m flow.Member) *cluster { return w.named(m.Cluster) }

func (w *World) named(name string) *cluster {
	for _, c := range w.clusters {
		if c.name == name {
			return c
		}
	}
	return nil
}

// end stops what still waits for the word.
func (w *World) end() {
	for t := range w.threads {
		t.stop()
	}
}

// logf writes one line of the trace, if there is one.
func (w *World) logf(format string, args ...any) {
	if w.trace != nil {
		_, _ = fmt.Fprintf(w.trace, "%9.3fs  %s\n", w.sim.now.Seconds(), fmt.Sprintf(format, args...))
	}
}

func (w *World) violate(invariant, format string, args ...any) {
	w.check.Fail(invariant, format, args...)
	w.logf("VIOLATION of %s: %s", invariant, fmt.Sprintf(format, args...))
}

// committed hands what a transaction has changed to the checker.
func (w *World) committed(c memstore.Commit) {
	before := len(w.check.Violations())
	list := make([]check.Recorded, len(c.Events))
	for i, e := range c.Events {
		list[i] = check.Recorded(e)
		if w.trace != nil && !e.Result.Accepted {
			w.logf("database: refuses an event of %s@%s from %s: %s", e.Event.Execution.Name, e.Event.Epoch, e.Sender.Member, e.Result.Reason)
		}
	}
	w.check.Events(list)
	changes := make([]check.Change, len(c.Changes))
	for i, x := range c.Changes {
		changes[i] = check.Change(x)
		w.told(c.Op, x)
		w.clients.saw(c.Op, x)
	}
	w.check.Committed(c.Op, changes, c.Forced)
	if c.Op == "CommitPlan" && w.rebuilding() && len(changes) > 0 {
		w.violate("I35", "%s was placed before REBUILD has ended", changes[0].After.ID)
	}
	for _, x := range c.Changes {
		if b := x.Before; b.Cluster != "" && (x.After.Cluster != b.Cluster || x.After.Epoch != b.Epoch) {
			w.left(w.named(b.Cluster), place{b.ID, b.Epoch})
			if c.Op == "Ack" {
				w.moved(w.named(b.Cluster), place{b.ID, b.Epoch})
			}
		}
	}
	for _, a := range c.Acks {
		w.check.Acked(a.Cluster, a.Execution, a.Epoch, a.Revision)
	}
	for _, v := range w.check.Violations()[before:] {
		w.logf("VIOLATION of %s", v)
	}
}

func (w *World) told(op string, x memstore.Change) {
	if w.trace == nil {
		return
	}
	b, a := x.Before, x.After
	if a.Phase != b.Phase || a.Cluster != b.Cluster || a.Epoch != b.Epoch || a.Desired != b.Desired || a.Revoking != b.Revoking {
		w.logf("database: %s: %s %s on %q@%s → %s on %q@%s, wanted %s %s", op, a.ID.Name, b.Phase, b.Cluster, b.Epoch,
			a.Phase, a.Cluster, a.Epoch, a.Desired, a.Revoking)
	}
}

// left looks whether some member may still start what has left its cluster.
func (w *World) left(c *cluster, p place) {
	o := c.find(p)
	if o == nil || o.ended() || o.desired != flow.DesiredRun {
		return
	}
	for _, m := range c.members {
		if !m.up {
			continue
		}
		if _, why := m.state.MayStart(m.now(), p.id, p.epoch); why == "" {
			w.entitled(m, o)
		}
	}
}

// entitled tells the checker that a member may start work of an object.
func (w *World) entitled(m *member, o *object) {
	switch {
	case w.restored && o.run.Failover.Pinned():
		return // it goes on until a verdict stops it, and its row may be forgotten
	case w.rebuilding():
		w.sole(m, o)
		return
	}
	before := len(w.check.Violations())
	row := w.db.Cluster(m.id.Cluster)
	if s := m.state.Session(); row.Incarnation > 1 && (m.state.Stage() != session.Live || s.Incarnation != row.Incarnation) {
		return // an operator's word took its work while its lease may have lived: it has not been told yet
	}
	w.check.Entitled(m.id.Cluster, o.id, o.epoch)
	for _, v := range w.check.Violations()[before:] {
		w.logf("VIOLATION of %s", v)
	}
}

func (w *World) started(c *cluster, o *object, k podKey, late bool) {
	w.startedAt = w.sim.now
	row, _ := w.db.Row(o.id)
	w.logf("%s: starts %s of %s, attempt %d", c.name, nodeName(k.node), o.place, k.attempt)
	if !late || w.sim.now >= c.impaired { // who was stopped between asking and acting kills it when it looks
		w.alone(c, o)
	}
	w.check.Started(c.name, o.id, o.epoch, nodeName(k.node), row.Resumed && row.Epoch == o.epoch)
}
