package config

import (
	"strings"
	"testing"
	"time"

	"github.com/skein-project/skein/scheduler"
)

// TestClocksAreTheSchedulers demands that what is refused here and what the
// scheduler would refuse are the same, so that a bad lease is told by its key.
func TestClocksAreTheSchedulers(t *testing.T) {
	steps := []time.Duration{0, 1, 50 * time.Millisecond, time.Second, 2*time.Second - 1, 2 * time.Second, 5 * time.Second, 10 * time.Second,
		10*time.Second + 1, 30 * time.Second, 200 * time.Second, 200*time.Second + time.Microsecond, time.Hour}
	taken := 0
	for _, suspect := range steps {
		for _, lease := range steps {
			for _, margin := range steps[:8] {
				for _, timeout := range steps[:8] {
					s := DefaultAdmin().Scheduler
					s.Suspect, s.Lease, s.Margin, s.Timeout = Duration{suspect}, Duration{lease}, Duration{margin}, Duration{timeout}
					theirs := scheduler.Default()
					theirs.Lease, theirs.Health.Suspect, theirs.Health.Margin, theirs.Timeout = lease, suspect, margin, s.TransactionTimeout()
					want, c := theirs.Validate(), &checker{}
					c.clocks(s)
					got := c.err()
					if (got == nil) != (want == nil) {
						t.Errorf("suspect %s, lease %s, margin %s, timeout %s: here %v, in the scheduler %v", suspect, lease, margin, timeout, got, want)
					}
					if got != nil && !strings.Contains(got.Error(), "scheduler.") {
						t.Errorf("no key is named in %v", got)
					}
					if got == nil {
						taken++
					}
				}
			}
		}
	}
	if taken == 0 {
		t.Error("nothing is taken: the steps are wrong")
	}
}

// TestLimitsAreTheSchedulers does the same for what is no clock.
func TestLimitsAreTheSchedulers(t *testing.T) {
	for _, change := range []func(*Scheduling, *scheduler.Config){
		func(s *Scheduling, c *scheduler.Config) { s.Moves, c.Limits.Moves = 0, 0 },
		func(s *Scheduling, c *scheduler.Config) { s.Rounds, c.Rounds = -1, -1 },
		func(s *Scheduling, c *scheduler.Config) { s.Keep, c.Keep = Seconds(60), time.Minute },
		func(s *Scheduling, c *scheduler.Config) {
			s.MoveBackOff, c.MoveBackOff = Seconds(4000), 4000*time.Second
		},
	} {
		s, theirs, c := DefaultAdmin().Scheduler, scheduler.Default(), &checker{}
		if c.clocks(s); c.err() != nil || theirs.Validate() != nil {
			t.Fatalf("the default is refused: %v, %v", c.err(), theirs.Validate())
		}
		change(&s, &theirs)
		if c.clocks(s); c.err() == nil || theirs.Validate() == nil {
			t.Errorf("%+v: here %v, in the scheduler %v", s, c.err(), theirs.Validate())
		}
	}
}
