package hub

import "testing"

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
