package rig

import (
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/chaos/memstore"
)

// weather is how the database fares.
type weather struct {
	away      bool
	refused   float64 // of calls
	again     float64
	ambiguous float64
	late      float64 // of scheduling transactions
	slow      time.Duration
}

// fate is the oracle behind every call of the database.
func (w *World) fate(op string) memstore.Fate {
	if w.detain && (op == "CommitPlan" || op == "Reap") {
		w.detain = false
		return memstore.Late
	}
	x := &w.weather
	if x.away {
		return memstore.Refused
	}
	if x.refused+x.again+x.ambiguous+x.late == 0 {
		return memstore.Fine
	}
	f := w.sim.rng.Float64()
	switch {
	case f < x.refused:
		return memstore.Refused
	case f < x.refused+x.again:
		return memstore.Again
	case f < x.refused+x.again+x.ambiguous:
		return memstore.Ambiguous
	case f < x.refused+x.again+x.ambiguous+x.late && scheduling[op]:
		w.sim.after(w.sim.between(0, 15*time.Second), func() { w.land() })
		return memstore.Late
	}
	return memstore.Fine
}

// scheduling names the transactions that may be in flight for long: those that a
// leader has given up on.
var scheduling = map[string]bool{"CommitPlan": true, "RecordLeases": true, "SetHealth": true, "Reap": true, "Revoke": true}

func (w *World) land() {
	if n := w.db.Land(); n > 0 {
		w.logf("database: %d transactions that were in flight have landed", n)
	}
}

// wait is how long a call takes to reach the database, or its answer to come back.
func (w *World) wait() time.Duration {
	return w.sim.between(200*time.Microsecond, 3*time.Millisecond) + w.weather.slow
}

// call lets a process ask the database something, in a goroutine of its own so to
// speak: it may do other things meanwhile. The request is carried out even if
// the process dies before it arrives.
func (p *proc) call(s site, op func() error, then func(error)) {
	w := p.w
	if !w.net.reaches(s, database) || !w.net.reaches(database, s) {
		p.post(w.sim.between(50*time.Millisecond, 3*time.Second), func() {
			then(fault.E(fault.Unavailable, "the database cannot be reached"))
		})
		return
	}
	life := p.life
	w.sim.after(w.wait(), func() {
		err := op()
		w.sim.after(w.wait(), func() { p.take(life, func() { then(err) }) })
	})
}
