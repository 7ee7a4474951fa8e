// Package scheduler places executions on clusters, on one replica at a time.
//
// It is the placement plane: it observes (snapshot), decides (placement) and
// acts (commit), while this replica leads (election). It also answers the hubs'
// beats: it hears heartbeats, judges health, and grants leases. It serves no
// API, talks to no cluster, and holds no fact that the database does not hold,
// but for heartbeats.
//
// The leader's cycle:
//
//  1. Wake by a nudge, or a second after the last cycle began; but not within
//     50 ms of that, so that a burst of nudges becomes few batches.
//  2. Gather: clusters, members, live placements, pending executions, joined
//     with the heartbeats heard in this term.
//  3. Judge each cluster's health, and store those that changed.
//  4. Decide: a cluster, or reasons to wait, for each pending execution.
//  5. Commit the plan in fenced transactions of at most 500.
//  6. Wake the hubs of the clusters that got work.
//
// A term that begins while a restored backup is rebuilt does nothing of that, and
// grants nothing: it waits until all have reported what they hold, and until no
// lease of the forgotten past can be out, and ends the REBUILD.
//
// Beside it, the lease desk collects requests for 25 ms, records them in one
// fenced transaction, and only then answers.
//
// Invariants: nothing is written but through the term's one Committer, under
// its fence. A lease is granted only after it was recorded. A failed or
// ambiguous write ends the term.
package scheduler

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/scheduler/commit"
	"github.com/skein-project/skein/scheduler/election"
	"github.com/skein-project/skein/scheduler/snapshot"
)

// Elector says when this replica leads; election.Elector is one.
type Elector interface {
	// Run calls lead for each term, until ctx ends.
	Run(ctx context.Context, lead func(election.Term) error) error
	// Observe is told the fence after each transaction.
	Observe(flow.Fence)
}

// Deps are the scheduler's ports. What says nothing else may be left out, but
// for Elector, Ledger, Fleet and Commit.
type Deps struct {
	Elector Elector
	Ledger  snapshot.Ledger
	Fleet   snapshot.Fleet
	Commit  commit.Ledger
	// Orders ends, revokes and drains; nil: nothing of the kind is done.
	Orders commit.Orders
	// Rebuild tells of restored backups that are rebuilt; nil: there are none.
	Rebuild Rebuilder
	// Trim removes rows that ended before a time, and all rounds but the newest so
	// many; nil: nothing is removed.
	Trim func(ctx context.Context, before time.Time, rounds int) (int64, error)
	// Rounds gives the newest stored rounds: a term that begins learns from the last
	// one where workflows ran lately; nil: it begins without.
	Rounds Rounds
	// Trouble is when this replica, leading, last found another one that did not
	// answer; nil: never.
	Trouble func() time.Time
	// Woken is called after a commit with the clusters that got work, so that
	// their hubs need not wait for a sweep. It must not block.
	Woken func(clusters []string)
	// Begun is called when a term of this replica has begun and takes beats: it
	// has heard of nobody yet. It must not block.
	Begun      func()
	Log        *slog.Logger
	Registerer prometheus.Registerer
	Now        func() time.Time
	// Inline is for a Term that one thread drives on a clock of its own: reads
	// and transactions have no time-outs, and run in the caller's goroutine.
	Inline bool
}

// complete fills in what was left out; Errors are Invalid.
func (d Deps) complete() (Deps, error) {
	if d.Ledger == nil || d.Fleet == nil || d.Commit == nil {
		return d, fault.E(fault.Invalid, "scheduler: a port is missing")
	}
	if d.Woken == nil {
		d.Woken = func([]string) {}
	}
	if d.Trouble == nil {
		d.Trouble = func() time.Time { return time.Time{} }
	}
	if d.Begun == nil {
		d.Begun = func() {}
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	return d, nil
}

// Scheduler is this replica's part in the placement plane.
type Scheduler struct {
	cfg     Config
	deps    Deps
	metrics *metrics
	nudge   chan struct{}
	trouble *trouble
	term    atomic.Pointer[reign]
}

// errNotLeader answers beats on a replica that does not lead.
var errNotLeader = fault.E(fault.Unavailable, "not the leader")

// New checks the configuration; it starts nothing. Errors are Invalid, and
// Conflict if the metrics are registered already.
func New(cfg Config, deps Deps) (*Scheduler, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if deps.Elector == nil {
		return nil, fault.E(fault.Invalid, "scheduler: there is no elector")
	}
	deps, err := deps.complete()
	if err != nil {
		return nil, err
	}
	m, err := newMetrics(deps.Registerer)
	if err != nil {
		return nil, fault.Wrap(fault.Conflict, err, "register scheduler metrics")
	}
	return &Scheduler{cfg: cfg, deps: deps, metrics: m, nudge: make(chan struct{}, 1), trouble: &trouble{}}, nil
}

// Run schedules whenever this replica leads, until ctx ends.
func (s *Scheduler) Run(ctx context.Context) error { return s.deps.Elector.Run(ctx, s.lead) }

// Nudge says that there is something to place. It never blocks; a nudge that is
// lost costs a second.
func (s *Scheduler) Nudge() {
	select {
	case s.nudge <- struct{}{}:
	default:
	}
}

// Leading reports whether this replica has begun a term, and its epoch.
func (s *Scheduler) Leading() (flow.Epoch, bool) {
	r := s.term.Load()
	if r == nil {
		return flow.Epoch{}, false
	}
	return r.commit.Fence().Epoch, true
}

// Doubt is why this leader takes nothing from lapsed clusters; empty: nothing
// keeps it from that. Unavailable where no term runs.
func (s *Scheduler) Doubt() (string, error) {
	r := s.term.Load()
	if r == nil {
		return "", errNotLeader
	}
	return r.Term.Doubt(), nil
}

// OverruleDoubt ends the doubt that there is; it comes back after the next
// outage only. Unavailable where no term runs.
func (s *Scheduler) OverruleDoubt() error {
	r := s.term.Load()
	if r == nil {
		return errNotLeader
	}
	r.Overrule()
	s.Nudge()
	return nil
}

// Beat takes what a hub heard from its members in the last second, and returns
// the leases that were recorded for the requests among it. A request that has
// no lease in the answer came from a session that is not the member's newest.
// It returns Unavailable where no term runs, and if the lease could not be
// recorded before ctx or the term ended: ask the leader again.
func (s *Scheduler) Beat(ctx context.Context, hub string, beats []flow.Beat) ([]flow.Lease, error) {
	r := s.term.Load()
	if r == nil {
		return nil, errNotLeader
	}
	r.Heard(hub, beats)
	var requests []flow.LeaseRequest
	for _, b := range beats {
		if b.Lease != nil {
			requests = append(requests, *b.Lease)
		}
	}
	if len(requests) == 0 {
		return nil, nil
	}
	return r.desk.ask(ctx, r.ended, requests)
}
