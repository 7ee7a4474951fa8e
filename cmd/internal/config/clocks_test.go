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
	steps := []time.Duration{0, 1, time.Second, 2*time.Second - 1, 2 * time.Second, 5 * time.Second, 10 * time.Second, 10*time.Second + 1,
		30 * time.Second, 200 * time.Second, 200*time.Second + time.Microsecond, 201 * time.Second, time.Hour}
	taken := 0
	for _, suspect := range steps {
		for _, lease := range steps {
			theirs := scheduler.Default()
			theirs.Lease, theirs.Health.Suspect = lease, suspect
			want, c := theirs.Validate(), &checker{}
			c.clocks(Scheduling{Suspect: Duration{suspect}, Lease: Duration{lease}})
			got := c.err()
			if (got == nil) != (want == nil) {
				t.Errorf("suspect %s and lease %s: here %v, in the scheduler %v", suspect, lease, got, want)
			}
			if got != nil && !strings.Contains(got.Error(), "scheduler.") {
				t.Errorf("no key is named in %v", got)
			}
			if got == nil {
				taken++
			}
		}
	}
	if taken == 0 {
		t.Error("nothing is taken: the steps are wrong")
	}
}
