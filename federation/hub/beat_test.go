package hub

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skein-project/skein/api/fault"
	"github.com/skein-project/skein/api/flow"
)

// A new leader waits for the beat that it asks for: it must not be the one that
// is given up, since the next comes a second later.
func TestTheBeatThatIsAskedForIsNotGivenUp(t *testing.T) {
	h := &Hub{beatNow: make(chan struct{}, 1)}
	given := false
	h.giveUp = func() {
		if given = true; len(h.beatNow) > 0 {
			t.Error("the beat was asked for before the one under way was given up")
		}
		if h.mu.TryLock() {
			t.Error("a beat may begin between the two")
		}
	}
	h.Beat()
	if !given || len(h.beatNow) != 1 {
		t.Errorf("given up: %t, asked for: %d", given, len(h.beatNow))
	}
}

// absent is a leader that is not reached by the first so many beats.
type absent struct {
	first int
	begun time.Time
	beats []time.Duration // when each came
}

func (a *absent) Beat(context.Context, string, []flow.Beat) ([]flow.Lease, error) {
	if a.beats = append(a.beats, time.Since(a.begun)); len(a.beats) <= a.first {
		return nil, fault.E(fault.Unavailable, "no leader is known")
	}
	return nil, nil
}

// A new leader places nothing before it has heard of members: a beat that does
// not reach it is made again soon, and one that does only a second later.
func TestABeatThatFailsIsMadeAgainSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := served(t, &database{}, 30*time.Second)
		leader := &absent{first: 3, begun: time.Now()}
		h.o.Leases = leader
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { h.beats(ctx); close(done) }()
		h.Beat()
		time.Sleep(2500 * time.Millisecond)
		stop()
		<-done
		var want []time.Duration
		for _, ms := range []int{0, 200, 400, 600, 1000, 2000} {
			want = append(want, time.Duration(ms)*time.Millisecond)
		}
		if !slices.Equal(leader.beats, want) {
			t.Errorf("it beat at %s, want %s", leader.beats, want)
		}
	})
}
