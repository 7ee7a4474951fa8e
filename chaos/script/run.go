package script

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	lookEvery   = 200 * time.Millisecond
	patience    = time.Minute     // of a wait that names none
	settleTime  = 3 * time.Minute // from healing until everything has ended
	defaultPace = 100 * time.Millisecond
	stamps      = 36 * 36 * 36 * 36 * 36 // milliseconds of 16 hours
)

// run is one scenario under way.
type run struct {
	World
	scenario Scenario
	began    time.Time
	stamp    string // tells this run's executions from those of others in the same federation
	users    errgroup.Group

	mu       sync.Mutex
	launched int // of all launches begun
	promised []string
	unsure   map[string]bool // offered, and not answered
	refused  []error
	marked   time.Time
	troubles []trouble
	losses   map[string]loss      // by cluster
	revoked  map[string]time.Time // by cluster: when the call had returned
	scales   *scales              // nil: nothing is weighed
	late     map[string]int       // when the scenario began
	measured Figures              // what verbs measured and were held to, and nothing else
	failed   []string
}

// measure notes a value of a figure for the scenario's line: Figures.Measured
// says what names are like. Verbs may call it from anywhere.
func (r *run) measure(name string, value float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.measured.measure(name, value)
}

// Run plays a scenario and judges it. An error means that it could not be
// played; what did not hold is in the figures.
func Run(ctx context.Context, s Scenario, w World) (Figures, error) {
	began := time.Now()
	if w.Progress == nil {
		w.Progress = func(string) {}
	}
	r := &run{World: w, scenario: s, began: began, revoked: map[string]time.Time{}, unsure: map[string]bool{}, stamp: strconv.FormatInt(began.UnixMilli()%stamps, 36)}
	var err error
	if r.late, err = w.Planes.Late(ctx); err != nil {
		return Figures{Scenario: s.Name}, err
	}
	for _, step := range s.Steps {
		w.Progress(fmt.Sprintf("%s:%d: %s", s.Name, step.Line, step))
		if err := verbs[step.Verb].do(ctx, r, step); err != nil {
			r.failed = append(r.failed, fmt.Sprintf("line %d: %s: %v", step.Line, step, err))
			break // what follows was meant for another state
		}
	}
	f, err := r.judge(ctx)
	f.Scenario, f.Seconds, f.Measured, f.Bars = s.Name, time.Since(began).Round(time.Millisecond).Seconds(), r.measured.Measured, r.measured.Bars
	f.Failed = append(r.failed, f.Failed...)
	return f, err
}

// judge heals everything, waits until all has ended, and looks.
func (r *run) judge(ctx context.Context) (Figures, error) {
	if err := r.Links.Heal("*/*"); err != nil {
		return Figures{}, fmt.Errorf("heal: %w", err)
	}
	if r.scenario.Setup.Disturbed {
		if err := r.Traffic.Calm("*/*"); err != nil {
			return Figures{}, fmt.Errorf("calm: %w", err)
		}
	}
	if err := r.Machines.Clear(ctx, "*"); err != nil {
		return Figures{}, fmt.Errorf("clear: %w", err)
	}
	if err := r.Processes.Recover(ctx); err != nil {
		return Figures{}, fmt.Errorf("recover: %w", err)
	}
	_ = r.users.Wait() // what was refused is in r.refused
	for _, err := range r.refused {
		r.failed = append(r.failed, "a launch was refused: "+err.Error())
	}
	if err := r.reckon(ctx); err != nil {
		return Figures{}, fmt.Errorf("what was offered and not answered: %w", err)
	}
	_ = r.await(ctx, settleTime, func(seen []Status) bool { return ended(seen) >= len(r.promised) }) // Verdict says what has not
	seen, err := r.executions(ctx)
	if err != nil {
		return Figures{}, err
	}
	accepted, err := r.Fleet.Accepted(ctx)
	if err != nil {
		return Figures{}, err
	}
	accepted = slices.DeleteFunc(accepted, func(a Accepted) bool { return !strings.HasPrefix(a.Execution, r.prefix()) })
	f := Verdict(r.promised, seen, accepted, r.Room)
	f.Late, err = r.lateActs(ctx)
	return f, err
}

// lateActs counts those of this scenario. Of a propeller that was killed, those
// before its death are not known.
func (r *run) lateActs(ctx context.Context) (n int, err error) {
	now, err := r.Planes.Late(ctx)
	for cluster, count := range now {
		if before := r.late[cluster]; before <= count {
			count -= before
		}
		n += count
	}
	return n, err
}

func (r *run) prefix() string { return r.scenario.Name + "-" + r.stamp + "-" }

func ended(seen []Status) int {
	n := 0
	for _, s := range seen {
		if s.Phase.Terminal() {
			n++
		}
	}
	return n
}

// executions are those of this scenario. What was healed just now may still
// trip over connections that were cut.
func (r *run) executions(ctx context.Context) (seen []Seen, err error) {
	err = until(ctx, patience, func() (bool, error) {
		seen, err = r.Fleet.Executions(ctx, r.prefix())
		return err == nil, err
	})
	return seen, err
}

// await looks until a condition on the scenario's executions holds. The control
// plane may be out of reach for a while: that is part of the scenario.
func (r *run) await(ctx context.Context, within time.Duration, ok func([]Status) bool) error {
	return r.awaitEvery(ctx, lookEvery, within, ok)
}

func (r *run) awaitEvery(ctx context.Context, every, within time.Duration, ok func([]Status) bool) error {
	return untilEvery(ctx, every, within, func() (bool, error) {
		seen, err := r.Fleet.Statuses(ctx, r.prefix())
		return err == nil && ok(seen), err
	})
}

// until looks every lookEvery; it gives the newest error if the time runs out.
func until(ctx context.Context, within time.Duration, ok func() (bool, error)) error {
	return untilEvery(ctx, lookEvery, within, ok)
}

func untilEvery(ctx context.Context, every, within time.Duration, ok func() (bool, error)) error {
	deadline := time.Now().Add(within)
	for {
		began := time.Now()
		done, err := ok()
		switch {
		case done:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case time.Now().After(deadline) && err != nil:
			return fmt.Errorf("not within %s: %w", within, err)
		case time.Now().After(deadline):
			return fmt.Errorf("not within %s", within)
		}
		select {
		case <-ctx.Done():
		case <-time.After(max(every, 4*time.Since(began))): // looking must not be the load
		}
	}
}
