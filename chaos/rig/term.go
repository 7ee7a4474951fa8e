package rig

import (
	"context"
	"iter"
	"log/slog"
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/scheduler"
)

// reign is a term on one replica: the production term, stepped. Its cycle, its
// grants and its trimming are threads in production; here they are coroutines
// that give the word back wherever production would wait.
type reign struct {
	r      *replica
	term   *scheduler.Term
	ctx    context.Context
	end    context.CancelFunc
	over   bool
	cycle  *thread
	grant  *thread
	trim   *thread
	asks   []leaseAsk
	desk   bool // the window for more requests is open
	nudged bool
}

type leaseAsk struct {
	requests []flow.LeaseRequest
	answer   func([]flow.Lease)
}

// thread is one coroutine of a term.
type thread struct {
	next    func() (pause, bool)
	stop    func()
	writing bool // it holds the committer's turn
}

// pause is why a thread gives the word back: a call of the database, or time.
type pause struct {
	call  func() // carried out at the database
	write bool
	d     time.Duration
}

// current is the thread that runs now; at most one of the whole world does.
type current struct {
	yield func(pause) bool
	gone  bool
}

// spawn begins a thread; it runs until it first waits.
func (g *reign) spawn(body func()) *thread {
	w := g.r.w
	t := &thread{}
	t.next, t.stop = iter.Pull(func(yield func(pause) bool) {
		me := &current{yield: yield}
		w.current = me
		body()
	})
	w.threads[t] = true
	return t
}

// resume lets a thread go on. done is called when it has ended.
func (g *reign) resume(t *thread, done func()) {
	w, p := g.r.w, g.r.proc
	saved := w.current
	what, more := t.next()
	w.current = saved
	if !more {
		t.writing = false
		delete(w.threads, t)
		done()
		return
	}
	goOn := func() { g.resume(t, done) }
	if what.call == nil {
		p.post(what.d, func() { g.whenIdle(t, goOn) })
		return
	}
	t.writing = what.write
	life := p.life
	w.sim.after(w.wait(), func() {
		what.call()
		w.sim.after(w.wait(), func() { p.take(life, func() { g.whenIdle(t, goOn) }) })
	})
}

// whenIdle lets the cycle go on only while no grant holds the committer's turn:
// it would wait for it in production, and here nobody would ever wake it.
func (g *reign) whenIdle(t *thread, goOn func()) {
	if t == g.cycle && !t.writing && g.grant != nil {
		g.r.proc.post(time.Millisecond, func() { g.whenIdle(t, goOn) })
		return
	}
	goOn()
}

// take is the term's part of the world: it ends with an error of a step.
func (g *reign) fail(err error) {
	if g.over {
		return
	}
	g.over = true
	g.end()
	g.r.w.logf("%s: term %s ends: %v", g.r.name, g.term.Fence(), err)
	g.r.termOver(g)
}

// run drives a term: a cycle a second, and one after each nudge.
func (g *reign) run() {
	g.r.proc.every(time.Second, func() { g.begin() })
	g.r.proc.every(trimEvery, func() { g.trims() })
}

// trimEvery is shorter than in production: terms are.
const trimEvery = 10 * time.Second

func (g *reign) trims() {
	if g.over || g.trim != nil {
		return
	}
	g.trim = g.spawn(func() { g.term.Trim(g.ctx) })
	g.resume(g.trim, func() { g.trim = nil })
}

func (g *reign) nudge() {
	if !g.nudged && !g.over {
		g.nudged = true
		g.r.proc.post(50*time.Millisecond, func() { g.nudged = false; g.begin() })
	}
}

func (g *reign) begin() {
	if g.over || g.cycle != nil || g.grant != nil {
		return
	}
	w := g.r.w
	var err error
	self := g.spawn(func() {
		me := w.current
		var seen *scheduler.Seen
		if seen, err = g.term.Observe(g.ctx); err != nil || seen == nil {
			return
		}
		for _, d := range w.hesitate(seen) {
			if !me.yield(pause{d: d()}) || g.over {
				return
			}
			w.current = me
		}
		_, err = g.term.Act(g.ctx, seen)
	})
	g.cycle = self
	g.resume(self, func() {
		g.cycle = nil
		if err != nil {
			g.fail(err)
		}
		g.serve()
	})
}

// ask takes lease requests to the desk.
func (g *reign) ask(a leaseAsk) {
	g.asks = append(g.asks, a)
	if !g.desk {
		g.desk = true
		g.r.proc.post(25*time.Millisecond, func() { g.desk = false; g.serve() })
	}
}

// serve records what was asked for, if nothing else writes.
func (g *reign) serve() {
	if g.over || g.desk || len(g.asks) == 0 || g.grant != nil || g.cycle != nil && g.cycle.writing {
		return
	}
	asks := g.asks
	g.asks = nil
	var requests []flow.LeaseRequest
	for _, a := range asks {
		requests = append(requests, a.requests...)
	}
	var leases []flow.Lease
	var err error
	g.grant = g.spawn(func() { leases, err = g.term.Grant(g.ctx, requests) })
	g.resume(g.grant, func() {
		g.grant = nil
		if err != nil {
			g.fail(err)
			return
		}
		for _, a := range asks {
			a.answer(answers(a.requests, leases))
		}
		g.serve()
	})
}

// answers gives an asker the leases that answer its own requests.
func answers(requests []flow.LeaseRequest, leases []flow.Lease) []flow.Lease {
	var mine []flow.Lease
	for _, l := range leases {
		for _, r := range requests {
			if r.Member == l.Member && r.Generation == l.Generation && r.Nonce == l.Nonce {
				mine = append(mine, l)
			}
		}
	}
	return mine
}

// newReign begins a term with the fence that the database gave.
func newReign(r *replica, fence flow.Fence) (*reign, error) {
	g := &reign{r: r}
	g.ctx, g.end = context.WithCancel(context.Background())
	port := &ledger{w: r.w, s: r.site, db: r.db}
	term, err := scheduler.NewTerm(r.w.cfg.Scheduler, scheduler.Deps{Elector: observer{r}, Ledger: port, Fleet: port, Commit: port, Rebuild: port,
		Orders: port, Trim: port.Trim, Trouble: r.trouble,
		Woken: r.woken, Log: slog.New(slog.DiscardHandler), Now: r.proc.wallTime, Inline: true}, fence)
	g.term = term
	return g, err
}

var errDied = fault.E(fault.Unavailable, "the process has died")
