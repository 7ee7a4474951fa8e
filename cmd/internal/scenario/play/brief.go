package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/skein-project/skein/chaos/script"
)

// brief runs the seeds that were asked for and plays each scenario once.
func brief(ctx context.Context, s *suite, scenarios []script.Scenario) (ok bool, err error) {
	if len(scenarios) == 0 && s.seeds == 0 {
		return false, errors.New("name at least one scenario, like chaos/testdata/blips.txt, or some -seeds")
	}
	began := time.Now()
	var rig worlds
	if s.options.seeds > 0 {
		sums, _ := sweep(ctx, 1, s.seeds)
		rig = s.tell(sums, 1, time.Since(began))
	}
	for _, sc := range scenarios {
		if _, err = s.play(ctx, sc); err != nil {
			break
		}
	}
	return s.finish(began, rig, err)
}

// line is the last line of a run: the sum of all scenarios, and of all seeds.
type line struct {
	script.Figures
	Rig *worlds `json:"rig,omitempty"`
}

// finish stops what runs and prints the last line.
func (s *suite) finish(began time.Time, rig worlds, err error) (bool, error) {
	s.total.Failed = append(s.total.Failed, s.close()...)
	s.total.Scenario, s.total.Seconds = "all", time.Since(began).Round(time.Millisecond).Seconds()
	last := line{Figures: s.total}
	if rig.Seeds > 0 {
		last.Rig = &rig
	}
	raw, problem := json.Marshal(last)
	if problem != nil {
		return false, problem
	}
	fmt.Fprintf(s.out, "CHAOS %s\n", raw)
	return s.total.OK() && rig.Violations == 0, err
}
