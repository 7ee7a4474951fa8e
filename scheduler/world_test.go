package scheduler

import (
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
	waits    map[flow.ExecutionID][]flow.Reason
	recorded [][]flow.LeaseRequest // one per transaction
	failRead error
	failNext error // of the next lease transaction, which commits nevertheless
	observed flow.Fence
	woken    []string
	plans    int // transactions that placed something
	begun    int // terms that hubs were told of

	terms chan election.Term
	ends  chan error
}

func newWorld() *world {
	return &world{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), fence: flow.Fence{Epoch: flow.Epoch{Era: 1, N: 1}},
		placed: map[flow.ExecutionID]string{}, waits: map[flow.ExecutionID][]flow.Reason{},
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

func (w *world) Pending(context.Context, int) ([]flow.Pending, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []flow.Pending
	for _, p := range w.pending {
		if w.placed[p.Execution] == "" {
			out = append(out, p)
		}
	}
	return out, nil
}

func (w *world) Requirements(context.Context, []string) (map[string]flow.Requirement, error) {
	return nil, nil
}

func (w *world) Reserved(context.Context) ([]flow.Reserved, error) { return nil, nil }

// write is the first statement of a fenced transaction.
func (w *world) write(f flow.Fence) (flow.Fence, error) {
	if f != w.fence {
		return f, fault.E(fault.Stale, "fence %s, found %s", f, w.fence)
	}
	w.fence.Beat++
	return w.fence, nil
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
	var ids []flow.ExecutionID
	for _, p := range b.Placements {
		w.placed[p.Execution] = p.Cluster
		ids = append(ids, p.Execution)
	}
	for _, x := range b.Waits {
		w.waits[x.Execution] = x.Reasons
	}
	return next, ids, nil
}

func (w *world) RecordLeases(_ context.Context, f flow.Fence, requests []flow.LeaseRequest, d time.Duration, at time.Time) (flow.Fence, []flow.Lease, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	next, err := w.write(f)
	if err != nil {
		return f, nil, err
	}
	w.recorded = append(w.recorded, requests)
	var out []flow.Lease
	for _, r := range requests {
		for i := range w.members {
			if m := &w.members[i]; m.Member == r.Member && m.Generation == r.Generation {
				m.LeaseGeneration, m.LeaseExpiresAt, m.LeaseDuration = r.Generation, at.Add(d), d
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
				w.clusters[i].Health = c.Health
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
	s, err := New(cfg, Deps{Elector: w, Ledger: w, Fleet: w, Commit: w, Now: w.Now,
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
