package scheduler

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
	"github.com/skein-project/skein/scheduler/election"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world fakes the database, the election and the clock.
type world struct {
	mu       sync.Mutex
	now      time.Time
	fence    flow.Fence
	clusters []flow.Cluster
	members  []flow.MemberState
	pending  []flow.Pending
	placed   map[flow.ExecutionID]string
	live     map[flow.ExecutionID]*flow.Placed // what was placed, with From its cluster
	ended    map[flow.ExecutionID]bool         // ABORTED without an owner
	trails   map[string]flow.Trail
	rounds   []flow.Round
	policies []flow.Policy
	drained  map[string]bool // drains that ended; true: expired
	kinds    map[flow.ExecutionID]flow.MoveKind
	waits    map[flow.ExecutionID][]flow.Reason
	recorded [][]flow.LeaseRequest // one per transaction
	failRead error
	failNext error // of the next lease transaction, which commits nevertheless
	observed flow.Fence
	woken    []string
	plans    int // transactions that placed something
	begun    int // terms that hubs were told of
	trims    int
	rebuild  flow.Rebuild
	longest  time.Duration // lease that was ever recorded

	terms chan election.Term
	ends  chan error
}

func newWorld() *world {
	return &world{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), fence: flow.Fence{Epoch: flow.Epoch{Era: 1, N: 1}},
		placed: map[flow.ExecutionID]string{}, live: map[flow.ExecutionID]*flow.Placed{}, ended: map[flow.ExecutionID]bool{},
		trails: map[string]flow.Trail{}, drained: map[string]bool{}, kinds: map[flow.ExecutionID]flow.MoveKind{}, waits: map[flow.ExecutionID][]flow.Reason{},
		terms: make(chan election.Term), ends: make(chan error, 8)}
}

func (w *world) locked(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

func (w *world) Now() time.Time { w.mu.Lock(); defer w.mu.Unlock(); return w.now }

// Run is the elector: it leads the terms that the test sends.
func (w *world) Run(ctx context.Context, lead func(election.Term) error) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case t := <-w.terms:
			w.ends <- lead(t)
		}
	}
}

func (w *world) Observe(f flow.Fence) { w.locked(func() { w.observed = f }) }

func (w *world) ListClusters(context.Context) ([]flow.Cluster, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.clusters), w.failRead
}

func (w *world) ListMembers(context.Context, string) ([]flow.MemberState, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.members), nil
}

func (w *world) LongestLease(context.Context) (time.Duration, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.longest, nil
}

func (w *world) Pending(context.Context, flow.PendingKey, int) ([]flow.Pending, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.pending), nil
}

func (w *world) Requirements(context.Context, []string) (map[string]flow.Requirement, error) {
	return nil, nil
}

func (w *world) ListPolicies(context.Context, string) ([]flow.Policy, error) { return w.policies, nil }

// Loads counts one line for each live placement: the scheduler may not rely on
// how they are grouped.
func (w *world) Loads(context.Context) ([]flow.Load, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []flow.Load
	for id, p := range w.live {
		out = append(out, flow.Load{Cluster: p.From, Tenant: id.Tenant(), Workflow: p.Requirement.Workflow, Executions: 1,
			Reservation: p.Requirement.Reservation})
	}
	return out, nil
}

func (w *world) Live(_ context.Context, clusters []string, limit int) ([]flow.Placed, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []flow.Placed
	for _, p := range w.live {
		if slices.Contains(clusters, p.From) {
			out = append(out, *p)
		}
	}
	slices.SortFunc(out, func(a, b flow.Placed) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.Execution.Name, b.Execution.Name))
	})
	return out[:min(len(out), limit)], nil
}

// write is the first statement of a fenced transaction.
func (w *world) write(f flow.Fence) (flow.Fence, error) {
	if f != w.fence {
		return f, fault.E(fault.Stale, "fence %s, found %s", f, w.fence)
	}
	w.fence.Beat++
	return w.fence, nil
}

// untouched reports whether the lease rows are those of the takeover.
func (w *world) untouched(t flow.Takeover) bool {
	for _, m := range w.members {
		mark := flow.LeaseMark{Member: m.Member, Generation: m.LeaseGeneration, RecordedAt: m.LeaseRecordedAt}
		if m.Cluster == t.Cluster && !slices.Contains(t.Marks, mark) {
			return false
		}
	}
	return true
}

func (w *world) CommitPlan(_ context.Context, f flow.Fence, b flow.Batch) (flow.Fence, []flow.ExecutionID, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	next, err := w.write(f)
	if err != nil {
		return f, nil, err
	}
	if len(b.Placements) > 0 {
		w.plans++
	}
	free := map[string]bool{}
	for _, t := range b.Takeovers {
		free[t.Cluster] = w.untouched(t)
	}
	var ids []flow.ExecutionID
	for _, p := range b.Placements {
		if w.place(p, free, b.At) {
			ids = append(ids, p.Execution)
		}
	}
	if b.Round != nil {
		w.rounds = append(w.rounds, *b.Round)
	}
	for _, t := range b.Trails {
		w.trails[t.Digest] = t
	}
	for _, x := range b.Waits {
		w.waits[x.Execution] = x.Reasons
		if t, ok := w.trails[x.Trail]; ok {
			w.waits[x.Execution] = t.Reasons
		}
	}
	return next, ids, nil
}

// place makes one placement if the execution is where it was read.
func (w *world) place(p flow.Placement, free map[string]bool, at time.Time) bool {
	was := w.live[p.Execution]
	if (p.From != "") != (was != nil) || was != nil && (was.From != p.From || was.Epoch != p.Prior || !free[p.From]) {
		return false
	}
	if was == nil {
		i := slices.IndexFunc(w.pending, func(x flow.Pending) bool { return x.Execution == p.Execution && x.Epoch == p.Prior })
		if i < 0 {
			return false
		}
		was = &flow.Placed{Pending: w.pending[i], Desired: flow.DesiredRun}
		w.pending = slices.Delete(w.pending, i, i+1)
	} else {
		w.kinds[p.Execution] = p.Kind
		was.Moves++
		for i := range w.members {
			if w.members[i].Cluster == p.From {
				w.members[i].OwnershipRevision++
			}
		}
	}
	was.From, was.PlacedAt, was.Epoch, was.Revoking = p.Cluster, at, flow.Epoch{Era: w.fence.Epoch.Era, N: p.Prior.N + 1}, ""
	w.live[p.Execution], w.placed[p.Execution] = was, p.Cluster
	return true
}

func (w *world) Reap(_ context.Context, f flow.Fence, t flow.Takeover, ids []flow.ExecutionID, _ time.Time) (flow.Fence, []flow.ExecutionID, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	next, err := w.write(f)
	if err != nil || !w.untouched(t) {
		return next, nil, err
	}
	for _, id := range ids {
		delete(w.live, id)
		w.ended[id] = true
	}
	return next, ids, nil
}

func (w *world) Revoke(_ context.Context, f flow.Fence, list []flow.Revocation, at time.Time) (flow.Fence, []flow.ExecutionID, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	next, err := w.write(f)
	if err != nil {
		return f, nil, err
	}
	var ids []flow.ExecutionID
	for _, r := range list {
		if p := w.live[r.Execution]; p != nil && p.Epoch == r.Epoch && p.Revoking == "" && p.Desired == flow.DesiredRun {
			p.Revoking, p.RevokedAt = r.Kind, at
			ids = append(ids, r.Execution)
		}
	}
	return next, ids, nil
}

func (w *world) EndDrain(_ context.Context, f flow.Fence, cluster string, expired bool, _ time.Time) (flow.Fence, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	next, err := w.write(f)
	if err != nil {
		return f, err
	}
	for i := range w.clusters {
		if c := &w.clusters[i]; c.Name == cluster && c.Drain != nil {
			w.drained[cluster] = expired
			if d := *c.Drain; expired {
				d.Expired = true
				c.Drain = &d
			} else {
				c.Drain, c.Cordoned = nil, true
			}
		}
	}
	return next, nil
}

func (w *world) RecordLeases(_ context.Context, f flow.Fence, requests []flow.LeaseRequest, d time.Duration, at time.Time) (flow.Fence, []flow.Lease, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	next, err := w.write(f)
	if err != nil {
		return f, nil, err
	}
	w.recorded, w.longest = append(w.recorded, requests), max(w.longest, d)
	var out []flow.Lease
	for _, r := range requests {
		for i := range w.members {
			if m := &w.members[i]; m.Member == r.Member && m.Generation == r.Generation {
				m.LeaseGeneration, m.LeaseExpiresAt, m.LeaseDuration, m.LeaseRecordedAt = r.Generation, at.Add(d), d, at
				out = append(out, flow.Lease{Sender: r.Sender, Nonce: r.Nonce, Duration: d, OwnershipRevision: m.OwnershipRevision})
			}
		}
	}
	if err = w.failNext; err != nil {
		w.failNext = nil
		return f, nil, err
	}
	return next, out, nil
}

func (w *world) SetHealth(_ context.Context, f flow.Fence, changes []flow.HealthChange) (flow.Fence, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	next, err := w.write(f)
	if err != nil {
		return f, err
	}
	for _, c := range changes {
		for i := range w.clusters {
			if w.clusters[i].Name == c.Cluster {
				w.clusters[i].Health, w.clusters[i].HealthSince = c.Health, c.At
			}
		}
	}
	return next, nil
}

// cluster registers a cluster with one member, whose session is open.
func (w *world) cluster(name string) flow.Sender {
	m := flow.Member{Cluster: name, Instance: "i"}
	w.locked(func() {
		w.clusters = append(w.clusters, flow.Cluster{Name: name, Health: flow.HealthUnknown})
		w.members = append(w.members, flow.MemberState{Member: m, Generation: 1, OwnershipRevision: 5})
	})
	return flow.Sender{Member: m, Generation: 1}
}

func (w *world) launch(name, trace string) flow.ExecutionID {
	id := flow.ExecutionID{Project: "p", Domain: "d", Name: name}
	w.locked(func() { w.pending = append(w.pending, flow.Pending{Execution: id, CreatedAt: w.now, Trace: trace}) })
	return id
}

func (w *world) health(name string) (out flow.Health) {
	w.locked(func() {
		for _, c := range w.clusters {
			if c.Name == name {
				out = c.Health
			}
		}
	})
	return out
}

func (w *world) placedOn(id flow.ExecutionID) (out string) {
	w.locked(func() { out = w.placed[id] })
	return out
}

// run starts a scheduler over the world, with cycles every 20 ms.
func run(t *testing.T, w *world) *Scheduler {
	t.Helper()
	return runWith(t, w, func(c *Config) { c.Sweep, c.Batch = 20*time.Millisecond, time.Millisecond })
}

func runWith(t *testing.T, w *world, change func(*Config)) *Scheduler {
	t.Helper()
	cfg := Default()
	change(&cfg)
	s, err := New(cfg, Deps{Elector: w, Ledger: w, Fleet: w, Commit: w, Orders: w, Now: w.Now,
		Begun: func() { w.locked(func() { w.begun++ }) },
		Woken: func(c []string) { w.locked(func() { w.woken = append(w.woken, c...) }) }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return s
}

// lead begins a term at the database's fence and waits until it works.
func lead(t *testing.T, s *Scheduler, w *world) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var fence flow.Fence
	w.locked(func() { fence = w.fence })
	w.terms <- election.Term{Context: ctx, Fence: fence}
	eventually(t, "the term begins", func() bool { _, ok := s.Leading(); return ok })
	t.Cleanup(cancel)
	return cancel
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never: %s", what)
		}
	}
}
