package scheduler

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

func (w *world) Rebuild(context.Context) (flow.Rebuild, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rebuild, w.failRead
}

func (w *world) EndRebuild(_ context.Context, f flow.Fence, _ time.Time) (flow.Fence, flow.Rebuilt, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, err := w.write(f); err != nil {
		return f, flow.Rebuilt{}, err
	}
	w.fence.Epoch.Era++
	w.rebuild = flow.Rebuild{}
	for i := range w.members {
		w.members[i].Generation++
		w.members[i].OwnershipRevision++
	}
	return w.fence, flow.Rebuilt{Era: w.fence.Epoch.Era}, nil
}

// rebuilding is a world whose restored backup is rebuilt: it remembers neither
// leases nor what holds them.
func rebuilding(waiting ...string) *world {
	w := newWorld()
	w.rebuild = flow.Rebuild{Since: w.now.Add(-time.Second), Why: "a test", Waiting: waiting}
	return w
}

// rebuilds begins a term of it.
func rebuilds(t *testing.T, w *world, log *slog.Logger) *Term {
	t.Helper()
	term, err := NewTerm(Default(), Deps{Ledger: w, Fleet: w, Commit: w, Orders: w, Rebuild: w, Now: w.Now, Inline: true, Log: log,
		Trim: func(context.Context, time.Time, int) (int64, error) { w.trims++; return 0, nil }}, w.fence)
	if err != nil {
		t.Fatal(err)
	}
	return term
}

// patience is the longest that the default lease may be out.
const patience = 30*time.Second + 600*time.Millisecond + 2*time.Second

// TestARebuildIsWatchedAndNothingElse: no placement, no lease, no health, until
// all have reported and no forgotten lease can be out; then the same term works
// in the next era. (I77.)
func TestARebuildIsWatchedAndNothingElse(t *testing.T) {
	w := rebuilding("c")
	member := w.cluster("c")
	x := w.launch("x", "")
	term := rebuilds(t, w, nil)
	began := w.fence
	quiet := func(what string) {
		t.Helper()
		term.Heard("hub", []flow.Beat{beat(member, 1)})
		leases, err := term.Grant(context.Background(), []flow.LeaseRequest{{Sender: member, Nonce: 1}})
		step(t, term)
		if term.Trim(context.Background()); w.trims > 0 {
			t.Fatalf("%s: old rows were removed", what)
		}
		if len(leases) > 0 || err != nil || w.fence != began || w.waits[x] != nil {
			t.Fatalf("%s: %d leases (%v), fence %s after %s, reasons %v", what, len(leases), err, w.fence, began, w.waits[x])
		}
	}
	quiet("at the beginning")
	w.now = w.now.Add(10 * patience)
	quiet("while a cluster has not reported")
	w.rebuild.Waiting = nil
	w.failRead = context.DeadlineExceeded
	quiet("while the database is away")
	w.failRead = nil
	step(t, term)
	if w.fence.Epoch.Era != began.Epoch.Era+1 || w.fence.Epoch.N != began.Epoch.N || term.Fence() != w.fence {
		t.Fatalf("the fence is %s, and was %s; the term has %s", w.fence, began, term.Fence())
	}
	if term.Trim(context.Background()); w.trims != 1 {
		t.Errorf("in the new era old rows were removed %d times, want once", w.trims)
	}
	member.Generation++ // it dials anew
	renew(t, term, member, 1)
	step(t, term)
	if w.placed[x] != "c" {
		t.Errorf("in the new era it is placed on %q: %v", w.placed[x], w.waits[x])
	}
}

// TestARebuildEndsATermThatWritesNothing: no cluster is there, so that no
// transaction of the term would tell it. (I77.)
func TestARebuildEndsATermThatWritesNothing(t *testing.T) {
	w := rebuilding()
	begun := w.rebuild
	w.rebuild = flow.Rebuild{}
	term := rebuilds(t, w, nil)
	step(t, term)
	w.now = w.now.Add(time.Minute)
	step(t, term)
	w.rebuild = begun
	w.now = w.now.Add(askAgain)
	if _, err := term.Cycle(context.Background()); !fault.Is(err, fault.Stale) {
		t.Fatalf("a cycle in a REBUILD that has begun meanwhile: %v", err)
	}
}

// TestARebuildWaitsForForgottenLeases, whatever else: the longest that the
// database remembers or that is configured, with drift and margin, from the
// beginning of each term. (I77; mutant rebuild-does-not-wait.)
func TestARebuildWaitsForForgottenLeases(t *testing.T) {
	for _, tc := range []struct {
		name     string
		longest  time.Duration
		waiting  []string
		forced   bool
		patience time.Duration
	}{
		{"all have reported", 0, nil, false, patience},
		{"an operator waits for nobody", 0, []string{"c"}, true, patience},
		{"a shorter lease is remembered", 10 * time.Second, nil, false, patience},
		{"a longer lease is remembered", 100 * time.Second, nil, false, 104 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := rebuilding(tc.waiting...)
			w.cluster("c")
			w.rebuild.Longest, w.rebuild.Forced = tc.longest, tc.forced
			ends := func(term *Term, after time.Duration) bool {
				w.now = w.now.Add(after)
				step(t, term)
				return w.rebuild.Since.IsZero()
			}
			if ends(rebuilds(t, w, nil), tc.patience-time.Millisecond) {
				t.Fatalf("it ended %s after the term's beginning", tc.patience-time.Millisecond)
			}
			second := rebuilds(t, w, nil)
			if ends(second, tc.patience-time.Millisecond) {
				t.Fatal("a new leader has counted what its predecessor waited")
			}
			if !ends(second, time.Millisecond) {
				t.Errorf("it has not ended %s after the term's beginning", tc.patience)
			}
		})
	}
}

// TestAfterARebuildMembersGetTheTimeToComeBack: no lease row tells of them, and
// yet what they hold is taken only when their lease would be over; if they do not
// come back it is.
func TestAfterARebuildMembersGetTheTimeToComeBack(t *testing.T) {
	w := rebuilding()
	w.cluster("cut")
	here := w.cluster("here")
	for i := range w.clusters {
		w.clusters[i].Health = flow.HealthHealthy // as of the backup
	}
	x := w.launch("x", "")
	w.live[x] = &flow.Placed{Pending: w.pending[0], Desired: flow.DesiredRun}
	w.live[x].From, w.live[x].Epoch, w.placed[x], w.pending = "cut", flow.Epoch{Era: 1, N: 1}, "cut", nil
	term := rebuilds(t, w, nil)
	w.now = w.now.Add(patience)
	step(t, term)
	if !w.rebuild.Since.IsZero() {
		t.Fatal("it has not ended")
	}
	here.Generation++
	ended := w.now
	for nonce := uint64(1); w.placed[x] == "cut"; nonce++ {
		if w.now.Sub(ended) > time.Minute {
			t.Fatalf("the work of a cluster that does not come back is not moved; it is %s", w.health("cut"))
		}
		renew(t, term, here, nonce)
		w.now = w.now.Add(time.Second)
		step(t, term)
	}
	if waited := w.now.Sub(ended); waited <= 30*time.Second || w.placed[x] != "here" {
		t.Errorf("%s after the end it is on %q", waited, w.placed[x])
	}
}

// TestARebuildIsToldLoudly: who is waited for, each ten seconds.
func TestARebuildIsToldLoudly(t *testing.T) {
	w := rebuilding("north", "south")
	var said bytes.Buffer
	term := rebuilds(t, w, slog.New(slog.NewTextHandler(&said, nil)))
	for range 31 {
		step(t, term)
		w.now = w.now.Add(time.Second)
	}
	if n := strings.Count(said.String(), "waitingFor=\"[north south]\""); n != 4 {
		t.Errorf("said %d times in 30 s, want 4:\n%s", n, said.String())
	}
}
