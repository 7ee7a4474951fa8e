package scheduler

import (
	"context"
	"sync"
	"time"

	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/api/mutant"
	"github.com/skein-project/skein/scheduler/commit"
	"github.com/skein-project/skein/scheduler/health"
	"github.com/skein-project/skein/scheduler/snapshot"
)

// Term is the work of one stretch of leadership, as steps that somebody else
// drives: no method waits for a clock or reads any but Deps.Now, and none starts a
// goroutine that outlives it, but for a write that the database does not answer
// (commit.Bounded). In production Scheduler drives it with tickers; on a
// virtual clock one thread does, with Deps.Inline.
//
// Duties of the caller: Cycle (or Observe and Act) by one goroutine, Grant by
// one, which may be another; Heard and Trim by any. The first error of Cycle, Act or
// Grant ends the term: nothing more of it may be called, and nothing that is
// called writes any more.
type Term struct {
	cfg     Config
	deps    Deps
	metrics *metrics
	memory  *memory
	commit  *commit.Committer
	gather  *snapshot.Gatherer
	trouble *trouble
	news    func() // a cluster may take work that could not before; must not block

	mu     sync.Mutex // of window and doubt
	window *health.Window
	doubt  string

	recent   snapshot.Recent
	recalled bool // what the last stored round knew is in recent

	lapses    time.Time // when the first cluster lapses unless it is heard of; zero: not known
	liveAt    time.Time // when the clusters that lose work were last asked what they hold
	plannedAt time.Time // the same of those of which work may have to leave
	hurry     bool      // more is to be moved than one plan may
	yieldAt   time.Time // when work of higher priority last looked for room
	forgot    time.Time // what is remembered for a while
	shouted   time.Time
	rebuild   rebuild
}

// NewTerm begins the work of a term with the fence that BeginTerm gave. Of
// deps the ports Ledger, Fleet and Commit are needed; Elector, if there is one,
// is told of each new fence. The term's clock starts now: leases of earlier
// terms are counted in full from here.
func NewTerm(cfg Config, deps Deps, fence flow.Fence) (*Term, error) {
	m, err := newMetrics(nil)
	if err != nil {
		return nil, err
	}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if deps, err = deps.complete(); err != nil {
		return nil, err
	}
	return newTerm(cfg, deps, m, &trouble{}, fence), nil
}

func newTerm(cfg Config, deps Deps, m *metrics, tr *trouble, fence flow.Fence) *Term {
	options := commit.Options{Batch: cfg.BatchSize, Timeout: cfg.Timeout, Inline: deps.Inline, Orders: deps.Orders, Rebuild: deps.Rebuild}
	if deps.Elector != nil {
		options.Observe = deps.Elector.Observe
	}
	t := &Term{cfg: cfg, deps: deps, metrics: m, memory: newMemory(), commit: commit.New(deps.Commit, fence, options), trouble: tr, news: func() {}}
	t.rebuild.began = deps.Now()
	t.gather = &snapshot.Gatherer{Ledger: deps.Ledger, Fleet: deps.Fleet, Live: t.memory.Live, Since: deps.Now(),
		Lease: cfg.Lease, Health: cfg.Health, Policy: cfg.Policy, Limits: cfg.Limits, Version: cfg.Version, Limit: cfg.PendingLimit, Now: deps.Now}
	return t
}

// Fence is the fence that the next transaction will give.
func (t *Term) Fence() flow.Fence { return t.commit.Fence() }

// Heard takes what a hub heard from its members. It grants nothing: the lease
// requests among it go to Grant.
func (t *Term) Heard(hub string, beats []flow.Beat) {
	if t.memory.heard(hub, beats, t.deps.Now(), t.cfg.Health.Suspect) {
		t.news()
	}
}

// Grant records leases in one transaction, and returns those that may be sent:
// of several requests of one member only the newest session's newest is
// answered, and in REBUILD none. Their time on this leader's clock counts from after the write: that
// errs on the side of waiting longer.
func (t *Term) Grant(ctx context.Context, requests []flow.LeaseRequest) ([]flow.Lease, error) {
	requests = newest(requests)
	if _, lasts, err := t.rebuilding(ctx); lasts || err != nil {
		return nil, nil // asked for again, if the database could not be read
	}
	if mutant.On("grant-before-it-is-recorded") {
		return t.promise(ctx, requests), nil
	}
	t.memory.asked(requests, t.deps.Now().Add(t.cfg.Lease))
	leases, err := t.commit.Leases(ctx, requests, t.cfg.Lease, t.deps.Now())
	if err != nil {
		return nil, err
	}
	if t.memory.granted(requests, leases, t.deps.Now()) {
		t.news()
	}
	t.metrics.leases.Add(float64(len(leases)))
	return leases, nil
}

// promise is a mistake: leases are granted, and then recorded.
func (t *Term) promise(ctx context.Context, requests []flow.LeaseRequest) (out []flow.Lease) {
	for _, r := range requests {
		out = append(out, flow.Lease{Sender: r.Sender, Nonce: r.Nonce, Duration: t.cfg.Lease, OwnershipRevision: r.OwnershipRevision})
	}
	if leases, err := t.commit.Leases(ctx, requests, t.cfg.Lease, t.deps.Now()); err == nil {
		t.memory.granted(requests, leases, t.deps.Now())
	}
	return out
}

// Cycle observes, decides and acts once. more says that another cycle would
// find work at once. A world that cannot be read is no error: it is read again
// in the next cycle.
func (t *Term) Cycle(ctx context.Context) (more bool, err error) {
	seen, err := t.Observe(ctx)
	if err != nil || seen == nil {
		return false, err
	}
	return t.Act(ctx, seen)
}
