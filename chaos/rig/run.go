package rig

import (
	"fmt"
	"io"
	"time"

	"github.com/skein-project/skein/chaos/check"
)

// Result is what became of one world.
type Result struct {
	Config     Config
	Steps      int           // things that happened
	Virtual    time.Duration // how long the world lasted
	Violations []check.Violation
	Seen       check.Counts
	// LeaderKills is how often a process was killed that led.
	LeaderKills int
	// Blips is how many outages there were that were shorter than a lease must
	// survive.
	Blips int
}

// Replay is the command line that runs exactly this world again.
func (r Result) Replay() string {
	return fmt.Sprintf("go test ./chaos/rig -run TestReplay -v -seed %d -kind %s", r.Config.Seed, r.Config.Kind)
}

// Run runs the world of a seed to its end. It writes what happens to trace, if
// that is not nil. The same seed and kind give the same world.
func Run(seed uint64, kind Kind, trace io.Writer) Result { return Play(Draw(seed, kind), trace) }

// Play runs one world to its end.
func Play(cfg Config, trace io.Writer) Result {
	w := newWorld(cfg, trace)
	defer w.end()
	if err := w.begin(); err != nil {
		w.violate("setup", "%v", err)
	}
	broken := func() bool { return len(w.check.Violations()) > 0 }
	w.clients.plan()
	w.plague()
	w.sim.run(cfg.Busy, broken)
	if !broken() {
		w.heal()
		w.sim.run(cfg.Busy+3*cfg.Heal, func() bool { return broken() || w.quiet() || w.stands(cfg.Busy+cfg.Heal) })
	}
	if !broken() {
		w.check.Done()
		w.clean()
		w.clients.judge()
	}
	for _, v := range w.check.Violations() {
		w.logf("VIOLATION of %s", v)
	}
	return Result{Config: cfg, Steps: w.sim.steps, Virtual: w.sim.now, Violations: w.check.Violations(), Seen: w.check.Seen,
		LeaderKills: w.kills, Blips: w.blips}
}

// resting is longer than any node runs.
const resting = 90 * time.Second

// stands reports whether the time to end is over, and nothing has started lately:
// where a quota lets one execution run at a time, each is waited for.
func (w *World) stands(until time.Duration) bool {
	return w.sim.now >= max(until, w.startedAt+resting)
}

// quiet reports whether everything has ended, everywhere. It looks once in a
// while: looking at everything after each step would cost more than the steps.
func (w *World) quiet() bool {
	if w.sim.steps%512 != 0 {
		return false
	}
	for _, id := range w.clients.launched {
		if row, ok := w.db.Row(id); !ok || !row.Phase.Terminal() {
			return false
		}
	}
	for _, c := range w.clusters {
		for _, o := range c.order {
			if !o.ended() {
				return false
			}
		}
	}
	return true
}

// clean demands that nothing of an old placement is left running.
func (w *World) clean() {
	for _, c := range w.clusters {
		for _, o := range c.order {
			row, _ := w.db.Row(o.id)
			if !o.ended() {
				w.violate("I24", "%s still runs %s, which is %s on %q at epoch %s", c.name, o.place, row.Phase, row.Cluster, row.Epoch)
			}
		}
	}
}
