package scheduler

import (
	"context"
	"testing"
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

// begin makes a term that the test's own goroutine drives, on the world's clock.
func begin(t *testing.T, w *world, change ...func(*Config)) *Term {
	t.Helper()
	cfg := Default()
	for _, f := range change {
		f(&cfg)
	}
	term, err := NewTerm(cfg, Deps{Ledger: w, Fleet: w, Commit: w, Orders: w, Rounds: w.Rounds, Now: w.Now, Inline: true}, w.fence)
	if err != nil {
		t.Fatal(err)
	}
	return term
}

// step runs one cycle, and demands that it writes what it decides.
func step(t *testing.T, term *Term) {
	t.Helper()
	if _, err := term.Cycle(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// renew lets a member beat, and records a lease for it.
func renew(t *testing.T, term *Term, s flow.Sender, nonce uint64) {
	t.Helper()
	b := beat(s, nonce)
	term.Heard("hub", []flow.Beat{b})
	leases, err := term.Grant(context.Background(), []flow.LeaseRequest{*b.Lease})
	if err != nil || len(leases) != 1 {
		t.Fatalf("%v: %v", leases, err)
	}
}

// TestATermIsSteppedByOneThread drives a term without a goroutine or a timer.
func TestATermIsSteppedByOneThread(t *testing.T) {
	w := newWorld()
	member := w.cluster("c")
	x := w.launch("x", "")
	term := begin(t, w)
	step(t, term)
	if w.waits[x] == nil || w.placed[x] != "" {
		t.Fatalf("nobody was heard: %q, %v", w.placed[x], w.waits[x])
	}
	renew(t, term, member, 1)
	step(t, term)
	if w.placed[x] != "c" || w.health("c") != flow.HealthHealthy || term.Fence() != w.fence {
		t.Errorf("placed on %q, which is %s; fence %s, want %s", w.placed[x], w.health("c"), term.Fence(), w.fence)
	}
	w.now = w.now.Add(33 * time.Second)
	step(t, term)
	if h := w.health("c"); h != flow.HealthLapsed {
		t.Errorf("%s, 33 s after the last lease", h)
	}
}

// TestWhatHappensBetweenDecidingAndActing: a successor's term begins in between.
func TestWhatHappensBetweenDecidingAndActing(t *testing.T) {
	w := newWorld()
	x := w.launch("x", "")
	member := w.cluster("c")
	term := begin(t, w)
	renew(t, term, member, 1)
	seen, err := term.Observe(context.Background())
	if err != nil || len(seen.Plan.Placements) != 1 {
		t.Fatalf("%+v: %v", seen, err)
	}
	w.fence = flow.Fence{Epoch: w.fence.Epoch.Next()}
	if _, err := term.Act(context.Background(), seen); !fault.Is(err, fault.Stale) || w.placed[x] != "" {
		t.Errorf("placed on %q: %v", w.placed[x], err)
	}
}

// TestACycleIsWantedWhenAClusterMayTakeWorkAgain: a new leader that hears a
// member, a first lease, and the return of a cluster wait for no sweep; what was
// heard before wakes nobody.
func TestACycleIsWantedWhenAClusterMayTakeWorkAgain(t *testing.T) {
	w := newWorld()
	member := w.cluster("c")
	term, woken := begin(t, w), 0
	term.news = func() { woken++ }
	for _, step := range []struct {
		why   string
		after time.Duration
		lease bool
		want  int
	}{
		{"it is heard for the first time", 0, false, 1},
		{"it is heard again", time.Second, false, 1},
		{"it holds its first lease", time.Second, true, 2},
		{"it renews", time.Second, true, 2},
		{"it was silent for long", 6 * time.Second, false, 3},
		{"its lease had lapsed, and it was silent", 40 * time.Second, true, 5},
	} {
		w.now = w.now.Add(step.after)
		if step.lease {
			renew(t, term, member, uint64(woken)+1)
		} else {
			term.Heard("hub", []flow.Beat{beat(member, 0)})
		}
		if woken != step.want {
			t.Errorf("%s: woken %d times, want %d", step.why, woken, step.want)
		}
	}
}
