package script

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/chaos/inject"
)

// losing are the verbs about a cluster that is lost with work on it.
var losing = map[string]verb{
	"lose":     {1, []string{"done"}, lose},
	"failover": {1, []string{"within"}, failover},
	"clean":    {1, []string{"within"}, clean},
}

// loss is a cluster that was cut off, with what had not ended there.
type loss struct {
	at   time.Time
	work []string
}

// lose cuts a cluster off from all hubs, and remembers what it holds. At least
// so many nodes of that must have succeeded: they must not run again.
func lose(ctx context.Context, r *run, s Step) error {
	done, err := s.number("done")
	if err != nil {
		return err
	}
	seen, err := r.Fleet.Statuses(ctx, r.prefix())
	if err != nil {
		return err
	}
	var l loss
	for _, x := range seen {
		if x.Cluster == s.Args[0] && !x.Phase.Terminal() {
			l.work = append(l.work, x.Name)
		}
	}
	if len(l.work) == 0 {
		return fmt.Errorf("%s holds nothing that could be lost", s.Args[0])
	}
	if r.losses == nil {
		r.losses = map[string]loss{}
	}
	accepted, err := r.Fleet.Accepted(ctx)
	if err != nil {
		return err
	}
	r.measure("failover_executions", float64(len(l.work)))
	if n := l.done(accepted); n < done {
		return fmt.Errorf("only %d nodes of what %s holds have succeeded, want %d", n, s.Args[0], done)
	}
	r.measure("failover_nodes_done", float64(l.done(accepted)))
	l.at = time.Now()
	r.losses[s.Args[0]] = l
	return r.Links.Do(s.Args[0]+"/hub-*", inject.Fault{Kind: inject.Cut})
}

// failover waits until all that a lost cluster held runs elsewhere, or has ended,
// and measures how long that took from the cut.
func failover(ctx context.Context, r *run, s Step) error {
	cluster := s.Args[0]
	l, known := r.losses[cluster]
	if !known {
		return fmt.Errorf("%s was not lost", cluster)
	}
	// Seldom: what is measured is in the logs, and looking takes the time of who is looked at.
	err := r.awaitEvery(ctx, 2*time.Second, s.duration("within", patience), func(seen []Status) bool {
		moved := map[string]bool{}
		for _, x := range seen {
			moved[x.Name] = x.Phase.Terminal() || x.Cluster != cluster && x.Phase == flow.ExecutionRunning
		}
		return !slices.ContainsFunc(l.work, func(name string) bool { return !moved[name] })
	})
	if err != nil {
		return err
	}
	accepted, err := r.Fleet.Accepted(ctx)
	if err != nil {
		return err
	}
	took := l.took(cluster, accepted)
	if len(took) == 0 {
		return fmt.Errorf("of %d executions on %s, none ran elsewhere", len(l.work), cluster)
	}
	r.measure("failover_p50_ms", milliseconds(took[(len(took)-1)/2]))
	r.measure("failover_max_ms", milliseconds(took[len(took)-1]))
	return nil
}

// done counts the nodes that had succeeded.
func (l loss) done(accepted []Accepted) (n int) {
	for _, a := range accepted {
		if a.Kind == flow.EventNode && a.Node != "" && flow.NodePhase(a.Phase) == flow.NodeSucceeded && slices.Contains(l.work, a.Execution) {
			n++
		}
	}
	return n
}

// took is how long after the cut each of them ran elsewhere for the first time,
// shortest first. What ended where it was, as the cut fell, is left out.
func (l loss) took(cluster string, accepted []Accepted) (took []time.Duration) {
	first := map[string]time.Time{}
	for _, a := range accepted {
		runs := a.Kind == flow.EventWorkflow && flow.ExecutionPhase(a.Phase) == flow.ExecutionRunning
		if _, known := first[a.Execution]; runs && !known && a.Cluster != cluster && a.At.After(l.at) {
			first[a.Execution] = a.At
		}
	}
	for _, name := range l.work {
		if at, moved := first[name]; moved {
			took = append(took, at.Sub(l.at))
		}
	}
	slices.Sort(took)
	return took
}

// clean waits until nothing is alive in a cluster that is not placed there now,
// at the epoch of which it is.
func clean(ctx context.Context, r *run, s Step) error {
	var left []Object
	err := untilEvery(ctx, time.Second, s.duration("within", patience), func() (bool, error) {
		alive, err := r.Planes.Alive(ctx, s.Args[0], r.prefix())
		if err != nil || len(alive) == 0 {
			return err == nil, err
		}
		seen, err := r.Fleet.Executions(ctx, r.prefix())
		left = stale(s.Args[0], alive, seen)
		return err == nil && len(left) == 0, err
	})
	if err != nil && len(left) > 0 {
		return fmt.Errorf("%d objects of old epochs are alive in %s, such as %s %s: %w", len(left), s.Args[0], left[0].Kind, left[0].Name, err)
	}
	return err
}

// stale are the objects that live on without being wanted there.
func stale(cluster string, alive []Object, seen []Seen) (left []Object) {
	wanted := map[string]Seen{}
	for _, x := range seen {
		wanted[x.Name] = x
	}
	for _, o := range alive {
		if x := wanted[o.Execution]; x.Cluster != cluster || x.Epoch != o.Epoch || x.Phase.Terminal() {
			left = append(left, o)
		}
	}
	slices.SortFunc(left, func(a, b Object) int { return strings.Compare(a.Kind+a.Name, b.Kind+b.Name) })
	return left
}
