package rig

import (
	"slices"
	"time"

	"github.com/skein-project/skein/api/flow"
)

// plague plans what goes wrong while the world is busy.
func (w *World) plague() {
	switch w.cfg.Kind {
	case Blips:
		w.often(time.Second, w.cfg.Scheduler.Lease, w.blip)
	case Kills:
		w.often(8*time.Second, 20*time.Second, w.killLeaders)
	case Orders:
		w.often(time.Second, 12*time.Second, func() { pick(w.sim, w.orders())() })
		w.overdue()
	case Restores:
		w.restore()
		w.often(4*time.Second, 15*time.Second, func() {
			if w.cfg.Orders { // nobody declares a cluster lost that is only late
				pick(w.sim, w.faults(w.cutCluster))()
				return
			}
			pick(w.sim, []func(){w.cutCluster, w.cutLink, w.killMember, w.killReplica, w.deposeLeader, w.stopMember})()
		})
		if w.cfg.Orders {
			w.often(2*time.Second, 15*time.Second, func() { pick(w.sim, w.orders())() })
		}
	case Faults:
		lo, hi := time.Second, w.sim.between(2500*time.Millisecond, 8*time.Second)
		w.often(lo, hi, func() { pick(w.sim, w.faults(w.lose))() })
		if w.cfg.Orders {
			w.often(2*time.Second, 20*time.Second, func() { pick(w.sim, w.orders())() })
		}
	}
}

// often does something again and again while the world is busy.
func (w *World) often(lo, hi time.Duration, do func()) {
	var next func()
	next = func() {
		if w.sim.now < w.cfg.Busy {
			do()
			w.sim.after(w.sim.between(lo, hi), next)
		}
	}
	w.sim.after(w.sim.between(5*time.Second, 15*time.Second), next)
}

// faults are what can go wrong; what is listed twice is drawn twice as often.
func (w *World) faults(lose func()) []func() {
	return []func(){
		w.cutCluster, w.cutCluster, w.cutOneWay, w.cutLink, w.isolate, w.slowLink,
		w.killMember, w.stopMember, w.stopMember, w.killReplica, w.killReplica, w.stopReplica, w.stopReplica,
		w.deposeLeader, w.deposeLeader, w.killLeaders,
		w.databaseAway, w.databaseStorm, w.databaseStorm, w.databaseCut,
		w.stepWall, w.badServer, w.stall, w.stall, w.fade, w.fade, lose, lose, w.wipe,
		w.behead, w.behead, w.swing, w.swing, w.forsake, w.forsake,
	}
}

// some draws how long an outage lasts: mostly less than a lease, sometimes more
// than three.
func (w *World) some() time.Duration {
	lease := w.cfg.Scheduler.Lease
	if w.sim.chance(0.5) {
		return w.sim.between(200*time.Millisecond, lease)
	}
	return w.sim.between(lease, 3*lease+lease/2)
}

// until ends a fault after a while, or when the world heals.
func (w *World) until(d time.Duration, heal func()) {
	if left := w.cfg.Busy - w.sim.now; d > left {
		d = left
	}
	w.sim.after(d, heal)
}

// cut blocks ways for a while, and gives what heals them before.
func (w *World) cut(pairs [][2]site, d time.Duration) func() {
	for _, p := range pairs {
		w.net.block(p[0], p[1])
	}
	healed := false
	heal := func() {
		if healed {
			return
		}
		healed = true
		for _, p := range pairs {
			w.net.heal(p[0], p[1])
		}
	}
	w.until(d, heal)
	return heal
}

// sever cuts a cluster's roads.
func (w *World) sever(c *cluster, up, down bool, d time.Duration) {
	c.cuts = append(c.cuts, w.cut(w.roads(c, up, down), d))
}

// roads are the pairs between a cluster's members and all replicas.
func (w *World) roads(c *cluster, up, down bool) (pairs [][2]site) {
	for _, m := range c.members {
		for _, r := range w.replicas {
			if up {
				pairs = append(pairs, [2]site{m.site, r.site})
			}
			if down {
				pairs = append(pairs, [2]site{r.site, m.site})
			}
		}
	}
	return pairs
}

func (w *World) cutCluster() {
	c, d := pick(w.sim, w.clusters), w.some()
	w.logf("fault: %s is cut off for %s", c.name, d)
	w.sever(c, true, true, d)
}

func (w *World) cutOneWay() {
	c, d, up := pick(w.sim, w.clusters), w.some(), w.sim.chance(0.5)
	w.logf("fault: %s is cut off one way (up: %t) for %s", c.name, up, d)
	w.sever(c, up, !up, d)
}

// stall holds up what goes down to one member, for less than it bears silence:
// it comes late, and all at once.
func (w *World) stall() {
	m, d := pick(w.sim, w.members()), w.sim.between(500*time.Millisecond, 2900*time.Millisecond)
	w.logf("fault: nothing comes down to %s for %s", m.name, d)
	for _, r := range w.replicas {
		w.cut([][2]site{{r.site, m.site}}, d)
	}
}

// fade makes what goes down to a cluster later and later, and then cuts off what
// goes up: its last lease comes late.
func (w *World) fade() {
	c := pick(w.sim, w.clusters)
	w.logf("fault: what goes down to %s comes later and later, and then nothing goes up", c.name)
	for i := range 3 { // each step is shorter than a member bears silence
		by := w.sim.between(1200*time.Millisecond, 1900*time.Millisecond)
		w.sim.after(time.Duration(i)*3*time.Second, func() {
			for _, way := range w.roads(c, false, true) {
				w.net.slowWay[way] += by
			}
			w.until(12*time.Second, func() {
				for _, way := range w.roads(c, false, true) {
					w.net.slowWay[way] = max(0, w.net.slowWay[way]-by)
				}
			})
		})
	}
	w.sim.after(w.sim.between(9*time.Second, 11500*time.Millisecond), func() {
		if w.sim.now < w.cfg.Busy {
			w.sever(c, true, false, w.sim.between(15*time.Second, 30*time.Second))
		}
	})
}

// behead cuts a cluster off and deposes the leader at once: the new one does not
// know what the old one has granted last.
func (w *World) behead() {
	w.cutCluster()
	w.sim.after(w.sim.between(0, time.Second), func() { w.oracle.depose(0) })
}

// swing cuts one cluster off, and another one when it is back: what went from
// the one to the other may come back.
func (w *World) swing() {
	a, b := pick(w.sim, w.clusters), pick(w.sim, w.clusters)
	first := w.sim.between(15*time.Second, 20*time.Second)
	w.logf("fault: %s is cut off for %s, and then %s", a.name, first, b.name)
	w.sever(a, true, true, first)
	w.sim.after(first+w.sim.between(time.Second, 4*time.Second), func() {
		if w.sim.now < w.cfg.Busy {
			w.sever(b, true, true, w.sim.between(15*time.Second, 25*time.Second))
		}
	})
}

// forsake cuts a cluster off for longer than a lease, and lets users abort what
// it holds.
func (w *World) forsake() {
	c := pick(w.sim, w.clusters)
	d := w.sim.between(14*time.Second, 22*time.Second)
	w.logf("fault: %s is cut off for %s, and what it holds is aborted", c.name, d)
	w.sever(c, true, true, d)
	w.sim.after(time.Second, func() {
		for _, id := range w.clients.launched {
			if row, _ := w.db.Row(id); row.Cluster == c.name && !row.Phase.Terminal() && w.sim.chance(0.5) {
				w.clients.abort(id)
			}
		}
	})
}

// lose lets an operator declare a cluster lost, and found again after a while.
func (w *World) lose() {
	c, d := pick(w.sim, w.clusters), w.some()
	if w.lost() {
		return // one at a time
	}
	report, err := w.db.DeclareLost(w.ctx, c.name, w.sim.chance(0.5), flow.Audit{Actor: "operator", Action: "cluster.declare-lost"})
	w.logf("operator: %s is declared lost: %d may move, %d are pinned, %d were being aborted: %v", c.name, report.Movable, report.Pinned, report.Aborting, err)
	w.until(d, func() { w.find(c) })
}

func (w *World) find(c *cluster) {
	if !w.db.Cluster(c.name).Lost {
		return
	}
	_, err := w.db.DeclareFound(w.ctx, c.name, flow.Audit{Actor: "operator", Action: "cluster.declare-found"})
	w.logf("operator: %s is declared found: %v", c.name, err)
}

// lost reports whether some cluster is declared lost.
func (w *World) lost() bool {
	return slices.ContainsFunc(w.clusters, func(c *cluster) bool { return w.db.Cluster(c.name).Lost })
}

// wipe lets a data plane lose some of its objects; not while nobody else may know
// of what they are.
func (w *World) wipe() {
	if w.rebuilding() {
		return
	}
	c := pick(w.sim, w.clusters)
	for _, o := range c.objects() {
		if w.sim.chance(0.5) {
			w.logf("fault: %s loses its object of %s", c.name, o.place)
			c.wiped[o.place] = true
			c.drop(o)
		}
	}
}

func (w *World) cutLink() {
	m, r, d := pick(w.sim, w.members()), pick(w.sim, w.replicas), w.some()
	w.logf("fault: %s and %s do not reach each other for %s", m.name, r.name, d)
	w.cut([][2]site{{m.site, r.site}, {r.site, m.site}}, d)
}

// isolate cuts a replica off from the others.
func (w *World) isolate() {
	r, d := pick(w.sim, w.replicas), w.some()
	w.logf("fault: %s is cut off from the other replicas for %s", r.name, d)
	var pairs [][2]site
	for _, o := range w.replicas {
		if o != r {
			pairs = append(pairs, [2]site{r.site, o.site}, [2]site{o.site, r.site})
		}
	}
	w.cut(pairs, d)
	if w.oracle.leader == r {
		w.oracle.depose(w.sim.between(0, 2*time.Second))
	}
}

func (w *World) slowLink() {
	m, d := pick(w.sim, w.members()), w.some()
	by := w.sim.between(100*time.Millisecond, 2500*time.Millisecond)
	w.logf("fault: the link of %s is %s slower for %s", m.name, by, d)
	w.net.slow[m.site] += by
	w.until(d, func() { w.net.slow[m.site] -= by })
}

func (w *World) restart(p *proc, d time.Duration) {
	if r := w.oracle.leader; p.up && r != nil && r.proc == p && r.reign != nil {
		w.kills++
	}
	p.kill()
	w.until(d, p.start)
}

func (w *World) pause(p *proc, d time.Duration) {
	p.stop()
	w.until(d, p.resume)
}

func (w *World) killMember() {
	m, d := pick(w.sim, w.members()), w.some()
	m.cluster.impair(d)
	w.restart(m.proc, d)
}

func (w *World) stopMember() { w.freeze(pick(w.sim, w.members()), w.some()) }

func (w *World) freeze(m *member, d time.Duration) {
	m.cluster.impair(d)
	w.pause(m.proc, d)
}

func (w *World) killReplica() { w.restart(pick(w.sim, w.replicas).proc, w.some()) }

// stopReplica stops a replica for a while. If it leads, another one is elected;
// it goes on as a leader that does not know.
func (w *World) stopReplica() {
	r, d := pick(w.sim, w.replicas), w.some()
	w.pause(r.proc, d)
	if w.oracle.leader == r {
		w.oracle.depose(w.sim.between(0, 2*time.Second))
	}
}

func (w *World) deposeLeader() { w.oracle.depose(w.sim.between(0, 5*time.Second)) }

// killLeaders kills each leader that comes up, a few times.
func (w *World) killLeaders() {
	n := 2 + w.sim.rng.IntN(3)
	var next func()
	next = func() {
		if n--; n < 0 || w.sim.now >= w.cfg.Busy {
			return
		}
		if r := w.oracle.leader; r != nil && r.up {
			w.restart(r.proc, w.sim.between(500*time.Millisecond, 5*time.Second))
		}
		w.sim.after(w.sim.between(500*time.Millisecond, 4*time.Second), next)
	}
	next()
}

func (w *World) databaseAway() {
	d := w.some()
	w.logf("fault: the database is away for %s", d)
	w.weather.away = true
	w.until(d, func() { w.weather.away = false })
}

func (w *World) databaseStorm() {
	d := w.some()
	w.logf("fault: the database is stormy for %s", d)
	slow := w.sim.between(0, 300*time.Millisecond)
	w.weather.refused, w.weather.again, w.weather.ambiguous, w.weather.late = 0.1, 0.4, 0.1, 0.1
	w.weather.slow = slow
	w.until(d, func() { w.weather = weather{away: w.weather.away} })
}

func (w *World) databaseCut() {
	r, d := pick(w.sim, w.replicas), w.some()
	w.logf("fault: %s does not reach the database for %s", r.name, d)
	w.cut([][2]site{{r.site, database}, {database, r.site}}, d)
}

func (w *World) stepWall() {
	m := pick(w.sim, w.members())
	by := w.sim.between(-time.Minute, time.Minute)
	w.logf("fault: the wall clock of %s is set by %s", m.name, by)
	m.clock.wall += by
}

func (w *World) badServer() {
	c, d := pick(w.sim, w.clusters), w.some()
	w.logf("fault: the API server of %s fails for %s", c.name, d)
	c.impair(d)
	c.failing, c.slow = 0.4, w.sim.between(0, 4*time.Second)
	w.until(d, func() { c.failing, c.slow = 0, 0 })
}

// heal ends everything that could still be wrong.
func (w *World) heal() {
	w.logf("the world heals")
	w.weather = weather{}
	w.net.slow, w.net.slowWay = map[site]time.Duration{}, map[[2]site]time.Duration{}
	w.land()
	for _, c := range w.clusters {
		c.failing, c.slow = 0, 0
		w.find(c)
	}
	w.release()
	for _, r := range w.replicas {
		r.start()
		r.resume()
	}
	for _, m := range w.members() {
		m.start()
		m.resume()
	}
	if w.oracle.leader == nil {
		w.oracle.elect(0)
	}
}
