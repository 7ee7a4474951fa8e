package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/skein-project/skein/chaos/rig"
	"github.com/skein-project/skein/chaos/script"
	"github.com/skein-project/skein/cmd/internal/scenario/report"
)

// turn is how long the simulated federation runs before it is the real one's
// turn again, and part of all the time at least.
const (
	turn     = 5 * time.Minute
	turnPart = 10
	burst    = 20 // seeds between two looks at the clock
)

// marathon is a full run under way.
type marathon struct {
	*suite
	deadline time.Time
	report   report.Run
	at       map[string]int // scenarios by name in the report
	seed     uint64         // the next one
	sums     map[rig.Kind]worlds
	rig      worlds
}

// full plays each large scenario once, and then the small ones and new seeds in
// turns until the time is over. What has begun is played to its end. The page is
// written after each part.
func full(ctx context.Context, s *suite, small, large []script.Scenario) (bool, error) {
	began := time.Now()
	m := &marathon{suite: s, deadline: began.Add(s.time), at: map[string]int{}, sums: map[rig.Kind]worlds{}, seed: uint64(began.UnixMilli())}
	m.report = report.Run{Began: began, Planned: s.time, Machine: machine(ctx), FirstSeed: m.seed}
	for i, list := range [][]script.Scenario{large, small} {
		for _, sc := range list {
			m.at[sc.Name] = len(m.report.Scenarios)
			m.report.Scenarios = append(m.report.Scenarios, report.Scenario{Name: sc.Name, About: sc.About, Full: i == 0})
		}
	}
	fmt.Fprintf(s.out, "a full run of %s; seeds from %d on\n", s.time, m.seed)
	err := m.run(ctx, small, large)
	m.report.Interrupted = ctx.Err() != nil
	if wrote := m.write(); wrote != nil {
		return false, wrote
	}
	return s.finish(began, m.rig, err)
}

func (m *marathon) run(ctx context.Context, small, large []script.Scenario) error {
	if err := m.round(ctx, large); err != nil {
		return err
	}
	for {
		if err := m.simulate(ctx, min(turn, m.time/turnPart)); err != nil || m.over() {
			return err
		}
		if err := m.round(ctx, small); err != nil {
			return err
		}
	}
}

func (m *marathon) over() bool { return !time.Now().Before(m.deadline) }

// round plays each scenario once, as far as the time lasts.
func (m *marathon) round(ctx context.Context, list []script.Scenario) error {
	for _, sc := range list {
		if m.over() {
			return nil
		}
		f, err := m.play(ctx, sc)
		if err != nil {
			return err
		}
		s := &m.report.Scenarios[m.at[sc.Name]]
		s.Times++
		// Add names the scenario in each failure; the page does, too.
		failed := append(s.Figures.Failed, f.Failed...)
		s.Figures.Add(f)
		s.Figures.Failed = failed
		if err := m.write(); err != nil {
			return err
		}
	}
	return nil
}

// simulate runs new seeds for a while; if no time is left, one burst of them.
func (m *marathon) simulate(ctx context.Context, length time.Duration) error {
	m.total.Failed = append(m.total.Failed, m.close()...) // it would only take the cores' time
	began, first, now := time.Now(), m.seed, map[rig.Kind]worlds{}
	for ctx.Err() == nil {
		var sums map[rig.Kind]worlds
		sums, m.seed = sweep(ctx, m.seed, burst)
		add(now, sums)
		if time.Since(began) >= length || m.over() {
			break
		}
	}
	m.rig.join(m.tell(now, first, time.Since(began)))
	add(m.sums, now)
	m.report.Kinds, m.report.Broken = nil, m.rig.replays
	for _, kind := range slices.Sorted(maps.Keys(m.sums)) {
		w := m.sums[kind]
		m.report.Kinds = append(m.report.Kinds, report.Kind{Name: string(kind), Seeds: w.Seeds, Kills: w.Kills, Violations: w.Violations, Seen: w.Seen})
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return m.write()
}

func (m *marathon) write() error {
	if m.page == "" {
		return nil
	}
	m.report.Spent, m.report.Machine.Database = time.Since(m.report.Began), cmp.Or(m.database, "none was started")
	return report.Write(m.page, m.report)
}
