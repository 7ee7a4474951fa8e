package rig

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/scheduler"
	"github.com/skein-project/skein/scheduler/placement"
)

// When a world of losses is quiet, and when all that was lost has been placed
// anew, or will not be.
const (
	quietAt = 30 * time.Second
	settled = 20 * time.Second
)

// Loss is one trial: what a forecast says of losing a cluster, and what came of
// losing it.
type Loss struct {
	Config    Config
	Cluster   string
	Moved     int // executions that were placed elsewhere
	Stayed    int // that wait, or stay
	Different []string
}

// Replay is the command line that runs exactly this trial again.
func (l Loss) Replay() string {
	return fmt.Sprintf("go test ./chaos/rig -run TestForecast -v -seed %d", l.Config.Seed)
}

// Lose runs the world of a seed twice, to the same quiet moment. In the first
// one the leader's forecast is asked what would become of each execution if a
// cluster were lost; in the second that cluster is lost: cut off for good, or
// declared lost.
func Lose(seed uint64, trace io.Writer) (Loss, error) {
	cfg := Draw(seed, Losses)
	out := Loss{Config: cfg}
	first := newWorld(cfg, nil)
	defer first.end()
	if err := first.toQuiet(); err != nil {
		return out, err
	}
	out.Cluster = first.fullest()
	_, said, err := scheduler.Forecast(context.Background(), cfg.Scheduler, first.db, first.db, first.db.Rounds, first.replicas[0].wallTime,
		placement.Change{Lose: []string{out.Cluster}})
	if err != nil {
		return out, err
	}
	second := newWorld(cfg, trace)
	defer second.end()
	if err := second.toQuiet(); err != nil {
		return out, err
	}
	second.loseForGood(second.named(out.Cluster))
	second.sim.run(quietAt+settled, func() bool { return false })
	if v := second.check.Violations(); len(v) > 0 {
		return out, fmt.Errorf("a promise was broken: %s", v[0])
	}
	for _, o := range said.Outcomes {
		was, _ := first.db.Row(o.Execution)
		is, _ := second.db.Row(o.Execution)
		to := ""
		if is.Epoch != was.Epoch {
			to = is.Cluster
		}
		if to != o.To {
			out.Different = append(out.Different, fmt.Sprintf("%s of %q was to go to %q (%s), and is on %q at epoch %s (%s)",
				o.Execution, o.From, o.To, o.How, is.Cluster, is.Epoch, is.Phase))
		}
		if to != "" {
			out.Moved++
		} else {
			out.Stayed++
		}
	}
	return out, nil
}

func (w *World) toQuiet() error {
	if err := w.begin(); err != nil {
		return err
	}
	w.clients.plan()
	w.sim.after(w.sim.between(10*time.Second, 25*time.Second), w.shut)
	w.sim.run(quietAt, func() bool { return len(w.check.Violations()) > 0 })
	if v := w.check.Violations(); len(v) > 0 {
		return fmt.Errorf("a promise was broken: %s", v[0])
	}
	return nil
}

// shut closes some cluster to new work, or to what does not tolerate its taint.
func (w *World) shut() {
	c := pick(w.sim, w.clusters)
	switch w.sim.rng.IntN(3) {
	case 0:
		w.change(c, "cordon", func(row *flow.Cluster) { row.Cordoned = true })
	case 1:
		w.change(c, "taint", func(row *flow.Cluster) {
			row.Taints = []flow.Taint{{Key: maintenance, Effect: flow.NoSchedule}}
		})
	}
}

// fullest is the cluster that holds the most.
func (w *World) fullest() string {
	held := map[string]int{}
	for _, e := range w.db.Look().Executions {
		held[e.Cluster]++
	}
	best := w.clusters[0].name
	for _, c := range w.clusters {
		if held[c.name] > held[best] {
			best = c.name
		}
	}
	return best
}

// loseForGood cuts a cluster off, and, half of the time, lets an operator say so.
func (w *World) loseForGood(c *cluster) {
	w.logf("fault: %s is lost", c.name)
	for _, p := range w.roads(c, true, true) {
		w.net.block(p[0], p[1])
	}
	if w.sim.chance(0.5) {
		_, err := w.db.DeclareLost(w.ctx, c.name, false, flow.Audit{Actor: "operator", Action: "cluster.declare-lost"})
		w.logf("operator: %s is declared lost: %v", c.name, err)
	}
}
