package rig

import (
	"context"
	"maps"
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/chaos/check"
	"github.com/skein-project/skein/federation/session"
	"github.com/skein-project/skein/scheduler/election"
)

// A restored backup: what the database has forgotten, who notices, and what must
// hold meanwhile.

// restore takes a backup, lets a cluster join after it, and puts the database
// back to it later.
func (w *World) restore() {
	at := w.sim.between(15*time.Second, 35*time.Second)
	w.sim.after(at, func() {
		w.logf("fault: a backup is taken")
		backup := w.db.Backup()
		for _, m := range w.late().members {
			w.sim.after(w.sim.between(0, 3*time.Second), m.start)
		}
		w.sim.after(w.sim.between(4*time.Second, 25*time.Second), func() {
			w.logf("fault: the backup is restored")
			w.weather.away = true
			w.sim.after(w.sim.between(100*time.Millisecond, 4*time.Second), func() { w.weather.away = false })
			if w.sim.chance(0.5) {
				w.sever(w.late(), true, true, w.sim.between(5*time.Second, 25*time.Second))
			}
			w.db.Restore(backup)
			w.forget()
			w.sim.after(30*time.Second, w.release) // its orders are those of then
			if w.rebuilt {                         // nobody can notice: the operator restarts the replicas, as the runbook says
				for _, r := range w.replicas {
					w.restart(r.proc, w.some())
				}
			}
		})
	})
}

// late is the cluster whose members join after the backup, in such a world.
func (w *World) late() *cluster { return w.clusters[len(w.clusters)-1] }

// forget takes out of the promises what a restore loses: executions that the
// backup does not know and no cluster has an object of; and what was recorded of
// the others since.
func (w *World) forget() {
	facts := w.db.Look()
	w.restored, w.eraThen, w.rebuilt = true, facts.Fence.Epoch.Era, true
	for _, r := range w.replicas { // else no leader has written since the backup
		w.rebuilt = w.rebuilt && r.known.Compare(facts.Fence) <= 0
	}
	rows := map[flow.ExecutionID]flow.Execution{}
	w.backed, w.over = map[flow.ExecutionID]flow.Epoch{}, map[flow.ExecutionID]bool{}
	for _, e := range facts.Executions {
		rows[e.ID], w.backed[e.ID], w.over[e.ID] = e, e.Epoch, e.Phase.Terminal()
	}
	known := map[string]bool{}
	for _, m := range facts.Members {
		known[m.Cluster] = true
	}
	held := map[flow.ExecutionID]bool{}
	for _, c := range w.clusters {
		c.forgotten = !known[c.name]
		for _, o := range c.order {
			held[o.id] = held[o.id] || o.known() && !c.forgotten
		}
	}
	var kept []flow.ExecutionID
	for _, id := range w.clients.launched {
		if _, is := rows[id]; is || held[id] {
			kept = append(kept, id)
		}
	}
	w.clients.launched = kept
	w.clients.judge()
	w.clients.history, w.clients.open = check.NewHistory(), nil
	w.clients.forgotten = true
	w.check.Restored(rows, held)
}

// holds reports whether an object counts where holders are asked for.
func (o *object) holds() bool { return heldOf(o).Desired != flow.DesiredGone }

// known reports whether an object makes its execution known in a REBUILD.
func (o *object) known() bool { return o.holds() || heldOf(o).Leaving }

func heldOf(o *object) flow.Held {
	h := flow.Held{Execution: o.id, Epoch: o.epoch, Revision: o.revision, Sequence: o.sequence, Terminal: o.ended(), Desired: o.desired}
	if ended := o.ended() && o.phase != flow.ExecutionAborted; (o.leaving || o.unowned) && !ended { // else it came to its end first
		h.Desired = flow.DesiredGone
	}
	h.Leaving = o.leaving && !o.unowned
	return h
}

// rebuilding reports whether the database was put back and not rebuilt yet.
func (w *World) rebuilding() bool { return w.restored && !w.rebuilt }

// sole demands that of all members only this one's cluster may start work of an
// execution (I70): who owns it the database cannot say.
func (w *World) sole(m *member, o *object) {
	for _, c := range w.clusters {
		if c == m.cluster || o.run.Failover.Pinned() {
			continue
		}
		for _, x := range c.order {
			if x.id != o.id || x.ended() || x.desired != flow.DesiredRun {
				continue
			}
			for _, other := range c.members {
				if _, why := other.state.MayStart(other.now(), x.id, x.epoch); other.up && why == "" {
					w.violate("I70", "%s may start work of %s, and so may %s of %s", m.name, o.place, other.name, x.place)
				}
			}
		}
	}
}

// ended looks at the end of a REBUILD: what members hold that the database knew
// is theirs (I79), unless the backup itself knows a newer epoch: what that one is
// placed on may not have heard of it yet.
func (w *World) ended() {
	if w.rebuilt || w.db.Look().Fence.Epoch.Era == w.eraThen {
		return
	}
	w.rebuilt = true
	w.logf("database: REBUILD has ended")
	newest := map[flow.ExecutionID]flow.Epoch{}
	maps.Copy(newest, w.backed)
	for _, c := range w.clusters {
		for _, o := range c.order {
			if o.holds() && newest[o.id].Less(o.epoch) {
				newest[o.id] = o.epoch
			}
		}
	}
	for _, c := range w.clusters {
		for _, o := range c.order {
			if c.forgotten || o.epoch != newest[o.id] || !w.counts(o) {
				continue
			}
			if row, _ := w.db.Row(o.id); row.Cluster != c.name || row.Epoch != o.epoch {
				w.violate("I79", "%s held %s when REBUILD ended, and the database has it %s on %q at epoch %s", c.name, o.place, row.Phase, row.Cluster, row.Epoch)
			}
		}
	}
}

// counts reports whether an object that lives is to be found in a REBUILD: what
// had ended by the backup stays ended.
func (w *World) counts(o *object) bool { return o.holds() && !o.ended() && !w.over[o.id] }

// observer is told each fence of a term, as election.Elector is.
type observer struct{ r *replica }

// Run is never called: elections are the oracle's.
func (observer) Run(ctx context.Context, _ func(election.Term) error) error { return ctx.Err() }

// Observe remembers a fence; the other replicas learn of it as fast as they can.
func (o observer) Observe(f flow.Fence) {
	o.r.learn(f)
	for _, other := range o.r.w.replicas {
		if w := o.r.w; other != o.r && w.net.reaches(o.r.site, other.site) {
			other.post(w.net.latency(o.r.site, other.site), func() { other.learn(f) })
		}
	}
}

func (r *replica) learn(f flow.Fence) {
	if r.known.Compare(f) < 0 {
		r.known = f
	}
}

// lookForRestored is what each replica does each second.
func (r *replica) lookForRestored() {
	known := r.known
	var found flow.Fence
	var now flow.Rebuild
	r.call(r.site, func() (err error) {
		if found, err = r.db.ReadFence(r.w.ctx); err == nil {
			now, err = r.db.Rebuild(r.w.ctx)
		}
		return err
	}, func(err error) {
		switch {
		case err != nil:
		case known.Compare(found) > 0:
			r.enter(known, "a replica knows a higher fence")
		default:
			r.halted = false
			r.settle(found.Epoch.Era, now)
		}
	})
}

// enter ends all sessions of this hub, and enters REBUILD.
func (r *replica) enter(known flow.Fence, why string) {
	r.w.logf("%s: notices a restored backup: %s", r.name, why)
	r.halted = true
	for _, s := range append([]*stream(nil), r.all...) {
		s.step(session.Ended{Reason: "the database was restored from a backup"})
	}
	r.call(r.site, func() error { _, err := r.db.EnterRebuild(r.w.ctx, known, why); return err }, func(err error) {
		if err == nil {
			r.halted = false
		}
	})
}

// settle tells all sessions what the control plane is in.
func (r *replica) settle(era uint64, now flow.Rebuild) {
	for _, s := range append([]*stream(nil), r.all...) {
		s.step(session.Looked{Era: era, Rebuild: now})
	}
}

var errRestored = fault.E(fault.Unavailable, "the database's fence is lower than the replicas'")

// beginTerm begins a term, unless the database was restored (I16).
func (r *replica) beginTerm() (fence flow.Fence, err error) {
	known := r.known
	found, err := r.db.ReadFence(r.w.ctx)
	if err == nil && known.Compare(found) > 0 {
		err = errRestored
	}
	if err != nil {
		return fence, err
	}
	if fence, err = r.db.BeginTerm(r.w.ctx, r.name); err == nil {
		observer{r}.Observe(fence)
	}
	return fence, err
}

// reports hands on what a member reports in a REBUILD, one part after the other.
func (s *stream) reports(op func() ([]flow.Held, error), then func(unknown []flow.Held) session.HubInput) {
	var unknown []flow.Held
	s.r.call(s.r.site, func() (err error) { unknown, err = op(); return err }, func(err error) {
		if err != nil {
			s.step(session.Ended{Reason: err.Error()})
			return
		}
		s.step(then(unknown))
	})
}

func (s *stream) takeInventory(held []flow.Held) {
	s.reports(func() ([]flow.Held, error) { return s.r.db.TakeInventory(s.r.w.ctx, s.sender, held) },
		func(unknown []flow.Held) session.HubInput { return session.InventoryTaken{Unknown: unknown} })
}

// takeHoldings makes rows again; what is derived from a launch is as it was.
func (s *stream) takeHoldings(list []flow.Holding, last bool) {
	for i, h := range list {
		if e, ok := s.r.w.clients.drawn[h.Held.Execution]; ok {
			list[i].Row = &e
		}
	}
	s.reports(func() ([]flow.Held, error) { return nil, s.r.db.TakeHoldings(s.r.w.ctx, s.sender, list, last) },
		func([]flow.Held) session.HubInput { return session.HoldingsTaken{} })
}

// tell answers a hub that asks in a REBUILD.
func (m *member) tell(c *conn, asked []flow.Held) {
	var list []flow.Holding
	m.write(c, func() bool {
		list = nil
		for _, h := range asked {
			if o := m.cluster.find(place{h.Execution, h.Epoch}); o != nil {
				held := heldOf(o)
				list = append(list, flow.Holding{Held: held, Assignment: flow.Assignment{Execution: o.id, Cluster: m.id.Cluster,
					Epoch: o.epoch, Revision: o.revision, Desired: held.Desired, Run: o.run}})
			}
		}
		return true
	}, func(ok bool) {
		if !ok {
			m.broke(c, "what it holds was not read")
			return
		}
		c.up.send(session.HoldingsCame{List: list, Last: true}, false)
	})
}
