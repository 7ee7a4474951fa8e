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
	fail   error         // of the next write, which commits nevertheless
	refuse error         // of the next write, which changes nothing
	hang   chan struct{} // if set, leases are recorded when it is closed, whatever the context says
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
	placed, err := c.Plan(context.Background(), placements, waits, now)
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

func TestWaitsAreWrittenWhenTheirReasonsChange(t *testing.T) {
	l := &ledger{}
	c := New(l, flow.Fence{}, Options{})
	for _, step := range []struct {
		why   string
		waits []flow.Wait
		want  []string
	}{
		{"news is written", []flow.Wait{wait(1, "a"), wait(2, "a")}, []string{"x1", "x2"}},
		{"what was told is not told again", []flow.Wait{wait(1, "a"), wait(2, "a")}, nil},
		{"another reason is news", []flow.Wait{wait(1, "a"), wait(2, "b")}, []string{"x2"}},
		{"who was gone for a round is news", []flow.Wait{wait(2, "b")}, nil},
		{"who was gone for a round is news", []flow.Wait{wait(1, "a"), wait(2, "b")}, []string{"x1"}},
	} {
		l.waits = nil
		if _, err := c.Plan(context.Background(), nil, step.waits, now); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(step.want, l.waits); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.why, diff)
		}
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
