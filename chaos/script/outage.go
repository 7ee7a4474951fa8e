package script

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/skein-project/skein/api/fault"
)

// outages are the verbs of what is away for long while users go on.
var outages = map[string]verb{
	"offer":    {1, []string{"for", "tasks", "seconds"}, offer},
	"weigh":    {0, nil, weigh},
	"weighed":  {0, nil, weighed},
	"caughtup": {0, []string{"within"}, caughtUp},
	"settled":  {0, []string{"within"}, settled},
}

// Market is where users offer work that they do not insist on.
type Market interface {
	// Offer tries once to make an execution. It is Unavailable if it was refused,
	// or if nobody knows what became of it; any other error is a broken promise.
	Offer(ctx context.Context, l Launch) error
	// Recorded is what the control plane's rows say of one execution, as the events
	// by which they came to it.
	Recorded(ctx context.Context, execution string) ([]Accepted, error)
	// Memory is what each cluster's propeller holds of the machine's, in bytes.
	Memory() (map[string]int64, error)
}

// weighEvery is how often memory is looked at.
const weighEvery = 500 * time.Millisecond

// scales weigh the propellers: before an outage under the same work, and from
// then on.
type scales struct {
	stop   context.CancelFunc
	done   chan error
	before map[string]int64 // the most that each held until weigh was said again
	since  map[string]int64
}

// offer offers so many launches a second for a while, each once, and returns.
func offer(ctx context.Context, r *run, s Step) error {
	rate, err := s.count(0)
	if err != nil || rate == 0 {
		return fault.E(fault.Invalid, "offer wants launches a second")
	}
	seconds, err := strconv.Atoi(orZero(s.Set["seconds"]))
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "seconds")
	}
	tasks := 3
	if s.Set["tasks"] == "1" {
		tasks = 1
	}
	count := int(s.duration("for", 10*time.Second).Seconds() * float64(rate))
	first := r.launched
	r.launched += count
	r.users.Go(func() error {
		begun := time.Now()
		for i := range count {
			l := Launch{Name: fmt.Sprintf("%s%05d", r.prefix(), first+i), Tasks: tasks, Seconds: seconds}
			r.users.Go(func() error { r.offered(ctx, l); return nil })
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Until(begun.Add(time.Duration(i+1) * time.Second / time.Duration(rate)))):
			}
		}
		return nil
	})
	return nil
}

func orZero(s string) string {
	if s == "" {
		return "0"
	}
	return s
}

func (r *run) offered(ctx context.Context, l Launch) {
	err := r.Market.Offer(ctx, l)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err == nil:
		r.promised = append(r.promised, l.Name)
	case fault.Is(err, fault.Unavailable):
		r.unsure[l.Name] = true
	default:
		r.refused = append(r.refused, fmt.Errorf("%s: %w", l.Name, err))
	}
}

// reckon sorts what was offered and not answered: what exists was accepted, and
// so has to end; the rest nobody was promised.
func (r *run) reckon(ctx context.Context) error {
	r.mu.Lock()
	open := len(r.unsure)
	r.mu.Unlock()
	if open == 0 {
		return nil
	}
	var seen []Status
	err := until(ctx, patience, func() (_ bool, err error) { // what was healed just now may not answer yet
		seen, err = r.Fleet.Statuses(ctx, r.prefix())
		return err == nil, err
	})
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, x := range seen {
		if r.unsure[x.Name] {
			delete(r.unsure, x.Name)
			r.promised = append(r.promised, x.Name)
		}
	}
	r.launched -= len(r.unsure)
	r.measured.measure("launches_refused", float64(len(r.unsure)))
	clear(r.unsure)
	return nil
}

// settled waits until everything has been offered, and all that exists of it has
// ended: nothing more comes after it.
func settled(ctx context.Context, r *run, s Step) error {
	_ = r.users.Wait() // what was refused is in r.refused
	if err := r.reckon(ctx); err != nil {
		return err
	}
	return allEnded(ctx, r, s)
}

// weigh begins to look at the propellers' memory; said again, what was seen until
// then is what they hold when nothing is away.
func weigh(ctx context.Context, r *run, _ Step) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.scales != nil {
		maps.Copy(r.scales.before, r.scales.since)
		r.scales.since = map[string]int64{}
		return nil
	}
	ctx, stop := context.WithCancel(ctx)
	r.scales = &scales{stop: stop, done: make(chan error, 1), before: map[string]int64{}, since: map[string]int64{}}
	go func() { r.scales.done <- r.weighing(ctx) }()
	return nil
}

func (r *run) weighing(ctx context.Context) error {
	tick := time.NewTicker(weighEvery)
	defer tick.Stop()
	for {
		held, err := r.Market.Memory()
		if err != nil {
			return err
		}
		r.mu.Lock()
		for cluster, n := range held {
			r.scales.since[cluster] = max(r.scales.since[cluster], n)
		}
		r.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// weighed measures by how much the propeller that grew most has grown.
func weighed(_ context.Context, r *run, _ Step) error {
	if r.scales == nil {
		return fault.E(fault.Invalid, "nothing is weighed")
	}
	r.scales.stop()
	if err := <-r.scales.done; err != nil {
		return err
	}
	if len(r.scales.before) == 0 {
		return fault.E(fault.Invalid, `say "weigh" before the outage as well`)
	}
	for cluster, before := range r.scales.before {
		most := r.scales.since[cluster]
		r.Progress(fmt.Sprintf("%s held %d MiB before, and %d MiB at most since", cluster, before>>20, most>>20))
		r.measure("member_growth_mb", float64(max(most-before, 0)>>20))
		r.measure("member_before_mb", float64(before>>20))
	}
	r.scales = nil
	return nil
}

// caughtUp measures how long it takes from now until all that was accepted so
// far has ended.
func caughtUp(ctx context.Context, r *run, s Step) error {
	begun := time.Now()
	r.mu.Lock()
	due := slices.Clone(r.promised)
	r.mu.Unlock()
	err := r.await(ctx, s.duration("within", patience), func(seen []Status) bool {
		ended := map[string]bool{}
		for _, x := range seen {
			ended[x.Name] = x.Phase.Terminal()
		}
		return !slices.ContainsFunc(due, func(name string) bool { return !ended[name] })
	})
	r.measure("caught_up_ms", milliseconds(time.Since(begun)))
	if err != nil {
		return fmt.Errorf("of %d that were accepted, some have not ended: %w", len(due), err)
	}
	return nil
}
