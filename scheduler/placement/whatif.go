package placement

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/skein-project/skein/api/flow"
)

// Change is how a world is to differ in a forecast.
type Change struct {
	Lose     []string       // clusters that are gone at once
	Drain    []string       // clusters that are emptied, without grace or budget
	Add      []flow.Cluster // clusters that join; without task types they run those of most others
	Policies []flow.Policy  // each replaces that of its scope
}

// Forecast is what would be decided in a changed world.
type Forecast struct {
	Outcomes []Outcome
	Stranded int // of lost clusters, those that may not be moved
	Loads    []ClusterLoad
}

// Outcome is what becomes of one execution. From is empty for what waits now, To
// for what has to wait, or stays.
type Outcome struct {
	Execution flow.ExecutionID
	From, To  string
	How       string // resume or restart, of a move; why, where To is empty
}

// ClusterLoad is what a cluster holds before and after.
type ClusterLoad struct {
	Cluster       string
	Before, After flow.Load
	Capacity      flow.Resources
}

// WhatIf decides on a copy of the view that is changed as asked, by the code
// that decides: pending work is placed, what lost clusters hold is moved by
// force, and then what drained clusters hold is revoked, as far as it fits
// elsewhere. Nothing but room and policies limits it: neither rates nor budgets.
// live are the placements of the clusters that are lost or drained.
func WhatIf(v View, live []flow.Placed, c Change) Forecast {
	before := newFleet(v)
	v = v.changed(c)
	v.Limits.Moves = math.MaxInt
	var f Forecast
	var drained []flow.Placed
	for _, p := range live {
		switch {
		case slices.Contains(c.Lose, p.From):
			if why := Stays(p); why != "" {
				f.Stranded++
				f.Outcomes = append(f.Outcomes, Outcome{Execution: p.Execution, From: p.From, How: why})
				continue
			}
			v.Pending = append(v.Pending, p.Pending)
		case slices.Contains(c.Drain, p.From) && !movable(p):
			f.Outcomes = append(f.Outcomes, Outcome{Execution: p.Execution, From: p.From, How: cmp.Or(Stays(p), "it is being moved already")})
		case slices.Contains(c.Drain, p.From):
			drained = append(drained, p)
		}
	}
	e := newEvictor(v, drained)
	e.drains(v.Now)
	f.tell(e, v)
	for i, s := range e.fleet.sites {
		load := ClusterLoad{Cluster: s.Name, Capacity: s.Capacity}
		load.After = flow.Load{Cluster: s.Name, Executions: s.count - e.left[i], Reservation: s.used.Sub(e.leaving[i])}
		if j, ok := before.byName[s.Name]; ok {
			load.Before = flow.Load{Cluster: s.Name, Executions: before.sites[j].count, Reservation: before.sites[j].used}
		}
		f.Loads = append(f.Loads, load)
	}
	return f
}

// Stays says why an execution is not taken from a lost cluster; empty if it is.
func Stays(p flow.Placed) string {
	switch {
	case p.Desired != flow.DesiredRun:
		return "it is being aborted"
	case p.Failover.Pinned():
		return `it waits for its cluster: its failover policy is "never"`
	case !p.Failover.Moves(p.Moves):
		return fmt.Sprintf("it waits for its cluster: it was moved %d times, which is its limit", p.Moves)
	}
	return ""
}

// changed is a copy of the view as the change wants it.
func (v View) changed(c Change) View {
	v.Clusters, v.Policies, v.Pending = slices.Clone(v.Clusters), slices.Clone(v.Policies), slices.Clone(v.Pending)
	for i := range v.Clusters {
		one := &v.Clusters[i]
		if slices.Contains(c.Lose, one.Name) {
			one.Lost, one.Health, one.Leased, one.Heard = true, flow.HealthLost, false, false
		}
		if slices.Contains(c.Drain, one.Name) {
			one.Drain = &flow.ClusterDrain{Budget: math.MaxInt, At: v.Now}
		}
	}
	for _, one := range c.Add {
		if len(one.TaskTypes) == 0 {
			one.TaskTypes = usual(v.Clusters)
		}
		if one.LargestNode.Zero() {
			one.LargestNode = one.Capacity
		}
		one.Health = flow.HealthHealthy
		v.Clusters = append(v.Clusters, ClusterView{Cluster: one, Recorded: flow.HealthHealthy, Leased: true, Heard: true})
	}
	for _, p := range c.Policies {
		v.Policies = slices.DeleteFunc(v.Policies, func(old flow.Policy) bool { return old.Scope == p.Scope })
		v.Policies = append(v.Policies, p)
	}
	return v
}

// usual are the task types that most clusters run.
func usual(list []ClusterView) []string {
	counts := map[string]int{}
	var best []string
	for _, c := range list {
		key := strings.Join(c.TaskTypes, ",")
		counts[key]++
		if n, most := counts[key], counts[strings.Join(best, ",")]; best == nil || n > most || n == most && cmp.Compare(key, strings.Join(best, ",")) < 0 {
			best = c.TaskTypes
		}
	}
	return best
}

// tell adds what becomes of each pending and each drained execution.
func (f *Forecast) tell(e *evictor, v View) {
	for _, p := range e.placements {
		o := Outcome{Execution: p.Execution, From: p.From, To: p.Cluster}
		if p.From != "" {
			o.How = how(p.Restart, p.Fallback)
		}
		f.Outcomes = append(f.Outcomes, o)
	}
	for i, r := range e.out {
		f.Outcomes = append(f.Outcomes, Outcome{Execution: r.Execution, From: e.from[i].turn.From, To: e.to[i], How: how(e.resumes(e.from[i].turn.Pending, &e.fleet.sites[e.fleet.byName[e.to[i]]]))})
	}
	from := map[flow.ExecutionID]string{}
	for _, p := range v.Pending {
		from[p.Execution] = p.From
	}
	for _, r := range e.placed {
		from[r.turn.Execution] = r.turn.From
	}
	for _, w := range append(slices.Clone(e.waits), e.stuck...) {
		f.Outcomes = append(f.Outcomes, Outcome{Execution: w.Execution, From: from[w.Execution], How: Why(e.trails.made[w.Trail].Reasons)})
	}
}

func how(restart bool, fallback string) string {
	switch {
	case fallback != "":
		return "restart: " + fallback
	case restart:
		return "restart"
	}
	return "resume"
}
