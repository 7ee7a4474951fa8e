package script

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/chaos/inject"
)

// verb is what a line can say: how many arguments at least, which settings, and
// what it does.
type verb struct {
	args int
	set  []string
	do   func(context.Context, *run, Step) error
}

// verbs are all of them: each file with verbs of its own is one of these.
var verbs = joined(everyday, measuring, losing, joining, outages, troubles, handiwork, rolling)

func joined(of ...map[string]verb) map[string]verb {
	all := map[string]verb{}
	for _, some := range of {
		maps.Copy(all, some)
	}
	return all
}

// everyday are launches, links, processes, and what to wait for.
var everyday = map[string]verb{
	"launch":   {1, []string{"tasks", "seconds", "every", "label", "failover", "strict"}, launch},
	"wait":     {2, []string{"within"}, wait},
	"cut":      {1, nil, link},
	"hole":     {1, nil, link},
	"up":       {1, nil, link},
	"down":     {1, nil, link},
	"slow":     {1, []string{"delay", "jitter"}, link},
	"heal":     {1, nil, func(_ context.Context, r *run, s Step) error { return r.Links.Heal(s.Args[0]) }},
	"kill":     {1, nil, kill},
	"start":    {1, nil, func(ctx context.Context, r *run, s Step) error { return r.Processes.Start(ctx, s.Args[0]) }},
	"stop":     {1, nil, func(ctx context.Context, r *run, s Step) error { return r.Processes.Stop(ctx, s.Args[0]) }},
	"continue": {1, nil, func(ctx context.Context, r *run, s Step) error { return r.Processes.Continue(ctx, s.Args[0]) }},
	"pause":    {1, nil, pause},
	"health":   {2, []string{"within"}, health},
	"empty":    {1, []string{"within"}, empty},
	"doubt":    {0, []string{"within"}, doubt},
	"skein":    {1, nil, skein},
	"ended":    {0, []string{"within"}, allEnded},
	"moves":    {2, nil, moves},
}

// known refuses what no verb takes.
func known(s Step) error {
	v, ok := verbs[s.Verb]
	switch {
	case !ok:
		return fault.E(fault.Invalid, "%q is no verb; want one of %s", s.Verb, strings.Join(slices.Sorted(maps.Keys(verbs)), ", "))
	case len(s.Args) < v.args:
		return fault.E(fault.Invalid, "%s wants %d arguments", s.Verb, v.args)
	}
	for k := range s.Set {
		if !slices.Contains(v.set, k) {
			return fault.E(fault.Invalid, "%s takes no %q; want one of %v", s.Verb, k, v.set)
		}
	}
	return nil
}

// launch begins to launch, one execution after the other, and returns.
func launch(ctx context.Context, r *run, s Step) error {
	count, err := s.count(0)
	if err != nil {
		return err
	}
	seconds, err := strconv.Atoi(cmp.Or(s.Set["seconds"], "0"))
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "seconds")
	}
	tasks, err := strconv.Atoi(cmp.Or(s.Set["tasks"], "3"))
	if err != nil || tasks != 1 && tasks != 3 {
		return fault.E(fault.Invalid, "tasks: want 1 or 3, got %q", s.Set["tasks"])
	}
	annotations := map[string]string{}
	for key, name := range map[string]string{"failover": "skein.dev/failover", "strict": "skein.dev/strict"} {
		if v := s.Set[key]; v != "" {
			annotations[name] = v
		}
	}
	first := r.launched
	r.launched += count
	tick := s.duration("every", defaultPace)
	r.users.Go(func() error {
		for i := range count {
			l := Launch{Name: fmt.Sprintf("%s%04d", r.prefix(), first+i), Tasks: tasks, Seconds: seconds, Label: s.Set["label"], Annotations: annotations}
			r.users.Go(func() error {
				err := r.Users.Launch(ctx, l)
				r.mu.Lock()
				defer r.mu.Unlock()
				if err != nil {
					r.refused = append(r.refused, err)
				} else {
					r.promised = append(r.promised, l.Name)
				}
				return nil
			})
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(tick):
			}
		}
		return nil
	})
	return nil
}

// wait waits until so many executions are in a phase: queued, running or ended.
func wait(ctx context.Context, r *run, s Step) error {
	n, err := s.count(1)
	if err != nil {
		return err
	}
	var is func(Status) bool
	switch s.Args[0] {
	case "queued":
		is = func(x Status) bool { return x.Phase == flow.ExecutionQueued }
	case "running":
		is = func(x Status) bool { return x.Phase == flow.ExecutionRunning }
	case "ended":
		is = func(x Status) bool { return x.Phase.Terminal() }
	default:
		return fault.E(fault.Invalid, "wait for queued, running or ended, not %q", s.Args[0])
	}
	return r.await(ctx, s.duration("within", patience), func(seen []Status) bool {
		have := 0
		for _, x := range seen {
			if is(x) {
				have++
			}
		}
		return have >= n
	})
}

func link(_ context.Context, r *run, s Step) error {
	f := inject.Fault{Kind: inject.Kind(s.Verb), Delay: s.duration("delay", 100*time.Millisecond), Jitter: s.duration("jitter", 0)}
	return r.Links.Do(s.Args[0], f)
}

func pause(ctx context.Context, _ *run, s Step) error {
	d, err := time.ParseDuration(s.Args[0])
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "pause")
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func health(ctx context.Context, r *run, s Step) error {
	return until(ctx, s.duration("within", patience), func() (bool, error) {
		h, err := r.Fleet.Health(ctx, s.Args[0])
		if err == nil && string(h) != s.Args[1] {
			err = fmt.Errorf("%s is %s", s.Args[0], h)
		}
		return err == nil, err
	})
}

// empty waits until nothing that has not ended is placed on a cluster.
func empty(ctx context.Context, r *run, s Step) error {
	return r.await(ctx, s.duration("within", patience), func(seen []Status) bool {
		return !slices.ContainsFunc(seen, func(x Status) bool { return x.Cluster == s.Args[0] && !x.Phase.Terminal() })
	})
}

func doubt(ctx context.Context, r *run, s Step) error {
	return until(ctx, s.duration("within", patience), func() (bool, error) {
		why, err := r.Fleet.Doubt(ctx)
		return why != "", err
	})
}

func skein(ctx context.Context, r *run, s Step) error {
	out, err := r.Skein(ctx, s.Args...)
	if err != nil {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(out))
	}
	return nil
}

func allEnded(ctx context.Context, r *run, s Step) error {
	return r.await(ctx, s.duration("within", patience), func(seen []Status) bool { return ended(seen) >= r.launched })
}

// moves compares how many moves there were of all that was launched.
func moves(ctx context.Context, r *run, s Step) error {
	want, err := s.count(1)
	if err != nil {
		return err
	}
	seen, err := r.executions(ctx)
	if err != nil {
		return err
	}
	have := 0
	for _, x := range seen {
		have += len(x.Moves)
	}
	if s.Args[0] == "=" && have != want || s.Args[0] == ">=" && have < want {
		return fmt.Errorf("there were %d moves", have)
	}
	return nil
}
