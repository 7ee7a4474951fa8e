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
	Limits      placement.Limits // of one plan: forced moves among them
	Version     string           // the control plane's own

	// MoveBackOff is how long an execution that was moved once stays where it was
	// placed, at least, before it is moved by force again; it doubles with each move.
	MoveBackOff time.Duration
	Keep        time.Duration // how long rows of what has ended are kept
	Rounds      int           // the newest decisions that can be replayed
}

// Default is the configuration of docs: a lease of 30 s, suspect after 5 s.
func Default() Config {
	return Config{
		Sweep:        time.Second,
		Batch:        50 * time.Millisecond,
		BatchSize:    commit.MaxBatch,
		PendingLimit: 100_000,
		Timeout:      5 * time.Second,
		Lease:        30 * time.Second,
		LeaseWindow:  25 * time.Millisecond,
		Health:       health.Policy{Suspect: 5 * time.Second, Margin: 2 * time.Second},
		Policy:       placement.DefaultPolicy(),
		Limits:       placement.Limits{Starve: placement.DefaultStarve, Moves: placement.DefaultMoves, Preemptions: placement.DefaultPreemptions},
		MoveBackOff:  30 * time.Second,
		Keep:         7 * 24 * time.Hour,
		Rounds:       20_000,
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
	need(c.Limits.Moves > 0, "0 < forced moves of one cycle %d does not hold", c.Limits.Moves)
	need(c.MoveBackOff >= 0 && c.MoveBackOff <= time.Hour, "0 <= back-off of moves %s <= 1h does not hold", c.MoveBackOff)
	need(c.Keep >= time.Hour, "time for which ended rows are kept %s >= 1h does not hold", c.Keep)
	need(c.Rounds >= 0, "0 <= rounds that are kept %d does not hold", c.Rounds)
	for _, p := range append(c.Health.Problems(c.Lease), c.Policy.Problems()...) {
		need(false, "%s", p)
	}
	return fault.Wrap(fault.Invalid, errors.Join(list...), "scheduler configuration")
}
