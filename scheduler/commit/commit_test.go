package commit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// ledger is a fake of the fenced transactions.
type ledger struct {
	mu     sync.Mutex
	fence  flow.Fence
	sizes  []int // placements + waits of each plan
	waits  []string
	trails []string
	rounds []string
	guards [][]flow.Takeover // of each plan
	fail   error             // of the next write, which commits nevertheless
	refuse error             // of the next write, which changes nothing
	hang   chan struct{}     // if set, leases are recorded when it is closed, whatever the context says
	inside atomic.Int32
}

func (l *ledger) write(f flow.Fence) (flow.Fence, error) {
	if l.inside.Add(1) > 1 {
		return f, errors.New("two transactions at a time")
	}
	defer l.inside.Add(-1)
	l.mu.Lock()
	defer l.mu.Unlock()
	if f != l.fence {
		return f, fault.E(fault.Stale, "fence %s, found %s", f, l.fence)
	}
	if err := l.refuse; err != nil {
		l.refuse = nil
		return f, err
	}
	l.fence.Beat++
	err := l.fail
	l.fail = nil
	return l.fence, err
}

func (l *ledger) CommitPlan(_ context.Context, f flow.Fence, b flow.Batch) (flow.Fence, []flow.ExecutionID, error) {
	next, err := l.write(f)
	l.sizes = append(l.sizes, len(b.Placements)+len(b.Waits))
	var ids []flow.ExecutionID
	for _, x := range b.Placements {
		ids = append(ids, x.Execution)
	}
	for _, x := range b.Waits {
		l.waits = append(l.waits, x.Execution.Name)
	}
	for _, x := range b.Trails {
		l.trails = append(l.trails, x.Digest)
	}
	if b.Round != nil {
		l.rounds = append(l.rounds, b.Round.ID)
	} else if b.RoundID != "" {
		l.rounds = append(l.rounds, "still "+b.RoundID)
	}
	l.guards = append(l.guards, b.Takeovers)
	return next, ids, err
}

func (l *ledger) RecordLeases(_ context.Context, f flow.Fence, r []flow.LeaseRequest, d time.Duration, _ time.Time) (flow.Fence, []flow.Lease, error) {
	if l.hang != nil {
		<-l.hang
	}
	next, err := l.write(f)
	var out []flow.Lease
	for _, x := range r {
		out = append(out, flow.Lease{Sender: x.Sender, Nonce: x.Nonce, Duration: d})
	}
	return next, out, err
}

func (l *ledger) SetHealth(_ context.Context, f flow.Fence, _ []flow.HealthChange) (flow.Fence, error) {
	return l.write(f)
}

func id(i int) flow.ExecutionID {
	return flow.ExecutionID{Project: "p", Domain: "d", Name: fmt.Sprintf("x%d", i)}
}

func wait(i int, message string) flow.Wait {
	return flow.Wait{Execution: id(i), Reasons: []flow.Reason{{Cluster: "c", Filter: "health", Message: message}}}
}

func TestPlanIsCutIntoBatches(t *testing.T) {
	l, observed := &ledger{}, []flow.Fence{}
	c := New(l, flow.Fence{}, Options{Observe: func(f flow.Fence) { observed = append(observed, f) }})
	var placements []flow.Placement
	var waits []flow.Wait
	for i := range 700 {
		placements = append(placements, flow.Placement{Execution: id(i)})
		waits = append(waits, wait(1000+i, "no"))
	}
	placed, err := c.Plan(context.Background(), flow.Batch{Placements: placements, Waits: waits, At: now}, false, nil)
	if err != nil || len(placed) != 700 {
		t.Fatalf("placed %d: %v", len(placed), err)
	}
	if diff := cmp.Diff([]int{500, 500, 400}, l.sizes); diff != "" {
		t.Errorf("batches of at most 500 (-want +got):\n%s", diff)
	}
	if len(observed) != 3 || observed[2].Beat != 3 || c.Fence().Beat != 3 {
		t.Errorf("each new fence is observed: %v", observed)
	}
}

func TestWaitsAreWrittenWhenTheirMeaningChanges(t *testing.T) {
	l := &ledger{}
	c := New(l, flow.Fence{}, Options{})
	other := wait(2, "a")
	other.Reasons[0].Filter = "taints"
	for _, step := range []struct {
		why   string
		after time.Duration
		waits []flow.Wait
		want  []string
	}{
		{"news is written", 0, []flow.Wait{wait(1, "a"), wait(2, "a")}, []string{"x1", "x2"}},
		{"what was told is not told again", 0, []flow.Wait{wait(1, "a"), wait(2, "a")}, nil},
		{"numbers that moved are no news", time.Minute, []flow.Wait{wait(1, "a"), wait(2, "b")}, nil},
		{"another filter is news", 0, []flow.Wait{wait(1, "a"), other}, []string{"x2"}},
		{"numbers are not left to grow old", 6 * time.Minute, []flow.Wait{wait(1, "b"), other}, []string{"x1"}},
		{"nor are they written again at once", time.Minute, []flow.Wait{wait(1, "c"), other}, nil},
		{"who was gone for a round is news", 0, []flow.Wait{other}, nil},
		{"who was gone for a round is news", 0, []flow.Wait{wait(1, "c"), other}, []string{"x1"}},
	} {
		l.waits = nil
		now = now.Add(step.after)
		if _, err := c.Plan(context.Background(), flow.Batch{Waits: step.waits, At: now}, false, nil); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(step.want, l.waits); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.why, diff)
		}
	}
}

// TestAPlanThatNamesAPartForgetsNobody: who is not in it waits as before, unless
// it was placed.
func TestAPlanThatNamesAPartForgetsNobody(t *testing.T) {
	l := &ledger{}
	c := New(l, flow.Fence{}, Options{})
	both := []flow.Wait{wait(1, "a"), wait(2, "a")}
	for n, step := range []struct {
		waits  []flow.Wait
		placed []flow.Placement
		part   bool
		want   []string
	}{
		{both, nil, false, []string{"x1", "x2"}},
		{both[:1], nil, true, nil},
		{both, nil, false, nil},
		{nil, []flow.Placement{{Execution: id(2)}}, true, nil},
		{both, nil, true, []string{"x2"}},
	} {
		l.waits = nil
		if _, err := c.Plan(context.Background(), flow.Batch{Waits: step.waits, Placements: step.placed, At: now}, step.part, nil); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(step.want, l.waits); diff != "" {
			t.Errorf("plan %d (-want +got):\n%s", n, diff)
		}
	}
}

// TestAQuietRoundWritesNothing: a hundred thousand that wait cost nothing while
// nothing changes, and many that are new hold up no launch.
func TestAQuietRoundWritesNothing(t *testing.T) {
	l := &ledger{}
	c := New(l, flow.Fence{}, Options{})
	waits := make([]flow.Wait, 5000)
	for i := range waits {
		waits[i] = flow.Wait{Execution: id(i), Trail: "t"}
	}
	trail := flow.Trail{Digest: "t", Reasons: []flow.Reason{{Cluster: "c", Filter: "capacity", Message: "1 of 2"}}}
	asked := 0
	round := func(first flow.Fence) *flow.Round { asked++; return &flow.Round{ID: first.String()} }
	for n, want := range []struct {
		message string
		waits   int
	}{{"1 of 2", 2000}, {"1 of 2", 2000}, {"1 of 2", 1000}, {"1 of 2", 0}, {"2 of 2", 0}} {
		trail.Reasons[0].Message = want.message
		l.waits = nil
		if _, err := c.Plan(context.Background(), flow.Batch{Waits: waits, Trails: []flow.Trail{trail}, At: now}, false, round); err != nil || len(l.waits) != want.waits {
			t.Fatalf("round %d wrote %d waits, want %d: %v", n, len(l.waits), want.waits, err)
		}
	}
	if asked != 3 {
		t.Errorf("%d rounds were encoded; three had something to store", asked)
	}
	if diff := cmp.Diff([]string{"t"}, l.trails); diff != "" {
		t.Errorf("a trail is stored once (-want +got):\n%s", diff)
	}
	want := []string{"0.0/1", "still 0.0/1", "still 0.0/1", "still 0.0/1", "0.0/5"}
	if diff := cmp.Diff(want, l.rounds[:5]); diff != "" {
		t.Errorf("a round is stored with its first transaction, and named by that (-want +got):\n%s", diff)
	}
	c.Forget()
	if _, err := c.Plan(context.Background(), flow.Batch{Waits: []flow.Wait{{Execution: id(9999), Trail: "t"}}, Trails: []flow.Trail{trail}, At: now}, false, nil); err != nil || len(l.trails) != 2 {
		t.Errorf("trails %v: %v; those that were removed must be stored again", l.trails, err)
	}
}

// TestEachTransactionCarriesTheGuardsThatItNeeds: a transaction that takes work
// from a cluster brings that cluster's lease rows.
func TestEachTransactionCarriesTheGuardsThatItNeeds(t *testing.T) {
	l := &ledger{}
	c := New(l, flow.Fence{}, Options{Batch: 2})
	placements := []flow.Placement{{Execution: id(1), From: "a"}, {Execution: id(2)}, {Execution: id(3)}, {Execution: id(4)}, {Execution: id(5), From: "b"}}
	guards := []flow.Takeover{{Cluster: "a"}, {Cluster: "b"}, {Cluster: "c"}}
	if _, err := c.Plan(context.Background(), flow.Batch{Placements: placements, Takeovers: guards, At: now}, false, nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([][]flow.Takeover{{{Cluster: "a"}}, nil, {{Cluster: "b"}}}, l.guards); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWritesRunOneAtATime(t *testing.T) {
	c := New(&ledger{}, flow.Fence{}, Options{})
	var group sync.WaitGroup
	for i := range 50 {
		group.Go(func() {
			var err error
			if i%2 == 0 {
				err = c.Health(context.Background(), []flow.HealthChange{{Cluster: "c"}})
			} else {
				_, err = c.Leases(context.Background(), []flow.LeaseRequest{{Nonce: uint64(i)}}, time.Second, now)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if c.Fence().Beat != 50 {
		t.Errorf("50 writes, fence %s", c.Fence())
	}
}

func TestNothingIsWrittenAfterAFailure(t *testing.T) {
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	for _, tt := range []struct {
		name   string
		why    string
		ctx    context.Context
		with   func(*ledger)
		broken bool
	}{
		{"another leader's fence", "it may have placed the same work", context.Background(), func(l *ledger) { l.fence.Epoch.N++ }, true},
		{"an ambiguous commit", "the beat is not known any more", context.Background(), func(l *ledger) { l.fail = fault.E(fault.Unavailable, "connection lost") }, true},
		{"a failure that committed nothing", "the Committer cannot tell it from an ambiguous one", context.Background(), func(l *ledger) { l.refuse = errors.New("no route") }, true},
		{"a term that ended", "leadership is gone", cancelled, func(*ledger) {}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := &ledger{}
			tt.with(l)
			c := New(l, flow.Fence{}, Options{})
			leases, err := c.Leases(tt.ctx, []flow.LeaseRequest{{Nonce: 1}}, time.Second, now)
			if !fault.Is(err, fault.Stale) || leases != nil {
				t.Fatalf("%v, %v: want Stale and no lease; why: %s", leases, err, tt.why)
			}
			err = c.Health(context.Background(), []flow.HealthChange{{Cluster: "c"}})
			if got := fault.Is(err, fault.Stale); got != tt.broken {
				t.Errorf("the next write: %v; why: %s", err, tt.why)
			}
		})
	}
}

// A store that reads back what became of a COMMIT may take longer than a lease
// lasts. The term must be over long before.
func TestALedgerThatHangsEndsTheTerm(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  time.Duration // of the term
	}{
		{"its time is up", time.Minute},
		{"the term is over", 20 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := &ledger{hang: make(chan struct{})}
			defer close(l.hang)
			c := New(l, flow.Fence{}, Options{Timeout: 50 * time.Millisecond})
			ctx, cancel := context.WithTimeout(context.Background(), tt.end)
			defer cancel()
			begun := time.Now()
			leases, err := c.Leases(ctx, []flow.LeaseRequest{{Nonce: 1}}, time.Second, now)
			if took := time.Since(begun); !fault.Is(err, fault.Stale) || leases != nil || took > 5*time.Second {
				t.Errorf("%v, %v after %s: want Stale and no lease, soon", leases, err, took)
			}
			if err := c.Health(context.Background(), []flow.HealthChange{{Cluster: "c"}}); !fault.Is(err, fault.Stale) {
				t.Errorf("the next write: %v", err)
			}
		})
	}
}
