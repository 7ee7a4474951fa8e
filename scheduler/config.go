package scheduler

import (
	"errors"
	"fmt"
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/scheduler/commit"
	"github.com/skein-project/skein/scheduler/health"
	"github.com/skein-project/skein/scheduler/placement"
)

// Config is all of the scheduler that an operator can turn.
type Config struct {
	Sweep        time.Duration // a cycle at least so often, nudged or not
	Batch        time.Duration // a nudge begins no cycle sooner than so long after the last one began
	BatchSize    int           // placements in one transaction
	PendingLimit int           // pending executions looked at in one cycle
	Timeout      time.Duration // of one round of reads, and of one transaction

	Lease       time.Duration // how long a member may start work after a grant
	LeaseWindow time.Duration // collect lease requests so long before recording them
	Health      health.Policy
	Policy      placement.Policy
}

// Default is the configuration of docs: a lease of 30 s, suspect after 5 s.
func Default() Config {
	return Config{
		Sweep:        time.Second,
		Batch:        50 * time.Millisecond,
		BatchSize:    commit.MaxBatch,
		PendingLimit: 5000,
		Timeout:      5 * time.Second,
		Lease:        30 * time.Second,
		LeaseWindow:  25 * time.Millisecond,
		Health:       health.Policy{Suspect: 5 * time.Second, Margin: 2 * time.Second},
		Policy:       placement.DefaultPolicy(),
	}
}

// Validate lists every problem at once; of an unsafe combination it names the
// inequality that does not hold.
func (c Config) Validate() error {
	var list []error
	need := func(ok bool, format string, args ...any) {
		if !ok {
			list = append(list, fmt.Errorf("scheduler: "+format, args...))
		}
	}
	need(c.Sweep > 0 && c.Sweep <= 5*time.Second, "0 < sweep %s <= 5s does not hold", c.Sweep)
	need(c.Batch >= 0 && c.Batch < c.Sweep, "batch window %s < sweep %s does not hold", c.Batch, c.Sweep)
	need(c.BatchSize > 0 && c.BatchSize <= commit.MaxBatch, "0 < batch size %d <= %d does not hold", c.BatchSize, commit.MaxBatch)
	need(c.PendingLimit >= c.BatchSize, "pending limit %d >= batch size %d does not hold", c.PendingLimit, c.BatchSize)
	need(c.Timeout > 0 && 2*c.Timeout < c.Lease, "2 × timeout %s < lease %s does not hold (a grant must outlive two slow writes)", c.Timeout, c.Lease)
	need(c.LeaseWindow >= 0 && c.LeaseWindow <= time.Second, "0 <= lease window %s <= 1s does not hold", c.LeaseWindow)
	for _, p := range append(c.Health.Problems(c.Lease), c.Policy.Problems()...) {
		need(false, "%s", p)
	}
	return fault.Wrap(fault.Invalid, errors.Join(list...), "scheduler configuration")
}
